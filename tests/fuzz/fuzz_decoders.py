"""Coverage-guided fuzzing of every decoder that reads a stranger's bytes.

    python tests/fuzz/fuzz_decoders.py -max_total_time=30

It begins with the messages in `corpus/`, which it leaves as they are. libFuzzer's options are all
there (`-runs`, `-seed`). Any exception but the
one that a decoder's callers expect is a crash: it is printed with the input, which is kept in a file
`crash-…`, and the exit code is not 0. See docs/reliability.md.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["likewise"]):
    from likewise.errors import InvalidInputError, ModelFileError, ReplyError
    from likewise.messages.announcements import decode_announcement
    from likewise.messages.dead_letters import decode_dead_letter
    from likewise.messages.event_decoding import decode_event
    from likewise.messages.experiments import (
        Experiment,
        decode_experiment,
        decode_stored_experiment,
        encode_experiment,
    )
    from likewise.messages.items import (
        CatalogueItem,
        decode_item,
        decode_stored_item,
        encode_item,
    )
    from likewise.messages.positions import Position
    from likewise.messages.replies import decode_reply
    from likewise.messages.reply_routes import reply_route
    from likewise.messages.request_decoding import decode_request, read_request
    from likewise.messages.requests import encode_request
    from likewise.messages.scenarios import (
        Scenario,
        decode_scenario,
        decode_stored_scenario,
        encode_scenario,
    )
    from likewise.testing.memory_log import MemoryRecord

HEADERS = [
    *[f"likewise_source_{name}" for name in ("topic", "partition", "offset", "timestamp")],
    *["likewise_reason", "likewise_detail", "likewise_truncated", "ce_specversion", "ce_type"],
    *["kafka_correlationId", "kafka_replyTopic", "kafka_replyPartition", "__TypeId__"],
]


def fuzz_one(raw: bytes) -> None:
    """Hand the bytes to every decoder."""
    record = _record(raw)
    with suppress(InvalidInputError):
        decode_event(record)
    with suppress(InvalidInputError):
        decode_dead_letter(record)
    with suppress(InvalidInputError):
        request = read_request(record)
        assert decode_request(encode_request(request)) == request
    with suppress(InvalidInputError):
        item = decode_item(record)
        if isinstance(item, CatalogueItem):
            assert decode_stored_item(encode_item(item)) == item
    with suppress(InvalidInputError):
        scenario = decode_scenario(record)
        if isinstance(scenario, Scenario):
            assert decode_stored_scenario(encode_scenario(scenario)) == scenario
    with suppress(InvalidInputError):
        experiment = decode_experiment(record)
        if isinstance(experiment, Experiment):
            assert decode_stored_experiment(encode_experiment(experiment)) == experiment
    with suppress(InvalidInputError):
        Position.parse(raw.decode(errors="replace"))
    with suppress(ModelFileError):
        decode_announcement(raw)
    with suppress(ReplyError):
        decode_reply(raw)
    reply_route(record)  # which never raises


def _record(raw: bytes) -> MemoryRecord:
    """Return a record whose value are the bytes, and whose key and headers are cut from them."""
    source = atheris.FuzzedDataProvider(raw)
    headers = tuple(
        (HEADERS[source.ConsumeIntInRange(0, len(HEADERS) - 1)], source.ConsumeBytes(12))
        for _ in range(source.ConsumeIntInRange(0, 6))
    )
    key = source.ConsumeBytes(8) if source.ConsumeBool() else None
    return MemoryRecord("likes", 0, 0, 0, key, raw, headers)


def main() -> None:
    """Fuzz until libFuzzer's limit is reached or a decoder fails."""
    with tempfile.TemporaryDirectory() as found:
        atheris.Setup([*sys.argv, found, str(Path(__file__).with_name("corpus"))], fuzz_one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
