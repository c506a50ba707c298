"""The rights that docs/security.md grants are enough for each service, and are needed."""

from __future__ import annotations

import json
import shlex
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING

import httpx
import msgspec
import pytest
import redis
from kafka import KafkaAdminClient
from typer.testing import CliRunner

from consumers.service import run_consumer
from gateway.service import run_gateway
from indexer.service import run_indexer
from likewise import Likewise
from likewise.cli.app import app
from likewise.errors import SettingsError, UndeliverableError
from likewise.log.kafka import KafkaBroker
from likewise.log.kafka.connection import Connection
from likewise.log.topics import Topics, TopicSpec
from likewise.messages.experiments import Experiment, Variant, encode_experiment
from likewise.messages.request_options import RequestOptions
from likewise.models.versions import list_versions
from likewise.settings import (
    ConsumerSettings,
    IndexerSettings,
    ModelSettings,
    ServingSettings,
    Settings,
)
from likewise.settings.loader import environment_of
from likewise.settings.signals import SignalSettings
from likewise.store.redis import RedisStore
from serving.service import run_server
from tests.containers import free_port
from tests.security.documented import acls, calls, documented
from tests.security.secured_kafka import ADMIN
from tests.security.secured_redis import PASSWORD as REDIS_PASSWORD
from tests.services import in_a_thread
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.security.secured_kafka import SecuredKafka
    from tests.security.secured_redis import SecuredRedis

pytestmark = pytest.mark.timeout(300)  # a whole deployment starts, on servers that encrypt

# The documented Redis users are for a deployment without a prefix; so is all of this.
PREFIX = ""
REDIS_ROLES = ("consumer", "indexer", "server", "operator", "gateway")


@pytest.fixture(scope="module")
def granted(kafka: SecuredKafka, redis_server: SecuredRedis) -> None:
    """Do what the documented commands do: topics, and the rights of every role."""
    foreign = [TopicSpec(name, 1, {}) for name in ("app.replies", "foreign.replies")]
    with closing(KafkaBroker(kafka.settings(ADMIN))) as broker:
        broker.ensure_topics([*Topics(PREFIX).specs(6), *foreign])
    admin_client = KafkaAdminClient(**Connection(kafka.settings(ADMIN), "test").options)
    with closing(admin_client):
        assert not admin_client.create_acls(list(acls(PREFIX)))["failed"]
    with redis_server.as_admin() as admin:
        for line in documented("redis").splitlines():
            assert admin.execute_command(*shlex.split(line.replace(">…", f">{REDIS_PASSWORD}")))


def settings(kafka: SecuredKafka, redis_server: SecuredRedis, role: str, models: Path) -> Settings:
    return Settings(
        kafka=kafka.settings(role, create_topics=False),
        redis=redis_server.settings(role),
        consumer=ConsumerSettings(quality_samples_per_s=100.0),
        indexer=IndexerSettings(interval_s=0.5, min_interval_s=0.2),
        serving=ServingSettings(reply_topic_pattern=r"app\..*"),
        model=ModelSettings(directory=models),
        signals=SignalSettings(kinds={"buy": 3.0}),
    )


def test_the_documented_topics_are_those_that_likewise_would_make() -> None:
    made = [
        sorted(zip(call[4::2], call[5::2], strict=True)) for call in calls("sh kafka-topics", "a.")
    ]
    assert made == [
        sorted(
            [
                ("--topic", spec.name),
                ("--partitions", str(spec.partitions)),
                *(("--config", f"{name}={value}") for name, value in spec.config.items()),
            ]
        )
        for spec in Topics("a.").specs(6)
    ]


def test_kafkas_own_tool_takes_a_documented_command(kafka: SecuredKafka) -> None:
    [call] = [call for call in calls("sh kafka-acls", "p.") if "prefixed" in call]
    call[call.index("--bootstrap-server") + 1] = "localhost:19092"
    said = kafka.run(shlex.join(["kafka-acls.sh", *call]))
    assert "name=p.app., patternType=PREFIXED" in said
    assert "operation=WRITE, permissionType=ALLOW" in said


