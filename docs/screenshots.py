"""Takes the pictures of the page that the documentation shows, light and dark, into docs/images/.

Start `likewise up --demo`, wait for the films, and run this with the addresses that it prints:

    .venv/bin/python docs/screenshots.py http://127.0.0.1:8080 127.0.0.1:9092 [NAME …]
"""

from __future__ import annotations

import base64
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from kafka import KafkaProducer
from playwright.sync_api import expect, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser, Page, Response

IMAGES = Path(__file__).parent / "images"
CHROMIUM = "/usr/bin/chromium"
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
MAX_BYTES = 150_000
A_FILM, A_USER = "2571", "15"
VISITORS, VISITS = 300, 1_500
POPULAR = ("318", "296", "356", "593", "260", "527", "2571", "1196", "608", "858", "50", "1", "110")

# WebP at falling quality until the file is small enough. Chromium encodes it: no other tool is needed.
_ENCODE = """async ([png, most]) => {
  const image = new Image();
  image.src = `data:image/png;base64,${png}`;
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height);
  canvas.getContext("2d").drawImage(image, 0, 0);
  for (const quality of [0.86, 0.78, 0.7, 0.6, 0.5]) {
    const blob = await canvas.convertToBlob({ type: "image/webp", quality });
    if (blob.size > most && quality > 0.5) continue;
    const bytes = new Uint8Array(await blob.arrayBuffer());
    return btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), ""));
  }
}"""


def start(page: Page) -> None:
    """The first question, for a guest who likes nothing yet."""
    page.goto("/")
    page.locator(".offers .picture").first.wait_for()


def play(page: Page) -> None:
    """Some likes and what follows, with the threads to one recommendation lit."""
    start(page)
    for place in (0, 1, 2):
        with page.expect_response(_likes):
            page.locator(".offers .like-button").nth(place).click()
    for film in ("1136", "541", "1197"):
        with page.expect_response(_recommends):
            page.locator(f'.wall [data-item="{film}"] .like-button').click()
    page.locator(".answer").first.wait_for()
    page.locator("#toasts").evaluate("toasts => toasts.replaceChildren()")
    page.evaluate("scrollTo(0, 0)")
    page.locator(".answer .like-button").nth(1).hover()


def why(page: Page) -> None:
    """The contributions to one recommendation."""
    play(page)
    page.locator(".because").nth(1).click()
    page.locator(".cause").first.wait_for()


def what_if(page: Page) -> None:
    """The row without one like."""
    why(page)
    page.locator(".cause .link-button").first.click()
    page.locator(".what-if").wait_for()


def rankers(page: Page) -> None:
    """The same guest under each ranker."""
    play(page)
    page.get_by_role("button", name="Compare rankers").click()
    page.locator(".lane .picture").last.wait_for()


def at(path: str) -> Callable[[Page], None]:
    """Return a step that opens a path and waits for what it shows."""

    def step(page: Page) -> None:
        page.goto(path)
        page.locator("main h1").wait_for()
        expect(page.locator("[aria-busy=true]")).to_have_count(0)

    return step


def live(page: Page) -> None:
    """A quarter of a minute of likes and answers."""
    at("/live")(page)
    ends_s = time.monotonic() + 15
    turn = 0
    while time.monotonic() < ends_s:
        turn += 1
        user, film = f"/v1/users/visitor-{turn % 40}", POPULAR[turn % len(POPULAR)]
        page.request.put(f"{user}/likes/{film}")
        if turn % 3 == 0:
            page.request.get(f"{user}/recommendations")
        page.wait_for_timeout(20 + 15 * (turn % 5))


def experiments(page: Page) -> None:
    """An experiment while visitors see its variants, and like more of what `links` shows."""
    page.request.post("/v1/experiments/home-links/stop")
    variants = [{"name": "control"}, {"name": "links", "ranker": "neighbours"}]
    page.request.put("/v1/experiments/home-links", data={"variants": variants, "margin": 0.02})
    at("/experiments")(page)
    page.locator(".experiment").wait_for()
    for turn in range(VISITS):
        visitor = f"/v1/users/visitor-{turn % VISITORS}"
        answer = page.request.get(f"{visitor}/recommendations").json()
        if turn % 4 == 0 or (answer.get("variant") == "links" and turn % 7 == 0):
            film = answer["items"][turn % 9]["item_id"]
            page.request.put(f"{visitor}/likes/{film}")
        page.wait_for_timeout(1)  # in which the page can ask
    page.locator(".narrowing canvas").wait_for()


PICTURES: dict[str, Callable[[Page], None]] = {
    "start": start,
    "play": play,
    "why": why,
    "what-if": what_if,
    "rankers": rankers,
    "item": at(f"/items/{A_FILM}"),
    "user": at(f"/users/{A_USER}"),
    "live": live,
    "models": at("/models"),
    "experiments": experiments,
    "dead-letters": at("/dead-letters"),
    "messages": at("/messages"),
}
SETTLING_MS = 600
REFUSED = (
    b'{"user_id": "ann", "item_id": "alien", "action": "signal", "kind": "glance"}',
    b'{"user_id": "bob", "item_id": "dune", "action": "signal", "kind": "glance"}',
    b'{"user_id": "ann"}',
    b'{"user_id": "ann", "item_id": ["dune"]}',
    b"like dune",
)
"""Values on the topic `likes` that no consumer understands."""


def main() -> None:
    """Take each picture in both themes, and the play page on a phone too."""
    address, bootstrap_servers, *names = sys.argv[1:]
    IMAGES.mkdir(exist_ok=True)
    with closing(KafkaProducer(bootstrap_servers=bootstrap_servers)) as producer:
        for value in REFUSED:
            producer.send("likes", value=value)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            for name, step in PICTURES.items():
                if not names or name in names:
                    _take(browser, address, f"{name}-{scheme}", step, WIDE, scheme)
            if not names or "phone" in names:
                _take(browser, address, f"phone-{scheme}", play, PHONE, scheme)
        browser.close()


def _take(
    browser: Browser,
    address: str,
    name: str,
    step: Callable[[Page], None],
    size: dict[str, int],
    scheme: str,
) -> None:
    context = browser.new_context(
        base_url=address,
        viewport={"width": size["width"], "height": size["height"]},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    step(page)
    page.wait_for_timeout(SETTLING_MS)
    png = base64.b64encode(page.screenshot()).decode()
    blank = browser.new_page()
    webp = base64.b64decode(blank.evaluate(_ENCODE, [png, MAX_BYTES]))
    (IMAGES / f"{name}.webp").write_bytes(webp)
    sys.stdout.write(f"{name}.webp: {len(webp):,} bytes\n")
    blank.close()
    context.close()


def _likes(response: Response) -> bool:
    return response.request.method == "PUT"


def _recommends(response: Response) -> bool:
    return "/recommendations" in response.url


if __name__ == "__main__":
    main()
