"""Decompression with a limit: a batch of 1 MB can expand to more than 1 GB of zeros."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import lz4.frame
import snappy
import zstandard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4

_GZIP_WBITS = 31
_CHUNK_BYTES = 1024 * 1024
_XERIAL_MAGIC = b"\x82SNAPPY\x00"
_XERIAL_HEADER_BYTES = 16


class TooLargeError(ValueError):
    """The decompressed data is larger than the limit."""


def decompress(codec: int, data: bytes, limit: int) -> bytes:
    """Return the decompressed data of a batch, at most `limit` bytes; `codec` is Kafka's number.

    Uses little more memory than the limit, whatever size the data claims.

    Raises:
        TooLargeError: the data is larger.
        ValueError: the codec is unknown, or the data is damaged or truncated.
    """
    decoder = _DECODERS.get(codec)
    if decoder is None:
        raise ValueError(f"compression codec {codec} is unknown")
    try:
        return decoder(data, limit)
    except ValueError:
        raise
    except Exception as error:  # each library raises its own errors
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _gzip(data: bytes, limit: int) -> bytes:
    def frames() -> Iterator[Any]:
        while True:
            yield zlib.decompressobj(_GZIP_WBITS)

    def more(frame: Any, some: bytes, most: int) -> bytes:
        return bytes(frame.decompress(some or frame.unconsumed_tail, most))

    return _framed(data, limit, frames(), more)


def _lz4(data: bytes, limit: int) -> bytes:
    def frames() -> Iterator[Any]:
        while True:
            yield lz4.frame.LZ4FrameDecompressor()

    def more(frame: Any, some: bytes, most: int) -> bytes:
        return bytes(frame.decompress(some, most))

    return _framed(data, limit, frames(), more)


def _framed(
    data: bytes, limit: int, frames: Iterator[Any], more: Callable[[Any, bytes, int], bytes]
) -> bytes:
    """Return the content of all frames, decompressed piece by piece."""
    pieces: list[bytes] = []
    size = 0
    while data:
        frame = next(frames)
        most, some = _piece_bytes(data), data
        while not frame.eof:
            piece = more(frame, some, most)
            some = b""
            size += len(piece)
            if size > limit:
                raise TooLargeError(f"more than {limit} bytes when decompressed")
            if not piece and not frame.eof:
                raise ValueError("the compressed data is truncated")
            pieces.append(piece)
        data = frame.unused_data or b""
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _piece_bytes(data: bytes) -> int:
    """Return how much to decompress at a time: for most batches, all of it."""
    return min(max(8 * len(data), 4096), _CHUNK_BYTES)


def _zstd(data: bytes, limit: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
        while piece := reader.read(_piece_bytes(data)):
            size += len(piece)
            if size > limit:
                raise TooLargeError(f"more than {limit} bytes when decompressed")
            pieces.append(piece)
    return b"".join(pieces)


def _snappy(data: bytes, limit: int) -> bytes:
    size = 0
    pieces: list[bytes] = []
    for block in _snappy_blocks(data):
        size += _snappy_size(block)
        if size > limit:
            raise TooLargeError(f"{size} bytes or more when decompressed")
        pieces.append(snappy.decompress(block))
    return b"".join(pieces)


def _snappy_blocks(data: bytes) -> Iterator[bytes]:
    """Yield the blocks of xerial's framing, which Java clients write, or the single block without it."""
    if not data.startswith(_XERIAL_MAGIC):
        yield data
        return
    at = _XERIAL_HEADER_BYTES
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        at += 4
        if at + size > len(data):
            raise ValueError("a snappy block is truncated")
        yield data[at : at + size]
        at += size


def _snappy_size(block: bytes) -> int:
    """Return the decompressed size that a block claims: a varint at its start."""
    size = shift = 0
    for byte in block[:5]:
        size |= (byte & 0x7F) << shift
        if byte < 0x80:
            return size
        shift += 7
    raise ValueError("a snappy block has no size")


_DECODERS: dict[int, Callable[[bytes, int], bytes]] = {
    GZIP: _gzip,
    SNAPPY: _snappy,
    LZ4: _lz4,
    ZSTD: _zstd,
}
