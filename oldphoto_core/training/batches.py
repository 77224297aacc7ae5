"""Crops to train on, cut from a moving pool of whole damaged photos.

Damage is made on whole photos, because tone and look belong to a whole photo; the networks train on crops. Synthesis
costs about as much as a training step on a CPU, so each damaged photo stays in a pool for a while and is cropped
several times at different places. The pool at a step depends on nothing but (seed, step): chunk number c of the
pool is always synthesised from the same seed, so that a resumed run sees the same crops as an uninterrupted one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields

import torch

from oldphoto_core.errors import TrainingError
from oldphoto_core.training import distributed
from oldphoto_core.training.schedule import seeded

ALIGNMENT_PX = 16
"""Crops start at multiples of this, the networks' total stride."""


@dataclass(frozen=True)
class WholePhotos:
    """A chunk of whole photos, square. Images (B, 3, H, H) in [-1, 1], maps (B, 1, H, H) in [0, 1]."""

    image: torch.Tensor
    """What the camera left us: damaged or old."""
    target: torch.Tensor
    """What it should become; for real old photos, which have no partner, the photo itself."""
    mask: torch.Tensor
    """1 = structurally damaged, {0, 1}."""
    ignore: torch.Tensor
    """1 = neither damaged nor intact, left out of detection's loss and score."""
    opacity: torch.Tensor
    """Opacity of the structured damage."""
    given: torch.Tensor
    """The soft mask given to the translation: true, inexact, detected or with strokes missing."""
    kind: torch.Tensor
    """(B,) int: 0 untouched, 1 tone only, 2 scratches only, 3 mixed, 4 a real old photo."""
    thumbnail: torch.Tensor
    """(B, 3, S, S) in [-1, 1], area average of the whole photo over pixels that `given` calls intact."""
    thumbnail_mask: torch.Tensor
    """(B, 1, S, S)."""
    target_thumbnail: torch.Tensor
    """(B, 3, S, S), the target's plain area average."""

    def __len__(self) -> int:
        return self.image.shape[0]


@dataclass(frozen=True)
class CropBatch(WholePhotos):
    """Crops of whole photos, with their whole photos' thumbnails and where in them they lie."""

    window: torch.Tensor
    """(B, 4) top, left, bottom, right of each crop as fractions of its whole photo."""


ChunkMaker = Callable[[torch.Generator], WholePhotos]
"""Makes one chunk of whole photos from a generator; called from another thread, so it must hold no state."""


class CropSource:
    """Gives the crops of any step, synthesising the next chunk of the pool in a background thread.

    Args:
        make_chunk: makes the whole photos of one chunk.
        seed: seed of the run.
        name: sets this source's random numbers apart from another's of the same run.
        steps_a_chunk: a new chunk enters the pool, and the oldest leaves it, every so many steps.
        pool_chunks: chunks in the pool.
        device: where the generators live.
    """

    def __init__(
        self,
        make_chunk: ChunkMaker,
        *,
        seed: int,
        name: str = "synthetic",
        steps_a_chunk: int = 2,
        pool_chunks: int = 6,
        device: torch.device | str = "cpu",
    ):
        if steps_a_chunk < 1 or pool_chunks < 1:
            raise TrainingError(f"a pool needs whole chunks and steps: {steps_a_chunk=}, {pool_chunks=}")
        self._make_chunk = make_chunk
        self._seed, self._name, self._device = seed, distributed.purpose(name), torch.device(device)
        self._steps_a_chunk, self._pool_chunks = steps_a_chunk, pool_chunks
        self._chunks: dict[int, WholePhotos] = {}
        self._coming: dict[int, Future[WholePhotos]] = {}
        # Synthesis is many small operations: several threads for each of them cost ten times what they save. So it
        # has one, always in the same kind of thread, so that sums are added up in the same order after a resume.
        self._thread = ThreadPoolExecutor(1, f"{name}-photos", torch.set_num_threads, (1,))
        self.synthesis_s = 0.0
        """Seconds spent making chunks, in whichever thread."""
        self.waited_s = 0.0
        """Seconds that steps waited for their chunks."""

    def at(self, step: int, *, crop_px: int, batch: int) -> CropBatch:
        """Gives the crops of a step: random photos of the pool, each at a random aligned place."""
        pool = self.pool(step)
        generator = seeded(self._seed, f"{self._name}/crops", step, self._device)
        return cut(pool, crop_px=crop_px, batch=batch, generator=generator)

    def pool(self, step: int) -> list[WholePhotos]:
        """Gives the chunks in the pool at a step."""
        started = time.perf_counter()
        first = step // self._steps_a_chunk
        wanted = range(first, first + self._pool_chunks)
        for number in range(first, wanted.stop + 1):  # the pool, and the next chunk ahead of its time
            if number not in self._chunks and number not in self._coming:
                self._coming[number] = self._thread.submit(self._synthesise, number)
        for number in wanted:
            if number not in self._chunks:
                self._chunks[number] = self._coming.pop(number).result()
        for number in [n for n in self._chunks if n not in wanted]:
            del self._chunks[number]
        self.waited_s += time.perf_counter() - started
        return [self._chunks[number] for number in wanted]

    def _synthesise(self, number: int) -> WholePhotos:
        started = time.perf_counter()
        with torch.no_grad():
            chunk = self._make_chunk(seeded(self._seed, f"{self._name}/chunk", number, self._device))
        self.synthesis_s += time.perf_counter() - started
        return chunk

    def close(self) -> None:
        """Ends the background thread, dropping what it had not begun."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> CropSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def cut(pool: list[WholePhotos], *, crop_px: int, batch: int, generator: torch.Generator) -> CropBatch:
    """Gives `batch` square crops, taking the pool's photos in a random order and starting over where it is small."""
    height, width = pool[0].image.shape[-2:]
    if crop_px > min(height, width):
        raise TrainingError(f"crops of {crop_px} px do not fit into whole photos of {height} x {width} px")
    owners = [(chunk, index) for chunk in pool for index in range(len(chunk))]
    order: list[int] = []
    while len(order) < batch:
        order += torch.randperm(len(owners), generator=generator, device=generator.device).cpu().tolist()
    places = torch.rand(batch, 2, generator=generator, device=generator.device).cpu().tolist()
    rows, tops_lefts = [], []
    for pick, (at_y, at_x) in zip(order, places, strict=False):
        top = int(at_y * ((height - crop_px) // ALIGNMENT_PX + 1)) * ALIGNMENT_PX
        left = int(at_x * ((width - crop_px) // ALIGNMENT_PX + 1)) * ALIGNMENT_PX
        rows.append(owners[pick])
        tops_lefts.append((top, left))
    values: dict[str, torch.Tensor] = {}
    for name in (f.name for f in fields(WholePhotos)):
        spatial = name not in ("kind", "thumbnail", "thumbnail_mask", "target_thumbnail")
        stacked = torch.stack(
            [
                getattr(chunk, name)[index, :, top : top + crop_px, left : left + crop_px]
                if spatial
                else getattr(chunk, name)[index]
                for (chunk, index), (top, left) in zip(rows, tops_lefts, strict=True)
            ]
        )
        values[name] = stacked.contiguous(memory_format=torch.channels_last) if stacked.ndim == 4 else stacked
    window = torch.tensor(
        [(t / height, x / width, (t + crop_px) / height, (x + crop_px) / width) for t, x in tops_lefts],
        dtype=torch.float32,
    )
    return CropBatch(**values, window=window.to(values["image"].device))
