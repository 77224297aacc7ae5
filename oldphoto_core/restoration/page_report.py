"""One report of several pages: what a gate judges and a catalogue keeps of the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from oldphoto_core.restoration.fidelity import FidelityFigures, RestorationReport

_WORST_IS_LARGEST = (
    "delta_e_mean",
    "delta_e_p95",
    "tone_free_delta_e_mean",
    "tone_free_delta_e_p95",
    "clipped_black_growth",
    "clipped_white_growth",
    "added_chroma",
    "changed_share",
)
_WORST_IS_SMALLEST = ("gradient_correlation",)
_COLOURS = ("no", "toned", "neutral")
"""What pages are taken for, by what counts first: with one page of colours there are colours."""


def combined_report(reports: Sequence[RestorationReport], pixels: Sequence[int]) -> RestorationReport:
    """Gives the report of all pages.

    Seconds and tiles are summed, coverage and changes are those of all pixels, fidelity figures are those of the page
    that is worst by each, so that no good page hides a bad one; the notes say which page that is.

    Args:
        reports: One a page, in order.
        pixels: Of each page.
    """
    outside = [count * (1 - one.mask_coverage) for one, count in zip(reports, pixels, strict=True)]
    coverage = _mean([one.mask_coverage for one in reports], pixels)
    fidelity, worst = _worst(reports, coverage)
    return replace(
        reports[0],
        seconds=sum(one.seconds for one in reports),
        device=_joined(one.device for one in reports),
        precision=_joined(one.precision for one in reports),
        tiles=sum(one.tiles for one in reports),
        mask_coverage=coverage,
        change_outside_mask=_mean([one.change_outside_mask for one in reports], outside),
        mean_change=_mean([one.mean_change for one in reports], pixels),
        left_alone=all(one.left_alone for one in reports),
        monochrome=min((one.monochrome for one in reports), key=_COLOURS.index),
        fidelity=fidelity,
        working_scale=max(one.working_scale for one in reports),
        notes=(*(f"page {i}: {note}" for i, one in enumerate(reports, 1) for note in one.notes), *worst),
        pages=tuple(reports),
    )


def _worst(reports: Sequence[RestorationReport], coverage: float) -> tuple[FidelityFigures | None, list[str]]:
    """The worst figures, and a note of whose they are where pages differ; a page left alone has none."""
    figures = {number: one.fidelity for number, one in enumerate(reports, 1) if one.fidelity is not None}
    if not figures:
        return None, []
    values: dict[str, float] = {}
    whose: dict[int, list[str]] = {}
    for name in (*_WORST_IS_LARGEST, *_WORST_IS_SMALLEST):
        by_page = {number: float(getattr(one, name)) for number, one in figures.items()}
        page = (max if name in _WORST_IS_LARGEST else min)(by_page, key=by_page.__getitem__)
        values[name] = by_page[page]
        if len(set(by_page.values())) > 1:
            whose.setdefault(page, []).append(name)
    measured_px = sum(one.measured_px for one in figures.values())
    found = FidelityFigures(mask_coverage=coverage, measured_px=measured_px, **values)
    return found, [f"page {page} is the worst by {', '.join(names)}" for page, names in sorted(whose.items())]


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    total = sum(weights)
    return sum(value * weight for value, weight in zip(values, weights, strict=True)) / total if total else 0.0


def _joined(words: object) -> str:
    return ", ".join(dict.fromkeys(words))  # type: ignore[call-overload]
