"""The table `[signals]`, whose names the operator chooses."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from likewise.errors import InvalidInputError, SettingsError
from likewise.messages.ids import parse_kind
from likewise.settings import Settings
from likewise.settings.loader import environment_of, load_settings, unknown_variables
from likewise.settings.signals import SignalSettings, checked_weight

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_kinds_come_from_the_file_and_from_variables(tmp_path: Path) -> None:
    file = tmp_path / "likewise.toml"
    file.write_text('[signals]\nview = 0.1\nbuy = 3\n"add-to-cart" = 2\n', encoding="utf-8")
    environ = {"LIKEWISE_SIGNALS_BUY": "4.5", "LIKEWISE_SIGNALS_DISLIKE": "-1"}
    signals = load_settings(file=file, environ=environ).signals
    assert signals.dislike == -1.0
    assert signals.kinds == {"view": 0.1, "buy": 4.5, "add-to-cart": 2.0}
    assert unknown_variables(environ) == []


def test_without_settings_only_dislikes_and_hides_are_accepted() -> None:
    signals = load_settings(environ={}).signals
    assert signals.accepted == {"dislike", "hide"}
    assert signals.weights == {"dislike": -0.5}


def test_a_kind_without_weight_is_accepted_and_counts_nothing() -> None:
    signals = SignalSettings(dislike=0, kinds={"view": 0.0, "buy": 3.0})
    assert signals.accepted == {"dislike", "hide", "view", "buy"}
    assert signals.weights == {"buy": 3.0}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("LIKE", "1", "a like always counts 1"),
        ("HIDE", "1", "never shown"),
        ("DISLIKE", "0.5", "<= 0"),
        ("BUY", "much", "can't be used"),
        ("BUY", "nan", "from -100 to 100"),
        ("BUY", "101", "from -100 to 100"),
        ("7UP", "1", "not a kind of signal"),
        ("A" * 33, "1", "not a kind of signal"),
    ],
)
def test_a_kind_or_a_weight_that_cannot_be_used_names_its_source(
    name: str, value: str, words: str
) -> None:
    variable = f"LIKEWISE_SIGNALS_{name}"
    with pytest.raises(SettingsError, match=words) as caught:
        load_settings(environ={variable: value})
    assert str(caught.value).startswith(f"{variable}:")


def test_settings_accept_the_same_kinds_as_events() -> None:
    for kind in ("x" * 32, "x" * 33, "a-b_9", "9a", "A", "ä", "", "a\n", "like", "hide"):
        assert _is_accepted(partial(checked_weight, "here", kind, 1)) == _is_accepted(
            partial(parse_kind, kind)
        )


def test_kinds_survive_the_way_through_an_environment() -> None:
    settings = Settings(
        signals=SignalSettings(dislike=-2.0, kinds={"buy": 3.0, "add-to-cart": 0.0})
    )
    assert load_settings(environ=environment_of(settings)) == settings


def _is_accepted(parse: Callable[[], object]) -> bool:
    try:
        parse()
    except (SettingsError, InvalidInputError):
        return False
    return True
