"""Real servers without Docker: a Kafka-compatible broker and Redis as child processes.

For laptops, demonstrations and tests. The default broker keeps everything in memory; in production
use Apache Kafka and Redis, as in docker-compose.yml.
"""

from likewise.embedded.apache_kafka import ApacheKafka
from likewise.embedded.broker import (
    TIMINGS,
    EmbeddedBroker,
    embedded_broker,
    embedded_kafka_settings,
)
from likewise.embedded.errors import EmbeddedServerError, PortTakenError
from likewise.embedded.ports import free_port, port_or_free
from likewise.embedded.process import ServerProcess
from likewise.embedded.redis_server import EmbeddedRedis, embedded_redis
from likewise.embedded.servers import EmbeddedServers, embedded_servers

__all__ = [
    "TIMINGS",
    "ApacheKafka",
    "EmbeddedBroker",
    "EmbeddedRedis",
    "EmbeddedServerError",
    "EmbeddedServers",
    "PortTakenError",
    "ServerProcess",
    "embedded_broker",
    "embedded_kafka_settings",
    "embedded_redis",
    "embedded_servers",
    "free_port",
    "port_or_free",
]
