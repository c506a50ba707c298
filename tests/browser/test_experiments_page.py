"""The page Experiments: one is started, its numbers move, it is stopped; what it shows of any verdict."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PHONE, axe, check_width
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import BrowserContext, Locator, Page, Route

    from tests.browser.conftest import Complaints

USERS = 8
NOW_MS = 1_764_236_400_000


def fill_in(page: Page, name: str) -> Locator:
    """Open the form and fill in an experiment with the ranker `neighbours`; return the form."""
    form = page.locator(".experiment-form")
    form.get_by_label("Name", exact=True).fill(name)
    tried = form.get_by_role("group", name="Variant: what is tried")
    tried.get_by_label("Its name").fill("links")
    tried.get_by_label("What answers").select_option("ranker neighbours")
    return form


def count_of(card: Locator, label: str) -> int:
    """Return the sum of a column of the variants' table."""
    cells = card.locator(f'td[data-label="{label}"]').all_inner_texts()
    return sum(int(text.replace(",", "")) for text in cells)


def ask_and_like(page: Page, turn: int) -> str | None:
    """Have a user ask, and like the first item; return the experiment that the list counts for."""
    user = f"/v1/users/visitor-{turn % USERS}"
    answer = page.request.get(f"{user}/recommendations").json()
    liked = page.request.put(f"{user}/likes/{answer['items'][0]['item_id']}")
    assert liked.ok
    return str(answer["experiment"]) if "experiment" in answer else None


def test_an_experiment_is_started_its_numbers_move_and_it_is_stopped(
    page: Page, open_context: Callable[..., BrowserContext], complaints: Complaints
) -> None:
    complaints.expected += ["status of 400", "status of 409"]
    page.goto("/")
    page.get_by_role("link", name="Experiments").click()
    expect(page.get_by_role("heading", name="No experiment is running")).to_be_visible()
    page.get_by_role("button", name="Start one").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    assert axe(page) == []

    form = fill_in(page, "story")
    options = form.get_by_label("Options, as JSON").last
    options.fill("novelty 0.3")
    form.get_by_role("button", name="Start").click()
    expect(form.get_by_role("alert")).to_contain_text("not a JSON object")
    expect(options).to_be_focused()
    options.fill('{"novelty": 3}')
    form.get_by_role("button", name="Start").click()
    expect(form.get_by_role("alert")).to_contain_text("novelty")
    options.fill('{"novelty": 0.3}')
    form.get_by_label("Name", exact=True).focus()
    page.keyboard.press("Enter")

    card = page.locator('.experiment[data-name="story"]')
    expect(card).to_contain_text("running")
    expect(card).to_contain_text("ranker neighbours, novelty 0.3")
    wait_until(lambda: ask_and_like(page, 0) == "story", "the gateway to follow the experiment")
    for turn in range(3 * USERS):
        assert ask_and_like(page, turn) == "story"
    page.goto("/users/visitor-0")
    page.get_by_role("button", name="Play as this user").click()
    expect(page.locator(".answers")).to_contain_text(re.compile("in experiment story, variant "))
    page.get_by_role("link", name="Experiments").click()
    wait_until(lambda: count_of(card, "Lists") >= 3 * USERS, "the lists to be counted")
    wait_until(lambda: count_of(card, "Likes") >= USERS, "the likes to be counted")
    expect(card.locator(".places").first).to_be_visible()

    page.get_by_role("button", name="Start an experiment").click()
    fill_in(page, "story").get_by_role("button", name="Start").click()
    expect(form.get_by_role("alert")).to_contain_text("runs already")
    form.get_by_role("button", name="Cancel").click()

    phone = open_context(**PHONE).new_page()
    phone.goto("/experiments")
    expect(phone.locator('.experiment[data-name="story"]')).to_be_visible()
    for scheme in ("light", "dark"):
        phone.emulate_media(color_scheme=scheme)
        assert axe(phone) == [], scheme
    check_width(phone)

    card.get_by_role("button", name="Stop story").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Stop story?")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    line = page.locator(".ended > li", has_text="story")
    expect(line).to_contain_text("stopped")
    line.locator("summary").click()
    expect(line.locator(".variants")).to_contain_text("links")
    wait_until(lambda: ask_and_like(page, 0) is None, "the gateway to follow the stop")
    line.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(line).to_have_count(0)


def report(**verdict: Any) -> dict[str, Any]:
    """Return an experiment with three variants, whose options would break a careless page."""
    counts = {"users": 4, "lists": 40, "likes": 8, "hits": 7, "shown_at": [40], "likes_at": [8]}
    variants: list[dict[str, Any]] = [
        {"name": "control"},
        {"name": "good"},
        {"name": "bad", "defaults": {"where": {"title": "<img src=x onerror=alert(1)>"}}},
    ]
    comparisons = [
        {"variant": "good", "effect": 0.2, "low": 0.05, "high": None, "decision": "better"},
        {"variant": "bad", "effect": -0.1, "low": -0.2, "high": -0.02, "decision": "worse"},
    ]
    return {
        "experiment": {
            "name": "three",
            "kind": "split",
            "seed": "three",
            "started_at_ms": NOW_MS,
            "variants": variants,
        },
        "tally": {
            "variants": {one["name"]: counts for one in variants},
            "cross": 0,
            "items": {},
            "by_scenario": {},
        },
        "verdict": {
            "comparisons": comparisons,
            "guardrails": [],
            "sample_ratio_p": 0.4,
            "sample_ratio_ok": True,
            "alpha": 0.05,
            "sentence": "`good` gets at least 5.0% more likes a list than `control`.",
            **verdict,
        },
    }


