"""Which items a model has, in 16 to 32 bytes an item and without a numerical library."""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec

from likewise.errors import ModelFileError
from likewise.messages.ids import ItemId
from likewise.models.layout import ITEM_IDS, VERSION
from likewise.models.regular_files import read_regular

if TYPE_CHECKING:
    from likewise.models.place import Place

_MOST_BYTES = 4 * 1024**3
_decoder = msgspec.json.Decoder(list[ItemId])


class KnownItems:
    """The items of one model: a hash table of the 64-bit hashes of their ids, with open addressing.

    An item that is in the model is always known. Another one is with a probability of 2^-64 for each
    item of the model. A set of the ids takes 100 bytes an item.
    """

    def __init__(self, item_ids: list[ItemId]) -> None:
        size = 1 << (2 * len(item_ids)).bit_length()
        self._mask = mask = size - 1
        self._hashes = hashes = array("q", bytes(8 * size))
        # Hashes of this process: they cost nothing, because Python keeps them with each string.
        for hashed in map(hash, item_ids):
            place = hashed & mask
            while hashes[place]:
                place = (place + 1) & mask
            hashes[place] = hashed or 1

    @classmethod
    def read(cls, place: Place, version: str) -> Self:
        """Return the items of a version. Its checksum is not verified.

        Raises:
            ModelFileError: the version is not there, or its list of items cannot be read.
            ModelStoreError: the model store cannot be used.
        """
        if not VERSION.fullmatch(version):  # it becomes a path
            raise ModelFileError(f"{version[:64]!r} is not a model version")
        try:
            if isinstance(place, Path):
                raw = read_regular(place / version / ITEM_IDS, at_most=_MOST_BYTES)
            else:
                raw = place.read(version, ITEM_IDS, at_most=_MOST_BYTES)
            return cls(_decoder.decode(raw))
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ModelFileError(f"the items of model {version} cannot be read: {error}") from error

    def __contains__(self, item_id: ItemId) -> bool:
        hashed = hash(item_id) or 1
        place = hashed & self._mask
        while found := self._hashes[place]:
            if found == hashed:
                return True
            place = (place + 1) & self._mask
        return False
