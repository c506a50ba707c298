"""The pages for operators: Live moves, models are compared and used, dead letters replayed, messages sent."""

from __future__ import annotations

import json
import re
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest
from kafka import KafkaProducer
from playwright.sync_api import expect

from indexer.service import run_indexer
from likewise.models.versions import list_versions
from likewise.operations.models import current_version
from likewise.store.redis import RedisStore
from serving.service import run_server
from tests.browser.conftest import PHONE, axe, check_width
from tests.browser.films import STRANGE
from tests.services import in_a_thread
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import BrowserContext, Locator, Page, Route

    from likewise.settings import Settings
    from tests.browser.conftest import Complaints

OPS = ("/live", "/models", "/experiments", "/dead-letters", "/messages")


@contextmanager
def producer_of(settings: Settings) -> Iterator[Callable[[str, bytes, bytes], None]]:
    """Publish records to topics of the deployment."""
    with closing(KafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers)) as producer:

        def publish(topic: str, key: bytes, value: bytes) -> None:
            producer.send(settings.kafka.topic_prefix + topic, key=key, value=value).get(10)

        yield publish


def figure(page: Page, stage: str) -> Locator:
    """Return the number of a stage of the flow on the page Live."""
    return page.locator(".flow li", has_text=stage).locator(".flow-value")


def test_live_moves_with_what_happens(page: Page, settings: Settings) -> None:
    page.goto("/live")
    expect(page.locator(".live-state")).to_have_text("Live")
    expect(figure(page, "Model")).to_have_text(re.compile(r"^\d+:\d\d"))
    expect(page.locator(".lag-bars > li")).not_to_have_count(0)
    expect(page.locator(".curves canvas")).to_have_count(4)

    strange = str(STRANGE["item_id"])
    like = json.dumps({"user_id": "<b>bob</b>", "item_id": strange}).encode()
    with producer_of(settings) as publish:

        def is_counted() -> bool:
            """The rate is that of the last second: later it is 0 again."""
            publish("likes", b"<b>bob</b>", like)
            return figure(page, "Events").inner_text() not in {"0", "–"}

        wait_until(is_counted, "a rate of events")
    line = page.locator(".ticker-line", has_text="<b>bob</b> likes").first
    expect(line).to_contain_text(str(STRANGE["title"]))
    assert page.locator("main script, main b, main img").count() == 0

    page.get_by_text("These minutes as a table").click()
    expect(page.locator(".live-table tbody tr")).not_to_have_count(0)
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".live-state")).to_have_text("Paused")
    line.get_by_role("link", name="<b>bob</b>").click()
    expect(page).to_have_url(re.compile("/users/%3Cb%3Ebob"))


def test_live_shows_a_lost_connection_and_comes_back(page: Page, complaints: Complaints) -> None:
    complaints.expected.append("ERR_FAILED")
    page.goto("/live")
    expect(page.locator(".live-state")).to_have_text("Live")
    page.route("**/v1/live", lambda route: route.abort())
    page.get_by_role("link", name="Models").click()
    page.get_by_role("link", name="Live").click()  # opens a new stream, which fails
    expect(page.locator(".live-state")).to_have_text("Reconnecting…")
    expect(page.locator(".health")).to_contain_text("The connection is lost.")
    page.unroute("**/v1/live")
    expect(page.locator(".live-state")).to_have_text("Live")
    expect(figure(page, "Model")).to_have_text(re.compile(r"^\d+:\d\d"))


@pytest.fixture
def two_versions(base_url: str, settings: Settings) -> tuple[str, str]:
    """The newest model version, which is the current one, and the one before it."""
    directory = settings.model.directory
    older = list_versions(directory)[0].version
    with (
        closing(RedisStore(settings.redis)) as store,
        producer_of(settings) as publish,
        in_a_thread(settings, "indexer", partial(run_indexer, settings)),
    ):
        publish("likes", b"another", b'{"user_id": "another", "item_id": "1"}')
        # A version on disk is not enough: an indexer that stops now does not announce it.
        wait_until(lambda: current_version(store) != older, "a second model to be announced")
    newest, older = (one.version for one in list_versions(directory)[:2])
    return newest, older


