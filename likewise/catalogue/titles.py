"""Titles for search: normalised, end to end in one text. Finds where a query begins a word, or is within one."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from likewise.catalogue.parts import Words
from likewise.catalogue.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from likewise.catalogue.columns import Column
    from likewise.catalogue.slots import Mask, Rows

EXACT, BEGINS, WORD, ALL_WORDS, WITHIN = range(5)
"""How well a title matches, best first: it is the query, begins with it, has a word that does, has a word
for each of the query's words, or has the query somewhere."""
MAX_QUERY_BYTES: Final = 256
_MAX_WORDS = 8
_BREAK = 10
_SPACE = 32
_MARKS = re.compile("[\u0300-\u036f\u2018\u2019\u02bc]+")
_LETTERS = {"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ı": "i", "–": " ", "—": " "}
_SPACES = bytes(
    byte if chr(byte).isalnum() or byte >= 0x80 or byte == _BREAK else _SPACE for byte in range(256)
)
_APOSTROPHES = b"'`"
_SAMPLE = 64
"""One letter in so many is counted."""


def normalised(text: str) -> bytes:
    """Return the text as `TitleIndex` finds it: in lower case, without accents and punctuation.

    At most `MAX_QUERY_BYTES`, perhaps none. Of "Amélie!" it is `amelie`.
    """
    raw = text.replace("\n", " ").encode(errors="replace")
    return _spaced(_folded(raw))[:MAX_QUERY_BYTES]


def _folded(text: bytes) -> bytes:
    """Return UTF-8 text in lower case without accents; ASCII as it is, which `_spaced` makes lower case."""
    if text.isascii():
        return text
    folded = _MARKS.sub("", unicodedata.normalize("NFKD", text.decode().casefold()))
    for letter, plain in _LETTERS.items():
        folded = folded.replace(letter, plain)
    return folded.encode()


def _spaced(text: bytes) -> bytes:
    """Return the lines of a text without punctuation and capital letters, words one space apart."""
    raw = text.lower().translate(_SPACES, _APOSTROPHES)
    while b"  " in raw:
        raw = raw.replace(b"  ", b" ")
    return raw.replace(b" \n", b"\n").replace(b"\n ", b"\n").strip(b" ")