@contextmanager
def answered_with(page: Page, shown: dict[str, Any]) -> Iterator[None]:
    """Show an experiment that does not exist."""

    def answer(route: Route) -> None:
        if route.request.url.endswith("/three"):
            return route.fulfill(json=shown)
        running = "state=running" in route.request.url
        found = [shown["experiment"]] if running else []
        return route.fulfill(json={"experiments": found, "cursor": None})

    page.route("**/v1/experiments**", answer)
    page.goto("/experiments")
    yield
    page.unroute("**/v1/experiments**")


def test_a_verdict_is_an_interval_a_sentence_and_signs_that_are_clear_when_broken(
    page: Page,
) -> None:
    latency = {"name": "latency", "variant": "bad", "value": 9, "control": 3, "ok": False}
    guardrail = {**latency, "sentence": "95% of the lists of `bad` take at most 9 ms"}
    broken = report(guardrails=[guardrail], sample_ratio_p=0.0001, sample_ratio_ok=False)
    with answered_with(page, broken):
        card = page.locator('.experiment[data-name="three"]')
        expect(card.locator(".experiment-verdict")).to_contain_text(
            "good gets at least 5.0% more likes a list than control."
        )
        rows = card.locator(".interval-row:not(.interval-axis)")
        expect(rows.nth(0)).to_contain_text(re.compile(r"better.*\+20\.0%.*at least \+5\.0%"))
        expect(rows.nth(1)).to_contain_text(re.compile(r"worse.*between −20\.0% and −2\.0%"))
        expect(card.locator(".signs li[data-ok=false]")).to_have_count(2)
        expect(card.locator(".signs")).to_contain_text("Broken: The users are not divided")
        expect(card.locator(".variants")).to_contain_text("<img src=x onerror=alert(1)>")
        assert page.locator("main img, main script").count() == 0
        expect(card.locator(".narrowing canvas")).to_be_visible()  # once there are two looks
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert axe(page) == [], scheme


def test_a_stop_without_the_role_admin_says_which_key_is_needed(
    page: Page, complaints: Complaints
) -> None:
    complaints.expected.append("status of 403")
    with answered_with(page, report()):
        stop = "**/v1/experiments/three/stop"
        problem = {"status": 403, "code": "missing_role", "detail": "No."}
        page.route(stop, lambda route: route.fulfill(status=403, json=problem))
        page.get_by_role("button", name="Stop three").click()
        page.get_by_role("dialog").get_by_role("button", name="Stop it").click()
        expect(page.locator(".toast.bad")).to_contain_text("a key with the role admin")
        expect(page.locator('.experiment[data-name="three"]')).to_be_visible()


PLACES = [{"place": one, "shown": 1_200, "likes": 120 - 10 * one} for one in range(1, 11)]
COUNTED = {"lists": 1_200, "shown": 12_000, "likes": 650, "hit_rate": 0.31, "places": PLACES}
NONE: dict[str, Any] = {"lists": 0, "shown": 0, "likes": 0, "hit_rate": None, "places": []}


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (None, 'Set experiments.lists = "all"'),
        ({"total": {"scenario": None, **NONE}, "scenarios": []}, "None yet."),
        (
            {
                "total": {"scenario": None, **COUNTED},
                "scenarios": [{"scenario": "home", **COUNTED}],
            },
            "31.0%",
        ),
    ],
)
def test_lists_outside_experiments_are_shown_or_which_setting_counts_them(
    page: Page, open_context: Callable[..., BrowserContext], found: dict[str, Any] | None, text: str
) -> None:
    def answer(route: Route) -> None:
        body = route.fetch().json()
        body["redis"]["outside_experiments"] = found
        route.fulfill(json=body)

    phone = open_context(**PHONE).new_page()
    for one in (page, phone):
        one.route("**/v1/status", answer)
        one.goto("/experiments")
        section = one.get_by_role("region", name="Lists outside experiments")
        expect(section).to_contain_text(text, timeout=30_000)
        if found is not None and found["scenarios"]:
            expect(section.locator("tbody tr")).to_have_count(2)
            expect(section.locator("tbody tr").last).to_contain_text("home")
            expect(section.locator(".places")).to_have_count(2)
        for scheme in ("light", "dark"):
            one.emulate_media(color_scheme=scheme)
            assert axe(one) == [], scheme
    check_width(phone)
