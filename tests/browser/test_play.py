"""The play page: like pictures, and the recommendations follow."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import expect

from tests.browser.conftest import axe

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Response


def ids(cards: Locator) -> list[str]:
    """Return the item ids of the cards on the page, in order."""
    found: list[str] = cards.evaluate_all("cards => cards.map((card) => card.dataset.item)")
    return found


def asks_for_recommendations(response: Response) -> bool:
    return "/recommendations" in response.url and response.ok


def answer_three_questions(page: Page) -> list[str]:
    """Open the page as a new guest, choose a picture of each question, and return the choices."""
    page.goto("/")
    chosen = []
    for turn in range(3):
        expect(page.get_by_text(f"Question {turn + 1} of 3")).to_be_visible()
        chosen += ids(page.locator(".offers > li"))[turn : turn + 1]
        with page.expect_response(lambda one: one.request.method == "PUT" and one.ok):
            page.locator(".offers .like-button").nth(turn).click()
    expect(page.locator(".strip > li")).to_have_count(3)
    expect(page.locator(".answer .because b").first).to_be_visible()
    return chosen


def test_a_guest_answers_three_questions_and_the_row_follows_each_like(page: Page) -> None:
    chosen = answer_three_questions(page)
    assert ids(page.locator(".strip > li")) == chosen[::-1]
    assert not {*ids(page.locator(".answer"))} & {*chosen}
    titles = page.locator(".strip-button").evaluate_all("all => all.map((one) => one.title)")
    because = page.locator(".because b").first.inner_text()
    assert any(title.startswith(because) for title in titles)
    assert axe(page) == []

    before = ids(page.locator(".answer"))
    with page.expect_response(asks_for_recommendations):
        page.locator(".answer .like-button").first.click()
    expect(page.locator(".strip > li").first).to_have_attribute("data-item", before[0])
    expect(page.locator(f'.answer[data-item="{before[0]}"]')).to_have_count(0)
    expect(page.locator(".answer")).to_have_count(12)
    expect(page.locator("#latency")).to_have_text(re.compile(r"answered in [\d.]+ ms"))

    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".strip > li")).to_have_count(3)
    expect(page.locator(f'.answer[data-item="{before[0]}"]')).to_be_visible()

    page.reload()  # the guest is the same one, with the same likes
    expect(page.locator(".strip > li")).to_have_count(3)
    assert {*ids(page.locator(".strip > li"))} == {*chosen}


def test_refused_items_leave_the_row_and_the_next_page_repeats_nothing(page: Page) -> None:
    answer_three_questions(page)
    first = ids(page.locator(".answer"))
    with page.expect_response(asks_for_recommendations):
        page.locator(".answer").nth(1).get_by_role("button", name="Not for me").click()
    expect(page.locator(f'.answer[data-item="{first[1]}"]')).to_have_count(0)
    with page.expect_response(asks_for_recommendations):
        page.locator(f'.answer[data-item="{first[0]}"]').get_by_role("button", name="Hide").click()
    expect(page.locator(f'.answer[data-item="{first[0]}"]')).to_have_count(0)
    expect(page.locator(".answer")).to_have_count(12)

    shown = ids(page.locator(".answer"))
    page.get_by_role("button", name="Next page").click()
    expect(page.get_by_role("heading", name="page 2")).to_be_visible()
    assert not {*shown} & {*ids(page.locator(".answer"))}


def test_why_shows_contributions_and_what_if_shows_the_row_without_one_like(page: Page) -> None:
    answer_three_questions(page)
    page.locator(".because").first.click()
    why = page.get_by_role("dialog")
    expect(why.locator(".cause").first).to_be_visible()
    lengths = why.locator(".bar").evaluate_all(
        "bars => bars.map((bar) => Number(bar.style.getPropertyValue('--length')))"
    )
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] == 1
    assert axe(page) == []

    with page.expect_response(lambda one: "without=" in one.url and one.ok):
        why.get_by_role("button", name="What if I had not liked this?").first.click()
    what_if = page.get_by_role("dialog", name=re.compile("^What if you had not liked"))
    now, then = (what_if.locator(".compared").nth(place) for place in (0, 1))
    expect(now.locator("li")).to_have_count(8)
    assert now.inner_text() != then.inner_text()
    page.keyboard.press("Escape")
    expect(what_if).to_have_count(0)


def test_sliders_and_filters_change_the_question_and_the_row(page: Page) -> None:
    answer_three_questions(page)
    with page.expect_response(asks_for_recommendations) as tuned:
        slider = page.get_by_role("slider", name="Novelty")
        slider.focus()
        slider.press("End")
    assert parse_qs(urlsplit(tuned.value.url).query)["novelty"] == ["1"]

    with page.expect_response(asks_for_recommendations) as filtered:
        page.get_by_role("button", name="Comedy", exact=True).click()
    query = parse_qs(urlsplit(filtered.value.url).query)
    assert json.loads(query["where"][0]) == {"categories": "Comedy"}
    genres = [one["fields"]["categories"] for one in filtered.value.json()["items"]]
    assert genres
    assert all("Comedy" in one for one in genres)
    assert {*ids(page.locator(".answer"))} <= {
        one["item_id"] for one in filtered.value.json()["items"]
    }


def test_search_finds_as_one_types_and_likes_by_keyboard(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Skip the questions").click()
    field = page.get_by_role("combobox", name="Search titles")
    field.press_sequentially("matri")
    option = page.get_by_role("option", name=re.compile("The Matrix"))
    expect(option.first).to_be_visible()
    field.press("ArrowDown")
    expect(field).to_have_attribute("aria-activedescendant", "search-option-0")
    field.press("Enter")
    expect(page.locator(".strip-button").first).to_have_attribute("title", re.compile("The Matrix"))
    expect(field).to_have_value("")
    expect(field).to_have_attribute("aria-expanded", "false")
    expect(field).to_be_focused()


def test_the_same_guest_under_each_ranker_side_by_side(page: Page) -> None:
    answer_three_questions(page)
    page.get_by_role("button", name="Compare rankers").click()
    expect(page.locator(".lane")).to_have_count(2)
    original = page.get_by_role("region", name="neighbours")
    expect(original.locator(".lane-row > li")).to_have_count(8)
    assert axe(page) == []
    page.get_by_role("button", name="Compare rankers").click()
    expect(page.locator(".answer").first).to_be_visible()
