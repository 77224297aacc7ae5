"""What labelling is worth: a detector that does not know a kind of damage, before and after so many labelled photos.

    python -m oldphoto_core.evaluation.fine_tuning --photos clean/ --old old/ --textures texture/ --kind tape --out out/

1. The release's detector goes on training for a while with the kind left out of the synthesis (`--forget-steps`).
2. The kind is painted on real old photos (see `painted_kinds`): some to train on, some to validate with, the rest to
   measure on. Other kinds are painted on the photos that are measured on: those are not to be forgotten.
3. The detector is fine-tuned by the retrain's own stage, and both are measured on the same photos.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oldphoto_core.errors import ConfigError, CoreError
from oldphoto_core.evaluation.detection import ScoreHistogram
from oldphoto_core.evaluation.painted_kinds import KINDS, painted_sets
from oldphoto_core.evaluation.sheet import overlay_mask, picture_grid, save_picture
from oldphoto_core.releases.bundle import load_release, save_release
from oldphoto_core.releases.card import ReleaseCard, find_release
from oldphoto_core.training.checkpoint import WEIGHTS, load_weights, write_json
from oldphoto_core.training.chunks import Detect
from oldphoto_core.training.detector import DetectorSettings, detection
from oldphoto_core.training.judging import detection_summary, own_set, photos_histogram
from oldphoto_core.training.labelled import LabelledBank
from oldphoto_core.training.loop import RunOptions, placed
from oldphoto_core.training.material import Material
from oldphoto_core.training.material_folder import LabelledPhoto
from oldphoto_core.training.retraining import begin_run, train_stage
from oldphoto_core.training.schedule import Budget
from oldphoto_core.training.stages import train_detector

LEAST_GAIN, MOST_LOSS = 0.05, 0.01
RESAMPLES = 1000
SHEET_ROWS = 8


@dataclass(frozen=True)
class Comparison:
    """AUC of two detectors on the same photos, with what resampling the photos makes of it (95 %)."""

    before: float
    after: float
    before_interval: tuple[float, float]
    after_interval: tuple[float, float]
    change_interval: tuple[float, float]
    photos: int


def compare(before: Sequence[ScoreHistogram], after: Sequence[ScoreHistogram], *, seed: int = 0) -> Comparison:
    """Gives pooled AUCs of either detector, and intervals over photos drawn with replacement, the same for both.

    Args:
        before: a histogram a photo.
        after: of the same photos.
        seed: of the resampling.
    """
    rng = np.random.default_rng(seed)
    stacks = [_stack(sets) for sets in (before, after)]
    every = np.arange(len(before))
    draws = [rng.integers(0, len(before), len(before)) for _ in range(RESAMPLES)]
    points = [_auc(stack, every) for stack in stacks]
    drawn = np.array([[_auc(stack, rows) for stack in stacks] for rows in draws])  # (RESAMPLES, 2)

    def interval(values: NDArray[np.float64]) -> tuple[float, float]:
        low, high = np.nanpercentile(values, [2.5, 97.5])
        return float(low), float(high)

    changes = interval(drawn[:, 1] - drawn[:, 0])
    return Comparison(points[0], points[1], interval(drawn[:, 0]), interval(drawn[:, 1]), changes, len(before))


def without_kind(material: Material, kind: str) -> Material:
    """Gives material whose synthetic damage holds none of this kind."""
    from oldphoto_core.degradation import Degradation

    absent = dict.fromkeys(KINDS[kind].recipe, 0.0)

    def reduce(damage: Degradation) -> Degradation:
        return Degradation(replace(damage.recipe, **absent), damage.textures)

    return replace(
        material,
        degradation=reduce(material.degradation),
        degradation_held_out=reduce(material.degradation_held_out),
    )


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Does all of it, and gives the figures."""
    release = find_release(options.release)
    material = Material.load(options.photos, textures=options.textures, judged_photos=options.judged)
    material = without_kind(material, options.kind)
    if not options.old.is_dir():
        raise ConfigError(f"{options.old} is no folder; give the folder of real old photos")
    photos = [p for p in options.old.iterdir() if p.suffix.lower() in {".jpg", ".jpeg", ".png", ".tif"}]
    sets = painted_sets(
        photos, options.kind, labelled=options.labelled, validation=options.validation, test=options.test,
        textures=options.textures, seed=options.seed,
    )  # fmt: skip
    parent = _forgotten(release, material, options)
    material = replace(
        material, labelled=LabelledBank(sets["train"]), labelled_validation=LabelledBank(sets["validation"])
    )
    run = options.out / "run"
    begin_run(run, parent)
    outcome = train_stage(
        "detector",
        material,
        run,
        parent=parent,
        budget=Budget(steps=options.steps),
        seed=options.seed,
        threads=options.threads,
        changes=options.settings,
    )
    old, new = load_release(parent).detector, load_release(parent).detector
    load_weights(run / "detector" / WEIGHTS["best"], {"detector": new})
    detects = [detection(placed(d, material.device).eval()) for d in (old, new)]
    found = {name: compare(*_histograms(detects, sets[name])) for name in ("test", "others")}
    own = [detection_summary(photos_histogram(detect, own_set(material)))["auc"] for detect in detects]
    _sheet(options.out / "fine_tuning.png", sets["test"], detects)
    kind, others = found["test"], found["others"]
    return {
        "release": release.name,
        "kind": options.kind,
        "labelled": len(sets["train"]),
        "validation": len(sets["validation"]),
        "steps": options.steps,
        "forget_steps": options.forget_steps,
        "seconds": round(outcome.elapsed_s, 1),
        "threshold": outcome.figures["labelled/threshold"],
        "this kind": vars(kind),
        "old kinds": vars(others),
        "synthetic": {"before": own[0], "after": own[1]},
        "met": {
            f"AUC of the kind higher by {LEAST_GAIN}": kind.after - kind.before >= LEAST_GAIN,
            f"AUC of old kinds not lower by more than {MOST_LOSS}": others.after - others.before >= -MOST_LOSS,
        },
    }


