"""The pages of an item and of a user, and what holds on every page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PHONE, axe, check_width
from tests.browser.films import STRANGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import BrowserContext, Page, Route

    from tests.browser.conftest import Complaints

MATRIX = "/items/2571"
A_USER = "/users/15"


def focused(page: Page) -> dict[str, str]:
    """Return the name of the focused element, and the item of the card that it is in."""
    found: dict[str, str] = page.evaluate(
        """() => ({
            name: document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent,
            item: document.activeElement.closest("[data-item]")?.dataset.item ?? "",
        })"""
    )
    return found


def test_an_item_shows_what_is_similar_who_would_like_it_and_its_trend(page: Page) -> None:
    page.goto(MATRIX)
    expect(page.get_by_role("heading", name="The Matrix", level=1)).to_be_visible()
    expect(page).to_have_title("The Matrix · likewise")
    expect(page.locator(".figures dd").first).to_have_text(re.compile(r"\d+"))
    expect(page.locator(".people li")).to_have_count(12)
    expect(page.locator(".wall > li")).to_have_count(12)

    like = page.get_by_role("button", name="Like", exact=True)
    with page.expect_response(lambda one: one.request.method == "PUT" and one.ok):
        like.click()
    expect(page.get_by_role("button", name="You like this")).to_have_attribute(
        "aria-pressed", "true"
    )
    page.locator(".people a").first.click()
    expect(page).to_have_url(re.compile("/users/"))
    page.go_back()
    expect(page.get_by_role("button", name="You like this")).to_be_visible()


def test_one_plays_as_a_user_and_forgets_them_after_a_confirmation(page: Page) -> None:
    page.goto("/users/leaving")
    expect(page.get_by_text("Likes nothing yet.")).to_be_visible()
    page.get_by_role("button", name="Play as this user").click()
    page.get_by_role("button", name="Skip the questions").click()
    page.locator(".wall .like-button").nth(3).click()
    expect(page.locator(".strip > li")).to_have_count(1)
    page.get_by_role("link", name="leaving").click()
    expect(page.locator(".part").first.locator(".wall > li")).to_have_count(1)

    page.get_by_role("button", name="Forget this user").click()
    dialog = page.get_by_role("dialog", name="Forget leaving?")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.locator(".part").first.locator(".wall > li")).to_have_count(1)

    page.get_by_role("button", name="Forget this user").click()
    with page.expect_response(lambda one: one.request.method == "DELETE" and one.ok):
        dialog.get_by_role("button", name="Forget this user").click()
    expect(page).to_have_url(re.compile("/$"))
    expect(page.get_by_text("Question 1 of 3")).to_be_visible()


def test_text_from_events_stays_text(page: Page) -> None:
    page.goto(f"/items/{quote(str(STRANGE['item_id']), safe='')}")
    expect(page.get_by_role("heading", level=1)).to_have_text(str(STRANGE["title"]))
    expect(page.locator(".facts")).to_contain_text("<b>bold</b>")
    expect(page.locator(".facts a")).to_have_count(0)  # a javascript: address is no link
    assert page.locator("main script, main img, main b").count() == 0


def test_everything_can_be_done_with_the_keyboard(page: Page) -> None:
    page.goto("/")
    expect(page.locator(".wall .like-button").first).to_be_visible()
    page.keyboard.press("Tab")
    assert focused(page)["name"] == "Skip to content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert focused(page)["name"] == "None of these"
    for _ in range(2):
        page.keyboard.press("Tab")
    assert focused(page)["name"].startswith("Like ")
    for _ in range(3):  # each answer moves the focus to the next question
        page.locator(".offers .like-button").nth(1).focus()
        page.keyboard.press("Enter")
    expect(page.locator(".answer")).to_have_count(12)

    # One stop of the Tab key for the row; arrows move in it; what was liked hands its focus on.
    first, second = (
        page.locator(".answer").nth(place).get_attribute("data-item") for place in (0, 1)
    )
    page.locator(".answer .like-button").first.focus()
    page.keyboard.press("ArrowRight")
    assert focused(page)["item"] == second
    page.keyboard.press("Home")
    assert focused(page)["item"] == first
    with page.expect_response(lambda one: "/recommendations" in one.url and one.ok):
        page.keyboard.press("Enter")
    expect(page.locator(f'.answer[data-item="{first}"]')).to_have_count(0)
    expect(page.locator(".answer")).to_have_count(12)
    assert focused(page)["item"] not in ("", first)
    assert page.locator(".answer button[tabindex='0']").count() == 4

    # A dialog keeps the focus and gives it back.
    because = page.locator(".because").first
    because.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(because).to_be_focused()


def ready(page: Page, path: str) -> None:
    """Open a page with pictures, and wait until it shows what it has."""
    page.goto(path)
    expect(page.locator(".picture").first).to_be_visible()
    expect(page.locator("[aria-busy]")).to_have_count(0)


@pytest.mark.parametrize("path", ["/", MATRIX, A_USER])
def test_every_page_fits_a_phone_also_with_large_text(
    open_context: Callable[..., BrowserContext], path: str
) -> None:
    page = open_context(**PHONE).new_page()
    ready(page, path)
    check_width(page)


@pytest.mark.parametrize("path", ["/", MATRIX, A_USER])
def test_axe_finds_nothing_serious_in_either_theme(page: Page, path: str) -> None:
    ready(page, path)
    assert axe(page) == []
    page.emulate_media(color_scheme="dark")
    assert axe(page, "color-contrast") == []


def test_the_chosen_theme_is_kept(page: Page) -> None:
    page.goto(MATRIX)
    background = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(background)
    page.get_by_role("button", name="Switch to the dark theme").click()
    dark = page.evaluate(background)
    page.reload()
    assert page.evaluate(background) == dark != light


def test_a_picture_that_cannot_be_loaded_becomes_a_poster(
    page: Page, base_url: str, complaints: Complaints
) -> None:
    complaints.expected.append("/page/no-such-picture.webp")

    def with_picture(route: Route) -> None:
        item = route.fetch().json()
        route.fulfill(json={**item, "image_url": f"{base_url}/page/no-such-picture.webp"})

    page.route(re.compile("/v1/items/2571$"), with_picture)
    page.goto(MATRIX)
    expect(page.locator(".item-picture svg.picture")).to_be_visible()
    expect(page.locator(".item-picture img")).to_have_count(0)


def test_a_server_that_cannot_be_reached_is_shown_and_can_be_retried(
    page: Page, complaints: Complaints
) -> None:
    complaints.expected.append("net::ERR_FAILED")
    page.route("**/v1/**", lambda route: route.abort())
    page.goto("/")
    expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached.")
    page.unroute("**/v1/**")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("Question 1 of 3")).to_be_visible()


@pytest.mark.parametrize(("path", "shown"), [(MATRIX, "The Matrix"), ("/live", "All is well.")])
def test_a_key_is_asked_for_once_and_sent_as_a_header(
    page: Page, complaints: Complaints, path: str, shown: str
) -> None:
    complaints.expected.append("401")
    keys: set[str] = set()

    def guarded(route: Route) -> None:
        key = route.request.headers.get("authorization")
        if key is None:
            problem: dict[str, Any] = {"status": 401, "code": "no_key", "detail": "No key."}
            route.fulfill(status=401, json=problem)
            return
        keys.add(key)
        route.continue_()

    page.route("**/v1/**", guarded)
    page.goto(path)
    page.locator("#api-key").fill("secret")
    page.get_by_role("button", name="Use this key").click()
    expect(page.get_by_role("main")).to_contain_text(shown)
    assert keys == {"Bearer secret"}
    assert "secret" not in page.evaluate("JSON.stringify(localStorage)")
