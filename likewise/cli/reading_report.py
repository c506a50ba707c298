"""What commands report about a file of likes: how it is read, and which rows are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.cli.output import complain

if TYPE_CHECKING:
    from likewise.operations.files.importing import RowCounts
    from likewise.operations.files.layout import Layout


class LayoutTeller:
    """Reports how a file is read: once for similar parts, with all warnings."""

    def __init__(self, *, always: bool = False) -> None:
        """Report nothing yet; `always` includes what is as expected."""
        self.layouts: dict[str, Layout] = {}
        self._said: set[str] = set()
        self._always = always

    @property
    def warnings(self) -> list[str]:
        """The warnings so far, each once."""
        return list(dict.fromkeys(text for one in self.layouts.values() for text in one.warnings))

    def __call__(self, name: str, layout: Layout) -> None:
        """Note how a part is read, and report it on standard error."""
        self.layouts[name] = layout
        sentences = [*layout.warnings, *layout.remarks]
        if self._always or not layout.usual:
            sentences.insert(0, f"read as {layout}")
        for sentence in sentences:
            if sentence not in self._said:
                self._said.add(sentence)
                complain(f"{name}: {sentence}")


def complain_of_rows(counts: RowCounts, *, with_time_format: bool = True) -> None:
    """Report the rows that were left out, skipped, or read without their time, and why."""
    if counts.bad:
        rows = "row" if counts.bad == 1 else "rows"
        complain(f"{counts.bad:,} bad {rows} of {counts.rows:,} left out:")
        for row in counts.first_bad:
            complain(f"  {row}")
        if counts.bad > len(counts.first_bad):
            complain(f"  and {counts.bad - len(counts.first_bad):,} more")
        if "unknown_kind" in counts.bad_by_code:
            complain(
                "  give the meaning of other kinds with --map KIND=ACTION, --only KIND or [signals]"
            )
    if counts.untimed:
        rows = "row" if counts.untimed == 1 else "rows"
        complain(f"{counts.untimed:,} {rows} read without the time, which could not be parsed:")
        complain(f"  {counts.first_untimed}")
        if with_time_format:
            complain("  give the format of the times with --timestamp-format")
    for reason, number in counts.skipped.items():
        complain(f"skipped {number:,}: {reason}")


def refusal(file: str, counts: RowCounts, warnings: list[str]) -> str | None:
    """Return why `--strict` refuses the file, if it does."""
    if counts.bad:
        first = counts.first_bad[0]
        return (
            f"{file}: {counts.bad} of {counts.rows} rows are bad, the first in {first}. Nothing was "
            "done; without --strict, bad rows are left out"
        )
    if counts.untimed:
        return f"{file}: {counts.untimed} times could not be parsed, the first in {counts.first_untimed}"
    if warnings:
        return f"{file}: {warnings[0]}"
    return None
