"""Pictures of an evaluation for its page: one photo through all methods, side by side."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from flows.evaluation.words import GENERATORS
from oldphoto_core.evaluation.comparison.kinds import KINDS
from oldphoto_core.evaluation.comparison.prior_method import PRIOR
from oldphoto_core.evaluation.comparison.settings import FEW
from storage.reports.evaluation import PictureRow

if TYPE_CHECKING:
    from oldphoto_core.evaluation.comparison.rows import Row
    from oldphoto_core.evaluation.comparison.running import Comparison
    from oldphoto_core.evaluation.comparison.settings import Case

MOST_PX = 640
QUALITY = 90

_PAIRED = (
    ("target", "Truth"), ("input", "Damaged"), ("restored", "Restored"), ("restored-true-mask", "Restored, true mask"),
    ("sequential-telea-true-mask", "Classical, true mask"), ("true-mask", "True mask"),
    ("detected-mask", "Mask that is found"),
)  # fmt: skip

_FEW = (
    ("target", "Truth"), ("input", "Damaged"), ("restored", "Restored"), ("restored-true-mask", "Restored, true mask"),
    (PRIOR, "Deep image prior, true mask"), ("sequential-telea-true-mask", "Classical, true mask"),
    ("true-mask", "True mask"),
)  # fmt: skip

_CROPS = (
    ("target", "Clean"), ("input", "Damaged"), ("restored", "Restored"), ("restored-true-mask", "Restored, true mask"),
    ("sequential-telea-true-mask", "Classical, true mask"),
)  # fmt: skip

_REAL = (
    ("input", "Photo"), ("restored", "Restored"), ("sequential-telea-detected-mask", "Classical, our mask"),
    ("detected-mask", "Mask that is found"),
)  # fmt: skip


def picture_rows(found: Comparison, generator: str) -> list[PictureRow]:
    """Gives the rows of a generator: all photos shown of mixed damage, of each kind the first at each severity."""
    first = min((case.photo.sha256 for case, _ in found.shown[:1]), default="")
    figures = _by_case(found.rows)
    rows = []
    for case, folder in found.shown:
        if case.generator != generator or case.kind not in KINDS:
            continue
        if case.severity == "drawn" or case.photo.sha256 == first:
            title = f"{case.kind.capitalize()}, {'as drawn' if case.severity == 'drawn' else case.severity}"
            rows.append(_row(title, case, folder, _PAIRED, figures))
    return rows


def few_rows(found: Comparison, generator: str) -> list[PictureRow]:
    """Gives the rows of the few photos that slow methods are run on."""
    return _rows_of(found, generator, FEW, _FEW)


def crop_rows(found: Comparison, generator: str, part: str) -> list[PictureRow]:
    """Gives a row a photo of faces or words: the first crop of each, at its own size."""
    return _rows_of(found, generator, part, _CROPS)


def _rows_of(
    found: Comparison, generator: str, kind: str, columns: Iterable[tuple[str, str]]
) -> list[PictureRow]:
    figures = _by_case(found.rows)
    return [
        _row(f"{case.photo.path.stem}, {GENERATORS[generator].lower()}", case, folder, columns, figures)
        for case, folder in found.shown
        if (case.generator, case.kind) == (generator, kind)
    ]


def real_rows(found: Comparison) -> list[PictureRow]:
    """Gives the rows of real photos."""
    return [_row(case.photo.path.name, case, folder, _REAL, {}) for case, folder in found.shown if case.kind == "old"]


def _row(
    title: str,
    case: Case,
    folder: Path,
    columns: Iterable[tuple[str, str]],
    figures: dict[tuple[str, ...], Row],
) -> PictureRow:
    pictures = []
    for name, words in columns:
        path = folder / f"{name}.png"
        if not path.exists():
            continue
        row = figures.get((case.photo.sha256, case.generator, case.kind, case.severity, name))
        told = f"{row.psnr:.1f} dB, aligned {row.aligned_psnr:.1f}" if row else ""
        pictures.append((words, told, _jpeg(path)))
    return PictureRow(title, pictures)


def _by_case(rows: Iterable[Row]) -> dict[tuple[str, ...], Row]:
    return {(row.photo_sha256, row.generator, row.kind, row.severity, row.method): row for row in rows}


def _jpeg(path: Path) -> bytes:
    from PIL import Image

    written = io.BytesIO()
    with Image.open(path) as picture:
        small = picture.convert("RGB")
        small.thumbnail((MOST_PX, MOST_PX))
        small.save(written, "JPEG", quality=QUALITY, subsampling=0)
    return written.getvalue()
