"""The ablation of the latent adversarial loss (eq. 3): VAE1 trained with it and without, from one start and one seed.

    python -m oldphoto_core.evaluation.alignment --photos clean/ --old old/ --textures texture/ --steps 600 --out out/

A third of the old photos is kept from all variants, and measured on: how well they are given back, how far Z_R lies
from Z_X (sliced Wasserstein), and how well a probe tells the two apart (see `latents`). Further variants take other
parts away.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from oldphoto_core.errors import CoreError, TrainingError
from oldphoto_core.evaluation.latents import MatchedPhotos, basis_free_figures, latent_figures, matched_photos
from oldphoto_core.models.look import Look
from oldphoto_core.releases.bundle import load_release
from oldphoto_core.releases.card import ReleaseCard, find_release
from oldphoto_core.training.checkpoint import write_json
from oldphoto_core.training.data import PhotoBank
from oldphoto_core.training.export import trained_vae
from oldphoto_core.training.loop import RunOptions, placed, train
from oldphoto_core.training.material import Material
from oldphoto_core.training.retraining_settings import stage_settings
from oldphoto_core.training.schedule import Budget
from oldphoto_core.training.stage_reports import table_lines
from oldphoto_core.training.vaes import OldVaeStage, VaeSettings

HELD_OUT_SHARE = 1 / 3
MOST_LOSS_DB, LEAST_FALL = 1.0, 0.5

_NONE = {"latent_adversary": 0.0, "channel_adversary": 0.0}
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "without": _NONE,
    "with": {},
    "channel critic": {"latent_adversary": 0.0, "channel_adversary": 0.2},
    "unmatched crops": {"matched": 1},
    "without KL": _NONE | {"variational": False},
    "not shared": _NONE,
}
"""What each changes of a retrain's settings: `with` is the retrain's own, the paper's patch critic. `not shared` is
trained on damaged photos alone: the paper's VAE for X."""


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Trains the variants and gives their figures."""
    release = find_release(options.release)
    look = load_release(release).network.look
    material = _material(options)
    matched = matched_photos(material, look, most=options.pairs)
    if matched is None:
        raise TrainingError(f"{options.old}: no old photo is like any damaged one; expected more photos")
    rows = {name: _variant(name, release, look, material, matched, options) for name in options.variants}
    figures: dict[str, Any] = {
        "met": verdict(rows["without"], rows["with"]) if {"with", "without"} <= set(rows) else {},
        "start": release.name if options.start else "fresh",
        "steps": options.steps,
        "seed": options.seed,
        "split": options.split,
        "pairs": len(matched.old),
        "variants": {n: {k: None if v != v else v for k, v in row.items()} for n, row in rows.items()},
    }
    return figures


def verdict(without: Mapping[str, float], with_loss: Mapping[str, float]) -> dict[str, bool]:
    """Gives whether the loss does what it is for: the probe's accuracy above chance halved, at most 1 dB lost."""
    fall = with_loss["probe"] <= (1 - LEAST_FALL) * without["probe"]
    loss = without["psnr"] - with_loss["psnr"] <= MOST_LOSS_DB
    return {
        "the probe's accuracy above chance falls by half": bool(fall),
        f"reconstruction loses at most {MOST_LOSS_DB:g} dB": bool(loss),
    }


def markdown(figures: Mapping[str, Any]) -> str:
    """Gives the figures as Markdown."""
    rows = [
        {
            "VAE1": name,
            "reconstruction, dB": row["psnr"],
            "sampled, dB": row["sampled_psnr"],
            "Wasserstein": row["wasserstein"],
            "probe above chance": row["probe"],
            "standard error": row["probe_error"],
            "probe in any basis": row["basis_free_probe"],
        }
        for name, row in figures["variants"].items()
    ]
    lines = [
        f"{figures['steps']} steps from {figures['start']}, seed {figures['seed']}, split {figures['split']}; "
        f"{figures['pairs']} held-out old photos, each beside a damaged one of the same greyness and sharpness",
        "",
        *table_lines(rows),
        "",
        *(f"- {'met' if met else 'NOT MET'}: {name}" for name, met in figures["met"].items()),
    ]
    return "\n".join(lines) + "\n"


