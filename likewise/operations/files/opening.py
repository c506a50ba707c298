"""From a path to unpacked bytes: one file or many, compressed or not, one block in memory at a time."""

from __future__ import annotations

import bz2
import fnmatch
import gzip
import io
import lzma
import stat
import sys
import tempfile
import zipfile
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, NamedTuple, cast
from urllib.parse import unquote

import pyarrow as pa

from likewise.operations.files.errors import LikeFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STANDARD_INPUT = "-"
_BLOCK = 1 << 18
_XZ_MEMORY = 256 << 20
"""Memory for unpacking xz. Files of `xz -9` need 65 MB; only a malicious file asks for more."""
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_ENDINGS = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}
_ZIP = b"PK\x03\x04"


class FilePart(NamedTuple):
    """One file, or one of a directory or archive, open for reading."""

    name: str
    stream: Peekable
    """Unpacked."""
    constants: dict[str, str | None]
    """Columns given by directory names: `kind=like/part-0.csv`."""
    share_read: Callable[[], float]
    """The share of all parts read so far, 0 to 1; 0 if the size is unknown."""


class Peekable(io.RawIOBase):
    """A stream whose first bytes can be inspected before they are read; it need not be seekable."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._held = b""
        self.bytes_read = 0

    def peek(self, length: int) -> bytes:
        """Return the next bytes without consuming them; fewer only at the end."""
        while len(self._held) < length:
            block = self._raw.read(length - len(self._held))
            if not block:
                break
            self._held += block
        return self._held[:length]

    def readable(self) -> bool:
        """Return true: the stream is readable."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # narrower: what `io` hands over
        """Fill the buffer with the next bytes; return how many."""
        block = self._held[: len(buffer)] or self._raw.read(len(buffer))
        self._held = self._held[len(block) :]
        buffer[: len(block)] = block
        self.bytes_read += len(block)
        return len(block)

    def spooled(self) -> IO[bytes]:
        """Return everything as a seekable file: the file itself, or a copy on disk."""
        if isinstance(self._raw, io.BufferedReader | io.FileIO) and self._raw.seekable():
            self._raw.seek(0)
            return self._raw
        copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        while block := self.read(_BLOCK):
            copy.write(block)
        copy.seek(0)
        return copy


def open_parts(source: str, member: str | None = None) -> Iterator[FilePart]:
    """Yield the parts to read: one file, or those of a directory or ZIP archive in order of name.

    `-` is standard input. In directories and archives, files whose names begin with `_` or `.` are
    skipped, such as Spark's. A part is closed when the next one is requested.

    Raises:
        LikeFileError: there is nothing to read, or a file's format does not match its name.
        OSError, EOFError, lzma.LZMAError, zipfile.BadZipFile: from opening and unpacking.
    """
    if source == STANDARD_INPUT:
        yield from _parts_of_stream(source, sys.stdin.buffer, None, member)
        return
    path = Path(source)
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        yield from _parts_of_directory(path, member)
    else:
        with path.open("rb") as file:
            size = path.stat().st_size if stat.S_ISREG(mode) else None
            yield from _parts_of_stream(source, file, size, member)


def _parts_of_directory(path: Path, member: str | None) -> Iterator[FilePart]:
    files = [
        (file, file.relative_to(path))
        for file in sorted(path.rglob("*"))
        if file.is_file() and _wanted(str(file.relative_to(path)), member)
    ]
    filled = [(file, relative, size) for file, relative in files if (size := file.stat().st_size)]
    if not filled:
        raise LikeFileError(f"{path} has no file to read")
    total, before = sum(size for *_, size in filled), 0
    for file, relative, size in filled:
        with file.open("rb") as raw:
            for part in _parts_of_stream(str(relative), raw, size, None):
                share = _share(raw, total, before)
                yield part._replace(constants=_constants(relative), share_read=share)
        before += size


