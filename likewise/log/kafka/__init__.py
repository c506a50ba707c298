"""The log on real Kafka brokers; the only package that imports kafka-python.

kafka-python has no types, so everything that comes from it is `Any` until it leaves here as one
of the types of `likewise.log.port`. A consumer record of kafka-python is a `Record` as it is.
"""

from likewise.log.kafka.broker import KafkaBroker

__all__ = ["KafkaBroker"]
