"""Curves of a run: a row every so many steps, kept as Parquet to compute with and as PNG to look at."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from oldphoto_core.training.checkpoint import write_atomically

PARQUET, PICTURE = "curves.parquet", "curves.png"
DRAWN_EVERY_S = 60.0
"""Drawing takes a second or two, which a short run has many times over where it is done at each checkpoint."""


class Curves:
    """Rows of figures by step. Training figures and held-out ones (`held_out/...`) share the rows."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self._drawn_at = time.monotonic()

    @classmethod
    def load(cls, folder: Path, *, until_step: int) -> Curves:
        """Reads the rows of a run up to the step it resumes from; later ones will be made again."""
        import pyarrow.parquet as pq

        curves = cls()
        path = folder / PARQUET
        if path.is_file():
            rows = pq.read_table(path).to_pylist()
            curves.rows = [{k: v for k, v in row.items() if v is not None} for row in rows if row["step"] <= until_step]
        return curves

    def add(self, step: int, figures: dict[str, float]) -> None:
        """Adds figures to the step's row."""
        if not self.rows or self.rows[-1]["step"] != step:
            self.rows.append({"step": step})
        self.rows[-1].update({name: float(value) for name, value in figures.items()})

    def save(self, folder: Path, *, ended: bool = True) -> None:
        """Writes `curves.parquet` into the folder, and `curves.png`, which is drawn now and then until the run ends."""
        if not self.rows:
            return
        import pyarrow as pa
        import pyarrow.parquet as pq

        names = list(dict.fromkeys(name for row in self.rows for name in row))
        columns = {name: [row.get(name) for row in self.rows] for name in names}
        columns["step"] = [int(step) for step in columns["step"]]  # type: ignore[arg-type]
        table = pa.table(columns)
        write_atomically(folder / PARQUET, lambda temporary: pq.write_table(table, temporary))
        if ended or time.monotonic() - self._drawn_at > DRAWN_EVERY_S:
            write_atomically(folder / PICTURE, lambda temporary: self._draw(temporary))
            self._drawn_at = time.monotonic()

    def _draw(self, path: str) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import LogLocator, NullFormatter

        names = [n for n in dict.fromkeys(n for row in self.rows for n in row) if n not in ("step", "share", "seconds")]
        columns = min(3, len(names)) or 1
        lines = -(-len(names) // columns) or 1
        figure = Figure(figsize=(4.2 * columns, 2.4 * lines))
        FigureCanvasAgg(figure)
        # Places by hand: a layout that measures all its labels takes longer than the drawing, at every checkpoint.
        for index, name in enumerate(names):
            points = [(row["step"], row[name]) for row in self.rows if row.get(name) is not None]
            steps, values = np.array(points, dtype=float).T
            left, bottom = (index % columns + 0.15) / columns, (lines - 1 - index // columns + 0.15) / lines
            axes = figure.add_axes((left, bottom, 0.81 / columns, 0.71 / lines))
            held_out = name.startswith("held_out/")
            axes.plot(steps, values, lw=1.2, marker="." if held_out else None, color="C1" if held_out else "C0")
            axes.set_title(name, fontsize=9)
            if not held_out and name != "rate" and (values > 0).all():
                axes.set_yscale("log")
                if values.max() < 10 * values.min():  # hardly a decade: no power of ten to name
                    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7)))
                    axes.yaxis.set_major_formatter("{x:.3g}")
                axes.yaxis.set_minor_formatter(NullFormatter())
            axes.tick_params(labelsize=7)
        figure.savefig(path, format="png", dpi=80)
