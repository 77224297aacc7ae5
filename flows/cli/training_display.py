"""What people see of a training: a bar with the share done, the time that the training reckons with, and figures."""

from __future__ import annotations

from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.text import Text

from flows.artifacts import time_left
from flows.cli.display import TerminalProgress


class TrainingBars(TerminalProgress):
    """Shares in place of counts."""

    def _make_bars(self) -> Bars:
        return Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            _Done(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}", style="progress.remaining"),
            TextColumn("{task.fields[figures]}", style="dim"),
            console=self._console,
            disable=not self._console.is_terminal,
        )

    def reach(self, share: float, seconds_left: float | None, figures: str = "") -> None:
        """Moves the bar to this share."""
        if self._task is not None and (total := self._bars.tasks[-1].total):
            left = f"{time_left(seconds_left)} left" if seconds_left is not None and share < 1 else ""
            self._bars.update(self._task, completed=share * total, left=left, figures=figures)


class _Done(ProgressColumn):
    """How much of it is done; nothing where there is no end to tell it by."""

    def render(self, task: Task) -> Text:
        """Percent."""
        return Text(f"{task.percentage:>3.0f}%" if task.total else "", style="progress.percentage")