def test_models_are_explained_compared_and_used(page: Page, two_versions: tuple[str, str]) -> None:
    newest, older = two_versions
    page.goto("/models")
    current = page.locator("tbody tr", has_text="current")
    expect(current).to_contain_text(newest)
    expect(page.get_by_role("heading", name="What auto tried")).to_be_visible()
    expect(page.locator(".candidates tr[data-chosen]")).to_have_count(1)

    page.get_by_role("button", name="Compare").click()
    expect(page.locator(".overlap")).to_contain_text("of the first 20 items are the same")
    expect(page.locator(".example li a").first).to_have_text(
        re.compile("[A-Za-z]{2}")
    )  # ids are numbers

    page.get_by_role("button", name=f"Roll back to {older}").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(current).to_contain_text(newest)
    page.get_by_role("button", name=f"Roll back to {older}").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(current).to_contain_text(older)
    page.get_by_role("button", name=f"Use {newest}").click()
    page.get_by_role("dialog").get_by_role("button", name="Use it").click()
    expect(current).to_contain_text(newest)


TRIED = {
    "experiment": "canary-20260101t120000-000z",
    "started_at_ms": 1_764_236_400_000,
    "ended_at_ms": None,
    "reason": "",
    "share": 0.1,
    "effect": -0.41,
    "low": -0.55,
    "high": -0.27,
}


@pytest.mark.parametrize(
    ("canary", "tag", "sentence"),
    [
        (
            {"state": "running", "kind": "split"},
            "canary, 10%−41.0% (−55.0% to −27.0%)",
            "10% of the users see what it recommends",
        ),
        (
            {"state": "running", "kind": "prequential", "share": 0.0, "effect": None},
            "canary, tested with likes",
            "It answers nobody.",
        ),
        (
            {"state": "rolled_back", "kind": "interleaved", "reason": "`canary` <b>is</b> worse."},
            "rolled back−41.0% (−55.0% to −27.0%)",
            "It was rolled back: it stays on the disk, and answers nobody. canary <b>is</b> worse.",
        ),
        (
            {
                "state": "promoted",
                "kind": "prequential",
                "effect": 0.02,
                "low": -0.01,
                "high": None,
            },
            "promoted+2.0% (at least −1.0%)",
            "Nobody had seen what it recommends.",
        ),
    ],
)
def test_the_page_models_shows_how_a_version_did_as_a_canary(
    page: Page, canary: dict[str, object], tag: str, sentence: str
) -> None:
    def answer(route: Route) -> None:
        body = route.fetch().json()
        body["versions"][0]["canary"] = {**TRIED, **canary}
        route.fulfill(json=body)

    page.route(re.compile(r"/v1/models(\?.*)?$"), answer)
    page.goto("/models")
    expect(page.locator("tbody tr").first.locator(".models-name")).to_contain_text(tag)
    page.locator("tbody tr").first.get_by_role("link").click()
    tried = page.locator("section.canary")
    expect(tried).to_contain_text(sentence)
    name = str(TRIED["experiment"])
    expect(tried.get_by_role("link", name=name)).to_have_attribute("href", f"/experiments#{name}")
    assert page.locator("main b").count() == 0
    expect(tried.locator(".intervals")).to_have_count(0 if canary.get("effect", 1) is None else 1)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert axe(page) == [], scheme


