"""Search finds what a scan in plain Python finds, in the same order, however the catalogue changes."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.item_search import ItemSearch
from likewise.catalogue.catalogue import Catalogue
from likewise.catalogue.titles import normalised
from likewise.messages.ids import ItemId
from likewise.messages.items import CatalogueItem
from tests.model_items import ModelItems

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from gateway.search_results import Place


class LikedItems(ModelItems):
    """Items of a model that so many users like."""

    def __init__(self, likes: Mapping[str, int]) -> None:
        super().__init__([ItemId(one) for one in likes])
        self.item_counts: NDArray[np.int64] = np.array([*likes.values()], np.int64)


class Shop:
    """A catalogue, the likes of its items, and a search over both."""

    def __init__(self, likes: Mapping[str, int], few_changes: int = 0) -> None:
        self.catalogue = Catalogue()
        self.model = LikedItems(likes)
        self.search = ItemSearch(few_changes)

    def put(self, **titles: str | None) -> None:
        """Give the items these titles; None removes an item."""
        self.catalogue.apply(
            (ItemId(name), None if title is None else CatalogueItem(ItemId(name), title=title))
            for name, title in titles.items()
        )

    def find(
        self,
        text: str | None = None,
        *,
        category: str | None = None,
        limit: int = 10,
        after: Place | None = None,
    ) -> list[str]:
        """Return the ids of what is found."""
        view = self.catalogue.aligned(self.model)
        found = self.search.find(
            view, self.model, text=text, category=category, limit=limit, after=after
        )
        return [result.item_id for result in found]

    def pages(self, text: str | None, limit: int) -> list[str]:
        """Return all ids, page by page."""
        view = self.catalogue.aligned(self.model)
        found: list[str] = []
        after: Place | None = None
        while page := self.search.find(view, self.model, text=text, limit=limit, after=after):
            found += [result.item_id for result in page]
            after = page[-1].place
        return found


def test_better_matches_come_first_and_then_what_more_users_like() -> None:
    shop = Shop({"worded": 9, "begun": 1, "more": 5, "within": 99, "exact": 0, "apart": 50})
    shop.put(
        worded="A Star is Born",
        begun="Star Wars",
        more="Starman",
        within="Costar",
        exact="STAR!",
        apart="No match",
    )
    assert shop.find("star") == ["exact", "more", "begun", "worded", "within"]


@pytest.mark.parametrize(
    "typed", ["amelie", "AMÉLIE", "Ame\u0301lie", "am", "fabuleux", "d amelie"]
)
def test_case_accents_and_punctuation_do_not_matter(typed: str) -> None:
    shop = Shop({})
    shop.put(film="Le Fabuleux Destin d-Amélie, Poulain", other="Dune")
    assert shop.find(typed) == ["film"]


def test_words_are_found_in_any_order_and_apostrophes_are_nothing() -> None:
    shop = Shop({})
    shop.put(a="Matrix, The (1999)", b="Schindler's List", c="Ærø", d="七人の侍")
    assert shop.find("the matrix") == ["a"]
    assert shop.find("schindlers l") == shop.find("Schindler’s list") == ["b"]
    assert shop.find("aero") == ["c"]
    assert shop.find("の侍") == ["d"]


@pytest.mark.parametrize("typed", ["", " ", "?!", "\n", "zebra", "\u0301"])
def test_what_has_no_letters_or_is_nowhere_finds_nothing(typed: str) -> None:
    shop = Shop({"a": 3})
    shop.put(a="Any title", b="\n", c="")
    assert shop.find(typed) == []


def test_without_a_text_all_items_of_catalogue_and_model_come_most_liked_first() -> None:
    shop = Shop({"untitled": 7, "b": 9})
    shop.put(a="A", b="B", gone="G")
    shop.put(gone=None)
    assert shop.find() == ["b", "untitled", "a"]
    assert shop.find(limit=3) == ["b", "untitled", "a"]


def test_an_id_is_found_although_nothing_is_known_about_the_item() -> None:
    shop = Shop({"p-1": 5, "p-2": 9, "!": 1})
    shop.put(a="P 1", **{"p-2": "Other"})
    assert shop.find("p-1") == ["p-1", "a"]
    assert shop.find("p-2") == ["p-2"]
    assert shop.find("!") == ["!"]
    assert shop.find("p-1", category="x") == shop.find("P-2") == []
    assert shop.pages("p-1", 1) == ["p-1", "a"]


def test_a_category_keeps_its_items_only() -> None:
    shop = Shop({"a": 1, "b": 2, "c": 3})
    shop.catalogue.apply(
        (ItemId(name), CatalogueItem(ItemId(name), title=f"Star {name}", categories=kinds))
        for name, kinds in {"a": ("drama",), "b": ("war", "drama"), "c": ("war",)}.items()
    )
    assert shop.find(category="drama") == shop.find("star", category="drama") == ["b", "a"]
    assert shop.find("star", category="Drama") == []


titles = st.text("ab é", max_size=5)
changes = st.lists(
    st.dictionaries(st.sampled_from([f"i{one}" for one in range(6)]), titles | st.none()),
    min_size=1,
)


@given(
    changes,
    st.text("ab é", min_size=1, max_size=3),
    st.integers(1, 3),
    st.sampled_from([0, 3, 100]),
)
def test_any_changes_leave_what_a_scan_finds(
    steps: Sequence[Mapping[str, str | None]], typed: str, limit: int, few_changes: int
) -> None:
    likes = {"i0": 3, "i1": 3, "i2": 1, "i9": 2}
    shop = Shop(likes, few_changes)
    now: dict[str, str | None] = {}
    for step in steps:
        shop.put(**step)
        now |= step
        there = {name: title for name, title in now.items() if title is not None}
        expected = scanned(there, likes, typed)
        assert shop.pages(typed, limit) == shop.find(typed, limit=100) == expected
    everything = sorted(
        {*there, *likes}, key=lambda name: (-likes.get(name, 0), crc32(name.encode()))
    )
    assert shop.pages(None, limit) == everything


def scanned(items: Mapping[str, str], likes: Mapping[str, int], typed: str) -> list[str]:
    """Return the items in the order in which they should be found."""
    query = plain(typed)
    kinds = {name: kind_of(plain(title), query) for name, title in items.items()}
    found = [name for name, kind in kinds.items() if kind is not None and query]
    return sorted(found, key=lambda name: (kinds[name], -likes.get(name, 0), crc32(name.encode())))


def kind_of(title: str, query: str) -> int | None:
    if title == query:
        return 0
    if title.startswith(query):
        return 1
    if f" {query}" in title:
        return 2
    words = query.split()
    if len(words) > 1 and all(f" {word}" in f" {title}" for word in words):
        return 3
    return 4 if query in title and len(query) > 1 else None


def plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.lower()).replace("\u0301", "")
    return " ".join(decomposed.split())


def test_a_query_is_cut_to_its_limit() -> None:
    assert len(normalised("é" * 1_000)) == 256
