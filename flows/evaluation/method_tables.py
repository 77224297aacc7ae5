"""Methods beside each other on the page: on mixed damage, on the few photos of slow methods, on faces and words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flows.evaluation import words
from flows.evaluation.grids import crop_rows, few_rows
from oldphoto_core.evaluation.comparison.parts import PARTS
from oldphoto_core.evaluation.comparison.plots import methods_plot
from oldphoto_core.evaluation.comparison.settings import FEW
from storage.reports.evaluation import Cell, PageSection, PageTable, Plot

if TYPE_CHECKING:
    from oldphoto_core.evaluation.comparison.running import Comparison

Summary = Mapping[str, Any]

RESTORED = "restored"

_ALL = ("psnr", "aligned_psnr", "masked_psnr", "aligned_masked_psnr", "ssim", "delta_e", "lpips")
_IN_CROPS = ("psnr", "aligned_psnr", "aligned_masked_psnr", "ssim", "delta_e")
_LESS_IS_BETTER = ("delta_e", "lpips")

_PARTS = {"faces": "the faces alone", "text": "the strip of words alone"}


def table_at(summary: Summary, generator: str, kind: str, severity: str) -> dict[str, Any] | None:
    """Gives the figures by method of one kind of damage; None where it was not measured."""
    for table in summary["paired"]:
        if (table["generator"], table["kind"], table["severity"]) == (generator, kind, severity):
            return dict(table)
    return None


def methods_section(summary: Summary) -> Iterator[PageSection]:
    """Yields the section of mixed damage as drawn, a table a generator."""
    tables = list(_tables(summary, "mixed", _ALL, "damage as it draws it"))
    plot = methods_plot(summary)
    shows = "Tone-aligned PSNR with its 95 % interval: tone forgiven, what is left is detail, noise and marks."
    extent = (
        "Mixed damage. Tone-aligned: after the 3×4 colour fit that is best on unmasked pixels, for all alike."
        " Green: the best of a column among those above or below. Methods that are given the true mask are bounds, not"
        " rivals: nobody has it."
    )
    yield PageSection("methods", "Methods", extent, [Plot(shows, plot)] if plot else [], tables)


def few_section(summary: Summary, found: Comparison) -> Iterator[PageSection]:
    """Yields the section of methods that are too slow for all photos, beside all others on the same few."""
    said = f"squares of {_few_side(found)} px, damage as it draws it"
    tables = list(_tables(summary, FEW, _ALL, said))
    if not tables:
        return
    prior = summary["settings"]["prior"]
    extent = (
        f"Deep image prior takes minutes a photo: it and all other methods were run on the same few photos, reduced to"
        f" {_few_side(found)} px, and these figures are not to be set beside those of other photos or sizes."
        f" It is given the true mask; {prior['steps']} steps of a network {prior['width']} channels wide, where its"
        " authors take about 3,000 of one 128 wide."
    )
    pictures = [row for generator in words.GENERATORS for row in few_rows(found, generator)]
    yield PageSection("few", "Too slow for all photos", extent, [], tables, pictures, "Pictures, side by side")


def parts_section(summary: Summary, found: Comparison) -> Iterator[PageSection]:
    """Yields the section of faces and words: figures inside the crops alone."""
    for part in PARTS:
        tables = list(_tables(summary, part, _IN_CROPS, f"mixed damage, inside {_PARTS[part]}"))
        if not tables:
            continue
        extent = {
            "faces": "Mixed damage. Faces are looked for in the clean photo, so that no method decides where it is"
            " measured; what a person saw to be no face is left out.",
            "text": "Mixed damage. Lines of words were drawn into the scene before it was damaged: print on one half of"
            " the photos, handwriting on the other.",
        }[part]
        pictures = [row for generator in words.GENERATORS for row in crop_rows(found, generator, part)]
        title = {"faces": "Faces", "text": "Words"}[part]
        yield PageSection(part, title, extent, [], tables, pictures)


def _tables(summary: Summary, kind: str, figures: Sequence[str], said: str) -> Iterator[PageTable]:
    titles = {method["name"]: method["title"] for method in summary["methods"]}
    needs = {method["name"]: method["needs_true_mask"] for method in summary["methods"]}
    for generator, name in words.GENERATORS.items():
        table = table_at(summary, generator, kind, "drawn")
        if table is None:
            continue
        methods = table["methods"]
        shown = [f for f in figures if any(m[f]["value"] is not None for m in methods.values())]
        rows: list[tuple[str, Sequence[Cell]]] = []
        for heading, needed in (("Without the true mask", False), ("Given the true mask", True)):
            group = {m: entry for m, entry in methods.items() if needs[m] == needed}
            if group:
                rows += [(heading, ()), *_rows(group, titles, shown)]
        headings = ["Method", "PSNR gain, dB", *(words.FIGURES[f][0] for f in shown), "seconds"]
        strong = frozenset(titles[m] for m in titles if m.startswith(RESTORED))
        photos = f"{table['photos']} photo{'s' if table['photos'] != 1 else ''}"
        yield PageTable(headings, rows, f"{name}, {photos}, {said}", strong)


def _rows(
    methods: Mapping[str, Any], titles: Mapping[str, str], figures: Sequence[str]
) -> Iterator[tuple[str, Sequence[Cell]]]:
    best = {figure: _best(methods, figure) for figure in figures}
    for method, entry in methods.items():
        gain = Cell("–") if method == "input" else words.signed(entry["psnr_gain"], shaded=True)
        cells = [replace(words.found(entry[f], words.FIGURES[f][1]), is_best=method == best[f]) for f in figures]
        yield titles[method], [gain, *cells, Cell(words.found(entry["seconds"]).words)]


def _best(methods: Mapping[str, Any], figure: str) -> str | None:
    values = {name: entry[figure]["value"] for name, entry in methods.items() if entry[figure]["value"] is not None}
    choose = min if figure in _LESS_IS_BETTER else max
    return choose(values, key=values.__getitem__) if len(values) > 1 else None


def _few_side(found: Comparison) -> int:
    return next((row.side_px for row in found.rows if row.kind == FEW), 0)