def markdown(figures: dict[str, Any]) -> str:
    """Gives the figures as Markdown."""
    lines = [
        f"{figures['labelled']} labelled photos of {figures['kind']}, {figures['steps']} steps, from "
        f"{figures['release']} after {figures['forget_steps']} steps without that kind",
        "",
        "| AUC | photos | before | after | change (95 %) |",
        "|---|---:|---:|---:|---:|",
    ]
    for name in ("this kind", "old kinds"):
        row = figures[name]
        least, most = row["change_interval"]
        change = f"{row['after'] - row['before']:+.3f} ({least:+.3f} to {most:+.3f})"
        intervals = [row["before_interval"], row["after_interval"]]
        points = zip((row["before"], row["after"]), intervals, strict=True)
        cells = [f"{point:.3f} ({low:.3f} to {high:.3f})" for point, (low, high) in points]
        lines.append(f"| {name} | {row['photos']} | {cells[0]} | {cells[1]} | {change} |")
    own = figures["synthetic"]
    lines.append(f"| synthetic, without it | | {own['before']:.3f} | {own['after']:.3f} | "
                 f"{own['after'] - own['before']:+.3f} |")  # fmt: skip
    lines += ["", *(f"- {'met' if met else 'NOT MET'}: {name}" for name, met in figures["met"].items())]
    return "\n".join(lines) + "\n"


def _forgotten(release: ReleaseCard, material: Material, options: argparse.Namespace) -> ReleaseCard:
    """Gives the release with its detector trained on without the kind; itself where no steps are asked for."""
    if not options.forget_steps:
        return release
    run, folder = options.out / "without", options.out / "without" / "release"
    settings = replace(DetectorSettings.for_preset(release.preset), rate=options.forget_rate)
    if release.preset == "tiny":
        settings = replace(settings, batch=4, crop=64, chunk_photos=2, pool_chunks=2)
    budget = Budget(steps=options.forget_steps)
    train_detector(
        material,
        settings,
        RunOptions(
            run, budget, seed=options.seed, start=release.folder, threads=options.threads, evaluate_every=10**9
        ),
    )
    loaded = load_release(release)
    load_weights(run / "detector" / WEIGHTS["last"], {"detector": loaded.detector})
    card = {"operating": release.card["operating"]} if "operating" in release.card else {}
    from oldphoto_core.models.presets import preset

    return save_release(
        folder, sizes=preset(release.preset), detector=loaded.detector, network=loaded.network, card=card
    )


