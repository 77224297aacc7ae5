"""A small set of damaged held-out photos, made once, on which checkpoints are compared while training."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oldphoto_core.evaluation import metrics
from oldphoto_core.evaluation.detection import ScoreHistogram
from oldphoto_core.evaluation.generators import Generator, make_damager, photo_seed
from oldphoto_core.evaluation.held_out import Role, centre_square, held_out_photos, read_photo

log = logging.getLogger(__name__)

Restore = Callable[[NDArray[np.uint8], NDArray[np.float32]], NDArray[np.uint8]]
"""(B, H, W, 3) uint8 damaged and (B, H, W) float32 masks in [0, 1], to (B, H, W, 3) uint8 restored."""

Detect = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""(B, H, W, 3) uint8 to (B, H, W) float32 probabilities."""


@dataclass(frozen=True)
class FixedSet:
    """Damaged photos and their answers, stacked."""

    image: NDArray[np.uint8]
    """(N, H, W, 3) damaged."""

    target: NDArray[np.uint8]
    """(N, H, W, 3) what a perfect restoration gives."""

    mask: NDArray[np.uint8]
    """(N, H, W), 1 where damaged."""

    ignore: NDArray[np.uint8]
    """(N, H, W), 1 where a detector is neither right nor wrong."""

    def __len__(self) -> int:
        return len(self.image)

    @classmethod
    def prepare(
        cls,
        photos_dir: Path,
        *,
        generator: Generator = "second",
        count: int = 24,
        size: int = 256,
        textures_dir: Path | None = None,
        seed: int = 0,
        role: Role = "select",
        cache: Path | None = None,
    ) -> FixedSet:
        """Gives the set for these settings, from the file `cache` when it was written for the same ones.

        Args:
            photos_dir: folder of clean photos; only held-out ones are used.
            generator: "first" (oldphoto_core.degradation, held-out textures) or "second".
            count: number of photos.
            size: side of the square pictures in pixels; each is the whole middle square of a photo.
            textures_dir: textures for the first generator; procedural ones when None.
            seed: of the damage.
            role: which held-out photos; "select" keeps the reported ones unseen.
            cache: npz file to read and to write.
        """
        paths = held_out_photos(photos_dir, role=role, count=count)
        textures = textures_dir.name if textures_dir else "procedural"
        names = zlib.crc32("\n".join(p.name for p in paths).encode())
        key = f"v{_generator_version()} {generator} {len(paths)} {size} {textures} {seed} {role} {names:08x}"
        if cache and cache.exists():
            with np.load(cache) as stored:
                if str(stored["key"]) == key:
                    return cls(**{f.name: stored[f.name] for f in fields(cls)})
            log.info("fixed set %s was made for other settings, making it again", cache)
        clean = [centre_square(read_photo(p), size) for p in paths]
        result = damaged_set(clean, generator=generator, textures_dir=textures_dir, seed=seed)
        if cache:
            cache.parent.mkdir(parents=True, exist_ok=True)
            partial = cache.with_name(cache.name + ".part.npz")
            np.savez(partial, key=np.array(key), **{f.name: getattr(result, f.name) for f in fields(cls)})
            partial.replace(cache)
        return result


def damaged_set(
    clean: list[NDArray[np.uint8]], *, generator: Generator, textures_dir: Path | None = None, seed: int = 0
) -> FixedSet:
    """Gives photos of one size damaged by either generator, photo k by a seed drawn from `seed` and k alone."""
    damager = make_damager(generator, textures_dir=textures_dir)
    made = [damager(photo, photo_seed(seed, k)) for k, photo in enumerate(clean)]
    return FixedSet(
        np.stack([d.image for d in made]),
        np.stack([d.target for d in made]),
        np.stack([d.mask for d in made]).astype(np.uint8),
        np.stack([d.ignore for d in made]).astype(np.uint8),
    )


def evaluate_network(
    restore: Restore | None,
    fixed: FixedSet,
    *,
    detect: Detect | None = None,
    with_clean: bool = True,
    batch: int = 8,
) -> dict[str, float]:
    """Gives the figures of a network on a fixed set.

    Args:
        restore: whole photos and masks in, restored photos out; it is given the true mask. None to skip.
        fixed: the set.
        detect: photos in, damage probability out. With it come `auc` and `best_f1`, and the figures of restoring with
            the detected mask (`detected_psnr`, `detected_aligned_psnr`).
        with_clean: also give the targets, undamaged, to `restore` (mask: the detector's, else empty): `clean_psnr`.
        batch: photos a call.

    Returns:
        Means over photos: `input_psnr, input_aligned_psnr, psnr, psnr_gain, aligned_psnr, ssim, masked_psnr,
        unmasked_psnr, clean_psnr, detected_psnr, detected_aligned_psnr, auc, best_f1`, those that apply.
    """
    sums: dict[str, list[float]] = {}
    histogram = ScoreHistogram()

    def note(name: str, value: float) -> None:
        sums.setdefault(name, []).append(value)

    for start in range(0, len(fixed), batch):
        part = slice(start, start + batch)
        image, target, mask = fixed.image[part], fixed.target[part], fixed.mask[part]
        scores = detect(image) if detect else None
        if scores is not None:
            histogram.add(scores, mask > 0, ignore=fixed.ignore[part] > 0)
        if restore is None:
            continue
        results = {"": restore(image, mask.astype(np.float32)), "input_": image}
        if scores is not None:
            results["detected_"] = restore(image, scores)
        for prefix, result in results.items():
            for k in range(len(image)):
                damaged = mask[k] > 0
                note(f"{prefix}psnr", metrics.psnr(result[k], target[k]))
                note(f"{prefix}aligned_psnr", metrics.aligned_psnr(result[k], target[k], damaged))
                if not prefix:
                    note("ssim", metrics.ssim(result[k], target[k]))
                    note("masked_psnr", metrics.psnr(result[k], target[k], where=damaged))
                    note("unmasked_psnr", metrics.psnr(result[k], target[k], where=~damaged))
        if with_clean:
            empty = detect(target) if detect else np.zeros(mask.shape, np.float32)
            clean = restore(target, empty)
            for k in range(len(target)):
                note("clean_psnr", metrics.psnr(clean[k], target[k]))
    figures = {name: metrics.mean_finite(values) for name, values in sums.items()}
    if "psnr" in figures:
        figures["psnr_gain"] = figures["psnr"] - figures["input_psnr"]
    if detect:
        figures["auc"] = histogram.auc()
        figures["best_f1"] = histogram.best_f1().value
    return figures


def _generator_version() -> int:
    """Gives the number that is raised whenever either generator draws other pictures from the same seed."""
    from oldphoto_core.evaluation import GENERATOR_VERSION

    return GENERATOR_VERSION
