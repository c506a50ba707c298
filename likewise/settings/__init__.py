"""Every setting, with its type, default and explanation.

The explanations are the text of the tables in docs/operations.md (`make docs`). Later sources win:
the defaults here, a TOML file, `LIKEWISE_…` environment variables, command-line options. `key_prefix`
in the table `[redis]` of the file is `LIKEWISE_REDIS_KEY_PREFIX` in the environment. See
`likewise.settings.loader`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from likewise.settings.experiments import ExperimentSettings as ExperimentSettings
from likewise.settings.gateway import GatewaySettings as GatewaySettings
from likewise.settings.indexer import IndexerSettings as IndexerSettings
from likewise.settings.signals import SignalSettings
from likewise.settings.types import Count, Effort, IndexChoice, Milliseconds, Ranker, Seconds, Share
from likewise.settings.types import Secret as Secret

Partitioner = Literal["murmur2", "crc32", "fnv1a"]
"""`murmur2`: Java, Spring, kafka-python, aiokafka, franz-go, kafkajs. `crc32`: librdkafka and the
clients built on it (confluent-kafka, rust-rdkafka, PHP, Ruby). `fnv1a`: sarama, kafka-go's `Hash`."""


class KafkaSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to reach the Kafka cluster, and the topics on it."""

    bootstrap_servers: str = "localhost:9092"
    """`host:port` of one or more brokers, separated by commas."""
    topic_prefix: str = ""
    """Prepended to every topic and group name, so that several deployments can share a cluster."""
    create_topics: bool = True
    """Create missing topics at start. Turn it off where an operator creates them."""
    partitions: Count = 6
    """Partitions of the topics that likewise creates: the maximum number of consumers or servers that
    can share the work."""
    partitioner: Partitioner = "murmur2"
    """How clients choose the partition of a user id: `murmur2` (Java, kafka-python, franz-go, kafkajs),
    `crc32` (librdkafka, confluent-kafka) or `fnv1a` (sarama). A wrong value costs memory in Redis, not
    correctness. The first consumer stores the value in Redis; a later change has no effect until
    Redis is rebuilt."""
    replication_factor: Count = 1
    """Replicas of the topics that likewise creates. Use 3 in production."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """`SASL_SSL` for a user name and a password, `SSL` for client certificates."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    """Required with `SASL_PLAINTEXT` and `SASL_SSL`."""
    sasl_username: str | None = None
    """User name for SASL."""
    sasl_password: Secret | None = None
    """Password for SASL. `sasl_password_file` names a file that holds it instead."""
    ssl_cafile: Path | None = None
    """Certificate authorities to trust, PEM. Default: those of the system."""
    ssl_certfile: Path | None = None
    """Client certificate, PEM, if the brokers require one."""
    ssl_keyfile: Path | None = None
    """Private key of the client certificate, PEM."""
    ssl_key_password: Secret | None = None
    """Password of an encrypted private key. `ssl_key_password_file` names a file that holds it instead."""
    session_timeout_ms: Milliseconds = 10_000
    """Kafka gives the partitions of a group member to others after this long without a heartbeat."""
    heartbeat_interval_ms: Milliseconds = 2_000
    """How often a group member sends a heartbeat; at most a third of the session timeout."""
    fetch_max_wait_ms: Milliseconds = 100
    """How long a broker may delay an empty fetch response. Apache Kafka answers as soon as there are
    records. Tansu always waits this long, so `likewise up` sets 10."""
    request_timeout_ms: Milliseconds = 30_000
    """How long to wait for a broker's response."""
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = "none"
    """Compression of the records that this process sends: replies, announcements, dead letters, and a
    client's events and requests. Every client can read `none` and `gzip`; many need an extra library
    for the others. Records in any of these codecs can be read whatever the value."""

    @property
    def group_patience_s(self) -> float:
        """How long a group waits for a member that does not poll, and a partition for a reader."""
        return max(30.0, 6 * self.session_timeout_ms / 1000)


class RedisSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to reach Redis, and the keys in it."""

    url: str = "redis://localhost:6379/0"
    """`redis://`, `rediss://` (TLS) or `unix://`; may contain user name, password and database. With
    Sentinel: `redis+sentinel://host1:26379,host2:26379/service/0`, or `rediss+sentinel://`."""
    username: str | None = None
    """User name for Redis ACLs. Default: the user `default`."""
    password: Secret | None = None
    """Overrides a password in the URL. `password_file` names a file that holds it instead."""
    sentinel_username: str | None = None
    """User name for the sentinels, if they use ACLs."""
    sentinel_password: Secret | None = None
    """Password for the sentinels. `sentinel_password_file` names a file that holds it instead."""
    ssl_cafile: Path | None = None
    """Certificate authorities to trust with `rediss://`, PEM. Default: those of the system."""
    ssl_certfile: Path | None = None
    """Client certificate, PEM. Redis requires one unless it runs with `tls-auth-clients no`."""
    ssl_keyfile: Path | None = None
    """Private key of the client certificate, PEM."""
    key_prefix: str = ""
    """Prepended to every key, so that several deployments can share a database."""
    cluster: bool = False
    """Connect to a Redis Cluster. Its keys have other names: see `likewise store migrate`."""
    buckets: Annotated[int, Meta(ge=1, le=4096)] = 256
    """On a cluster: into how many buckets users are divided. A bucket is in one slot, and its part of a
    batch is atomic. Never changes once Redis holds data; have at least ten for each primary."""
    timeout_s: Seconds = 5.0
    """How long to wait for the response to a command."""


class ConsumerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The consumer, which applies events to Redis."""

    group: str = "likewise-consumers"
    """Consumer group; `kafka.topic_prefix` goes before it."""
    max_records: Annotated[int, Meta(ge=1, le=100_000)] = 10_000
    """Maximum number of records in a batch. Bounds the memory used, the work repeated after a crash,
    and how long a batch blocks Redis: about 0.5 ms per 1,000 events."""
    poll_timeout_ms: Milliseconds = 200
    """How long a poll waits for events; also the maximum delay of a shutdown."""
    quality_samples_per_s: Annotated[float, Meta(ge=0, le=1_000)] = 0.0
    """How many new likes per second each consumer tests against the current model before it applies
    them, to measure quality; 0 turns this off. The consumer then needs to read the model directory."""


class ServingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The server, which answers requests."""

    group: str = "likewise-servers"
    """Consumer group of the servers; `kafka.topic_prefix` goes before it."""
    max_batch: Annotated[int, Meta(ge=1, le=10_000)] = 256
    """Maximum number of requests ranked together. A server never waits for a batch to fill."""
    poll_timeout_ms: Milliseconds = 100
    """How long a poll waits for requests; the first request ends the wait."""
    reply_topic_pattern: str = r"([a-zA-Z0-9].*[._-])?repl[iesy]+([._-].*)?"
    """Regular expression that the whole name of a reply topic must match. The default requires the word
    `reply` or `replies`, as in `shop.replies`. The default reply topic is always allowed. Topics that
    likewise itself uses, in any deployment, and internal topics (`__…`) are always refused."""
    after_timeout_ms: Milliseconds = 5_000
    """How long a request with `after` and without a deadline waits for its event to be applied."""
    explain_limit: Count = 3
    """Maximum number of likes named for each item if a request sets `explain`."""
    threads: Annotated[int, Meta(ge=1, le=64)] = 2
    """Threads that rank. They share a single batch; if more requests are waiting, each ranks a
    separate batch. More than two seldom help: part of the work holds Python's global lock."""
    model_check_interval_s: Seconds = 1.0
    """How often an idle server checks for a new model. A busy server checks with every batch."""
    new_item_likes: Annotated[int, Meta(ge=0, le=1_000)] = 3
    """Likes from which an item that is not in the model yet is recommended; 0 turns this off. Consumers
    read this setting, too, and the list of items in the model directory."""


class TrendingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Items with many recent likes, for requests with the source `trending`."""

    half_life_s: Annotated[float, Meta(ge=0, le=1e9)] = 86_400.0
    """Age at which a like counts half. 0 turns the counting off."""


class ImpressionsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What servers record of the items that they showed, for `next_of` and `rotation`."""

    lists: Annotated[int, Meta(ge=0, le=1_000)] = 50
    """Recommended lists kept for each user; 0 turns recording off. A list of 10 items takes some 150
    bytes in Redis."""
    half_life_s: Seconds = 604_800.0
    """Age at which an item that was shown counts half for `rotation`. Default: a week."""
    max_age_s: Seconds = 2_592_000.0
    """Lists are erased at this age, at the latest when the user is shown nothing else for as long.
    Default: 30 days."""


class LoggingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the services log, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe level that is logged."""
    format: Literal["auto", "console", "json"] = "auto"
    """`console`: lines for people. `json`: one JSON object per line. `auto`: `console` on a terminal,
    `json` elsewhere."""


class MonitoringSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a service answers `/healthz`, `/readyz` and `/metrics` over HTTP."""

    host: str = "127.0.0.1"
    """Address to listen on. `0.0.0.0` allows other machines to connect; there is no authentication."""
    port: Annotated[int, Meta(ge=0, le=65_535)] = 0
    """Port to listen on; 0 turns the endpoint off."""


class ModelSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How models are built; docs/ranking.md has the formulas.

    A number that is not set takes the ranker's default, or with `auto` the value that the build
    chooses.
    """

    directory: Path = Path("models")
    """Directory of the model versions. The indexer writes it, the servers read it."""
    store: str = ""
    """URL of object storage for the model versions, in place of `directory`: `s3://bucket/prefix` (extra `s3`),
    `gs://…`, `file:///…`. Each host keeps copies in a cache."""
    cache_directory: Path | None = None
    """Where a host keeps its copies of versions in `store`. Default: `likewise/models` in `$XDG_CACHE_HOME`, or in
    `~/.cache`."""
    ranker: Ranker = "auto"
    """`auto`: each build compares a few recipes on held-out likes and keeps the best. `neighbours` is
    the original algorithm: binary matrix, 40 dimensions, nearest users."""
    effort: Effort = "balanced"
    """What `auto` may try. `fast`: recipes that share one factorisation. `balanced`: also more links, and `ridge` up
    to 12,000 users or items. `best`: several ridges, up to 20,000. docs/ranking.md has the costs."""
    seed: int = 0
    """Seed of everything random in a build. The same likes and seed give the same model."""
    rank: Annotated[int, Meta(ge=0, le=4_096)] | None = None
    """Number of singular vectors."""
    user_exponent: Share | None = None
    """How strongly a like is discounted if its user likes many items."""
    item_exponent: Share | None = None
    """How strongly a like is discounted if many users like its item."""
    ridge: Annotated[float, Meta(ge=0)] | None = None
    """Regularisation: directions of taste weaker than this count for little."""
    ridge_exponent: Annotated[float, Meta(ge=0, le=2)] | None = None
    """How much stronger the regularisation is for users with few likes; 0: the same for all users."""
    query_exponent: Annotated[float, Meta(ge=-2, le=2)] | None = None
    """How strongly the likes of popular items are discounted in a query."""
    score_exponent: Annotated[float, Meta(ge=-2, le=2)] | None = None
    """Higher values recommend more popular items."""
    similar_items: Count | None = None
    """Co-occurring items kept per item; bounds the size of the model."""
    max_likes_per_user: Count | None = None
    """Maximum number of likes per user that a build or an answer uses; a random sample of a user who
    has more. Bounds the cost of one user. Default: 2,000."""
    neighbours: Count | None = None
    """Number of nearest users that the ranker `neighbours` uses."""
    trees: Count | None = None
    """Number of Annoy trees."""
    index: IndexChoice = "auto"
    """Index that a catalogue of more than 200,000 items is searched with. `auto`: `faiss` for such a catalogue if the
    extra `search` is installed where models are built, otherwise `annoy`. Servers need the extra, too: without it they
    score every item of a model that has an index of faiss. `faiss` also indexes smaller catalogues, from 1,024 items."""
    popular_half_life_s: Seconds | None = None
    """Age at which a like counts half towards an item's popularity. Not set: all likes count the same.
    Users without likes get the most popular items."""
    canary_share: Share = 0.0
    """Share of the users who get a new model first, until it has proved not to be worse; 0: everybody
    gets it at once. docs/experiments.md."""
    canary_kind: Literal["split", "interleaved", "prequential"] = "split"
    """`split`: these users get lists of the new model. `interleaved`: lists that both models share, which
    needs fewer users. `prequential`: nobody gets them; consumers test both models with new likes, whatever
    `canary_share` is, which needs `consumer.quality_samples_per_s`."""
    canary_margin: Annotated[float, Meta(gt=0, lt=1)] = 0.05
    """How much worse than the current model a new one may be, relative to its likes a list, or to the likes
    that it predicts."""
    canary_max_s: Seconds = 86_400.0
    """After this long without a verdict, the new model is promoted if its estimate is within the margin,
    and rolled back otherwise."""
    user_ids: bool = False
    """Whether models hold user ids, which requests with `users_for` and `users_like` need. A forgotten user
    is never returned, but stays in the files of older versions until these are removed."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings of a deployment."""

    kafka: KafkaSettings = KafkaSettings()
    redis: RedisSettings = RedisSettings()
    consumer: ConsumerSettings = ConsumerSettings()
    indexer: IndexerSettings = IndexerSettings()
    serving: ServingSettings = ServingSettings()
    gateway: GatewaySettings = GatewaySettings()
    trending: TrendingSettings = TrendingSettings()
    model: ModelSettings = ModelSettings()
    impressions: ImpressionsSettings = ImpressionsSettings()
    signals: SignalSettings = SignalSettings()
    experiments: ExperimentSettings = ExperimentSettings()
    logging: LoggingSettings = LoggingSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
