"""Figures of an evaluation in words, as its page and its terminal show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from storage.reports.evaluation import Cell

FIGURES: Mapping[str, tuple[str, str]] = {
    "psnr": ("PSNR, dB", "{:.2f}"),
    "aligned_psnr": ("tone-aligned, dB", "{:.2f}"),
    "masked_psnr": ("in mask, dB", "{:.2f}"),
    "aligned_masked_psnr": ("in mask, aligned, dB", "{:.2f}"),
    "ssim": ("SSIM", "{:.3f}"),
    "delta_e": ("ΔE 2000", "{:.2f}"),
    "lpips": ("LPIPS", "{:.3f}"),
    "seconds": ("seconds", "{:.2f}"),
}

GENERATORS = {"second": "Second generator", "first": "Training generator"}

KINDS = {
    "mixed": "Mixed", "scratch": "Scratches", "hole": "Holes, tears", "grain": "Grain", "blur": "Blur",
    "fading": "Fading",
}  # fmt: skip

COSTS = {"none": "none", "low": "up to 1 s a megapixel", "middle": "up to 20 s a megapixel", "high": "more"}


def found(entry: Mapping[str, Any] | None, form: str = "{:.2f}", *, shade: int = 0) -> Cell:
    """Gives the cell of an estimate; a dash where it was not measured."""
    if entry is None or entry.get("value") is None:
        return Cell("–")
    low, high = entry.get("low"), entry.get("high")
    interval = "" if low is None or high is None else f"{number(low, form)} to {number(high, form)}"
    return Cell(number(entry["value"], form), interval, shade)


def signed(entry: Mapping[str, Any] | None, *, shaded: bool = False) -> Cell:
    """Gives the cell of a difference in dB, shaded by its size where asked for."""
    value = entry.get("value") if entry else None
    shade = 0
    if shaded and value is not None:
        size = sum(abs(value) >= bound for bound in (0.25, 1.0, 3.0))
        shade = size if value > 0 else -size
    return found(entry, "{:+.2f}", shade=shade)


def sentence(entry: Mapping[str, Any]) -> str:
    """Gives `+1.23 dB (0.9 to 1.5)`."""
    cell = signed(entry)
    return f"{cell.words} dB" + (f" ({cell.interval})" if cell.interval else "")


def number(value: float, form: str = "{:.3g}") -> str:
    """Gives the figure with a minus sign in place of a hyphen, and none before zero."""
    text = form.format(value)
    if not text.strip("+-0.%"):
        return text.replace("-", "").replace("+", "")
    return text.replace("-", "−")
