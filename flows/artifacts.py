"""What Prefect's page shows of a run: a progress bar, a table, pictures before and after, and where the rest is.

They are for looking at: the catalogue holds the truth. So an artifact that cannot be written is told in the log and
never ends a run, and the progress bar is moved by a thread of its own, which a slow Prefect server cannot hold up.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any
from uuid import UUID

from flows.progress import Progress
from flows.run_pictures import before_and_after
from flows.run_records import OpenRun, flow_run_id
from flows.settings import Settings
from flows.summary import RunSummary

log = logging.getLogger(__name__)

PICTURES = 3
_EVERY_S = 5.0
_LAST_S = 10.0


@contextmanager
def progress_artifact(key: str, total: int) -> Iterator[Progress]:
    """A listener that moves a progress bar on Prefect's page; outside a flow run one that does nothing."""
    with moving(Bar(key, total)) as bar:
        yield bar


@contextmanager
def moving(bar: Bar) -> Iterator[Progress]:
    """The bar, moved by a thread of its own until the end; outside a flow run a listener that does nothing."""
    if flow_run_id() is None or not bar.total:
        yield Progress()
        return
    import prefect.artifacts  # noqa: F401  (by this thread: two that import at once can lock each other out)

    context = copy_context()  # Prefect finds the flow run in it
    thread = threading.Thread(target=context.run, args=(bar.keep_moving,), name="oldphoto-progress", daemon=True)
    thread.start()
    try:
        yield bar
    finally:
        bar.ending.set()
        thread.join(timeout=_LAST_S)


class Bar(Progress):
    """Counts, and lets a thread tell Prefect from time to time."""

    def __init__(self, key: str, total: int) -> None:
        self.ending = threading.Event()
        self.total = total
        self.done = 0.0
        self._key = key
        self._began = time.monotonic()

    def expect(self, count: int) -> None:
        """More to be done."""
        self.total += count

    def advance(self, count: int = 1) -> None:
        """So many are done."""
        self.done += count

    def words(self) -> str:
        """What stands beside the bar."""
        return progress_words(int(self.done), self.total, time.monotonic() - self._began)

    def keep_moving(self) -> None:
        """Makes the bar and moves it until the end."""
        from prefect.artifacts import create_progress_artifact, update_progress_artifact

        id_: UUID | None = None
        told = -1.0
        while True:
            last = self.ending.wait(_EVERY_S if id_ is not None else 0)
            if self.done != told or id_ is None:
                told = self.done
                percent = min(100.0, 100.0 * self.done / self.total)
                try:
                    if id_ is None:
                        made = create_progress_artifact(percent, key=self._key, description=self.words())
                        id_ = made if isinstance(made, UUID) else None
                    else:
                        update_progress_artifact(id_, percent, description=self.words())
                except Exception as error:
                    log.warning("the progress bar on Prefect's page was not moved: %s", error)
            if last:
                return


def progress_words(done: int, total: int, seconds: float) -> str:
    """How far, how fast, and how long still: `120 of 1,000 photos, 2.0 a second, 7 min left`."""
    words = f"{done:,} of {total:,} photos"
    if not done or not seconds:
        return words
    rate = done / seconds
    speed = f"{rate:,.1f} a second" if rate >= 1 else f"{60 * rate:,.1f} a minute"
    if done >= total:
        return f"{words}, {speed}"
    left_s = (total - done) / rate
    return f"{words}, {speed}, {time_left(left_s)} left"


def time_left(seconds: float) -> str:
    """`45 s`, `7 min`, `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def show_run(run: OpenRun, settings: Settings, summary: RunSummary) -> None:
    """Leaves the run's table, words and pictures on Prefect's page; outside a flow run nothing."""
    if flow_run_id() is None or summary.restore is None:
        return
    from prefect.artifacts import create_image_artifact, create_markdown_artifact, create_table_artifact

    try:
        create_table_artifact(table_of(summary), key="restore-outcomes", description="What became of the photos.")
        create_markdown_artifact(words_of(settings, summary), key="restore-run", description="Where to look further.")
        for number, picture in enumerate(before_and_after(run.catalogue, settings, run.run_id, limit=PICTURES), 1):
            create_image_artifact(
                picture.data_url, key=f"restore-before-after-{number}", description=f"{picture.source_key}: "
                "the master on the left, restored on the right.",
            )  # fmt: skip
    except Exception as error:
        log.warning("the run is on record, but not on Prefect's page: %s", error)


def table_of(summary: RunSummary) -> list[dict[str, Any]]:
    """A row an outcome."""
    made = summary.restore
    assert made is not None
    rows = [
        ("restored", made.restored, f"by release {made.release}"),
        ("needs review", len(made.needs_review), "of the restored; not published until somebody accepts them"),
        ("unchanged", made.unchanged, "nothing was found to mend"),
        ("already done", made.already_done, "in runs before this one"),
        ("failed", len(made.failed), "tried again by the next run"),
        ("set aside", len(made.set_aside), "failed too often; not tried again"),
        ("left", made.left, "by the limit of this run"),
    ]
    return [{"outcome": name, "photos": count, "note": note} for name, count, note in rows]


def words_of(settings: Settings, summary: RunSummary) -> str:
    """Markdown: the failures by name, and where results and questions go."""
    made = summary.restore
    assert made is not None
    lines = [f"# Run {summary.run_id}", ""]
    if made.megapixels:
        lines += [f"{made.megapixels:,.1f} megapixels at {made.working_s / made.megapixels:.2f} s each.", ""]
    kinds = (("Failed", made.failed), ("Set aside", made.set_aside), ("Needs review", made.needs_review))
    for title, items in kinds:
        if items:
            lines += [f"## {title}", "", "| Photo | Why |", "|---|---|"]
            lines += [f"| {_cell(key)} | {_cell(error)} |" for key, error in items[:50]]
            lines += [f"| … | {len(items) - 50:,} more are in the catalogue |"] if len(items) > 50 else []
            lines.append("")
    lines += [
        "## Where to look", "",
        f"- Derivatives: `{settings.derivatives_url}`",
        f"- Reports: `{settings.layout.reports}`, drawn by `oldphoto report`",
        f"- In SQL: `SELECT * FROM restoration_history WHERE run_id = '{summary.run_id}'`",
    ]  # fmt: skip
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
