"""Real photos and pure inpainting, as tables of the page and of the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flows.evaluation import words
from storage.reports.evaluation import Cell, PageSection, PageTable

Summary = Mapping[str, Any]
Rows = list[tuple[str, Sequence[Cell]]]

_SIDES = {"all": "All", "held_out": "Held out", "trained_on": "Seen in training"}
_MARKED = {"all": "All that are marked", "genuine": "Genuine ones"}
_SURFACES = {"clean": "as they are", "grain": "with grain of 8 of 255"}
_METHODS = {
    "telea-radius-5-true-mask": "Telea, radius 5", "navier-stokes-radius-5-true-mask": "Navier-Stokes, radius 5",
    "restored-true-mask": "The release, mode scratches",
}  # fmt: skip
_PLACES = {
    "mask": "in the mask, dB", "narrow": "to 6 px wide", "middle": "to 16 px", "wide": "wider",
}  # fmt: skip


def real_photos_section(summary: Summary) -> Iterator[PageSection]:
    """Yields the section, and says what was left out; nothing where no part was measured."""
    tables = list(real_photos_tables(summary))
    if not tables:
        return
    missing = [label for part, label in _PARTS.items() if not summary["real_photos"][part]]
    extent = (
        "What is acted on is what the release mends. Photos that people marked: what they could not tell is left out;"
        " precision with a margin of 4 pixels, for masks are grown on purpose. Reviewed photos: a person found nothing"
        " wrong in them."
    )
    if missing:
        extent += f" Not measured, for it was not at hand: {', '.join(missing)}."
    yield PageSection("acted-on", "Real photos: found, acted on, filled", extent, tables=tables)


_PARTS = {
    "marked": "photos marked by hand (--old)", "film": "film (--film)",
    "reviewed": "reviewed photos (--old and --review)", "inpainting": "pure inpainting",
}  # fmt: skip


def real_photos_tables(summary: Summary) -> Iterator[PageTable]:
    """Yields a table a part that was measured."""
    real = summary["real_photos"]
    if real["marked"]:
        yield _marked(real["marked"])
    if real["film"]:
        yield _film(real["film"])
    if real["reviewed"]:
        yield from _reviewed(real["reviewed"])
    for surface, found in real["inpainting"].items():
        yield _inpainting(found, _SURFACES[surface])


def _marked(found: Mapping[str, Any]) -> PageTable:
    figures = ("auc", "average_precision", "recall_at_precision", "recall", "precision", "strict_precision")
    rows: Rows = [
        (f"{title}, {found[side]['photos']}", [words.found(found[side][figure], "{:.3f}") for figure in figures])
        for side, title in _MARKED.items()
    ]
    headings = [
        "Photos", "AUC", "average precision", "recall at a precision of 0.85", "acted on: recall", "precision, margin",
        "precision, strict",
    ]  # fmt: skip
    return PageTable(headings, rows, "Photos that people marked")


def _film(found: Mapping[str, Any]) -> PageTable:
    figures = ("auc", "average_precision", "recall_at_false_rate")
    rows: Rows = [(f"{found['photos']} frames", [words.found(found[figure], "{:.3f}") for figure in figures])]
    headings = ["Film", "AUC", "average precision", "recall at 0.5 % false"]
    return PageTable(headings, rows, "A film that nothing was trained on")


def _reviewed(found: Mapping[str, Any]) -> Iterator[PageTable]:
    sides = {f"{title}, {found[side]['photos']}": found[side] for side, title in _SIDES.items()}
    faces = found["faces"]
    sides[f"In {faces['faces']} faces of {faces['photos']} photos"] = faces
    rows: Rows = [
        (title, [words.found(side["mean"], "{:.3%}"), words.found(side["high"], "{:.3%}"), _share(side["most"])])
        for title, side in sides.items()
    ]
    headings = ["Photos", "acted on, mean", "95th percentile", "most"]
    yield PageTable(headings, rows, "Reviewed photos with nothing wrong")
    worst: Rows = [
        (one["photo"], [_share(one["share"]), Cell("held out" if one["held_out"] else "", prose=True)])
        for one in found["worst"]
    ]
    yield PageTable(["Photo", "acted on", ""], worst, "The worst of them", folded="The worst of them")


def _inpainting(found: Mapping[str, Any], surface: str) -> PageTable:
    rows: Rows = [
        (_METHODS[name], [words.found(figures[place]) for place in _PLACES])
        for name, figures in found["methods"].items()
    ]
    if "over" in found:
        rows.append(("The release above the better of OpenCV's", [words.signed(found["over"][p]) for p in _PLACES]))
    headings = ["Method", *_PLACES.values()]
    return PageTable(headings, rows, f"Pure inpainting in the true mask, photos {surface}")


def _share(value: float | None) -> Cell:
    return Cell("–" if value is None else words.number(value, "{:.3%}"))