def test_a_deployment_works_with_the_documented_rights_and_no_more(
    granted: None, kafka: SecuredKafka, redis_server: SecuredRedis, tmp_path: Path
) -> None:
    of = partial(settings, kafka, redis_server, models=tmp_path)
    services: dict[str, Callable[..., None]] = {
        "consumer": run_consumer,
        "indexer": run_indexer,
        "server": run_server,
    }
    with ExitStack() as running:
        for role, run in services.items():
            its = of(role=role)
            running.enter_context(in_a_thread(its, role, partial(run, its)))
        with Likewise(settings=of(role="client").kafka, timeout_s=30.0) as client:
            for user in range(20):
                client.like_many((f"u{user}", f"i{item}") for item in range(5) if item != user % 5)
            position = client.forget("u19")
            client.retire_item("i0")
            client.dislike("u2", "i6")
            client.signal("u2", "i4", "buy")
            client.merge_users("u18", into="u17")
            client.like("u1", "i6")
            last = client.unlike("u1", "i6")
            wait_until(
                lambda: bool(client.recommend("u3", after=last, count=3).items), "recommendations"
            )
            assert client.recommend("u19", after=position, count=3).source == "popular"
            _run_experiment(of(role="operator"))
            wait_until(lambda: client.recommend("u3").experiment is not None, "the experiment runs")
            wait_until(lambda: _exposed(kafka) > 0, "the server's exposures")
        _operate(of(role="operator"))
        before = _exposed(kafka)
        _ask_over_http(of(role="gateway"))
        assert _exposed(kafka) > before, "the gateway's exposures"


def _run_experiment(its: Settings) -> None:
    experiment = Experiment(
        name="rights",
        kind="interleaved",
        variants=(
            Variant(name="control"),
            Variant(name="novel", defaults=RequestOptions(novelty=0.5)),
        ),
        seed="rights",
        started_at_ms=1,
    )
    topic, name = Topics().experiments, experiment.name
    with closing(KafkaBroker(its.kafka)) as broker, closing(broker.sink()) as sink:
        sink.send(topic, encode_experiment(experiment), key=name.encode()).result(10.0)


def _exposed(kafka: SecuredKafka) -> int:
    """Return how many exposures are in the log."""
    with closing(KafkaBroker(kafka.settings(ADMIN))) as broker:
        return sum(broker.end_offsets(broker.partitions(Topics().exposures)).values())


def _operate(its: Settings) -> None:
    """Do what an operator does, by the command line."""
    runner = CliRunner(env=environment_of(its))
    with closing(KafkaBroker(its.kafka)) as broker, closing(broker.sink()) as sink:
        sink.send(Topics().likes, b"no event").result(10.0)

    def dead_letters() -> bool:
        listed = runner.invoke(app, ["dead-letters", "list"])
        assert listed.exit_code == 0, listed.output
        return "not_json" in listed.output

    wait_until(dead_letters, "the dead letter of an event that is none")
    for command in (
        "status --json",
        "verify",
        "verify --repair",
        "dead-letters replay",
        f"models use {_newest_model(its)}",
        "like u1 i3",
        "items put i3 --title Third --label price=9.9 --wait",
        "items show i3",
        "items export -",
        "items remove i3 --wait",
        "scenarios put home '{}' --wait",
        "scenarios list",
        "experiments stop rights --wait",
        "experiments start taste --variant 'b,novelty=0.5' --wait",
        "experiments list",
        "status --json",
        "experiments stop taste --wait",
        "experiments show taste",
        "experiments remove taste --wait",
        "verify",
        "export -",
    ):
        done = runner.invoke(app, shlex.split(command))
        assert done.exit_code == 0, f"{command}: {done.output}"
        if command.startswith("status"):
            # The services, in threads of this process, may log on either side of it.
            assert json.JSONDecoder().raw_decode(done.stdout, done.stdout.index("{\n"))


