"""What people see of a run: progress on stderr, where that is a terminal, and a table at its end."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from flows.progress import Progress
from flows.summary import IngestSummary, RunSummary

if TYPE_CHECKING:
    from flows.dry_run import DryRun

_SHOWN = 20
"""Files told by name in the table; the report has them all."""


class _Rate(ProgressColumn):
    """Things a second, or a minute where they are slow."""

    def render(self, task: Task) -> Text:
        """Nothing until the first is done."""
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("")
        return Text(f"{speed:,.1f}/s" if speed >= 1 else f"{60 * speed:,.1f}/min", style="progress.data.speed")


class TerminalProgress(Progress):
    """Rich bars on a terminal, one for each piece of work; plain lines for messages elsewhere."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._bars = self._make_bars()
        self._task: TaskID | None = None

    def _make_bars(self) -> Bars:
        return Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )

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
        self._task = self._add(escape(label), total) if total != 0 else None

    def _add(self, label: str, total: int | None) -> TaskID:
        return self._bars.add_task(label, total=total, left="", figures="")

    def expect(self, count: int) -> None:
        """Lets the bar end so much later."""
        if self._task is not None:
            self._bars.update(self._task, total=(self._bars.tasks[-1].total or 0) + count)

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
        _list(console, "Quarantined", found.quarantined, "convert or replace them and run again", found.set_aside)
        _list(console, "Could not be listed", found.unlisted, "make these folders readable and run again")
        if found.sidecars is not None:
            problems = tuple(found.sidecars.problems)
            _list(console, "Sidecars", problems, "photos are not affected", found.sidecars.problem_count)
    if made is not None:
        _list(console, "Needs review", made.needs_review, "`oldphoto review accept` or `reject`")
        _list(console, "Failed", made.failed, "they are tried again by the next run")
        _list(console, "Set aside", made.set_aside, "`oldphoto restore --retry` tries them again")
        if made.did_nothing:
            console.print("Nothing to do: every photo is restored already.")
    if found is not None and found.note:
        console.print(f"Note: {escape(found.note)}", soft_wrap=True)
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
        table.add_row("registered", f"{found.registered:,}", _registered(found))
    if made is not None:
        speed = f"{made.working_s / made.megapixels:.1f} s a megapixel" if made.megapixels else ""
        table.add_row("restored", f"{made.restored:,}", f"release {made.release}" + (f", {speed}" if speed else ""))
        if made.needs_review:
            table.add_row("needs review", f"{len(made.needs_review):,}", "not published until accepted")
        table.add_row("unchanged", f"{made.unchanged:,}", "")
        table.add_row("already done", f"{made.already_done:,}", "")
    if found is not None:
        table.add_row("ignored", f"{found.ignored:,}", "by pattern")
        table.add_row("quarantined", f"{found.set_aside:,}", _reasons(found.reasons))
        if found.missing:
            gone = f", {found.gone:,} of them since the last look" if found.gone else ""
            table.add_row("missing", f"{found.missing:,}", f"on record, not there now{gone}")
        if found.sidecars is not None and (line := found.sidecars.line()):
            table.add_row("sidecars", f"{found.sidecars.read:,}", line)
        if found.near_duplicates:
            table.add_row("look alike", f"{found.near_duplicates:,}", "new pairs, linked; each is restored on its own")
        if found.unlisted:
            table.add_row("not listed", f"{len(found.unlisted):,}", "folders that could not be read")
        if found.left:
            table.add_row("not read yet", f"{found.left:,}", "left by --limit for the next run")
    if made is not None:
        table.add_row("failed", f"{len(made.failed):,}", "")
        if made.set_aside:
            table.add_row("set aside", f"{len(made.set_aside):,}", "failed too often before; not tried again")
        if made.left:
            table.add_row("not restored yet", f"{made.left:,}", "left by --limit for the next run")
        if made.not_stale:
            table.add_row("not stale", f"{made.not_stale:,}", "not restored yet; `oldphoto restore` takes them")
    return table


def print_dry_run(found: DryRun) -> None:
    """The table of what would be done."""
    console = Console(highlight=False)
    table = Table(title="Dry run: nothing was written", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    table.add_row("new", f"{found.new:,}", "to be read and registered")
    table.add_row("changed", f"{found.changed:,}", "to be read again")
    table.add_row("reappeared", f"{found.reappeared:,}", "missing before, there now")
    table.add_row("unchanged", f"{found.unchanged:,}", "not read")
    table.add_row("ignored", f"{found.ignored:,}", "by pattern")
    table.add_row("gone", f"{found.gone:,}", "on record, not there now")
    if found.unlisted:
        table.add_row("not listed", f"{found.unlisted:,}", "folders that could not be read")
    if found.to_restore is not None:
        table.add_row("to restore", f"{found.to_restore:,}", "photos at most: copies are restored once")
    console.print(table)
    if found.note:
        console.print(f"Note: {escape(found.note)}", soft_wrap=True)


def _registered(found: IngestSummary) -> str:
    """What was new about the objects: "3 new photos, 1 changed, 2 moved"."""
    new = f"{found.photos_new:,} new photo{'' if found.photos_new == 1 else 's'}" if found.photos_new else ""
    others = {"changed": found.changed, "moved": found.moved, "came back": found.reappeared}
    return ", ".join(part for part in (new, *(f"{count:,} {what}" for what, count in others.items() if count)) if part)


def _reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in sorted(counts.items()))


def _list(
    console: Console, title: str, items: tuple[tuple[str, str], ...], advice: str, count: int | None = None
) -> None:
    if not items:
        return
    console.print(f"{title} ({advice}):")
    for name, reason in items[:_SHOWN]:
        shown = name.encode("unicode_escape").decode() if not name.isprintable() else name
        console.print(f"  {escape(shown)}: {escape(reason)}", soft_wrap=True)
    count = len(items) if count is None else count
    if count > _SHOWN:
        console.print(f"  and {count - _SHOWN:,} more; the report has them all")
