"""Trains the method less one ingredient at a time, and pix2pix, and measures them on the same held-out photos.

    python -m oldphoto_core.evaluation.ablation --photos clean/ --old old/ --textures texture/ --run runs/ablations \\
        --steps-look 300 --steps-vae 300 --steps-t 1000

Give the same command again to go on: what is trained and measured stays as it is. Several processes may share the
variants out by `--only NAME ... --train-only`; the look, and VAEs that another variant lends, are to be there by then.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import torch

from oldphoto_core.errors import CoreError
from oldphoto_core.evaluation.ablation import telling
from oldphoto_core.evaluation.ablation.measuring import SIDE_PX, measure
from oldphoto_core.evaluation.ablation.plan import Plan
from oldphoto_core.evaluation.ablation.training import Stopped, Trainer
from oldphoto_core.evaluation.ablation.variants import VARIANTS, chosen
from oldphoto_core.evaluation.comparison.release_methods import FolderRelease
from oldphoto_core.evaluation.comparison.trained_methods import TrainedFolder
from oldphoto_core.releases.bundle import load_release
from oldphoto_core.releases.card import find_release
from oldphoto_core.training.detector import detection
from oldphoto_core.training.loop import placed
from oldphoto_core.training.material import Material

JUDGED_PHOTOS = 8
"""Photos that the loop judges a stage on, for its curves alone; the figures are of other photos."""


def run(options: argparse.Namespace) -> str:
    """Trains, measures and writes all down; gives the Markdown, with `--train-only` that of the training alone."""
    torch.set_num_threads(options.threads)
    card = find_release(options.release)
    detector = placed(load_release(card).detector, torch.device("cpu"))
    material = Material.load(
        options.photos, old=options.old, textures=options.textures, judged_photos=options.judged
    )
    plan = Plan(
        options.steps_look, options.steps_vae, options.steps_t, options.batch, options.crop, options.seed,
        options.steps_a_chunk, options.pool_chunks, options.chunk_photos,
    )  # fmt: skip
    trainer = Trainer(plan, material, detection(detector), options.run, options.threads, progress=sys.stderr.isatty())
    trained = {variant.name: trainer.train(variant) for variant in chosen(options.only)}
    if options.train_only:
        return telling.training_table(trained)
    networks = [TrainedFolder(options.run / name, name) for name in trained]
    measured = measure(
        networks,
        options.run,
        release=FolderRelease(card, "cpu"),
        photos=options.photos,
        textures=options.textures,
        count=options.count,
        code_version=options.code_version,
        side_px=options.side_px,
        progress=lambda done, total: logging.info("measured %d of %d", done, total) if done % 20 == 0 else None,
    )
    text = telling.markdown(measured, trained)
    (options.run / "ablation.md").write_text(text, encoding="utf-8")
    telling.plot(measured, trained, options.run / "ablation.png")
    telling.sheet(measured, networks, options.run / "ablation-sheet.png")
    return text


def main(argv: list[str] | None = None) -> int:
    """Runs the ablation and gives the exit code: 0, 2 for a mistake, 130 where it was asked to stop."""
    options = _parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        print(run(options))
    except CoreError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except Stopped:
        print("stopped; the same command goes on", file=sys.stderr)
        return 130
    return 0


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m oldphoto_core.evaluation.ablation",
        description="Trains the method less one ingredient at a time, and pix2pix, and compares them.",
        epilog="example: python -m oldphoto_core.evaluation.ablation --photos clean --old old --textures texture"
        " --run runs/ablations --steps-look 300 --steps-vae 300 --steps-t 1000",
    )
    parser.add_argument("--photos", type=Path, required=True, help="folder of clean photos")
    parser.add_argument("--old", type=Path, required=True, help="folder of real old photos, for VAE1")
    parser.add_argument("--textures", type=Path, help="folder of damage textures; without it all damage is drawn")
    parser.add_argument("--run", type=Path, required=True, help="folder for the variants and the figures")
    parser.add_argument("--steps-look", type=int, default=300, help="of the one look (300)")
    parser.add_argument("--steps-vae", type=int, required=True, help="of both VAEs together")
    parser.add_argument("--steps-t", type=int, required=True, help="of the translation")
    names = [variant.name for variant in VARIANTS]
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--train-only", action="store_true", help="measure nothing yet")
    parser.add_argument("--batch", type=int, default=16, help="crops a step (16)")
    parser.add_argument("--crop", type=int, default=96, help="their side at first (96)")
    parser.add_argument("--steps-a-chunk", type=int, default=2, help="steps until a new chunk of photos is damaged (2)")
    parser.add_argument("--pool-chunks", type=int, default=8, help="chunks in the pool that crops are cut from (8)")
    parser.add_argument("--chunk-photos", type=int, default=8, help="photos a chunk (8)")
    parser.add_argument("--count", type=int, default=60, help="photos to measure on, of either generator (60)")
    parser.add_argument("--side-px", type=int, default=SIDE_PX, help=f"their side ({SIDE_PX})")
    parser.add_argument("--judged", type=int, default=JUDGED_PHOTOS, help=f"photos of the curves ({JUDGED_PHOTOS})")
    parser.add_argument("--release", default="default", help="release whose detector gives all masks, name or folder")
    parser.add_argument("--code-version", default="", help="part of the figures' keys")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the networks (1)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
