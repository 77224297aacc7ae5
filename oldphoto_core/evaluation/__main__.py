"""Measures a release on held-out photos: `python -m oldphoto_core.evaluation --photos DIR --out DIR`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from oldphoto_core.errors import CoreError
from oldphoto_core.evaluation.held_out import read_photo
from oldphoto_core.evaluation.protocol import EvaluationSettings, PhotoRestorer, evaluate
from oldphoto_core.evaluation.results import EvaluationResult
from oldphoto_core.evaluation.sheet import overlay_mask, picture_grid, save_picture

_EXAMPLES = """examples:
  python -m oldphoto_core.evaluation --photos clean --textures texture --out figures
  python -m oldphoto_core.evaluation --photos clean --generator second --release none --out figures
  python -m oldphoto_core.evaluation --photos clean --release ./run/release --old old --out figures
exit code: 0 all requirements met (or --release none), 1 some are not, 2 a mistake in the arguments."""


def main(argv: list[str] | None = None) -> int:
    """Runs the measurement and gives the exit code."""
    arguments = _parse(argv)
    console = Console(width=None if sys.stdout.isatty() else 120)
    try:
        restorer = _restorer(arguments.release, arguments.device)
        met = True
        for generator in ("first", "second") if arguments.generator == "both" else (arguments.generator,):
            settings = EvaluationSettings(
                arguments.photos,
                generator=generator,
                textures_dir=arguments.textures,
                count=arguments.count,
                seed=arguments.seed,
                role=arguments.role,
                sheet_rows=arguments.sheet_rows,
            )
            result = _with_progress_bar(restorer, settings)
            result.save(arguments.out)
            _show(console, result)
            met &= all(r.met for r in result.requirements())
        if arguments.old and restorer is not None:
            _real_photos(restorer, arguments.old, arguments.out / "old.png", count=arguments.old_count)
    except CoreError as error:
        Console(stderr=True).print(f"[red]error:[/] {error}", soft_wrap=True)
        return 2
    console.print(f"written to {arguments.out}", soft_wrap=True)
    return 0 if met else 1


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m oldphoto_core.evaluation",
        description="Measures a release on held-out photos, beside the classical way.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--photos", type=Path, required=True, help="folder of clean photos; only held-out ones are used"
    )
    parser.add_argument("--textures", type=Path, help="folder of damage textures for the first generator")
    parser.add_argument("--release", default="default", help="release name or folder; 'none' for the baselines alone")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--generator", choices=("first", "second", "both"), default="both", help="whose damage")
    parser.add_argument("--count", type=int, default=60, help="photos, at most (60)")
    parser.add_argument("--seed", type=int, default=1, help="of the damage (1)")
    parser.add_argument("--role", choices=("report", "select", "all"), default="report", help="which held-out photos")
    parser.add_argument("--sheet-rows", type=int, default=12, help="photos on the picture sheet (12)")
    parser.add_argument("--old", type=Path, help="folder of real old photos, to make a sheet of them restored")
    parser.add_argument("--old-count", type=int, default=20, help="real photos on that sheet (20)")
    parser.add_argument("--out", type=Path, required=True, help="folder for Parquet, JSON, Markdown and PNG")
    arguments = parser.parse_args(argv)
    if arguments.count < 1:
        parser.error("--count must be at least 1")
    return arguments


def _restorer(release: str, device: str) -> PhotoRestorer | None:
    if release == "none":
        return None
    from oldphoto_core import Restorer

    return Restorer.from_release(release, device=device)


def _with_progress_bar(restorer: PhotoRestorer | None, settings: EvaluationSettings) -> EvaluationResult:
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"{settings.generator} generator")
        return evaluate(restorer, settings, progress=lambda done, total: bar.update(task, completed=done, total=total))


def _show(console: Console, result: EvaluationResult) -> None:
    header, *body = result.table()
    table = Table(title=f"{result.generator} generator")
    for k, name in enumerate(header):
        table.add_column(name, justify="right" if k else "left")
    for cells in body:
        table.add_row(*cells)
    console.print(table)
    for requirement in result.requirements():
        verdict = "[green]met[/]" if requirement.met else "[red]not met[/]"
        console.print(f"{verdict}: {requirement.name}: {requirement.found:.3f} (needed {requirement.needed:.3f})")


def _real_photos(restorer: PhotoRestorer, folder: Path, path: Path, *, count: int) -> None:
    """Writes a sheet of real old photos, evenly drawn from the folder, before and after."""
    names = sorted(p for p in folder.iterdir() if p.suffix.lower() in {".jpg", ".jpeg", ".png", ".tif", ".tiff"})
    chosen = [names[k] for k in np.linspace(0, len(names) - 1, min(count, len(names))).round().astype(int)]
    rows = []
    for photo in chosen:
        before = read_photo(photo)
        result = restorer.restore(before, mode="full")
        rows.append([before, result.image, overlay_mask(before, result.mask)])
    titles = ["before", "after", "detected mask"]
    save_picture(path, picture_grid(rows, column_titles=titles, row_titles=[p.name for p in chosen], cell_px=380))


if __name__ == "__main__":
    sys.exit(main())
