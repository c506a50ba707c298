"""With JSON every line is JSON, whoever has something to say."""

from __future__ import annotations

import json
import subprocess
import sys
from textwrap import dedent

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
