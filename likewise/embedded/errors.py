"""Errors of servers that do not start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.errors import LikewiseError

if TYPE_CHECKING:
    from collections.abc import Sequence


class EmbeddedServerError(LikewiseError):
    """An embedded server did not start; the message ends with the last lines it logged."""

    def __init__(
        self, server: str, reason: str, *, command: Sequence[str], log_tail: Sequence[str] = ()
    ) -> None:
        lines = [f"{server} did not start: {reason}", f"command: {' '.join(command)}"]
        if log_tail:
            lines += ["last log lines:", *(f"  {line}" for line in log_tail)]
        super().__init__("\n".join(lines))
        self.server = server
        self.reason = reason
        self.command = tuple(command)
        self.log_tail = tuple(log_tail)


class PortTakenError(EmbeddedServerError):
    """Another process listens on the server's port."""
