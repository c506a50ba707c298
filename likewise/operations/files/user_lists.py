"""Files that list users: one id a line. An id with a line break or a quote in front is a JSON string."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from likewise.errors import InvalidInputError
from likewise.messages.ids import UserId, parse_user_id
from likewise.operations.files.errors import LikeFileError
from likewise.operations.files.replacing import replacing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_BREAKS = frozenset("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029")


def read_user_list(path: Path) -> frozenset[UserId]:
    """Return the users in the file; blank lines, and lines that begin with `# `, are left out.

    Raises:
        LikeFileError: the file cannot be read, or a line is not an id.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise LikeFileError(f"{path} can't be read: {reason}") from error
    users: set[UserId] = set()
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text == "#" or text.startswith("# "):
            continue
        try:
            users.add(
                parse_user_id(msgspec.json.decode(text, type=str) if text[0] == '"' else text)
            )
        except (InvalidInputError, msgspec.MsgspecError) as error:
            raise LikeFileError(f"{path}, line {number} is not a user id: {error}") from error
    return frozenset(users)


def write_user_list(path: Path, users: Iterable[UserId], remarks: Iterable[str] = ()) -> None:
    """Write the users, in their order, below remarks; the file is complete or unchanged.

    Raises:
        LikeFileError: the file cannot be written.
    """
    lines = [*(f"# {remark}" for remark in remarks), *map(_line, users)]
    with replacing(path) as aside:
        aside.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _line(user_id: UserId) -> str:
    plain = user_id == user_id.strip() and not user_id.startswith(('"', "#"))
    if plain and _BREAKS.isdisjoint(user_id):
        return user_id
    # Escaped line breaks of Unicode are not in JSON's own form.
    written = msgspec.json.encode(user_id).decode()
    return "".join(f"\\u{ord(one):04x}" if one in _BREAKS else one for one in written)