def _parts_of_stream(
    name: str, raw: IO[bytes], size: int | None, member: str | None
) -> Iterator[FilePart]:
    packed = Peekable(raw)
    start = packed.peek(6)
    share = _share(raw, size or 0)
    if start.startswith(_ZIP):
        with packed.spooled() as file, zipfile.ZipFile(file) as archive:
            yield from _parts_of_archive(name, archive, member, share)
        return
    kind = next((kind for magic, kind in _PACKED.items() if start.startswith(magic)), None)
    promised = _ENDINGS.get(Path(name).suffix.lower())
    if promised is not None and kind is None and start:
        raise LikeFileError(f"{name} can't be read: it is not compressed with {promised}")
    with ExitStack() as opened:
        stream = packed
        if kind is not None:
            stream = opened.enter_context(Peekable(opened.enter_context(_unpacked(kind, packed))))
        yield FilePart(name, stream, {}, share)


def _parts_of_archive(
    name: str, archive: zipfile.ZipFile, member: str | None, share: Callable[[], float]
) -> Iterator[FilePart]:
    everything = [info.filename for info in archive.infolist() if not info.is_dir()]
    if "[Content_Types].xml" in everything:
        raise LikeFileError(f"{name} can't be read: it is an office document. Save it as CSV")
    names = sorted(one for one in everything if _wanted(one, member))
    if len(names) != 1 and (not names or member is None):
        listed = ", ".join(everything[:20]) or "nothing"
        raise LikeFileError(
            f"{name} is an archive of {listed}. Choose what to read with --member NAME or 'PATTERN*'"
        )
    for one in names:
        try:
            file = archive.open(one)
        except (RuntimeError, NotImplementedError) as error:
            raise LikeFileError(f"{one} in {name} can't be read: {error}") from error
        with file, Peekable(file) as stream:
            for part in _parts_of_stream(one, cast("IO[bytes]", stream), None, None):
                yield part._replace(share_read=share)


def _wanted(name: str, member: str | None) -> bool:
    path = PurePosixPath(name)
    if member is not None:
        return name == member or fnmatch.fnmatch(name, member) or path.name == member
    # `_SUCCESS`, `.part-0.crc`, `__MACOSX/…`; but `_key=value` names a column.
    return not any(step[0] in "_." and "=" not in step for step in path.parts)


def _constants(relative: Path) -> dict[str, str | None]:
    pairs = [step.split("=", 1) for step in relative.parts[:-1] if "=" in step]
    return {
        key: None if value == "__HIVE_DEFAULT_PARTITION__" else unquote(value)
        for key, value in pairs
    }


def _share(raw: IO[bytes], total: int, before: int = 0) -> Callable[[], float]:
    def share() -> float:
        at = total - before if raw.closed else raw.tell()
        return min((before + at) / total, 1.0)

    return share if total else lambda: 0.0


@contextmanager
def _unpacked(kind: str, packed: Peekable) -> Iterator[IO[bytes]]:
    """Yield the unpacked bytes, one block at a time."""
    match kind:
        case "gzip":
            with gzip.GzipFile(fileobj=packed) as file:
                yield cast("IO[bytes]", file)
        case "bzip2":
            with bz2.BZ2File(packed) as file:
                yield file
        case "xz":
            yield cast("IO[bytes]", _Xz(packed))
        case _:
            with pa.CompressedInputStream(pa.PythonFile(packed, "r"), "zstd") as file:
                yield file


class _Xz(io.RawIOBase):
    """Unpacks xz within `_XZ_MEMORY`; `lzma.LZMAFile` has no such limit."""

    def __init__(self, packed: Peekable) -> None:
        self._packed = packed
        self._unpacker: lzma.LZMADecompressor | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # narrower: what `io` hands over
        while True:
            if self._unpacker is None or self._unpacker.eof:
                rest = self._unpacker.unused_data.lstrip(b"\0") if self._unpacker else b""
                block = rest or self._packed.read(_BLOCK)
                if not block:
                    return 0
                self._unpacker = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
            elif self._unpacker.needs_input:
                block = self._packed.read(_BLOCK)
                if not block:
                    raise EOFError("the compressed data ends too early")
            else:
                block = b""
            unpacked = self._unpacker.decompress(block, len(buffer))
            if unpacked:
                buffer[: len(unpacked)] = unpacked
                return len(unpacked)
