"""Measures whether a release's uncertainty is true.

    python -m oldphoto_core.evaluation.uncertainty --photos DIR --out DIR

Held-out photos are damaged, restored with the mask that is detected, and the head is asked; then what it expected is
put beside the true error, by decile of what it expected. The error is that of the picture, not of its tone: the truth
is first brought into the restoration's tone, by the 3x4 colour map that fits best where nothing was damaged.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.progress import track

from oldphoto_core.errors import CoreError
from oldphoto_core.evaluation.calibration import SHARES, Calibration
from oldphoto_core.evaluation.generators import Generator, make_damager, photo_seed
from oldphoto_core.evaluation.held_out import Role, centre_crop, held_out_photos, read_photo
from oldphoto_core.evaluation.metrics import align_tone
from oldphoto_core.evaluation.sheet import picture_grid, save_picture

if TYPE_CHECKING:
    from oldphoto_core import Restorer

FULL_LEVELS = 64.0
"""Expected error that is drawn as white."""


def measure(
    restorer: Restorer,
    photos: Path,
    *,
    generator: Generator = "second",
    textures: Path | None = None,
    count: int = 60,
    seed: int = 1,
    role: Role = "report",
    show: Callable[[list[np.ndarray], str], None] | None = None,
) -> Calibration:
    """Gives what was expected beside what was found.

    Args:
        restorer: whose release has a head.
        photos: folder of clean photos; held-out ones are used.
        generator, textures, seed: of the damage.
        count: photos at most.
        role: which held-out photos.
        show: is given each photo's pictures and its name.
    """
    found = Calibration()
    damager = make_damager(generator, textures_dir=textures)
    paths = held_out_photos(photos, role=role, count=count)
    for index, path in enumerate(track(paths, f"{generator} generator", console=Console(stderr=True), transient=True)):
        damaged = damager(centre_crop(read_photo(path)), photo_seed(seed, index))
        restored = restorer.restore(damaged.image, uncertainty=True)
        truth = align_tone(damaged.target, restored.image, damaged.mask) * 255
        error = np.abs(restored.image.astype(np.float32) - truth)
        found.add(restored.uncertainty, error)
        if show is not None:
            shown = [np.clip(values / FULL_LEVELS, 0, 1) for values in (restored.uncertainty, error.mean(axis=2))]
            show([damaged.image, restored.image, *shown, np.rint(truth).astype(np.uint8)], path.name)
    return found


def plot(found: dict[str, Calibration], path: Path) -> None:
    """Draws expected against found errors by decile, and the coverage of intervals."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), dpi=110)
    left, right = figure.add_axes((0.09, 0.13, 0.39, 0.78)), figure.add_axes((0.58, 0.13, 0.39, 0.78))
    shares = np.linspace(0.05, 0.99, 40)
    for name, calibration in found.items():
        rows = calibration.deciles()
        left.plot([row.predicted for row in rows], [row.found for row in rows], "o-", ms=4, label=name)
        right.plot(shares, [calibration.coverage(share) for share in shares], label=name)
    most = max(max(row.predicted, row.found) for c in found.values() for row in c.deciles())
    left.plot([0, most], [0, most], "--", color="grey", lw=1)
    right.plot([0, 1], [0, 1], "--", color="grey", lw=1)
    left.set(title="by decile, levels of 255", xlabel="expected", ylabel="found")
    right.set(title="central intervals", xlabel="share asked for", ylabel="share of truths within")
    left.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def main(argv: list[str] | None = None) -> int:
    """Measures, and gives the exit code: 0 errors grow from decile to decile, 1 they do not, 2 a mistake."""
    options = _parse(argv)
    rows: list[list[np.ndarray]] = []
    names: list[str] = []

    def show(pictures: list[np.ndarray], name: str) -> None:
        if len(rows) < options.sheet_rows:
            rows.append(pictures)
            names.append(name)

    try:
        from oldphoto_core import Restorer

        restorer = Restorer.from_release(options.release, device=options.device)
        found: dict[str, Calibration] = {}
        for generator in options.generator:
            found[f"{generator} generator"] = measure(
                restorer,
                options.photos,
                generator=generator,
                textures=options.textures,
                count=options.count,
                seed=options.seed,
                role=options.role,
                show=show,
            )
    except CoreError as error:
        Console(stderr=True).print(f"[red]error:[/] {error}", soft_wrap=True)
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    text = "\n".join(f"{name}, {c.pixels} pixels\n\n{c.markdown()}" for name, c in found.items())
    (options.out / "uncertainty.md").write_text(text, encoding="utf-8")
    content = {name: calibration.summary() for name, calibration in found.items()}
    (options.out / "uncertainty.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    plot(found, options.out / "uncertainty.png")
    if rows:
        titles = ["damaged", "restored", "expected error", "true error", "truth, in its tone"]
        save_picture(options.out / "maps.png", picture_grid(rows, column_titles=titles, row_titles=names, cell_px=320))
    Console().print(text, soft_wrap=True, markup=False)
    for name, calibration in found.items():
        covered = ", ".join(f"{share:g}: {calibration.coverage(share):.3f}" for share in SHARES)
        Console().print(f"{name}: coverage {covered}; rank correlation {calibration.correlation():.3f}", soft_wrap=True)
    return 0 if all(calibration.is_monotone() for calibration in found.values()) else 1


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m oldphoto_core.evaluation.uncertainty",
        description="Puts the error that a release expects beside the true one, on held-out photos.",
    )
    parser.add_argument("--photos", type=Path, required=True, help="folder of clean photos; held-out ones are used")
    parser.add_argument("--textures", type=Path, help="folder of damage textures for the first generator")
    parser.add_argument("--generator", nargs="+", choices=("first", "second"), default=["second"], help="whose damage")
    parser.add_argument("--release", default="default", help="release name or folder, with an uncertainty head")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--count", type=int, default=60, help="photos, at most (60)")
    parser.add_argument("--seed", type=int, default=1, help="of the damage (1)")
    parser.add_argument("--role", choices=("report", "select", "all"), default="report", help="which held-out photos")
    parser.add_argument("--sheet-rows", type=int, default=8, help="photos on the sheet of maps (8)")
    parser.add_argument("--out", type=Path, required=True, help="folder for Markdown, JSON and PNG")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
