"""`oldphoto train ...`: trains the networks stage by stage in one run folder, and packs it as a release.

Everything heavy is imported inside the commands, so that `oldphoto --help` stays quick.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.options import Home
from flows.cli.train_options import (
    Batch,
    Compiled,
    Crop,
    DetectorStart,
    Device,
    EvaluateEvery,
    Gpus,
    Labelled,
    Minutes,
    Old,
    Photos,
    PresetName,
    Rate,
    Resume,
    Run,
    Seed,
    Start,
    Steps,
    Textures,
    Threads,
    changed,
    chosen_preset,
    known_release,
    material,
    print_result,
    releases_folder,
    reported,
    run_folder,
    run_options,
)

train_app = typer.Typer(
    name="train",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Train the networks: look, detector, mender, vaes, translation, in one run folder; then release.",
    epilog="Example: oldphoto train detector --photos clean/ --textures texture/ --run runs/first --minutes 60",
)


@train_app.command(epilog="Example: oldphoto train look --photos clean/ --textures texture/ --run runs/a --minutes 30")
def look(
    photos: Photos,
    run: Run = None,
    home: Home = None,
    textures: Textures = None,
    preset: PresetName = None,
    steps: Steps = None,
    minutes: Minutes = None,
    batch: Batch = None,
    lr: Rate = None,
    whole_px: Annotated[int, typer.Option(help="Side of the photos that are damaged; 128 is cheapest.")] = 128,
    seed: Seed = 0,
    device: Device = "auto",
    resume: Resume = True,
    start: Start = None,
    threads: Threads = None,
    gpus: Gpus = 1,
    compiled: Compiled = False,
    evaluate_every: EvaluateEvery = 250,
) -> None:
    """Train the look at the whole photo, which undoes fading and toning (archive preset only)."""
    with reported():
        from oldphoto_core.training.look import LookSettings
        from oldphoto_core.training.stages import train_look

        sizes = chosen_preset(preset, start, home)
        settings = changed(LookSettings(preset=sizes, whole_px=whole_px), batch=batch, rate=lr)
        options = run_options(
            "look", run, start, home, steps=steps, minutes=minutes, seed=seed, resume=resume,
            threads=threads, gpus=gpus, compiled=compiled, evaluate_every=evaluate_every,
        )  # fmt: skip
        print_result(train_look(material(photos, None, textures, device), settings, options))


@train_app.command(epilog="Example: oldphoto train detector --photos clean/ --run runs/a --minutes 60")
def detector(
    photos: Photos,
    run: Run = None,
    home: Home = None,
    textures: Textures = None,
    preset: PresetName = None,
    steps: Steps = None,
    minutes: Minutes = None,
    batch: Batch = None,
    crop: Crop = None,
    lr: Rate = None,
    focal: Annotated[float | None, typer.Option(min=0, help="Weight of the focal loss.")] = None,
    gamma: Annotated[
        float | None, typer.Option(min=0, help="Focus of the focal loss; 0 is cross entropy, the paper has 2.")
    ] = None,
    dice: Annotated[float | None, typer.Option(min=0, help="Weight of the Dice loss.")] = None,
    labelled: Labelled = None,
    labelled_share: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of each batch from labelled photos. Default: half.")
    ] = None,
    distil: Annotated[
        float | None, typer.Option(min=0, help="Weight of staying near the --start detector's answers.")
    ] = None,
    optimiser: Annotated[
        str | None, typer.Option(help="adamw, adam, or muon (from fresh weights, --lr 0.02). Default: the preset's.")
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    resume: Resume = True,
    start: DetectorStart = None,
    threads: Threads = None,
    gpus: Gpus = 1,
    compiled: Compiled = False,
    evaluate_every: EvaluateEvery = 250,
) -> None:
    """Train the scratch detector: on synthetic damage, and on real photos and film where there are any."""
    with reported():
        from oldphoto_core.training.detector import DetectorSettings
        from oldphoto_core.training.stages import train_detector

        imagenet = start == "imagenet"
        start = None if imagenet else start
        sizes = chosen_preset(preset, start, home)
        settings = changed(
            DetectorSettings.for_preset(sizes), imagenet=imagenet, frozen_statistics=start is not None,
            batch=batch, crop=crop, rate=lr, focal=focal, gamma=gamma, dice=dice,
            labelled_share=labelled_share, distil=distil, optimiser=optimiser,
        )  # fmt: skip
        options = run_options(
            "detector", run, start, home, steps=steps, minutes=minutes, seed=seed, resume=resume,
            threads=threads, gpus=gpus, compiled=compiled, evaluate_every=evaluate_every,
        )  # fmt: skip
        print_result(train_detector(material(photos, None, textures, device, labelled), settings, options))


@train_app.command(epilog="Example: oldphoto train mender --photos clean/ --textures texture/ --run runs/a")
def mender(
    photos: Photos,
    run: Run = None,
    home: Home = None,
    textures: Textures = None,
    preset: PresetName = None,
    steps: Steps = None,
    minutes: Minutes = None,
    batch: Batch = None,
    crop: Crop = None,
    lr: Rate = None,
    labelled: Labelled = None,
    seed: Seed = 0,
    device: Device = "auto",
    resume: Resume = True,
    start: Start = None,
    threads: Threads = None,
    gpus: Gpus = 1,
    compiled: Compiled = False,
    evaluate_every: EvaluateEvery = 250,
) -> None:
    """Train the mender, which adds what a smooth filling lacks inside the mask. Needs no other stage."""
    with reported():
        from oldphoto_core.training.mender import MenderSettings
        from oldphoto_core.training.stages import train_mender

        sizes = chosen_preset(preset, start, home)
        settings = changed(MenderSettings(preset=sizes), batch=batch, crop=crop, rate=lr)
        options = run_options(
            "mender", run, start, home, steps=steps, minutes=minutes, seed=seed, resume=resume,
            threads=threads, gpus=gpus, compiled=compiled, evaluate_every=evaluate_every,
        )  # fmt: skip
        print_result(train_mender(material(photos, None, textures, device, labelled), settings, options))


@train_app.command(
    epilog="Example: oldphoto train vaes --photos clean/ --old old/ --textures texture/ --run runs/a --minutes 45"
)
def vaes(
    photos: Photos,
    run: Run = None,
    home: Home = None,
    old: Old = None,
    textures: Textures = None,
    preset: PresetName = None,
    steps: Steps = None,
    minutes: Minutes = None,
    batch: Batch = None,
    crop: Crop = None,
    lr: Rate = None,
    alpha: Annotated[float | None, typer.Option(min=0.1, help="Weight of L1 against KL (eq. 2).")] = None,
    latent_adversary: Annotated[float | None, typer.Option(min=0, help="Weight of eq. 3; 0 leaves it out.")] = None,
    channel_adversary: Annotated[
        float | None, typer.Option(min=0, help="Weight of eq. 3 on channel statistics; 0 leaves it out.")
    ] = None,
    adversary: Annotated[float | None, typer.Option(min=0, help="Weight of the image LSGAN; 0 leaves it out.")] = None,
    labelled: Labelled = None,
    seed: Seed = 0,
    device: Device = "auto",
    resume: Resume = True,
    start: Start = None,
    threads: Threads = None,
    gpus: Gpus = 1,
    compiled: Compiled = False,
    evaluate_every: EvaluateEvery = 250,
) -> None:
    """Train VAE1 (old and damaged photos), then VAE2 from it. Needs the look in the run folder, or --start."""
    with reported():
        from oldphoto_core.training.stages import train_vaes
        from oldphoto_core.training.vaes import VaeSettings

        sizes = chosen_preset(preset, start, home)
        settings = changed(
            VaeSettings.for_preset(sizes), batch=batch, crop=crop, rate=lr, alpha=alpha,
            latent_adversary=latent_adversary, channel_adversary=channel_adversary, adversary=adversary,
        )  # fmt: skip
        options = run_options(
            "vaes", run, start, home, steps=steps, minutes=minutes, seed=seed, resume=resume,
            threads=threads, gpus=gpus, compiled=compiled, evaluate_every=evaluate_every,
        )  # fmt: skip
        for result in train_vaes(material(photos, old, textures, device, labelled), settings, options):
            print_result(result)


@train_app.command(
    epilog="Example: oldphoto train translation --photos clean/ --textures texture/ --run runs/a --minutes 200"
)
def translation(
    photos: Photos,
    run: Run = None,
    home: Home = None,
    textures: Textures = None,
    preset: PresetName = None,
    steps: Steps = None,
    minutes: Minutes = None,
    batch: Batch = None,
    crop: Crop = None,
    lr: Rate = None,
    pixel: Annotated[float | None, typer.Option(min=0, help="Weight of Charbonnier on the image.")] = None,
    squared: Annotated[float | None, typer.Option(min=0, help="Weight of the squared error on the image.")] = None,
    latent: Annotated[float | None, typer.Option(min=0, help="Weight of the latent L1 (eq. 5).")] = None,
    gradient: Annotated[float | None, typer.Option(min=0, help="Weight of the gradient L1.")] = None,
    adversary: Annotated[float | None, typer.Option(min=0, help="Weight of the LSGAN (eq. 5).")] = None,
    matching: Annotated[float | None, typer.Option(min=0, help="Weight of feature matching (eq. 6).")] = None,
    vgg: Annotated[float | None, typer.Option(min=0, help="Weight of VGG features, where at hand.")] = None,
    tone: Annotated[float | None, typer.Option(min=0, help="Weight of the look's own loss.")] = None,
    seed: Seed = 0,
    device: Device = "auto",
    resume: Resume = True,
    start: Start = None,
    threads: Threads = None,
    gpus: Gpus = 1,
    compiled: Compiled = False,
    evaluate_every: EvaluateEvery = 500,
) -> None:
    """Train the translation between the two latent spaces. Needs look and VAEs in the run folder, or --start."""
    with reported():
        from oldphoto_core.training.stages import train_translation
        from oldphoto_core.training.translation import TranslationSettings

        sizes = chosen_preset(preset, start, home)
        settings = changed(
            TranslationSettings.for_preset(sizes), batch=batch, crop=crop, rate=lr, pixel=pixel, squared=squared,
            latent=latent,
            gradient=gradient, adversary=adversary, matching=matching, vgg=vgg, tone=tone,
        )  # fmt: skip
        options = run_options(
            "translation", run, start, home, steps=steps, minutes=minutes, seed=seed, resume=resume,
            threads=threads, gpus=gpus, compiled=compiled, evaluate_every=evaluate_every,
        )  # fmt: skip
        print_result(train_translation(material(photos, None, textures, device), settings, options))


@train_app.command(
    name="material",
    epilog="Example: oldphoto train material real/ --old old/ --review review/REVIEW.csv --film film/",
)
def lay_down(
    out: Annotated[Path, typer.Argument(help="Material folder to write, for --labelled.", show_default=False)],
    old: Annotated[Path, typer.Option(help="Folder of the old photos that were reviewed.")],
    review: Annotated[Path, typer.Option(help="Table of verdicts, with the judged probabilities in prob/ beside it.")],
    film: Annotated[Path | None, typer.Option(help="Folder of film frames with masks of their dust.")] = None,
) -> None:
    """Lay reviewed photos and film frames down as a material folder for the detector.

    The table is a CSV with a row a photo and the columns
    file, verdict, where, ignore, missed, true_red.

    A verdict is clean, clean-but (clean but for what lies in ignore), right,
    mixed, missed or unsure.

    The other columns are empty or hold boxes, left,top,right,bottom as fractions
    of the sides, semicolons between: where, findings that are false; ignore, what
    nobody can tell; missed, damage not found; true_red, findings that are right.

    In prob/ beside the table lies what was judged of each photo, under its name
    and .png, as `oldphoto detect --found-out` writes it.

    The photos that we marked by hand, and the film that is kept for testing, stay out of training.
    """
    with reported():
        from oldphoto_core.evaluation.hand_marks import marked_photos
        from oldphoto_core.training.reviewed import KEPT_SEQUENCES, lay_material, read_reviews

        kept = marked_photos(old)
        reviews = read_reviews(review, old)
        lay_material(out, reviews=reviews, film=film, kept_photos=kept, kept_sequences=KEPT_SEQUENCES)
        train, validation = (len(list((out / "reviewed" / s).glob("*.mask.png"))) for s in ("train", "validation"))
        typer.echo(
            f"{out}: {len(reviews)} verdicts read; {train} photos are for training, {validation} for validation, "
            f"{len(kept)} kept for testing"
        )


@train_app.command(epilog="Example: oldphoto train release runs/a releases/mine")
def release(
    run: Annotated[
        Path | None,
        typer.Argument(help="Run folder with all stages trained. Default: {home}/work/training.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Argument(
            help="Folder to write the release into. Default: its name, in the home's releases.", show_default=False
        ),
    ] = None,
    home: Home = None,
    last: Annotated[bool, typer.Option("--last", help="Pack the last weights, not the best held-out ones.")] = False,
    parent: Annotated[
        str | None,
        typer.Option(help="Release that gives what this run did not train, and from which probability is acted on."),
    ] = None,
    detector_share: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="With --parent: how much of what training changed in the detector is kept, from 0 to 1. "
            "A third may forget little and keep most of what was learned."
        ),
    ] = 1.0,
) -> None:
    """Pack a run's weights as a release: half-precision safetensors and a JSON card."""
    with reported():
        from oldphoto_core.training.export import export_release, keep_by_name
        from oldphoto_core.training.retraining import pack_candidate

        which, folder = "last" if last else "best", run_folder(run, home)
        if parent is None:
            pack = partial(export_release, folder, which=which)
        else:
            known = known_release(parent, home)
            pack = partial(pack_candidate, folder, parent=known, which=which, detector_share=detector_share)
        card = keep_by_name(pack, releases_folder(home)) if out is None else pack(out)
        typer.echo(f"release {card.name} written to {card.folder}")


if __name__ == "__main__":
    train_app()
