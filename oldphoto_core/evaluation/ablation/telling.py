"""What an ablation found: a Markdown table, a plot of the differences, and a sheet of pictures to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from oldphoto_core.evaluation.ablation.measuring import CLEAN, Measured
from oldphoto_core.evaluation.ablation.variants import REFERENCE
from oldphoto_core.evaluation.comparison import intervals
from oldphoto_core.evaluation.comparison.intervals import Estimate
from oldphoto_core.evaluation.comparison.kinds import make_kind_damager
from oldphoto_core.evaluation.comparison.rows import Row
from oldphoto_core.evaluation.comparison.trained_methods import TrainedFolder
from oldphoto_core.evaluation.generators import Generator
from oldphoto_core.evaluation.held_out import centre_square, read_photo
from oldphoto_core.evaluation.sheet import overlay_mask, picture_grid, save_picture

FIGURES = {
    "psnr": "PSNR",
    "aligned_psnr": "aligned",
    "masked_psnr": "in mask",
    "aligned_masked_psnr": "in mask, aligned",
    "ssim": "SSIM",
}
COMPARED = ("psnr", "aligned_psnr", "aligned_masked_psnr")
"""Figures whose differences to the reference are told."""
GIVEN_THE_MASK = {
    "filling-true-mask": "filling alone",
    "telea-true-mask": "Telea's inpainting",
    "restored-true-mask": "the release",
}
"""What stands beside the variants, none of it trained here."""
TICKS_DB = (-8, -2, -0.5, 0, 0.5, 2)
SHEET_PHOTOS = 6


def cells(rows: Sequence[Row], method: str, figure: str, *, generator: str, kind: str = "mixed") -> dict[str, Any]:
    """Gives photo -> {case: figure} of a method."""
    chosen = [r for r in rows if (r.method, r.generator, r.kind) == (method, generator, kind)]
    return {row.photo_sha256: {row.severity: getattr(row, figure)} for row in chosen}


def differences(measured: Measured, figure: str, *, generator: str, source: str) -> dict[str, Estimate]:
    """Gives each variant's difference to the reference, photo by photo; none where the reference was not measured."""
    own = cells(measured.rows, f"{REFERENCE}-{source}-mask", figure, generator=generator)
    return {
        name: intervals.difference_over_photos(
            cells(measured.rows, f"{name}-{source}-mask", figure, generator=generator), own
        )
        for name in measured.variants
        if name != REFERENCE and own
    }


def markdown(measured: Measured, trained: Mapping[str, Mapping[str, Any]]) -> str:
    """Gives a table a generator and mask: figures of each variant, and differences to the reference with intervals."""
    parts = [training_table(trained)]
    for generator in measured.settings.generators:
        for source in ("true", "detected"):
            photos = f"{measured.settings.drawn_count} photos of {measured.settings.side_px} pixels"
            parts.append(f"**{generator.capitalize()} generator, {source} mask**, {photos}, dB")
            parts.append(_figures_table(measured, trained, generator, source))
    parts.append("**Photos with nothing wrong**, the mask that the release finds on them, dB")
    lines = ["| variant | clean PSNR |", "|---|---:|"]
    for name in measured.variants:
        found = cells(measured.rows, f"{name}-detected-mask", "psnr", generator="none", kind=CLEAN)
        lines.append(f"| {trained[name]['title']} | {_told(_mean(found))} |")
    return "\n\n".join([*parts, "\n".join(lines)]) + "\n"


def training_table(trained: Mapping[str, Mapping[str, Any]]) -> str:
    """Gives a row a variant: its weights, its steps, the pixels that it saw and the minutes that it took."""
    lines = ["| variant | weights | steps | megapixels seen | minutes |", "|---|---:|---|---:|---:|"]
    for row in trained.values():
        steps = ", ".join(f"{name} {count:,}" for name, count in row["steps"].items())
        seen, minutes = f"{row['pixels'] / 1e6:,.1f}", f"{row['seconds'] / 60:.1f}"
        lines.append(f"| {row['title']} | {row['weights']:,} | {steps} | {seen} | {minutes} |")
    return "\n".join(lines)


