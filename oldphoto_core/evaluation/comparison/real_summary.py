"""Figures of real photos and of pure inpainting, with their intervals, as plain values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oldphoto_core.evaluation.comparison import intervals
from oldphoto_core.evaluation.comparison.interface import RESTORED_TRUE
from oldphoto_core.evaluation.comparison.real_cases import OPENCV
from oldphoto_core.evaluation.comparison.rows import DETECTOR, Row
from oldphoto_core.evaluation.detection import ScoreHistogram
from oldphoto_core.evaluation.hand_marks import NOT_GENUINE
from oldphoto_core.evaluation.inpainting import SURFACES, WIDTHS
from oldphoto_core.evaluation.real_photos import FALSE_RATE, PRECISION

WORST = 10
"""Photos that are named of those on which most is acted in vain."""

Counts = tuple[NDArray[np.int64], NDArray[np.int64]]


def real_figures(rows: Sequence[Row]) -> dict[str, Any]:
    """Gives what was measured; a part is empty where it was not.

    marked      `all` and `genuine`: AUC, average precision, recall of the probability at a precision; precision with
                its margin, strict precision and recall of what is acted on
    film        AUC, average precision, recall at a share of false finds
    reviewed    `all`, `held_out` and `trained_on`: share of a photo acted on, mean, 95th percentile (`high`), `worst`
                (the photos); `faces`, of their boxes: mean, pooled, most
    inpainting  `clean` and `grain`: by method, dB in the mask and in each width; `over`: the release above the better
                of OpenCV's two
    """
    labelled = [row for row in rows if row.kind == "labelled" and "acted" in row.further]
    genuine = [row for row in labelled if PurePath(row.photo).stem not in NOT_GENUINE]
    film = [row for row in rows if row.kind == "film"]
    reviewed = [row for row in rows if row.kind == "reviewed"]
    inpainted = {
        surface: _inpainting([r for r in rows if (r.kind, r.severity) == ("inpainting", surface)])
        for surface in SURFACES
    }
    return {
        "marked": {"all": _marked(labelled), "genuine": _marked(genuine)} if labelled else {},
        "film": _film(film) if film else {},
        "reviewed": _reviewed(reviewed) if reviewed else {},
        "inpainting": inpainted if inpainted["clean"] else {},
    }


def _marked(rows: Sequence[Row]) -> dict[str, Any]:
    scores = _scores(rows)

    def share(part: str, whole: str) -> dict[str, Any]:
        pairs = [(np.array([row.further[part]], int), np.array([row.further[whole]], int)) for row in rows]
        return intervals.pooled_over_photos(pairs, lambda p, w: float(p[0] / w[0]) if w[0] else math.nan).plain()

    return {
        "photos": len(rows),
        "auc": _pooled(scores, ScoreHistogram.auc),
        "average_precision": _pooled(scores, ScoreHistogram.average_precision),
        "recall_at_precision": _pooled(scores, lambda found: found.recall_at_precision(PRECISION)),
        "precision": share("acted_near", "acted"),
        "strict_precision": share("acted_damaged", "acted"),
        "recall": share("acted_damaged", "damaged"),
    }


def _film(rows: Sequence[Row]) -> dict[str, Any]:
    scores = _scores(rows)
    return {
        "photos": len(rows),
        "auc": _pooled(scores, ScoreHistogram.auc),
        "average_precision": _pooled(scores, ScoreHistogram.average_precision),
        "recall_at_false_rate": _pooled(scores, lambda found: found.recall_at(FALSE_RATE)),
    }


def _reviewed(rows: Sequence[Row]) -> dict[str, Any]:
    sides = {
        "all": rows,
        "held_out": [row for row in rows if row.further["held_out"]],
        "trained_on": [row for row in rows if not row.further["held_out"]],
    }
    with_faces = [row for row in rows if row.further["face_pixels"]]
    pixels, acted = (sum(row.further[name] for row in with_faces) for name in ("face_pixels", "face_acted"))
    in_faces = [row.further["face_acted"] / row.further["face_pixels"] for row in with_faces]
    faces = _spread(in_faces) | {"faces": int(sum(row.further["faces"] for row in with_faces))}
    faces["pooled"] = acted / pixels if pixels else None
    worst = sorted(rows, key=lambda row: -row.mask_coverage)[:WORST]
    return {name: _spread([row.mask_coverage for row in side]) for name, side in sides.items()} | {
        "faces": faces,
        "worst": [
            {"photo": row.photo, "share": row.mask_coverage, "held_out": bool(row.further["held_out"])}
            for row in worst
        ],
    }  # fmt: skip


def _spread(shares: Sequence[float]) -> dict[str, Any]:
    by_photo = {str(number): [share] for number, share in enumerate(shares)}
    return {
        "photos": len(shares),
        "mean": intervals.mean_over_photos(by_photo).plain(),
        "high": intervals.percentile_over_photos(by_photo, 95).plain(),
        "most": max(shares, default=None),
    }


def _inpainting(rows: Sequence[Row]) -> dict[str, Any]:
    if not rows:
        return {}
    found: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for row in rows:
        figures = {"mask": row.masked_psnr} | {width: row.further.get(width, math.nan) for width in WIDTHS}
        for place, value in figures.items():
            found.setdefault(row.method, {}).setdefault(place, {})[row.photo_sha256] = {row.severity: value}

    def means(method: str) -> dict[str, Any]:
        return {place: _mean(cells).plain() for place, cells in found[method].items()}

    table: dict[str, Any] = {"methods": {name: means(name) for name in (*OPENCV, RESTORED_TRUE) if name in found}}
    if RESTORED_TRUE in found:
        table["over"] = {}
        for place, ours in found[RESTORED_TRUE].items():
            other = max(OPENCV, key=lambda name: _above_nothing(_mean(found[name][place]).value))
            over = intervals.difference_over_photos(ours, found[other][place])
            table["over"][place] = over.plain() | {"better": other}
    return table


def _mean(cells: dict[str, dict[str, float]]) -> intervals.Estimate:
    return intervals.mean_over_photos({photo: list(found.values()) for photo, found in cells.items()})


def _above_nothing(value: float) -> float:
    return -math.inf if math.isnan(value) else value


def _scores(rows: Sequence[Row]) -> list[Counts]:
    assert all(row.method == DETECTOR for row in rows)
    return [(np.array(row.damaged_by_score), np.array(row.sound_by_score)) for row in rows]


def _pooled(scores: Sequence[Counts], figure: Callable[[ScoreHistogram], float]) -> dict[str, Any]:
    return intervals.pooled_over_photos(
        scores, lambda damaged, sound: figure(ScoreHistogram(positive=damaged, negative=sound))
    ).plain()
