"""Recognises unsupported file formats by their first bytes, to name them in the error."""

from __future__ import annotations

PARQUET = b"PAR1"

_FOREIGN = (
    (b"ARROW1", "an Arrow (Feather) file", "Parquet or CSV"),
    (b"ORC", "an ORC file", "Parquet or CSV"),
    (b"Obj\x01", "an Avro file", "JSON lines, Parquet or CSV"),
    (b"\x89HDF\r\n", "an HDF5 file", "Parquet or CSV"),
    (b"SQLite format 3\0", "a SQLite database", "CSV"),
    (b"\x93NUMPY", "a NumPy array", "Parquet or CSV"),
    (b"\x80\x02", "a pickle", "Parquet or CSV"),
    (b"\x80\x03", "a pickle", "Parquet or CSV"),
    (b"\x80\x04", "a pickle", "Parquet or CSV"),
    (b"\x80\x05", "a pickle", "Parquet or CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "CSV"),
    (b"%PDF", "a PDF document", "CSV"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "files unpacked"),
    (b"Rar!", "a RAR archive", "files unpacked"),
)


def foreign(start: bytes) -> str | None:
    """Return a sentence that names the unsupported format and what to use instead; None if supported."""
    for magic, what, instead in _FOREIGN:
        if start.startswith(magic):
            return f"it is {what}; {instead} is needed"
    if start[257:262] == b"ustar":
        return "it is a tar archive; unpack it and name the file or the directory"
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "it is an HTML or XML document; CSV, JSON lines or Parquet is needed"
    return None
