"""In JSON logs every line is JSON, and events are constant strings."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from likewise.service.watchdog import EXIT_CODE

ROOT = Path(__file__).parents[2]

EVERYBODY_SPEAKS = """
    import gc, logging, sys, threading, warnings
    from likewise.service.logs import configure_logging, get_logger
    from likewise.settings import LoggingSettings

    configure_logging(LoggingSettings(format="json"), service="server")
    configure_logging(LoggingSettings(format="json"), service="server")
    get_logger().info("ours", facts=[1])
    logging.getLogger("kafka.conn").error("two\\nlines of %s", b"\\xff")
    logging.getLogger("redis").error("%d", "no number")
    logging.getLogger("kafka.client").warning("retried, which is no news")
    warnings.warn("old", stacklevel=1)
    try:
        1 / 0
    except ZeroDivisionError:
        logging.getLogger("kafka").exception("in a library")

    thread = threading.Thread(target=lambda: [][1], name="lonely")
    thread.start()
    thread.join()

    class Dying:
        def __del__(self):
            raise KeyError("too late")

    Dying()
    gc.collect()
    raise RuntimeError("nobody caught it")
"""


def test_with_json_every_line_is_json_also_of_libraries_warnings_and_tracebacks() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", dedent(EVERYBODY_SPEAKS)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert {(line["service"], "timestamp" in line) for line in lines} == {("server", True)}
    ours, two_lines, no_number, old, caught, in_thread, unraisable, uncaught = lines
    assert (ours["event"], ours["level"], ours["facts"]) == ("ours", "info", [1])
    assert (two_lines["logger"], two_lines["level"]) == ("kafka.conn", "error")
    assert two_lines["event"] == "two\nlines of b'\\xff'"
    assert no_number["event"] == "%d ('no number',)"
    assert "UserWarning: old" in old["event"]
    assert "ZeroDivisionError" in caught["exception"]
    assert (in_thread["thread"], "IndexError" in in_thread["exception"]) == ("lonely", True)
    assert "too late" in unraisable["exception"]
    assert (uncaught["level"], "nobody caught it" in uncaught["exception"]) == ("critical", True)


def test_every_log_event_is_a_constant_string() -> None:
    levels = {"debug", "info", "warning", "error", "exception", "critical"}
    calls = [
        (f"{path.relative_to(ROOT)}:{node.lineno}", node.args[0])
        for package in ("likewise", "consumers", "indexer", "serving")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in levels
        and "log" in ast.unparse(node.func.value)
    ]
    assert len(calls) > 20
    composed = (ast.JoinedStr, ast.BinOp, ast.Call)
    assert [place for place, event in calls if isinstance(event, composed)] == []


LOGS_AFTER_THE_READER_DIED = """
    import logging, os, sys
    from likewise.service.logs import configure_logging, get_logger
    from likewise.service.watchdog import end_process
    from likewise.settings import LoggingSettings

    configure_logging(LoggingSettings(format=sys.argv[1]), service="server")
    sys.stdin.readline()
    get_logger().info("ours", facts=[1])
    logging.getLogger("kafka.conn").error("a library's")
    os.write(int(sys.argv[2]), b"logged")
    end_process("stuck", 1.0)
"""


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_log_whose_reader_has_died_ends_no_thread_and_no_rescue(log_format: str) -> None:
    said, say = os.pipe()
    reader, writer = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", dedent(LOGS_AFTER_THE_READER_DIED), log_format, str(say)],
        stdin=subprocess.PIPE,
        stdout=writer,
        stderr=writer,
        pass_fds=[say],
    ) as service:
        for end in (say, writer, reader):
            os.close(end)
        service.communicate(b"\n", timeout=60)
    assert os.read(said, 100) == b"logged"
    os.close(said)
    assert service.returncode == EXIT_CODE
