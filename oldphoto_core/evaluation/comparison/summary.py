"""Means, gains and intervals of a comparison, as plain values for JSON and for the page."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from oldphoto_core.evaluation.comparison import intervals
from oldphoto_core.evaluation.comparison.goals import goals
from oldphoto_core.evaluation.comparison.interface import INPUT, Method, needs_true_mask
from oldphoto_core.evaluation.comparison.intervals import Estimate
from oldphoto_core.evaluation.comparison.kinds import KINDS, LEVELS, MARKED
from oldphoto_core.evaluation.comparison.learned_distance import why_not
from oldphoto_core.evaluation.comparison.methods import CLASSICAL_TRUE_MASK
from oldphoto_core.evaluation.comparison.parts import PARTS
from oldphoto_core.evaluation.comparison.prior_method import PRIOR
from oldphoto_core.evaluation.comparison.real_summary import real_figures
from oldphoto_core.evaluation.comparison.rows import DETECTOR, FIGURES, Row
from oldphoto_core.evaluation.comparison.running import Comparison
from oldphoto_core.evaluation.comparison.settings import FEW
from oldphoto_core.evaluation.detection import ScoreHistogram

ALL = "all"
"""The three severities of a kind together, each photo once."""

_GAINS = ("psnr", "aligned_psnr", "aligned_masked_psnr", "ssim", "delta_e")
_ROC_POINTS = 80

RIVALS = ("pix2pix", PRIOR)
"""What a release is to beat besides, by what names of methods begin with: with either mask, whichever is better."""

Cells = Mapping[str, Mapping[str, float]]
"""photo -> severity -> figure."""


def summarise(found: Comparison, methods: Sequence[Method]) -> dict[str, Any]:
    """Gives the summary.

    Args:
        found: what was measured.
        methods: in the order of tables.
    """
    names = [method.name for method in methods]
    paired, detection = [], []
    for generator in found.settings.generators:
        for kind in (*KINDS, *PARTS, FEW):
            for severity in (() if kind in KINDS and kind != "mixed" else ("drawn",)) + (*LEVELS, ALL):
                rows = _chosen(found.rows, generator, kind, severity)
                if rows:
                    place = {"generator": generator, "kind": kind, "severity": severity}
                    paired.append(place | _table(rows, names))
                    detection += [place | one for one in _detection(rows, marked=kind in MARKED)]
    labelled = [row for row in found.rows if row.kind == "labelled"]
    place = {"generator": "none", "kind": "labelled", "severity": "as found"}
    detection += [place | one for one in _detection(labelled, marked=True)]
    content: dict[str, Any] = {
        "protocol": found.settings.protocol,
        "release": found.release,
        "code_version": found.code_version,
        "settings": {name: _plain(value) for name, value in asdict(found.settings).items()},
        "photos": _files(found.material.photos),
        "faces_photos": _files([file for file, _ in found.material.faces]),
        "textures": _files(found.material.textures),
        "old_photos": _files(found.material.old),
        "labelled_photos": _files(found.material.labelled),
        "methods": [
            {
                "name": m.name, "title": m.title, "cost": m.cost, "needs_true_mask": needs_true_mask(m),
                "does": " ".join((type(m).__doc__ or "").split()),
            }
            for m in methods
        ],
        "paired": paired,
        "detection": detection,
        "real": _real([row for row in found.rows if row.kind == "old"], names),
        "real_photos": real_figures(found.rows),
        "untouched": _untouched(found.harm.rows if found.harm else []),
        "harm": [asdict(check) | {"met": check.met} for check in found.harm.checks] if found.harm else [],
        "notes": list(found.harm.notes) if found.harm else [],
    }  # fmt: skip
    missing = why_not()
    if missing:
        content["notes"].append(f"LPIPS was not measured: {missing}.")
    content["goals"] = goals(content)
    return _without_nan(content)


def _chosen(rows: Iterable[Row], generator: str, kind: str, severity: str) -> list[Row]:
    severities = tuple(LEVELS) if severity == ALL else (severity,)
    return [r for r in rows if r.generator == generator and r.kind == kind and r.severity in severities]


def _table(rows: Sequence[Row], names: Sequence[str]) -> dict[str, Any]:
    """Gives the figures of each method, its gains over the input, and over the best classical one."""
    by_method: dict[str, dict[str, Cells]] = {}
    for name in names:
        own = [row for row in rows if row.method == name]
        if own:
            by_method[name] = {figure: _cells(own, figure) for figure in (*FIGURES, "seconds")}
    best = {
        figure: _best(by_method, figure, [name for name in CLASSICAL_TRUE_MASK if name in by_method])
        for figure in ("psnr", "aligned_psnr", "aligned_masked_psnr")
    }
    table = {}
    for name, figures in by_method.items():
        table[name] = {figure: _mean(cells).plain() for figure, cells in figures.items()}
        for figure in _GAINS:
            gain = intervals.difference_over_photos(figures[figure], by_method[INPUT][figure])
            table[name][f"{figure}_gain"] = gain.plain()
        for figure, other in best.items():
            if other is not None:
                over = intervals.difference_over_photos(figures[figure], by_method[other][figure])
                table[name][f"{figure}_over_classical"] = over.plain()
        if "navier-stokes-true-mask" in by_method:
            other_cells = by_method["navier-stokes-true-mask"]["aligned_masked_psnr"]
            over = intervals.difference_over_photos(figures["aligned_masked_psnr"], other_cells)
            table[name]["aligned_masked_psnr_over_navier_stokes"] = over.plain()
        for rival in RIVALS:
            of_it = [other for other in by_method if other.startswith(rival)]
            if of_it:
                best_of_it = by_method[str(_best(by_method, "aligned_psnr", of_it))]["aligned_psnr"]
                over = intervals.difference_over_photos(figures["aligned_psnr"], best_of_it)
                table[name][f"aligned_psnr_over_{rival}"] = over.plain()
    return {"photos": len({row.photo_sha256 for row in rows}), "best_classical": best, "methods": table}


def _cells(rows: Sequence[Row], figure: str) -> Cells:
    cells: dict[str, dict[str, float]] = defaultdict(dict)
    for row in rows:
        value = getattr(row, figure)
        if not math.isnan(value):
            cells[row.photo_sha256][row.severity] = value
    return cells


def _mean(cells: Cells) -> Estimate:
    return intervals.mean_over_photos({photo: list(found.values()) for photo, found in cells.items()})


def _best(by_method: Mapping[str, Mapping[str, Cells]], figure: str, names: Sequence[str]) -> str | None:
    """Gives the method of the highest mean; choosing it on the same photos favours it, a little."""
    means = {name: _mean(by_method[name][figure]).value for name in names}
    kept = {name: value for name, value in means.items() if not math.isnan(value)}
    return max(kept, key=kept.__getitem__) if kept else None


def _detection(rows: Sequence[Row], *, marked: bool) -> list[dict[str, Any]]:
    """Gives one entry, or none where no detector was measured."""
    own = [row for row in rows if row.method == DETECTOR]
    if not own:
        return []
    by_photo: dict[str, ScoreHistogram] = defaultdict(ScoreHistogram)
    for row in own:
        counts = by_photo[row.photo_sha256]
        counts.positive += np.array(row.damaged_by_score)
        counts.negative += np.array(row.sound_by_score)
    total = _histogram(sum(c.positive for c in by_photo.values()), sum(c.negative for c in by_photo.values()))
    shares: dict[str, list[float]] = defaultdict(list)
    for row in own:
        shares[row.photo_sha256].append(row.further["marked"])
    marks = intervals.mean_over_photos(shares)
    entry: dict[str, Any] = {"photos": len(by_photo), "marked": marks.plain()}
    if not marked or not total.positive.any():
        return [entry]
    pairs = [(c.positive, c.negative) for c in by_photo.values()]
    for name in ("auc", "average_precision"):
        entry[name] = intervals.pooled_over_photos(pairs, lambda p, n, name=name: getattr(_histogram(p, n), name)())
    entry["f1"] = intervals.pooled_over_photos(pairs, lambda p, n: _histogram(p, n).best_f1().value)
    entry = {name: value.plain() if isinstance(value, Estimate) else value for name, value in entry.items()}
    entry["f1_threshold"] = total.best_f1().threshold
    entry["damaged_share"] = float(total.positive.sum() / (total.positive.sum() + total.negative.sum()))
    false, true, _ = total.roc()
    at = np.unique(np.concatenate([[0.0], np.geomspace(1e-4, 1, _ROC_POINTS)]))
    entry["roc"] = {"false_rate": at.tolist(), "true_rate": np.interp(at, false, true).tolist()}
    return [entry]


def _histogram(positive: Any, negative: Any) -> ScoreHistogram:
    return ScoreHistogram(positive=np.asarray(positive), negative=np.asarray(negative))


def _untouched(rows: Sequence[Row]) -> dict[str, Any]:
    """Gives how far photos with nothing wrong are moved: the mean, and the 5th percentile, of PSNR by mode."""
    clean, twice = "harm/clean", "harm/twice"
    found = {}
    for name, kind, figure in (("full", clean, "full"), ("scratches", clean, "scratches"), ("twice", twice, "second")):
        values = {f"{k}": [r.further[figure]] for k, r in enumerate(r for r in rows if r.kind == kind)}
        found[name] = intervals.mean_over_photos(values).plain()
        found[f"{name}_low"] = intervals.percentile_over_photos(values, 5).plain()
    return found


def _real(rows: Sequence[Row], names: Sequence[str]) -> dict[str, Any]:
    """Gives the means of figures that need no truth, by method."""
    table: dict[str, Any] = {}
    for name in names:
        own = [row for row in rows if row.method == name]
        figures = sorted({figure for row in own for figure in row.further})
        if own:
            table[name] = {
                figure: intervals.mean_over_photos({r.photo_sha256: [r.further[figure]] for r in own}).plain()
                for figure in figures
            }
    return {"photos": len({row.photo_sha256 for row in rows}), "methods": table}


def _files(files: Sequence[Any]) -> list[dict[str, str]]:
    return [{"name": file.path.name, "sha256": file.sha256} for file in files]


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_without_nan(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value