def _ask_over_http(its: Settings) -> None:
    """Call endpoints of every kind on a gateway with its documented rights."""
    gateway = msgspec.structs.replace(its.gateway, port=free_port())
    its = msgspec.structs.replace(its, gateway=gateway)
    with (
        in_a_thread(its, "gateway", partial(run_gateway, its)),
        httpx.Client(base_url=f"http://127.0.0.1:{gateway.port}", timeout=30.0) as client,
    ):
        wait_until(lambda: _is_ready(client), "the gateway answers")
        for method, path, body in (
            ("PUT", "/v1/users/u1/likes/i4?wait=applied", None),
            ("GET", "/v1/users/u1/recommendations", None),
            ("GET", "/v1/users/u1", None),
            ("GET", "/v1/users/u1/likes", None),
            ("PUT", "/v1/items/i3", {"title": "Third"}),
            ("GET", "/v1/items/i3", None),
            ("GET", "/v1/items?q=third", None),
            ("PUT", "/v1/scenarios/home", {"defaults": {"count": 3}}),
            ("GET", "/v1/scenarios", None),
            ("PUT", "/v1/experiments/taste", {"variants": [{"name": "b"}]}),
            ("GET", "/v1/experiments", None),
            ("GET", "/v1/status?counts=true", None),
            ("GET", "/v1/models", None),
            ("POST", f"/v1/models/{_newest_model(its)}/use", None),
            ("GET", "/v1/dead-letters", None),
            ("POST", "/v1/dead-letters/replay", {"codes": ["not_json"]}),
            ("GET", "/metrics", None),
        ):
            answer = client.request(method, path, json=body)
            assert answer.is_success, f"{method} {path}: {answer.text}"
        wait_until(
            lambda: client.get("/v1/experiments/taste").is_success, "the experiment's counts"
        )
        wait_until(lambda: _experiment_of_a_list(client) == "taste", "a list of the experiment")
        with client.stream("GET", "/v1/live") as live:
            assert "event: tick" in next(line for line in live.iter_lines() if "event" in line)


def _experiment_of_a_list(client: httpx.Client) -> str | None:
    reply = client.get("/v1/users/u1/recommendations").json()
    experiment: str | None = reply.get("experiment")
    return experiment


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").is_success
    except httpx.TransportError:
        return False


def _newest_model(its: Settings) -> str:
    return next(iter(list_versions(its.model.directory))).version


def test_a_missing_right_to_join_a_group_names_the_page_that_lists_the_rights(
    granted: None, kafka: SecuredKafka
) -> None:
    with (
        closing(KafkaBroker(kafka.settings("server"))) as broker,
        closing(broker.source("likewise-consumers", [Topics().requests], max_records=1)) as source,
        pytest.raises(SettingsError, match=r"'server' is not permitted .* docs/security\.md"),
    ):
        source.poll(10_000)


def test_a_server_with_the_documented_rights_writes_to_no_foreign_topic(
    granted: None, kafka: SecuredKafka
) -> None:
    with (
        closing(KafkaBroker(kafka.settings("server"))) as broker,
        closing(broker.sink()) as sink,
    ):
        sink.send("app.replies", b"{}").result(10.0)
        for topic in ("foreign.replies", Topics().likes, Topics().models):
            with pytest.raises((SettingsError, UndeliverableError)):
                sink.send(topic, b"{}").result(10.0)


@pytest.mark.parametrize("role", REDIS_ROLES)
def test_a_redis_user_with_the_documented_rights_reaches_no_foreign_key_and_no_administration(
    granted: None, redis_server: SecuredRedis, role: str
) -> None:
    with closing(RedisStore(redis_server.settings(role))) as store:
        store.ping()
    its = redis_server.settings(role, prefix="elsewhere:")
    with (
        closing(RedisStore(its)) as store,
        pytest.raises(SettingsError, match=r"docs/security\.md"),
    ):
        store.model_announcement()
    with redis.Redis.from_url(
        redis_server.url,
        username=role,
        password=REDIS_PASSWORD,
        ssl_ca_certs=str(redis_server.certificates.authority),
        ssl_certfile=str(redis_server.certificates.client),
        ssl_keyfile=str(redis_server.certificates.client_key),
    ) as client:
        for command in ("FLUSHALL", "CONFIG GET *", "KEYS *", "ACL LIST"):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*command.split())


def test_a_server_may_not_change_likes(granted: None, redis_server: SecuredRedis) -> None:
    with (
        closing(RedisStore(redis_server.settings("server"))) as store,
        pytest.raises(SettingsError, match=r"docs/security\.md"),
    ):
        store.announce_model(b"{}")
