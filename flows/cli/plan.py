"""`oldphoto doctor --plan FILE`: what a photo will take, before it runs."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from flows.cli.doctor import Finding
from flows.settings import Settings

if TYPE_CHECKING:
    from oldphoto_core.images import OpenedImage
    from oldphoto_core.restoration.plan import RestorationPlan
    from oldphoto_core.restoration.restorer import Restorer

_MEMORY_LEFT = 0.9
"""Share of the free memory that a plan may use without a warning."""
_SIZES_TOLD = 4
"""Sizes of pages that are told."""


def plan_file(path: Path, settings: Settings) -> Iterator[Finding]:
    """What the photo is, how it will be read and cut, and the memory, disk and time it will take here.

    A piece of its middle is restored for that, twice.
    """
    from flows.cli.files import open_photo, restorer_of
    from oldphoto_core.machine import own_threads
    from oldphoto_core.restoration.plan import plan_restoration, plan_together, probe
    from oldphoto_core.restoration.scan_restoration import Wanted

    with ExitStack() as files:
        _, photo = open_photo(path, settings, files)
        yield Finding("photo", "ok", _photo(path, photo))
        restorer = restorer_of(settings)
        wanted = Wanted(
            mode=settings.mode, strength=settings.strength, tone=settings.tone, mending=settings.mending
        )
        pages = photo.pages or (photo,)
        plans = [plan_restoration(restorer, page, scale=restorer.scale_of(page.scan)) for page in pages]
        largest, page = max(zip(plans, pages, strict=True), key=lambda one: one[0].peak_bytes)
        plan = plan_together(plans, photo)
        yield Finding("read", "ok", _reading(plan, photo))
        yield Finding("scale", "ok", _of_largest(photo) + _scale(largest.scale))
        yield Finding("tiles", "ok", _of_largest(photo) + _tiles(largest))
        yield memory_for(plan)
        yield disk_for(plan)
        a_megapixel = probe(restorer, page, wanted, largest.scale)
        files_s = _seconds_to_write(restorer, page, largest.scale)
        seconds = (a_megapixel * plan.computed_px + files_s * sum(map(_pixels, pages))) / 1e6
        yield Finding(
            "time",
            "ok",
            f"about {_duration(seconds)} on {restorer.device.type} in {restorer.precision}, {own_threads()} threads: "
            f"networks {a_megapixel:.2f} s a megapixel that they see, files {files_s:.2f} s a megapixel (measured on a "
            "piece of its middle)",
        )


def _photo(path: Path, photo: OpenedImage) -> str:
    facts, pages = photo.facts, photo.pages or (photo,)
    kind = "grey" if facts.channels == 1 else "RGB"
    sizes = [f"{page.facts.width:,} x {page.facts.height:,}" for page in pages]
    several = f"{len(pages)} pages of " if photo.pages else ""
    more = " and so on" if len(sizes) > _SIZES_TOLD else ""
    megapixels = sum(map(_pixels, pages)) / 1e6
    size = f"{several}{', '.join(sizes[:_SIZES_TOLD])}{more} pixels (width x height, {megapixels:.4g} megapixels)"
    profile = f", {facts.icc_profile_name}" if facts.icc_profile_name else ""
    depth = f"{facts.bit_depth}-bit {kind} {facts.format.upper()}"
    return f"{path.name}: {size}, {depth}, {_bytes(path.stat().st_size)}{profile}"


def _pixels(page: OpenedImage) -> int:
    return page.facts.height * page.facts.width


def _of_largest(photo: OpenedImage) -> str:
    return "each page by itself, the largest " if photo.pages else ""


def _reading(plan: RestorationPlan, photo: OpenedImage) -> str:
    if plan.read_by_rows and photo.pages:
        return f"one page at a time, {_bytes(photo.held_bytes)} of it held"
    if plan.read_by_rows:
        return f"a band of rows at a time, {_bytes(photo.held_bytes)} of it held"
    return f"decoded whole, {_bytes(photo.held_bytes)}"


def _scale(scale: int) -> str:
    if scale == 1:
        return "as it is: its grain is that of a snapshot"
    return f"finer than its print: repaired at 1/{scale}, and the repair is carried up to its own pixels"


def _tiles(plan: RestorationPlan) -> str:
    height, width = plan.tile_px
    seen = plan.computed_px * plan.scale**2 / (plan.height * plan.width)
    return (
        f"{plan.tile_columns} across x {plan.tile_rows} down, of at most {width:,} x {height:,} pixels with their "
        f"halo; networks see {seen:.2f} times the photo" + (f" at 1/{plan.scale}" if plan.scale > 1 else "")
    )


def memory_for(plan: RestorationPlan) -> Finding:
    """Whether the plan's memory is free here."""
    import psutil

    free = int(psutil.virtual_memory().available)
    detail = f"about {_bytes(plan.peak_bytes)} at its peak, {_bytes(free)} are free"
    if plan.peak_bytes > _MEMORY_LEFT * free:
        return Finding("memory", "bad", f"{detail}: set a smaller --tile-px, or use a larger machine")
    return Finding("memory", "ok", detail)


def disk_for(plan: RestorationPlan) -> Finding:
    """Whether the temporary folder has room for the plan."""
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    detail = f"about {_bytes(plan.temporary_bytes)} in {folder} while it runs, {_bytes(free)} are free"
    if plan.temporary_bytes > free:
        return Finding("disk", "bad", f"{detail}: free some, or set TMPDIR to another folder")
    return Finding("disk", "ok", detail)


def _seconds_to_write(restorer: Restorer, photo: OpenedImage, scale: int) -> float:
    """Seconds a megapixel for the restored photo, difference, mask and what was found, measured on a piece."""
    import numpy as np

    from flows.derivatives import new_file
    from oldphoto_core.encoding import write_image
    from oldphoto_core.previews import write_difference_png, write_mask_png
    from oldphoto_core.restoration.plan import PROBE_PX, middle_of
    from oldphoto_core.scan import ArrayScan

    piece = middle_of(photo.scan, PROBE_PX * scale)
    began = time.perf_counter()
    with new_file() as out:
        write_image(out, piece, format="tif" if photo.facts.format == "tiff" else "png")
    with new_file() as out:
        write_difference_png(out, piece, piece)
    for _ in ("mask", "found"):
        with new_file() as out:
            write_mask_png(out, ArrayScan(np.zeros(piece.shape[:2], np.uint8)))
    return (time.perf_counter() - began) / (piece.shape[0] * piece.shape[1]) * 1e6


def _bytes(size: float) -> str:
    for unit, least in (("GB", 1e9), ("MB", 1e6)):
        if size >= least:
            return f"{size / least:.1f} {unit}" if size < 10 * least else f"{size / least:.0f} {unit}"
    return f"{size / 1e3:.0f} kB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
