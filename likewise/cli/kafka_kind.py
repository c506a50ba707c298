"""The brokers that `up` can start. A separate module, because the help text needs it."""

from enum import StrEnum


class KafkaKind(StrEnum):
    """A broker that runs without Docker."""

    TANSU = "tansu"
    APACHE = "apache"
