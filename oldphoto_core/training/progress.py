"""A run's progress: a Rich bar on a terminal, a log line now and then elsewhere."""

from __future__ import annotations

import logging
import sys
import time

_LOG = logging.getLogger(__name__)

LINE_EVERY_S = 30.0


class ProgressLine:
    """Shows share done, losses and images a second. On no terminal, logs a line every half minute."""

    def __init__(self, name: str, *, enabled: bool = True):
        self._name = name
        self._bar = None
        self._logged_at = 0.0
        self._started = time.monotonic()
        if enabled and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("[bold]{task.description}"),
                BarColumn(bar_width=24),
                TextColumn("{task.percentage:>3.0f}%"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[figures]}"),
                console=Console(stderr=True),
            )
            self._task = self._bar.add_task(name, total=1.0, figures="")

    def show(self, share: float, step: int, figures: dict[str, float]) -> None:
        """Shows the figures of the last steps."""
        shown = {k: v for k, v in figures.items() if k not in ("share", "seconds")}
        text = f"step {step}  " + "  ".join(f"{name} {value:.4g}" for name, value in shown.items())
        if self._bar:
            self._bar.update(self._task, completed=share, figures=text)
        elif time.monotonic() - self._logged_at > LINE_EVERY_S:
            self._logged_at = time.monotonic()
            _LOG.info("%s %3.0f%%  %s", self._name, 100 * share, text)

    def note(self, step: int, figures: dict[str, float]) -> None:
        """Prints held-out figures above the bar."""
        if self._bar:
            text = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
            self._bar.console.print(f"{self._name} step {step} held out: {text}", highlight=False)

    def __enter__(self) -> ProgressLine:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()
