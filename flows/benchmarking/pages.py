"""How rows of a benchmark are shown: a Markdown table, and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

_COLUMNS = (
    "What", "Preset", "Photo, MP", "Batch", "Format", "Precision", "First, s", "Again, s", "MP/s", "Peak, MB", "GPU, MB"
)  # fmt: skip


def table(rows: Sequence[dict[str, Any]], machine: dict[str, Any]) -> str:
    """Gives the rows as a Markdown table under a line about the machine, with the presets' ratio after it."""
    load = ", ".join(str(load) for load in machine["load_before"])
    about = (
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, Python {machine['python']}, "
        f"{machine['date']}; load before: {load}"
    )
    lines = [about, "", f"| {' | '.join(_COLUMNS)} |", "|---|---|" + "--:|" * 2 + "---|---|" + "--:|" * 5]
    for row in rows:
        cells = [
            row["what"], row["preset"], f"{row['megapixels']:.3g}", row["batch"], row["format"], row["precision"],
            row["cold_s"], row["warm_s"], f"{row['megapixels_per_s']:.3g}", f"{row['peak_mb']:,.0f}",
            row["gpu_peak_mb"],
        ]  # fmt: skip
        lines.append(f"| {' | '.join('' if cell is None else _text(cell) for cell in cells)} |")
    for row in rows:
        if row.get("times_paper") and row["preset"] == "archive":
            size, times = f"{row['width']} x {row['height']} pixels", row["times_paper"]
            lines += ["", f"At {size}, archive is {times:.1f} times as fast as paper with plain attention."]
    return "\n".join(lines)


def _text(cell: object) -> str:
    return f"{cell:.2f}" if isinstance(cell, float) else str(cell)


def plot(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draws megapixels a second against the photo's size, a line for what was measured and each batch."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    kinds = sorted({(row["what"], row["batch"]) for row in rows if row["what"] != "presets"})
    for what, batch in kinds:
        points = sorted(
            (row["megapixels"], row["megapixels_per_s"]) for row in rows if (row["what"], row["batch"]) == (what, batch)
        )
        label = what if batch == 1 else f"{what}, {batch} at a time"
        axes.plot(*zip(*points, strict=True), marker="o", label=label)
    axes.set(xlabel="megapixels of the photo", ylabel="megapixels a second", xscale="log", ylim=(0, None))
    measured = (row["megapixels"] for row in rows if row["what"] != "presets")
    sizes = sorted({float(f"{size:.1g}" if size < 10 else f"{size:.2g}") for size in measured})
    axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110, format="png")
