"""The brokers that `up` can start. A module of its own, since it is imported for the help text."""

from enum import StrEnum


class KafkaKind(StrEnum):
    """A broker that runs without Docker."""

    TANSU = "tansu"
    APACHE = "apache"
