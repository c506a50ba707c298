"""The log on Kafka brokers; the only package that imports kafka-python.

kafka-python has no types, so its objects are `Any` here and leave as types of `likewise.log.port`.
"""

from likewise.log.kafka.broker import KafkaBroker

__all__ = ["KafkaBroker"]
