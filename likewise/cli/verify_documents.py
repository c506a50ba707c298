"""The part of `verify` about items, scenarios and experiments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from likewise.cli.output import complain, plain, progress, stdout, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from likewise.cli.context import CommandLine
    from likewise.log.port import Broker
    from likewise.operations.document_verification import DocumentVerification, DocumentVerifier
    from likewise.store.port import LikeStore

_SHOWN = 10


class VerifiedDocuments(NamedTuple):
    """What was found about one topic, and how many documents were repaired, if that was asked for."""

    found: DocumentVerification
    repaired: int | None

    @property
    def fine(self) -> bool:
        """Whether nothing is wrong, or everything that was wrong is repaired."""
        found = self.found
        repaired_all = self.repaired is not None and not (found.beyond_log or found.unsettled)
        return found.equal or repaired_all


def verify_documents(
    cli: CommandLine,
    broker: Broker,
    store: LikeStore,
    repair: Callable[[DocumentVerifier], int] | None,
) -> dict[str, VerifiedDocuments]:
    """Return what was found about `items`, `scenarios` and `experiments`, as far as there are such topics."""
    from likewise.operations.document_verification import DocumentVerifier
    from likewise.operations.documents import Experiments, Items, Scenarios

    verified: dict[str, VerifiedDocuments] = {}
    for name, documents in (
        ("items", Items(cli.topics.items, store)),
        ("scenarios", Scenarios(cli.topics.scenarios, store)),
        ("experiments", Experiments(cli.topics.experiments, store)),
    ):
        if broker.partitions(documents.topic):
            verifier = DocumentVerifier(broker, store, documents)
            found = _run(verifier, name)
            repaired = None if repair is None else repair(verifier)
            verified[name] = VerifiedDocuments(found, repaired)
    return verified


def documents_as_json(verified: dict[str, VerifiedDocuments]) -> dict[str, Any]:
    """Return the part of the command's JSON output."""
    return {
        name: {
            "equal": found.equal,
            "records": found.records,
            "invalid_records": found.invalid,
            "unapplied_offsets": found.unapplied,
            "documents": found.documents,
            "missing": sorted(found.missing),
            "extra": sorted(found.extra),
            "outdated": sorted(found.outdated),
            "unproven": sorted(found.unproven),
            "unsettled": sorted(found.unsettled),
            "beyond_log": {str(one.partition): at for one, at in found.beyond_log.items()},
            "repaired": repaired,
        }
        for name, (found, repaired) in verified.items()
    }


def print_documents(verified: dict[str, VerifiedDocuments]) -> None:
    """Print what was found; nothing about a topic without records and documents."""
    for name, (found, repaired) in verified.items():
        if not (found.records or found.documents):
            continue
        stdout().print(
            f"{found.records:,} records of {name} replayed ({found.invalid:,} invalid), "
            f"{found.documents:,} {name} compared"
        )
        _print_limits(name, found)
        if found.wrong:
            _print_differences(name, found)
        if repaired:
            stdout().print(f"repaired {repaired:,} {name}")


def _run(verifier: DocumentVerifier, name: str) -> DocumentVerification:
    with progress() as bars:
        bar = bars.add_task(f"replaying the {name}", total=None)
        return verifier.run(lambda read, total: bars.update(bar, completed=read, total=total))


def _print_limits(name: str, found: DocumentVerification) -> None:
    for (topic, number), at in found.beyond_log.items():
        complain(
            f"{topic}/{number} ends before offset {at}, which Redis has applied: the topic was recreated"
        )
    if found.unproven:
        complain(f"{len(found.unproven):,} {name} can neither be proved nor disproved by the log")
    if found.unsettled:
        complain(f"{len(found.unsettled):,} {name} changed too often to be compared; run it again")


def _print_differences(name: str, found: DocumentVerification) -> None:
    rows = table(name, "in Redis")
    for wrong in found.wrong[:_SHOWN]:
        state = "missing" if wrong in found.missing else "outdated"
        rows.add_row(plain(wrong), "not in the log" if wrong in found.extra else state)
    stdout().print(f"[red]{len(found.wrong):,} {name} differ[/]; the first ones:")
    stdout().print(rows)
