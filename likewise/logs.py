"""Structured logs: coloured lines on a terminal, one JSON object a line elsewhere."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from likewise.settings import LoggingSettings


def configure_logging(settings: LoggingSettings, *, service: str) -> None:
    """Send all logs of this process to standard error, stamped with the service's name."""
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    console = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    renderer: Any = (
        structlog.dev.ConsoleRenderer(pad_event_to=0)
        if console
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # Looked up anew for every line: what is standard error now may be closed by then.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(service=service)
    # The client libraries retry on their own and say so at length; only real trouble is kept.
    logging.basicConfig(level=max(level, logging.ERROR), stream=sys.stderr)


def get_logger() -> Any:
    """Return the logger; events are short sentences, facts are keyword arguments."""
    return structlog.get_logger()