def _figures_table(
    measured: Measured, trained: Mapping[str, Mapping[str, Any]], generator: str, source: str
) -> str:
    head = [*FIGURES.values(), *(f"{FIGURES[figure]} − reference (95 %)" for figure in COMPARED)]
    lines = [f"| variant | {' | '.join(head)} |", "|---|" + "---:|" * len(head)]
    apart = {f: differences(measured, f, generator=generator, source=source) for f in COMPARED}
    beside = {"input": "input"} | (GIVEN_THE_MASK if source == "true" else {})
    names = beside | {f"{name}-{source}-mask": trained[name]["title"] for name in measured.variants}
    for method, title in names.items():
        means = [_mean(cells(measured.rows, method, figure, generator=generator)) for figure in FIGURES]
        told = [f"{m.value:.3f}" if f == "ssim" else f"{m.value:.2f}" for f, m in zip(FIGURES, means, strict=True)]
        variant = method.removesuffix(f"-{source}-mask")
        told += [_told(apart[f][variant], signed=True) if variant in apart[f] else "" for f in apart]
        lines.append(f"| {title} | {' | '.join(told)} |")
    return "\n".join(lines)


def _mean(found: Mapping[str, Mapping[str, float]]) -> Estimate:
    return intervals.mean_over_photos({photo: list(values.values()) for photo, values in found.items()})


def _told(estimate: Estimate, *, signed: bool = False) -> str:
    form = "+.2f" if signed else ".2f"
    if np.isnan(estimate.value):
        return "–"
    if np.isnan(estimate.low):
        return format(estimate.value, form)
    return f"{estimate.value:{form}} ({estimate.low:{form}} to {estimate.high:{form}})"


def plot(measured: Measured, trained: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Draws each variant's differences to the reference with their intervals, a row of panels a generator.

    The scale is linear up to half a decibel and logarithmic beyond, so that small ones can be told beside large ones.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [name for name in measured.variants if name != REFERENCE]
    generators = measured.settings.generators
    figure = Figure(figsize=(11, len(generators) * (1.1 + 0.3 * len(names))), layout="constrained")
    FigureCanvasAgg(figure)
    panels = [(g, f) for g in generators for f in COMPARED]
    axes = figure.subplots(len(generators), len(COMPARED), sharey=True, squeeze=False).ravel()
    for axis, (generator, name) in zip(axes, panels, strict=True):
        for shift, source, colour in ((0.12, "true", "C0"), (-0.12, "detected", "C1")):
            apart = differences(measured, name, generator=generator, source=source)
            for place, variant in enumerate(reversed(names)):
                if variant in apart:
                    found = apart[variant]
                    axis.plot([found.low, found.high], [place + shift] * 2, color=colour, lw=1.5)
                    label = f"{source} mask" if place == 0 else None
                    axis.plot(found.value, place + shift, "o", color=colour, ms=4, label=label)
        axis.axvline(0, color="0.5", lw=0.8)
        axis.set_title(f"{generator}, {FIGURES[name]}", fontsize=9)
        axis.set_xscale("symlog", linthresh=0.5, linscale=1.0)
        axis.set_xticks(TICKS_DB, [f"{tick:+g}" if tick else "0" for tick in TICKS_DB])
        axis.set_xticks([], minor=True)
        axis.grid(axis="x", color="0.9", lw=0.6)
        axis.set_xlabel("dB to the reference", fontsize=8)
        axis.tick_params(labelsize=8)
    axes[0].set_yticks(range(len(names)), [trained[name]["title"] for name in reversed(names)])
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=2, fontsize=8, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def sheet(
    measured: Measured, networks: Sequence[TrainedFolder], path: Path, *, generator: Generator = "second"
) -> None:
    """Writes the first photos through all variants, with the true mask, side by side."""
    chosen = [case for case in measured.cases if case.generator == generator][:SHEET_PHOTOS]
    damager = make_kind_damager(generator, "mixed", "drawn", textures_dir=measured.settings.textures_dir)
    rows = []
    for case in chosen:
        damaged = damager(centre_square(read_photo(case.photo.path), case.side_px or 256), case.seed)
        restored = [network.restore(damaged.image, damaged.mask) for network in networks]
        rows.append([damaged.image, overlay_mask(damaged.image, damaged.mask), *restored, damaged.target])
    titles = ["damaged", "true mask", *(network.name for network in networks), "target"]
    save_picture(path, picture_grid(rows, column_titles=titles))
