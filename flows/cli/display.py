"""What people see of a run: progress on stderr, where that is a terminal, and a table at its end."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table

from flows.progress import Progress
from flows.summary import RunSummary

_SHOWN = 20
"""Files told by name in the table; the report has them all."""


class TerminalProgress(Progress):
    """Rich bars on a terminal, one for each piece of work; plain lines for messages elsewhere."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> TerminalProgress:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def begin(self, label: str, total: int | None = None) -> None:
        """A new bar; the one before it is done, or was not needed."""
        if self._task is not None and self._bars.tasks[-1].total is None:
            self._bars.remove_task(self._task)
        self._task = self._bars.add_task(escape(label), total=total) if total != 0 else None

    def advance(self, count: int = 1) -> None:
        """Moves the bar."""
        if self._task is not None:
            self._bars.advance(self._task, count)

    def say(self, message: str) -> None:
        """One line above the bars."""
        self._console.print(escape(message))


def print_summary(summary: RunSummary) -> None:
    """The table that a run ends with, and the files that a person should know of."""
    console = Console(highlight=False)
    console.print(summary_table(summary))
    found, made = summary.ingest, summary.restore
    if found is not None:
        _list(console, "Quarantined", found.quarantined, "convert or replace them and run again")
        _list(console, "Could not be listed", found.unlisted, "make these folders readable and run again")
    if made is not None:
        _list(console, "Failed", made.failed, "they are tried again by the next run")
        if made.did_nothing:
            console.print("Nothing to do: every photo is restored already.")
    if summary.report_path is not None:
        console.print(f"Report: {escape(str(summary.report_path))}", soft_wrap=True)


def summary_table(summary: RunSummary) -> Table:
    """Counts by outcome."""
    table = Table(title=f"Run {summary.run_id}", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    found, made = summary.ingest, summary.restore
    if found is not None:
        table.add_row("registered", str(found.registered), _note(found.photos_new, "new photo", "new photos"))
    if made is not None:
        speed = f"{made.working_s / made.megapixels:.1f} s a megapixel" if made.megapixels else ""
        table.add_row("restored", str(made.restored), f"release {made.release}" + (f", {speed}" if speed else ""))
        table.add_row("unchanged", str(made.unchanged), "")
        table.add_row("already done", str(made.already_done), "")
    if found is not None:
        table.add_row("ignored", str(found.ignored), "by pattern")
        table.add_row("quarantined", str(len(found.quarantined)), _reasons(found.quarantined))
        if found.missing:
            table.add_row("missing", str(found.missing), "registered before, not there now")
        if found.unlisted:
            table.add_row("not listed", str(len(found.unlisted)), "folders that could not be read")
    if made is not None:
        table.add_row("failed", str(len(made.failed)), "")
    return table


def _note(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}" if count else ""


def _reasons(quarantined: tuple[tuple[str, str], ...]) -> str:
    counts: dict[str, int] = {}
    for _, reason in quarantined:
        counts[reason] = counts.get(reason, 0) + 1
    return ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))


def _list(console: Console, title: str, items: tuple[tuple[str, str], ...], advice: str) -> None:
    if not items:
        return
    console.print(f"{title} ({advice}):")
    for name, reason in items[:_SHOWN]:
        shown = name.encode("unicode_escape").decode() if not name.isprintable() else name
        console.print(f"  {escape(shown)}: {escape(reason)}", soft_wrap=True)
    if len(items) > _SHOWN:
        console.print(f"  and {len(items) - _SHOWN} more; the report has them all")
