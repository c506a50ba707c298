"""Items like those of a shop: a title, categories, a price and other labels, a time. Seeded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from likewise.messages.ids import ItemId
from likewise.messages.items import CatalogueItem

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORDS = [
    "amber",
    "anchor",
    "autumn",
    "basin",
    "blue",
    "canyon",
    "cedar",
    "copper",
    "coral",
    "crystal",
    "dawn",
    "desert",
    "ember",
    "fern",
    "forest",
    "frost",
    "garden",
    "granite",
    "harbor",
    "hazel",
    "indigo",
    "island",
    "ivory",
    "juniper",
    "lagoon",
    "lantern",
    "linen",
    "maple",
    "marble",
    "meadow",
    "mist",
    "moss",
    "night",
    "oak",
    "ocean",
    "olive",
    "opal",
    "orchid",
    "pearl",
    "pine",
    "quartz",
    "rain",
    "raven",
    "river",
    "rose",
    "saffron",
    "sage",
    "silver",
    "slate",
    "snow",
    "spruce",
    "stone",
    "storm",
    "summer",
    "thistle",
    "tide",
    "timber",
    "topaz",
    "valley",
    "velvet",
    "violet",
    "willow",
    "winter",
]
_LANGUAGES = ("en", "de", "fr", "es")
_BRANDS, _CATEGORIES, _WORDS_A_TITLE = 2_000, 200, 5
_FIRST_MS, _YEARS_MS = 1_500_000_000_000, 250_000_000_000


def shop_items(number: int) -> Iterator[CatalogueItem]:
    """Yield so many items: titles of some 40 bytes, all different; three categories, five labels."""
    rng = np.random.default_rng(0)
    words = rng.integers(len(_WORDS), size=(number, _WORDS_A_TITLE)).tolist()
    categories = rng.integers(_CATEGORIES, size=(number, 3)).tolist()
    prices = rng.gamma(2, 15, number).round(2).tolist()
    brands = (_BRANDS * rng.random(number) ** 2).astype(int).tolist()
    languages = rng.integers(len(_LANGUAGES), size=number).tolist()
    in_stock = (rng.random(number) < 0.9).tolist()
    years = rng.integers(1950, 2026, number).tolist()
    times_ms = (_FIRST_MS + rng.random(number) * _YEARS_MS).astype(int).tolist()
    for row in range(number):
        yield CatalogueItem(
            ItemId(f"i{row:07d}"),
            title=" ".join([*(_WORDS[word] for word in words[row]), str(row)]),
            image_url=f"https://images.example.com/{row}.jpg",
            url=f"https://shop.example.com/items/{row}",
            categories=tuple(f"category {one}" for one in dict.fromkeys(categories[row])),
            labels={
                "price": prices[row],
                "brand": f"brand {brands[row]}",
                "lang": _LANGUAGES[languages[row]],
                "in_stock": in_stock[row],
                "year": years[row],
            },
            published_at_ms=times_ms[row],
        )
