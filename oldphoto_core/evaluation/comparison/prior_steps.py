"""How good deep image prior is after so many steps, on photos of role `select`: what its number of steps is chosen by.

    python -m oldphoto_core.evaluation.comparison.prior_steps --photos DIR --count 4 --steps 600 --every 50
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from oldphoto_core.errors import CoreError
from oldphoto_core.evaluation import metrics
from oldphoto_core.evaluation.baselines import Image
from oldphoto_core.evaluation.comparison.deep_image_prior import fit_prior
from oldphoto_core.evaluation.comparison.prior_method import PRIOR_SIDE_PX, PriorSettings
from oldphoto_core.evaluation.generators import make_damager, photo_seed
from oldphoto_core.evaluation.held_out import centre_square, held_out_photos, read_photo


def main(argv: list[str] | None = None) -> int:
    """Prints the table, of what is there after each photo, and gives the exit code: 0, or 2 for a mistake."""
    parser = argparse.ArgumentParser(prog="python -m oldphoto_core.evaluation.comparison.prior_steps")
    parser.add_argument("--photos", type=Path, required=True, help="folder of clean photos")
    parser.add_argument("--count", type=int, default=4, help="photos of role select (4)")
    parser.add_argument("--steps", type=int, default=600, help="of each fit (600)")
    parser.add_argument("--every", type=int, default=50, help="steps between two looks (50)")
    parser.add_argument("--width", type=int, default=PriorSettings().width, help="channels of a scale")
    parser.add_argument("--device", default="cpu", help="auto, cpu or cuda")
    options = parser.parse_args(argv)
    settings = replace(PriorSettings(), steps=options.steps, width=options.width)
    try:
        photos = held_out_photos(options.photos, role="select", count=options.count)
        found: dict[int, list[tuple[float, float, float]]] = defaultdict(list)
        for index, path in enumerate(photos):
            _watch(path, index, settings, options.every, options.device, found)
            Console(stderr=index + 1 < len(photos)).print(_table(found, settings, index + 1))
    except CoreError as error:
        Console(stderr=True).print(f"[red]error:[/] {error}", soft_wrap=True)
        return 2
    return 0


def _watch(
    path: Path,
    index: int,
    settings: PriorSettings,
    every: int,
    device: str,
    found: dict[int, list[tuple[float, float, float]]],
) -> None:
    clean = centre_square(read_photo(path), PRIOR_SIDE_PX)
    damaged = make_damager("second")(clean, photo_seed(1, index))
    started = time.process_time()

    def look(step: int, picture: Callable[[], Image]) -> None:
        if step % every == 0:
            seconds = time.process_time() - started
            found[step].append((*_figures(picture(), damaged.target, damaged.mask), seconds))

    found[0].append((*_figures(damaged.image, damaged.target, damaged.mask), 0.0))
    fit_prior(damaged.image, damaged.mask, settings, device=device, on_step=look)


def _figures(result: Image, target: Image, mask: np.ndarray) -> tuple[float, float]:
    aligned, truth = metrics.align_tone(result, target, mask), metrics.as_float(target)
    return metrics.psnr(aligned, truth), metrics.psnr(aligned, truth, where=mask)


def _table(found: dict[int, list[tuple[float, float, float]]], settings: PriorSettings, photos: int) -> Table:
    threads = torch.get_num_threads()
    title = f"Deep image prior, {settings.width} channels, {photos} photos of role select, threads: {threads}"
    table = Table(title=title, title_justify="left")
    for heading in ("steps", "tone-aligned, dB", "in mask, aligned, dB", "processor seconds"):
        table.add_column(heading, justify="right")
    for step, rows in sorted(found.items()):
        means = [metrics.mean_finite(column) for column in zip(*rows, strict=True)]
        table.add_row(str(step), *(f"{mean:.2f}" for mean in means[:2]), f"{means[2]:.0f}")
    return table


if __name__ == "__main__":
    sys.exit(main())
