"""A gateway on real servers with a small film catalogue, and a browser that tolerates no complaint."""

from __future__ import annotations

import json
import secrets
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen
from weakref import WeakKeyDictionary

import msgspec
import pytest
from axe_playwright_python.sync_playwright import Axe
from kafka import KafkaProducer
from playwright.sync_api import sync_playwright

from consumers.service import run_consumer
from indexer.service import run_indexer
from likewise.embedded import free_port
from likewise.log.kafka import KafkaBroker
from likewise.log.topics import Topics
from likewise.messages.ids import UserId
from likewise.settings import IndexerSettings, ModelSettings
from likewise.settings.gateway import GatewaySettings
from likewise.store.redis import RedisStore
from tests.browser.films import catalogue_and_likes
from tests.live_gateway import gateway_process
from tests.requesting import PARTITIONS, settings_for
from tests.services import in_a_thread
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

    from likewise.settings import Settings

PHONE: dict[str, Any] = {
    "viewport": {"width": 360, "height": 740},
    "has_touch": True,
    "is_mobile": True,
}
CHROMIUM = "/usr/bin/chromium"
ANSWER_TIMEOUT_MS = 15_000
# What axe calls worse than this is an error; lesser findings are advice.
SERIOUS = {"serious", "critical"}


_complaints_of: WeakKeyDictionary[BrowserContext, Complaints] = WeakKeyDictionary()


@dataclass
class Complaints:
    """What the browser complained about, except what a test expects."""

    seen: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    @property
    def unexpected(self) -> list[str]:
        return [one for one in self.seen if not any(part in one for part in self.expected)]


@pytest.fixture(scope="session")
def settings(
    bootstrap_servers: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    prefix = f"t{secrets.token_hex(4)}."
    directory = tmp_path_factory.mktemp("browser")
    return msgspec.structs.replace(
        settings_for(bootstrap_servers, redis_url, prefix, directory),
        model=ModelSettings(directory=directory / "models", user_ids=True),
        indexer=IndexerSettings(alternatives=("neighbours",)),
        gateway=GatewaySettings(port=free_port()),
    )


@pytest.fixture(scope="session")
def base_url(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a gateway whose model knows the likes of the film catalogue."""
    url = f"http://127.0.0.1:{settings.gateway.port}"
    items, likes = catalogue_and_likes()
    with closing(KafkaBroker(settings.kafka, client_id="test")) as broker:
        broker.ensure_topics(Topics(settings.kafka.topic_prefix).specs(PARTITIONS))
    with in_a_thread(settings, "consumer", partial(run_consumer, settings)):
        _publish(settings, items, likes)
        users = sorted({UserId(user) for user, _ in likes})
        with closing(RedisStore(settings.redis)) as store:
            wait_until(
                lambda: store.count_likes(users) == len(set(likes)), "all likes to be applied"
            )
        with in_a_thread(settings, "indexer", partial(run_indexer, settings)):
            alternative = settings.model.directory / "alternatives" / "neighbours"
            wait_until(lambda: any(alternative.glob("*/manifest.json")), "the alternative ranker")
        with gateway_process(settings, tmp_path_factory.mktemp("gateway") / "gateway.log"):
            wait_until(lambda: _is_ready(url), "the gateway to be ready")
            yield url


def _publish(settings: Settings, items: list[dict[str, Any]], likes: list[tuple[str, str]]) -> None:
    prefix = settings.kafka.topic_prefix
    with closing(KafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers)) as producer:
        for item in items:
            key = item["item_id"].encode()
            producer.send(f"{prefix}items", key=key, value=json.dumps(item).encode())
        for user_id, item_id in likes:
            like = json.dumps({"user_id": user_id, "item_id": item_id}).encode()
            producer.send(f"{prefix}likes", key=user_id.encode(), value=like)
        producer.flush()


def _is_ready(url: str) -> bool:
    try:
        with urlopen(f"{url}/readyz") as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> Complaints:
    return Complaints()


@pytest.fixture
def open_context(
    browser: Browser, base_url: str, complaints: Complaints
) -> Iterator[Callable[..., BrowserContext]]:
    """Open browser contexts, which take the options of Playwright's `new_context`.

    The test fails if the console shows an error, a script fails, the Content Security Policy
    forbids something, or anything is asked of another host.
    """
    contexts: list[BrowserContext] = []

    def open_one(**options: Any) -> BrowserContext:
        context = browser.new_context(
            base_url=base_url, reduced_motion=options.pop("reduced_motion", "reduce"), **options
        )
        context.set_default_timeout(ANSWER_TIMEOUT_MS)
        context.on("weberror", lambda error: complaints.seen.append(f"script: {error.error}"))
        context.on("console", lambda message: _note_console(complaints, message))
        context.on("request", lambda request: _note_request(complaints, base_url, request))
        contexts.append(context)
        _complaints_of[context] = complaints
        return context

    yield open_one
    for context in contexts:
        context.close()
    assert complaints.unexpected == []


@pytest.fixture
def page(open_context: Callable[..., BrowserContext]) -> Page:
    """A page of a desktop browser."""
    return open_context(viewport={"width": 1280, "height": 800}).new_page()


def _note_console(complaints: Complaints, message: Any) -> None:
    if message.type in ("error", "warning"):
        complaints.seen.append(f"console: {message.text} {message.location.get('url', '')}")


def _note_request(complaints: Complaints, base_url: str, request: Any) -> None:
    if not request.url.startswith((f"{base_url}/", "data:", "blob:")):
        complaints.seen.append(f"another host: {request.url}")


def check_width(page: Page) -> None:
    """Check that a page fits a phone, also with large text."""
    for size in ("100%", "200%"):
        page.evaluate("size => { document.documentElement.style.fontSize = size; }", size)
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["viewport"]["width"], f"{page.url}: {width} px with text at {size}"


def axe(page: Page, *rules: str) -> list[str]:
    """Return the serious findings of axe-core, by all rules or these, on the page as it is now."""
    complaints = _complaints_of[page.context]
    before = [*complaints.seen]
    options: dict[str, Any] = {"resultTypes": ["violations"], "preload": False}
    if rules:
        options["runOnly"] = [*rules]
    violations = Axe().run(page, options=options).response["violations"]
    # axe sets inline styles, which the page's policy forbids, as it should.
    during = complaints.seen[len(before) :]
    complaints.seen[:] = before + [one for one in during if "inline style" not in one]
    return [
        f"{one['id']}: {node['html'][:200]}"
        for one in violations
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]
