"""A small catalogue of well-known films, and who likes them."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

from likewise.cli.demo.catalogue import catalogue_item
from likewise.cli.demo.films import load_film_likes
from likewise.messages.items import encode_item

if TYPE_CHECKING:
    from collections.abc import Iterator

Id = TypeVar("Id", bound=str)
FILMS = 120
USERS = 250

STRANGE = {
    "item_id": 'a/b "c"%2e‮<script>',
    "title": '<img src=x onerror="document.title=1"> & <script>alert(1)</script>',
    "categories": ["<b>bold</b>"],
    "url": "javascript:alert(1)",
    "labels": {"<i>label</i>": ["<u>", "</u>"]},
}
"""An item whose every field would break a page that is careless with it."""


def catalogue_and_likes() -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """Return the most liked films as items, and the likes of the most active users: a few thousand."""
    all_likes = load_film_likes()
    popular = [film for film, _ in _most(like.item_id for like in all_likes.likes)[:FILMS]]
    shown = [like for like in all_likes.likes if like.item_id in set(popular)]
    users = {user for user, _ in _most(like.user_id for like in shown)[:USERS]}
    items = [
        json.loads(encode_item(catalogue_item(film, all_likes.films[film]))) for film in popular
    ]
    likes = [(like.user_id, like.item_id) for like in shown if like.user_id in users]
    fans = sorted(users)[:3]
    return [*items, STRANGE], [*likes, *((fan, str(STRANGE["item_id"])) for fan in fans)]


def _most(ids: Iterator[Id]) -> list[tuple[Id, int]]:
    return sorted(Counter(ids).items(), key=lambda entry: (-entry[1], entry[0]))
