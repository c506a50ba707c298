"""Which broker `up` starts; apart from what starts it, which takes longer to import."""

from enum import StrEnum


class KafkaKind(StrEnum):
    """A broker that runs without Docker."""

    TANSU = "tansu"
    APACHE = "apache"
