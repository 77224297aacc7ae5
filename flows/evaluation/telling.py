"""What an evaluation found, in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flows.evaluation import words

if TYPE_CHECKING:
    from rich.table import Table

_FIGURES = ("psnr", "psnr_gain", "aligned_psnr", "aligned_masked_psnr", "ssim", "delta_e")


def result_table(summary: Mapping[str, Any]) -> Table:
    """Gives the methods on mixed damage of the generator that nothing was trained on."""
    from rich.table import Table

    place = next(t for t in summary["paired"] if (t["kind"], t["severity"]) == ("mixed", "drawn"))
    titles = {method["name"]: method["title"] for method in summary["methods"]}
    table = Table(title=f"Mixed damage, {words.GENERATORS[place['generator']].lower()}, {place['photos']} photos")
    table.add_column("Method")
    for figure in _FIGURES:
        table.add_column("gain" if figure == "psnr_gain" else words.FIGURES[figure][0], justify="right")
    for name, entry in place["methods"].items():
        cells = [
            words.signed(entry[f]) if f == "psnr_gain" else words.found(entry[f], words.FIGURES[f][1]) for f in _FIGURES
        ]
        table.add_row(titles[name], *(cell.words for cell in cells))
    return table
