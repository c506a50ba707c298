"""Structured logs: coloured lines on a terminal, one JSON object per line elsewhere.

In JSON logs every line is JSON, including the logs of libraries, warnings and uncaught exceptions.
"""

from __future__ import annotations

import logging
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping, Sequence
    from types import TracebackType

    from likewise.settings import LoggingSettings

    Processor = Callable[[Any, str, MutableMapping[str, Any]], Any]


def configure_logging(settings: LoggingSettings, *, service: str) -> None:
    """Send all logs of this process to standard error, with the service's name in each line."""
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    console = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())

    def stamp(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Any:
        # Not a context variable: the threads of libraries would not have it.
        event.setdefault("service", service)
        return event

    renderer: Any = (
        structlog.dev.ConsoleRenderer(pad_event_to=0)
        if console
        else structlog.processors.JSONRenderer()
    )
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        stamp,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        renderer,
    ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _StandardError(),
        cache_logger_on_first_use=False,
    )
    # The client libraries retry by themselves and log that at length; keep only errors.
    _take_in_standard_logging(_Lines(processors, as_json=not console), max(level, logging.ERROR))
    if not console:
        sys.excepthook = _log_uncaught
        threading.excepthook = _log_uncaught_in_thread
        sys.unraisablehook = _log_unraisable


def get_logger() -> Any:
    """Return the logger. Events are constant strings; facts are keyword arguments."""
    return structlog.get_logger()


def log_fatal(error: Exception) -> bool:
    """Log the error that ends the service if the log is JSON; return whether it was logged."""
    if not any(isinstance(one, _Lines) and one.as_json for one in logging.getLogger().handlers):
        return False
    get_logger().error("service failed", reason=str(error))
    return True


class _Lines(logging.Handler):
    """Writes records of `logging` in the same form as our own events."""

    def __init__(self, processors: Sequence[Processor], *, as_json: bool) -> None:
        super().__init__()
        self.as_json = as_json
        self._processors = processors

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001  # `logging` would print a traceback over several lines
            message = f"{record.msg} {record.args}"
        event: Any = {"event": message, "logger": record.name}
        if record.exc_info:
            event["exc_info"] = record.exc_info
        for processor in self._processors:
            event = processor(None, record.levelname.lower(), event)
        _StandardError().msg(event)


class _StandardError:
    """A logger of structlog that writes lines to standard error and never raises OSError.

    A log that has gone (its reader died, the disk is full) must not end the thread that logs: the
    I/O thread of kafka-python would leave its callers waiting for ever.
    """

    def msg(self, line: str) -> None:
        # Looked up for every line: tests and daemons replace `sys.stderr`, or close it.
        with suppress(OSError, ValueError):
            structlog.WriteLogger(sys.stderr).msg(line)

    log = debug = info = warning = error = critical = fatal = exception = msg


def _take_in_standard_logging(lines: _Lines, level: int) -> None:
    root = logging.getLogger()
    for before in [one for one in root.handlers if isinstance(one, _Lines)]:
        root.removeHandler(before)
    root.addHandler(lines)
    root.setLevel(level)
    logging.captureWarnings(capture=True)
    logging.getLogger("py.warnings").setLevel(logging.WARNING)


def _log_uncaught(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    get_logger().critical("uncaught exception", exc_info=(kind, error, traceback))


def _log_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is None or issubclass(args.exc_type, SystemExit):
        return
    get_logger().critical(
        "uncaught exception in a thread",
        thread=args.thread.name if args.thread else None,
        exc_info=(args.exc_type, args.exc_value, args.exc_traceback),
    )


def _log_unraisable(args: Any) -> None:
    get_logger().error(
        args.err_msg or "exception ignored",
        where=repr(args.object),
        exc_info=(args.exc_type, args.exc_value, args.exc_traceback),
    )
