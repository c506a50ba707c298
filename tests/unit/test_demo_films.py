"""The demo's likes: real, in order, and by people one can show."""

from __future__ import annotations

import pytest

from likewise.cli.demo.figures import percentile
from likewise.cli.demo.films import Film, FilmLike, FilmLikes, load_film_likes, titles
from likewise.errors import MissingExtraError
from likewise.messages.ids import ItemId, UserId


def film_likes(*pairs: tuple[str, str]) -> FilmLikes:
    """Likes of (user, film); a film's genre is its first letter."""
    likes = [FilmLike(UserId(user), ItemId(film), 0) for user, film in pairs]
    films = {like.item_id: Film(like.item_id, frozenset(like.item_id[0])) for like in likes}
    return FilmLikes(likes, films)


def test_the_first_likes_are_loaded_in_time_order_with_their_films() -> None:
    loaded = load_film_likes(2_000)
    assert len(loaded.likes) == 2_000
    times = [like.timestamp_ms for like in loaded.likes]
    assert times == sorted(times)
    assert {like.item_id for like in loaded.likes} < loaded.films.keys()
    assert loaded.n_liked < len(loaded.films) == 9_066
    (film,) = (one for one in loaded.films.values() if one.name.startswith("Star Wars: Episode IV"))
    assert film.title == "Star Wars: Episode IV - A New Hope (1977)"
    assert film.year == 1977
    assert film.genres == {"Action", "Adventure", "Sci-Fi"}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Toy Story", ["Toy Story"]),
        ("Usual Suspects, The", ["The Usual Suspects"]),
        ("Seven (a.k.a. Se7en)", ["Seven", "Se7en"]),
        ("Hate (Haine, La)", ["Hate", "La Haine"]),
        ("Avventura, L' (Adventure, The)", ["L'Avventura", "The Adventure"]),
        ("(500) Days of Summer", ["(500) Days of Summer"]),
        ("Human Centipede II (Full Sequence), The", ["The Human Centipede II (Full Sequence)"]),
        ("Girl, Interrupted", ["Girl, Interrupted"]),
        (
            "Birdman: Or (The Unexpected Virtue of Ignorance)",
            ["Birdman: Or (The Unexpected Virtue of Ignorance)"],
        ),
        (
            "Léon: The Professional (a.k.a. The Professional) (Léon)",
            ["Léon: The Professional", "The Professional", "Léon"],
        ),
        ("", [""]),
    ],
)
def test_titles_are_in_the_order_of_speech(written: str, expected: list[str]) -> None:
    assert titles(written) == expected


def test_the_best_liked_films_of_a_genre_come_first() -> None:
    likes = film_likes(("u1", "h1"), ("u1", "h2"), ("u2", "h2"), ("u1", "c1"), ("u3", "c1"))
    assert likes.best_liked("h", 5) == ["h2", "h1"]
    assert likes.best_liked("h", 1) == ["h2"]


def test_a_devotee_likes_a_genre_above_all_and_is_shown_once() -> None:
    likes = film_likes(("u1", "h1"), ("u1", "h2"), ("u2", "h1"), ("u2", "c1"), ("u2", "c2"))
    assert likes.devotees(["h", "c"]) == ["u1", "u2"]
    assert likes.devotees(["h", "h", "h"]) == ["u1", "u2"]


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("likewise.cli.demo.films.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"likewise\[demo\]"):
        load_film_likes()


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert percentile(values, 0.5) == 50.0
    assert percentile(values, 0.99) == 99.0
    assert percentile([7.0], 0.99) == 7.0
    assert percentile([], 0.5) == 0.0