def _material(options: argparse.Namespace) -> Material:
    """Loads the folders; a third of the old photos, by the hash of their names, is held out."""
    material = Material.load(options.photos, old=options.old, textures=options.textures, judged_photos=4)
    assert material.old is not None
    assert material.old_held_out is not None
    photos = dict(zip(material.old.names, material.old.photos, strict=True))
    photos |= dict(zip(material.old_held_out.names, material.old_held_out.photos, strict=True))

    def bank(held_out: bool) -> PhotoBank:
        names = [name for name in sorted(photos) if _held_out(name, options.split) == held_out]
        if not names:
            raise TrainingError(f"{options.old} has too few photos to hold a third of them out; give a larger folder")
        return PhotoBank([photos[name] for name in names], names)

    return replace(material, old=bank(False), old_held_out=bank(True))


def _held_out(name: str, split: int) -> bool:
    digest = hashlib.sha256(f"alignment/{split or ''}{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < HELD_OUT_SHARE * 2**64


def _variant(
    name: str,
    release: ReleaseCard,
    look: Look | None,
    material: Material,
    matched: MatchedPhotos,
    options: argparse.Namespace,
) -> dict[str, float]:
    """Trains one variant, and gives its figures on the held-out photos."""
    settings = stage_settings("vaes", release.preset, {**VARIANTS[name], **options.settings_of(name)})
    assert isinstance(settings, VaeSettings)
    if name == "not shared":
        material = replace(material, old=None)
    stage = OldVaeStage(settings, replace(material, old_held_out=None), look=look, seed=options.seed)
    folder = options.out / name.replace(" ", "-")
    run = RunOptions(
        folder,
        Budget(steps=options.steps),
        seed=options.seed,
        start=release.folder if options.start else None,
        threads=options.threads,
        evaluate_every=10**9,
    )
    train(stage, run)
    vae = placed(trained_vae(folder, release.preset, "vae_x"), material.device).eval()
    return latent_figures(vae, matched) | basis_free_figures(vae, matched)  # type: ignore[arg-type]


def main(argv: list[str] | None = None) -> int:
    """Runs the ablation and gives the exit code: 0 where both bars are met, 1 where not, 2 for a mistake."""
    options = _parse(argv)
    try:
        figures = measure(options)
    except CoreError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    write_json(options.out / "alignment.json", figures)
    (options.out / "alignment.md").write_text(markdown(figures), encoding="utf-8")
    print(markdown(figures))
    return 0 if all(figures["met"].values()) else 1


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m oldphoto_core.evaluation.alignment",
        description="Trains VAE1 with and without the latent adversarial loss, and measures what it does.",
        epilog="example: python -m oldphoto_core.evaluation.alignment --photos clean --old old --textures texture"
        " --steps 600 --out out/alignment",
    )
    parser.add_argument("--photos", type=Path, required=True, help="folder of clean photos, to be damaged: X")
    parser.add_argument("--old", type=Path, required=True, help="folder of real old photos: R")
    parser.add_argument("--textures", type=Path, help="folder of damage textures")
    parser.add_argument("--steps", type=int, default=600, help="of each variant (600)")
    parser.add_argument("--pairs", type=int, default=120, help="held-out old photos to measure on, at most (120)")
    parser.add_argument(
        "--variants", nargs="+", choices=list(VARIANTS), default=["without", "with"], help="what to train"
    )
    parser.add_argument("--release", default="default", help="release to take the look from, and to start from")
    parser.add_argument("--fresh", dest="start", action="store_false", help="start from a fresh VAE, not the release's")
    parser.add_argument(
        "--setting", action="append", default=[], metavar="NAME=VALUE", help="of the VAEs' stage, for all variants"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", type=int, default=0, help="which third of the old photos is held out: any number")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the networks (1)")
    parser.add_argument("--out", type=Path, required=True, help="folder for JSON, Markdown and the runs")
    options = parser.parse_args(argv)
    try:
        given = {name: json.loads(value) for name, value in (setting.split("=", 1) for setting in options.setting)}
    except ValueError:
        parser.error("--setting wants NAME=VALUE, the value as JSON")
    # what a variant is about stays as the variant has it
    options.settings_of = lambda name: {k: v for k, v in given.items() if k not in VARIANTS[name]}
    return options


if __name__ == "__main__":
    sys.exit(main())
