"""Settings: every one with its default and its reason, read once and validated.

Sources, later ones winning: the defaults here, a TOML file, `LIKEWISE_…` environment variables,
command-line options. The table `[redis]` with `key_prefix = "a:"` in the file is
`LIKEWISE_REDIS_KEY_PREFIX=a:` in the environment. See `likewise.settings_loader`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Partitioner = Literal["murmur2", "crc32", "fnv1a"]
"""`murmur2`: Java, Spring, kafka-python, aiokafka, franz-go, kafkajs. `crc32`: librdkafka and what
stands on it (confluent-kafka, rust-rdkafka, PHP, Ruby). `fnv1a`: sarama, kafka-go's `Hash`."""


class Secret(str):
    """A string that never shows itself in a repr, a log line or a traceback."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'********'" if self else "''"

    def __str__(self) -> str:
        return "********" if self else ""

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def reveal(self) -> str:
        """Return the secret as a plain string, for the client library that needs it."""
        return str.__str__(self)


Count = Annotated[int, Meta(ge=1)]
Milliseconds = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0, le=1e9)]
Share = Annotated[float, Meta(ge=0, le=1)]


class KafkaSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to reach the Kafka cluster, and the topics on it."""

    bootstrap_servers: str = "localhost:9092"
    """`host:port`, several separated by commas."""
    topic_prefix: str = ""
    """Put before every topic and group name, to keep deployments on one cluster apart."""
    create_topics: bool = True
    """Create missing topics on start; off where an operator makes them."""
    partitions: Count = 6
    """Partitions of the topics created: the most consumers or servers that can share the work."""
    partitioner: Partitioner = "murmur2"
    """How clients choose the partition of a user id: `murmur2` (Java, kafka-python, franz-go, kafkajs),
    `crc32` (librdkafka, confluent-kafka) or `fnv1a` (sarama). Where clients do otherwise nothing goes
    wrong, but users with events on several partitions take more memory in Redis."""
    replication_factor: Count = 1
    """Replicas of the topics created; 3 in production."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_username: str | None = None
    sasl_password: Secret | None = None
    """Or `sasl_password_file`: a file that holds it."""
    ssl_cafile: Path | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None
    ssl_key_password: Secret | None = None
    """Of an encrypted key. Or `ssl_key_password_file`: a file that holds it."""
    session_timeout_ms: Milliseconds = 10_000
    """A member silent for so long has died; its partitions go to others."""
    heartbeat_interval_ms: Milliseconds = 2_000
    fetch_max_wait_ms: Milliseconds = 100
    """How long a broker may hold back an empty answer. Apache Kafka answers at once when there
    are records; Tansu waits this long, so `likewise up` sets 10."""
    request_timeout_ms: Milliseconds = 30_000
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = "none"
    """Of what this process sends: a server's replies, the indexer's announcements, dead letters, a
    client's events and requests. Other codecs than these two are not in every client as it installs:
    `none` and `gzip` are."""

    @property
    def group_patience_s(self) -> float:
        """How long a group waits for a member that does not poll, and a partition for a reader."""
        return max(30.0, 6 * self.session_timeout_ms / 1000)


class RedisSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to reach Redis, and the keys in it."""

    url: str = "redis://localhost:6379/0"
    """`redis://`, `rediss://` (TLS) or `unix://`; may name user, password and database. With
    Sentinel `redis+sentinel://host1:26379,host2:26379/service/0`, or `rediss+sentinel://`."""
    username: str | None = None
    password: Secret | None = None
    """Goes before one in the URL. Or `password_file`: a file that holds it."""
    sentinel_username: str | None = None
    sentinel_password: Secret | None = None
    """Of the sentinels, where they ask for one. Or `sentinel_password_file`."""
    ssl_cafile: Path | None = None
    ssl_certfile: Path | None = None
    """Our certificate, where the server asks for one (Redis does, unless `tls-auth-clients no`)."""
    ssl_keyfile: Path | None = None
    key_prefix: str = ""
    """Put before every key, to keep deployments in one database apart."""
    cluster: bool = False
    """Talk to a Redis Cluster. Batches are then applied at least once instead of atomically."""
    timeout_s: Seconds = 5.0
    """How long a command may take before it counts as failed."""


class ConsumerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The worker that applies events to Redis."""

    group: str = "likewise-consumers"
    max_records: Annotated[int, Meta(ge=1, le=100_000)] = 10_000
    """The largest batch; bounds memory, the work repeated after a crash, and how long Redis is busy
    with one: about 0.5 ms per 1,000 events."""
    poll_timeout_ms: Milliseconds = 200
    quality_samples_per_s: Annotated[float, Meta(ge=0, le=1_000)] = 0.0
    """New likes a second that are held against the current model before they are applied; 0: none.
    A consumer that does so reads the model directory."""


class IndexerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a model is built, and how many are kept."""

    interval_s: Seconds = 60.0
    """Build when anything changed and the last build is so long ago."""
    min_interval_s: Seconds = 2.0
    """Never build more often than this."""
    changed_share: Share = 0.05
    """Build before the interval is over when this share of the users has changed."""
    keep_versions: Count = 5
    """Older model versions are pruned; the current one never is."""
    scan_chunk: Count = 1_000
    """Users read per round trip."""
    full_snapshot_every: Count = 100
    """One build in so many reads every user; those between read only the users that changed."""
    lease_ms: Milliseconds = 30_000
    """An indexer that leads and falls silent for so long is replaced."""


class ServingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The worker that answers requests."""

    group: str = "likewise-servers"
    max_batch: Annotated[int, Meta(ge=1, le=10_000)] = 256
    """The largest batch of requests ranked at once; a lone request is never held back."""
    poll_timeout_ms: Milliseconds = 100
    reply_topic_pattern: str = r"([a-zA-Z0-9].*[._-])?repl[iesy]+([._-].*)?"
    """Regular expression that a reply topic must match as a whole; by default, `reply` or `replies` is
    a word of its name. The default reply topic is always allowed; topics of a deployment of
    likewise, this one or another, and internal ones are refused whatever this says."""
    after_timeout_ms: Milliseconds = 5_000
    """How long a request with `after` and no deadline waits for its like to be applied."""
    explain_limit: Count = 3
    """How many of the user's likes are named for each item when a request asks to explain."""
    threads: Annotated[int, Meta(ge=1, le=64)] = 2
    """Threads that rank: they share a lone batch, and have one each where more requests wait. Two use
    what broker and clients leave of a second core; more seldom help, since a part of the work is
    for one thread alone."""
    model_check_interval_s: Seconds = 1.0
    """How often an idle server looks for a new model; a busy one looks with every batch."""


class LoggingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the services log, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"
    """`auto`: coloured lines on a terminal, JSON elsewhere."""


class MonitoringSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a service answers `/healthz`, `/readyz` and `/metrics`."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 0
    """0: not at all."""


class ModelSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is built from a snapshot; docs/ranking.md has the formulas.

    A number left out is the ranker's own default, or with `auto` what the build chooses.
    """

    directory: Path = Path("models")
    """Where model versions stand, one directory each; indexer and servers share it."""
    ranker: Literal["auto", "blend", "spectral", "cooccurrence", "neighbours"] = "auto"
    """`auto`: each build tries a few recipes on likes it holds out, and takes the best.
    `neighbours` alone is the original: binary matrix, 40 dimensions, nearest users."""
    seed: int = 0
    """Of everything random in a build; the same likes then give the same model."""
    rank: Annotated[int, Meta(ge=0, le=4_096)] | None = None
    """Singular vectors kept."""
    user_exponent: Share | None = None
    """How much less a like says when its user likes many items."""
    item_exponent: Share | None = None
    """How much less a like says when many users like the item."""
    ridge: Annotated[float, Meta(ge=0)] | None = None
    """Directions of taste weaker than this count for little."""
    ridge_exponent: Annotated[float, Meta(ge=0, le=2)] | None = None
    """How much stronger the ridge is for users with few likes; 0: the same for all."""
    query_exponent: Annotated[float, Meta(ge=-2, le=2)] | None = None
    """How much less the like of a popular item weighs in a query."""
    score_exponent: Annotated[float, Meta(ge=-2, le=2)] | None = None
    """Higher recommends more popular items."""
    similar_items: Count | None = None
    """Co-occurring items kept for each item; bounds the size of the model."""
    max_likes_per_user: Count | None = None
    """Of a user who likes more, so many likes, drawn at random, say what goes together, in a build and
    in an answer; bounds what one user costs. 2,000 if left out."""
    neighbours: Count | None = None
    """Nearest users asked by the ranker `neighbours`."""
    trees: Count | None = None
    """Annoy trees."""
    popular_half_life_s: Seconds | None = None
    """A like counts half as much for popularity after so long; left out: all likes count alike.
    Popular items are what a user without likes is given."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings of a deployment."""

    kafka: KafkaSettings = KafkaSettings()
    redis: RedisSettings = RedisSettings()
    consumer: ConsumerSettings = ConsumerSettings()
    indexer: IndexerSettings = IndexerSettings()
    serving: ServingSettings = ServingSettings()
    model: ModelSettings = ModelSettings()
    logging: LoggingSettings = LoggingSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