def _histograms(detects: Sequence[Detect], photos: Sequence[LabelledPhoto]) -> list[list[ScoreHistogram]]:
    """Gives a histogram a photo, of each detector, of whole photos."""
    bank = LabelledBank(photos)
    found: list[list[ScoreHistogram]] = [[] for _ in detects]
    for number in range(len(bank)):
        image, mask, ignore = bank.whole(number, long_side_px=1024)
        for detect, histograms in zip(detects, found, strict=True):
            histogram = ScoreHistogram()
            histogram.add(detect(image).numpy(), mask.numpy() > 0.5, ignore=ignore.numpy() > 0.5)
            histograms.append(histogram)
    return found


def _stack(histograms: Sequence[ScoreHistogram]) -> NDArray[np.int64]:
    return np.stack([np.stack([h.positive, h.negative]) for h in histograms])  # (N, 2, bins)


def _auc(stack: NDArray[np.int64], rows: NDArray[np.integer]) -> float:
    positive, negative = stack[rows].sum(0)
    return ScoreHistogram(positive=positive, negative=negative).auc()


def _sheet(path: Path, photos: Sequence[LabelledPhoto], detects: Sequence[Detect]) -> None:
    bank, rows = LabelledBank(photos[:SHEET_ROWS]), []
    for number in range(len(bank)):
        image, mask, _ = bank.whole(number, long_side_px=640)
        picture = ((image[0] + 1) / 2).permute(1, 2, 0).numpy()
        masks = [mask, *(detect(image) for detect in detects)]
        rows.append([picture, *(overlay_mask(picture, m[0, 0].numpy()) for m in masks)])
    save_picture(path, picture_grid(rows, column_titles=["photo", "painted", "before", "after"], cell_px=320))


def main(argv: list[str] | None = None) -> int:
    """Runs the measurement and gives the exit code: 0 where both bars are met, 1 where not, 2 for a mistake."""
    options = _parse(argv)
    try:
        figures = measure(options)
    except CoreError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    write_json(options.out / "fine_tuning.json", figures)
    (options.out / "fine_tuning.md").write_text(markdown(figures), encoding="utf-8")
    print(markdown(figures))
    return 0 if all(figures["met"].values()) else 1


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m oldphoto_core.evaluation.fine_tuning",
        description="Measures what so many labelled photos of a new kind of damage are worth to the detector.",
        epilog="example: python -m oldphoto_core.evaluation.fine_tuning --photos clean --old old --textures texture"
        " --kind tape --labelled 30 --steps 300 --out out/tape",
    )
    parser.add_argument("--photos", type=Path, required=True, help="folder of clean photos, for synthetic damage")
    parser.add_argument("--old", type=Path, required=True, help="folder of real old photos, to paint the kind on")
    parser.add_argument("--textures", type=Path, help="folder of damage textures")
    parser.add_argument("--kind", choices=sorted(KINDS), default="tape", help="the kind of damage (tape)")
    parser.add_argument("--labelled", type=int, default=30, help="labelled photos to train on (30)")
    parser.add_argument("--validation", type=int, default=12, help="labelled photos to validate with (12)")
    parser.add_argument("--test", type=int, default=60, help="photos to measure on, at most (60)")
    parser.add_argument("--steps", type=int, default=300, help="of fine-tuning (300)")
    parser.add_argument("--forget-steps", type=int, default=300, help="without the kind, before; 0 for none (300)")
    parser.add_argument("--forget-rate", type=float, default=1e-3, help="learning rate of those (1e-3)")
    parser.add_argument("--setting", action="append", default=[], metavar="NAME=VALUE", help="of the detector's stage")
    parser.add_argument("--judged", type=int, default=16, help="damaged photos that checkpoints are judged on (16)")
    parser.add_argument("--release", default="default", help="release to start from, by name or folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the network (1)")
    parser.add_argument("--out", type=Path, required=True, help="folder for JSON, Markdown, PNG and the run")
    options = parser.parse_args(argv)
    try:
        pairs = [setting.split("=", 1) for setting in options.setting]
        options.settings = {name: json.loads(value) for name, value in pairs}
    except ValueError:
        parser.error("--setting wants NAME=VALUE, the value as JSON")
    return options


if __name__ == "__main__":
    sys.exit(main())
