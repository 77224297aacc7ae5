"""What an evaluation found, in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from flows.evaluation import words
from flows.evaluation.real_photos import real_photos_tables

if TYPE_CHECKING:
    from rich.table import Table

    from storage.reports.evaluation import PageTable

_FIGURES = ("psnr", "psnr_gain", "aligned_psnr", "aligned_masked_psnr", "ssim", "delta_e")


def result_tables(summary: Mapping[str, Any]) -> Iterator[Table]:
    """Yields the methods on mixed damage of the generator that nothing was trained on, and the real photos."""
    if summary["paired"]:
        yield _methods(summary)
    for table in real_photos_tables(summary):
        yield _as_table(table)


def _as_table(page_table: PageTable) -> Table:
    from rich.table import Table

    table = Table(title=page_table.caption)
    for number, heading in enumerate(page_table.headings):
        table.add_column(heading, justify="right" if number else "left")
    for name, cells in page_table.rows:
        table.add_row(name, *(cell.words for cell in cells))
    return table


def _methods(summary: Mapping[str, Any]) -> Table:
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
