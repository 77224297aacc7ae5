"""The detector before and after: ROC curves, figures, the threshold and the operating point, and what it looks like."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch

from oldphoto_core.evaluation.detection import ScoreHistogram
from oldphoto_core.evaluation.sheet import overlay_mask, picture_grid, save_picture
from oldphoto_core.models.presets import build_detector, preset
from oldphoto_core.releases.card import ReleaseCard
from oldphoto_core.training.checkpoint import load_release_weights, write_atomically
from oldphoto_core.training.chunks import Detect
from oldphoto_core.training.detector import detection
from oldphoto_core.training.export import trained_detector
from oldphoto_core.training.judging import (
    LABELLED_PX,
    detection_summary,
    labelled_histogram,
    own_set,
    photos_histogram,
    second_set,
)
from oldphoto_core.training.loop import placed
from oldphoto_core.training.material import Material
from oldphoto_core.training.stage_reports import StageReport

SHEET_ROWS = 6
_LEAST = 0.02
_MOST_MOVED = 0.2
"""How far the probability that counts as 0.5 may move from the parent's."""

Histograms = dict[str, ScoreHistogram]
"""By set: `labelled` (real photos), `own` and `second` (damaged ones)."""


def measure_detector(run: Path, folder: Path, material: Material, parent: ReleaseCard) -> StageReport:
    """Measures the run's detector beside the parent's on validation photos; writes ROC curves and a sheet."""
    old = build_detector(preset(parent.preset))
    load_release_weights(parent.folder, {"detector": old})
    new = trained_detector(run, parent.preset)
    assert new is not None, run
    detects = [detection(placed(d, material.device).eval().requires_grad_(False)) for d in (old, new)]
    before, after = histograms(detects, material)
    sheet = _sheet(folder / "sheet.png", detects, material)
    operating = operating_point(parent.card.get("operating") or {}, before, after)
    return StageReport(
        _figures(before),
        _figures(after),
        operating=operating,
        sheet=sheet,
        pictures=(roc_files(folder, {"before": before, "after": after}),),
        notes=[f"operating point, at the parent's rate of false alarms: {operating}"],
    )


def histograms(detects: list[Detect], material: Material) -> list[Histograms]:
    """Gives each detector's scores on each validation set."""
    own, second, labelled = own_set(material), second_set(material), material.labelled_validation
    found = [{"own": photos_histogram(d, own), "second": photos_histogram(d, second)} for d in detects]
    if labelled is not None:
        for detect, sets in zip(detects, found, strict=True):
            sets["labelled"] = labelled_histogram(detect, labelled)
    return found


def operating_point(parent: Mapping[str, float], before: Histograms, after: Histograms) -> dict[str, float]:
    """Gives the new detector's operating point: what is added to its logits, so that it errs as often as the parent's.

    What is mended is decided by probabilities (`oldphoto_core.restoration.mask`), which were chosen by the harm that
    they do, and harm is what is taken for damage and is not. Labelled and second-generator validation photos are
    counted together.
    """
    old = 1 / (1 + math.exp(parent.get("logit_offset", 0.0)))  # the probability that the parent's offset moves to 0.5
    together = [_sum([sets[name] for name in ("labelled", "second") if name in sets]) for sets in (before, after)]
    same_rate = together[1].threshold_at(together[0].false_rate_at(old))
    new = min(max(same_rate, old - _MOST_MOVED, _LEAST), old + _MOST_MOVED, 1 - _LEAST)
    return {"logit_offset": round(math.log((1 - new) / new), 4)}


def roc_files(folder: Path, found: Mapping[str, Histograms]) -> Path:
    """Writes `roc.parquet` and `roc.png`, a curve for each set and detector; gives the picture's path."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns: dict[str, list[object]] = {n: [] for n in ("detector", "set", "false_rate", "true_rate", "threshold")}
    sets = list(next(iter(found.values())))
    figure = Figure(figsize=(4.2 * len(sets), 4))
    FigureCanvasAgg(figure)
    for place, name in enumerate(sets):
        axes = figure.add_axes(((place + 0.14) / len(sets), 0.14, 0.8 / len(sets), 0.76))
        axes.plot([0, 1], [0, 1], color="0.8", lw=0.8)
        axes.set_title(name, fontsize=10)
        axes.set_xlabel("sound pixels taken for damaged", fontsize=8)
        axes.set_ylabel("damaged pixels found", fontsize=8)
        for detector, histograms_of in found.items():
            rates = histograms_of[name].roc()
            auc = histograms_of[name].auc()
            axes.plot(rates[0], rates[1], lw=1.3, label=f"{detector}: AUC {auc:.3f}")
            for key, values in zip(("false_rate", "true_rate", "threshold"), rates, strict=True):
                columns[key] += values.tolist()
            columns["detector"] += [detector] * len(rates[0])
            columns["set"] += [name] * len(rates[0])
        axes.legend(fontsize=8, loc="lower right")
    write_atomically(folder / "roc.parquet", lambda temporary: pq.write_table(pa.table(columns), temporary))
    write_atomically(folder / "roc.png", lambda temporary: figure.savefig(temporary, format="png", dpi=90))
    return folder / "roc.png"


def _figures(found: Histograms) -> dict[str, float]:
    return {f"{name}/{k}": v for name, histogram in found.items() for k, v in detection_summary(histogram).items()}


def _sum(parts: list[ScoreHistogram]) -> ScoreHistogram:
    return ScoreHistogram(
        positive=sum(p.positive for p in parts),
        negative=sum(p.negative for p in parts),
        total_score=sum(p.total_score for p in parts),
    )


def _sheet(path: Path, detects: list[Detect], material: Material) -> Path:
    """Shows validation photos: as they are, what people marked, and what the detector found before and after."""
    rows = []
    if material.labelled_validation is not None:
        bank = material.labelled_validation
        shown = [bank.whole(k, long_side_px=LABELLED_PX)[:2] for k in range(min(SHEET_ROWS, len(bank)))]
        marked = "marked"
    else:
        photos = second_set(material)
        count = min(SHEET_ROWS, len(photos))
        shown = [(photos.image[k : k + 1], photos.mask[k : k + 1]) for k in range(count)]
        marked = "true mask"
    for image, mask in shown:
        picture = ((image[0].float() + 1) / 2).permute(1, 2, 0).cpu().numpy()
        with torch.no_grad():
            masks = [mask, *(detect(image) for detect in detects)]
        rows.append([picture, *(overlay_mask(picture, m[0, 0].float().cpu().numpy()) for m in masks)])
    save_picture(path, picture_grid(rows, column_titles=["photo", marked, "before", "after"], cell_px=320))
    return path