@dataclass(frozen=True, slots=True, eq=False)
class TitleIndex:
    """The titles of some rows; immutable. Takes about 65 bytes for a title of four words."""

    rows: Rows
    """[t] the rows of the titles, ascending."""
    text: NDArray[np.uint8]
    """The normalised titles, a line feed before and after each."""
    starts: NDArray[np.int32]
    """[t] where each title begins in the text."""
    words: NDArray[np.int32]
    """[w] where each word begins in the text, in the order of their first two bytes."""
    of_word: NDArray[np.int32]
    """[w] which title the word is in."""
    begins: NDArray[np.int64]
    """[65537] how many words come before those with these two first bytes."""

    @classmethod
    def of(cls, rows: Rows, titles: Iterable[bytes]) -> TitleIndex:
        """Return the index of the titles, in UTF-8, of these rows. Takes a second for 500,000."""
        joined = b"\n".join([_folded(title.replace(b"\n", b" ")) for title in titles])
        raw = b"\n" + _spaced(joined) + b"\n" if len(rows) else b"\n"
        text = np.frombuffer(raw, np.uint8)
        starts = (np.flatnonzero(text == _BREAK)[:-1] + 1).astype(np.int32)
        gaps = (text == _BREAK) | (text == _SPACE)
        words = (np.flatnonzero(gaps[:-1] & ~gaps[1:]) + 1).astype(np.int32)
        pairs = _pairs(text, words)
        order = np.argsort(pairs, kind="stable")
        words = words[order]
        of_word = (np.searchsorted(starts, words, side="right") - 1).astype(np.int32)
        begins = np.searchsorted(pairs[order], np.arange(1 << 16))
        return cls(rows, text, starts, words, of_word, np.append(begins, len(words)))

    def beginning(self, query: bytes) -> tuple[Rows, NDArray[np.int8]]:
        """Return the rows, ascending, in whose titles the query begins a word, and how they match.

        Also those that match `ALL_WORDS`. The query is normalised and not empty.
        """
        found = np.full(len(self.rows), WITHIN, np.int8)
        if b" " in query:
            found[self._with_all_words(query.split()[:_MAX_WORDS])] = ALL_WORDS
        places = self._words_with(query)
        at, titles = self.words[places], self.of_word[places]
        begins = at == self.starts[titles]
        found[titles] = WORD
        found[titles[begins]] = BEGINS
        found[titles[begins & (self.text[at + len(query)] == _BREAK)]] = EXACT
        matching = np.flatnonzero(found < WITHIN)
        return self.rows[matching], found[matching]

    def within(self, query: bytes) -> Rows:
        """Return the rows whose titles have the query anywhere, ascending. Reads the whole text."""
        titles = np.searchsorted(self.starts, self._occurrences(query), side="right") - 1
        first = np.append([True], titles[1:] != titles[:-1])[: len(titles)]
        rows: Rows = self.rows[titles[first]]
        return rows

    def _words_with(self, query: bytes) -> NDArray[np.intp]:
        """Return which words begin with the query, which may go on over the words that follow."""
        first = query[0] << 8
        pair = slice(first, first + 256) if len(query) == 1 else slice(first | query[1], None)
        end = pair.stop or pair.start + 1
        places = np.arange(self.begins[pair.start], self.begins[end])
        at = self.words[places]
        for offset, byte in enumerate(query[2:], 2):
            kept = self.text[at + offset] == byte  # a line feed ends the text, and no query has one
            places, at = places[kept], at[kept]
        return places

    def _with_all_words(self, words: Sequence[bytes]) -> Mask:
        found = np.ones(len(self.rows), np.bool_)
        for word in words:
            one = np.zeros(len(self.rows), np.bool_)
            one[self.of_word[self._words_with(word)]] = True
            found &= one
        return found

    def _occurrences(self, query: bytes) -> NDArray[np.intp]:
        """Return where the query is in the text, found by its rarest pair of letters."""
        letters = np.frombuffer(query, np.uint8)
        if len(query) == 1:
            return np.flatnonzero(self.text == letters[0])
        often = np.bincount(self.text[::_SAMPLE], minlength=256)[letters].astype(np.float64)
        pair = int(np.argmin(often[:-1] * often[1:]))
        hits = (self.text[:-1] == letters[pair]) & (self.text[1:] == letters[pair + 1])
        at = np.flatnonzero(hits) - pair
        at = at[(at >= 0) & (at + len(query) <= len(self.text))]
        for offset, byte in enumerate(query):
            at = at[self.text[at + offset] == byte]
        return at


def _pairs(text: NDArray[np.uint8], words: NDArray[np.int32]) -> NDArray[np.uint16]:
    """Return the first two bytes of each word as a number; the second may be the space after it."""
    return text[words].astype(np.uint16) * np.uint16(256) + text[words + 1]


def titles_of(column: Column, rows: Rows | None = None) -> tuple[Rows, list[bytes]]:
    """Return the rows that have a title, of all or of these, ascending, and their titles in UTF-8."""
    for part in column.parts.values():
        if rows is None:
            there = part.slots.present
            found = part.slots.rows
            all_rows = np.arange(len(there), dtype=np.int32) if found is None else found
            rows = all_rows[there]
        stored = part.slots.at(rows)
        kept = stored >= 0
        if isinstance(part, Words):
            strings = list(part.table)
            return rows[kept], [strings[code].encode() for code in stored[kept].tolist()]
        if isinstance(part, Texts):
            return rows[kept], [*part.read(stored[kept])]
    return np.zeros(0, np.int32), []


def changed_rows(before: Column, after: Column, size: int) -> Rows | None:
    """Return the rows below `size` whose title differs, ascending; None if that is not known."""
    if before.serial == after.serial:
        return np.zeros(0, np.int32)
    if before.parts.keys() != after.parts.keys() or len(before.parts) > 1:
        return None
    for kind, part in after.parts.items():
        old = before.parts[kind]
        if not _same_storage(old, part):
            return None
        differ = old.slots.everywhere(size) != part.slots.everywhere(size)
        return np.flatnonzero(differ).astype(np.int32)
    return np.zeros(0, np.int32)


def _same_storage(old: object, new: object) -> bool:
    """Whether equal numbers in the slots of both parts are equal strings."""
    if isinstance(old, Words) and isinstance(new, Words):
        return old.table is new.table
    if isinstance(old, Texts) and isinstance(new, Texts):
        before, after = old.ragged.data, new.ragged.data
        return len(before) <= len(after) and np.array_equal(before, after[: len(before)])
    return False