def test_dead_letters_are_announced_shown_as_what_they_are_and_replayed(
    page: Page, settings: Settings
) -> None:
    page.goto("/live")
    expect(page.locator(".health")).to_have_attribute("data-state", "well")
    with producer_of(settings) as publish:
        publish("likes", b"ann", b"<b>no json</b>")
        publish("likes", b"ann", b"\x00\xff\xfe binary")
    problem = page.locator(".health li", has_text="refused in the last ten minutes")
    problem.get_by_text("What to do").click()
    expect(problem).to_contain_text("Tell the sender.")
    problem.get_by_role("link", name="Look at them").click()

    group = page.locator(".letters", has_text="not_json")

    def refused() -> int:
        page.get_by_role("button", name="Refresh").click()
        expect(page.locator(".letters-body[aria-busy]")).to_have_count(0)
        count = group.locator(".letters-count")
        return int(count.inner_text().split()[0]) if count.count() else 0

    wait_until(lambda: refused() == 2, "both to be refused")
    expect(group).to_contain_text("The value is not JSON in UTF-8.")
    group.get_by_text("Show them").click()
    expect(group.locator(".octets[data-form=text]")).to_have_text("<b>no json</b>")
    expect(group.locator(".octets[data-form=hex]")).to_contain_text("00 ff fe 20 62")

    group.get_by_role("checkbox").check()
    page.get_by_role("button", name="Replay 2").click()
    page.get_by_role("dialog").get_by_role("button", name="Replay").click()
    expect(page.locator(".letters-outcome")).to_have_text("2 records published again.")
    wait_until(lambda: refused() == 4, "both to be refused again")


def test_a_message_is_documented_sent_and_answered(
    page: Page, settings: Settings, complaints: Complaints
) -> None:
    complaints.expected.append("status of 400")
    page.goto("/messages#Like")
    like = page.locator("#Like")
    expect(like.locator(".schema-field", has_text="user_id")).to_contain_text("required")
    body = like.get_by_role("textbox")
    body.fill("{")
    expect(like.get_by_role("alert")).to_contain_text("This is not JSON.")
    body.fill('{"user_id": "", "item_id": "1"}')
    like.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".toast.bad")).to_contain_text("user_id")
    body.fill('{"user_id": "sender", "item_id": "1"}')
    like.get_by_role("button", name="Send", exact=True).click()
    expect(like.locator(".sending-result")).to_have_text(
        re.compile(r"Published to \S*likes at \d+:\d+\.")
    )

    page.get_by_role("navigation", name="Channels").get_by_role(
        "link", name="request for user", exact=True
    ).click()
    expect(page).to_have_url(re.compile("#RequestForUser$"))
    request = page.locator("#RequestForUser")
    request.get_by_role("textbox").fill('{"user_id": "sender", "count": 2}')
    with in_a_thread(settings, "server", partial(run_server, settings)):
        request.get_by_role("button", name="Send", exact=True).click()
        expect(request.locator(".code")).to_contain_text('"user_id": "sender"')


def test_who_may_not_see_dead_letters_is_asked_for_a_key(
    page: Page, complaints: Complaints
) -> None:
    complaints.expected.append("403")

    def guarded(route: Route) -> None:
        if route.request.headers.get("authorization") == "Bearer secret":
            route.continue_()
        else:
            route.fulfill(status=403, json={"status": 403, "code": "forbidden", "detail": "No."})

    page.route("**/v1/dead-letters*", guarded)
    page.goto("/dead-letters")
    expect(page.get_by_role("heading", name="For administrators")).to_be_visible()
    page.get_by_role("button", name="Enter a key").click()
    page.get_by_label("API key").last.fill("secret")
    page.get_by_role("button", name="Use this key").click()
    expect(page.get_by_role("heading", name="For administrators")).to_have_count(0)
    expect(page.get_by_role("button", name="Refresh")).to_be_visible()


def ready(page: Page, path: str) -> None:
    """Open a page for operators, and wait until it shows what it has."""
    page.goto(path)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    if path == "/live":
        expect(page.locator(".health")).to_have_attribute("data-state", re.compile("well|trouble"))


@pytest.mark.parametrize("path", OPS)
def test_axe_finds_nothing_serious_and_the_page_fits_a_phone_with_large_text(
    open_context: Callable[..., BrowserContext], path: str
) -> None:
    page = open_context(**PHONE).new_page()
    ready(page, path)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert axe(page) == [], scheme
    check_width(page)


def test_axe_finds_nothing_serious_in_the_documentation_of_all_endpoints(
    open_context: Callable[..., BrowserContext],
) -> None:
    page = open_context(**PHONE).new_page()
    ready(page, "/docs")
    page.locator("details").evaluate_all("all => all.forEach((one) => { one.open = true; })")
    check_width(page)
    assert axe(page) == []  # in one theme: with thousands of elements, it takes seconds
