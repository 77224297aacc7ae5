"""All variants on the same held-out photos, by the protocol's measurer: with the true mask, and with the release's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from oldphoto_core.evaluation import metrics
from oldphoto_core.evaluation.baselines import Image, Mask
from oldphoto_core.evaluation.comparison.classical_methods import Inpainting, Input
from oldphoto_core.evaluation.comparison.interface import Cost, MaskSource, given_mask
from oldphoto_core.evaluation.comparison.measuring import Measurer
from oldphoto_core.evaluation.comparison.release_methods import FolderRelease, LateRestorer, Release
from oldphoto_core.evaluation.comparison.rows import Row, RowStore, key_of
from oldphoto_core.evaluation.comparison.settings import Case, ComparisonSettings, Material, all_cases, find_material
from oldphoto_core.evaluation.comparison.trained_methods import Trained, TrainedFolder
from oldphoto_core.evaluation.held_out import centre_square, read_photo
from oldphoto_core.models.filling import fill

SIDE_PX = 256
SAVE_EVERY_S = 20.0
CLEAN = "harm/clean"
"""Kind of the rows of photos with nothing wrong: how far a variant moves them, in PSNR."""


@dataclass(frozen=True)
class FillingAlone:
    """What the encoder is shown, with nothing trained: what a variant is above it, T has added."""

    mask_source: MaskSource = "true"
    name: str = "filling-true-mask"
    title: str = "filling alone"
    cost: Cost = "low"
    version: int = 1

    def restore(self, image: Image, mask: Mask | None) -> Image:
        """Gives the filled picture."""
        height, width = image.shape[:2]
        beyond = (0, -width % 16, 0, -height % 16)
        shown = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 127.5 - 1
        holes = torch.from_numpy(np.asarray(given_mask(mask), np.float32))[None, None]
        filled = fill(F.pad(shown, beyond, mode="replicate"), F.pad(holes, beyond))[0, :, :height, :width]
        return ((filled.permute(1, 2, 0) + 1) * 127.5).round().clamp(0, 255).byte().numpy()


@dataclass(frozen=True)
class Measured:
    """Rows of an ablation, and what they were measured on."""

    rows: list[Row]
    cases: list[Case]
    settings: ComparisonSettings
    variants: list[str]


def measure(
    networks: Sequence[TrainedFolder],
    run: Path,
    *,
    release: FolderRelease,
    photos: Path,
    textures: Path | None,
    count: int,
    code_version: str,
    side_px: int = SIDE_PX,
    progress: Callable[[int, int], None] | None = None,
) -> Measured:
    """Measures what has no row yet in the run's Parquet, and gives all rows.

    Args:
        networks: the trained variants.
        run: where `figures.parquet` lies.
        release: whose detector gives the masks.
        photos: clean photos, of which the held-out ones of role `report` are used.
        textures: for the first generator, held-out ones alone.
        count: photos.
        code_version: part of every row's key.
        side_px: side of the photos.
        progress: called with (cases done, cases in all).
    """
    settings = ComparisonSettings(
        photos, textures, protocol="ablation", drawn_count=count, kind_count=0, old_count=0, harm_count=0,
        side_px=side_px, shown=0,
    )  # fmt: skip
    material = find_material(settings)
    restorer = LateRestorer(release)
    methods = [Trained(network, source) for network in networks for source in ("true", "detected")]
    beside = [Input(), FillingAlone(), Inpainting("telea", "true"), Release(restorer, "true")]
    measurer = Measurer(
        [*beside, *methods], restorer, release=release.name, acted_above=release.acted_above,
        code_version=code_version, textures_dir=textures, textures_sha256=material.textures_sha256,
        pictures=run / "pictures",
    )  # fmt: skip
    store = RowStore(run / "figures.parquet")
    cases = list(all_cases(settings, material))
    clean = _CleanPhotos(material, restorer, release, settings, code_version)
    saved_at, keys = time.monotonic(), []
    try:
        for number, case in enumerate(cases):
            store.add(measurer.measure(case, store))
            keys += measurer.keys(case).values()
            if time.monotonic() - saved_at > SAVE_EVERY_S:
                store.save()
                saved_at = time.monotonic()
            if progress:
                progress(number + 1, len(cases))
        for row in clean.rows([m for m in methods if m.mask_source == "detected"], store):
            store.add([row])
            keys.append(row.key)
    finally:
        store.save()
    return Measured(store.rows(keys), cases, settings, [network.name for network in networks])


@dataclass(frozen=True)
class _CleanPhotos:
    """Photos with nothing wrong, restored with the mask that the release finds on them."""

    material: Material
    restorer: LateRestorer
    release: FolderRelease
    settings: ComparisonSettings
    code_version: str

    def rows(self, methods: Sequence[Trained], known: RowStore) -> Iterator[Row]:
        """Yields a row a photo and method, those that are known as they are."""
        for file in self.material.photos:
            by = {method: self._key(file.sha256, method) for method in methods}
            yield from known.rows(by.values())
            missing = [method for method, key in by.items() if key not in known]
            if not missing:
                continue
            photo = centre_square(read_photo(file.path), self.settings.side_px or SIDE_PX)
            mask: Mask = np.asarray(self.restorer.restore(photo).mask) > self.release.acted_above
            for method in missing:
                result = method.restore(photo, mask)
                yield Row(
                    by[method], file.path.name, file.sha256, "none", CLEAN, "as found", method.name,
                    side_px=self.settings.side_px or 0, mask_coverage=float(mask.mean()),
                    psnr=metrics.psnr(result, photo), release=self.release.name, code_version=self.code_version,
                )  # fmt: skip

    def _key(self, photo: str, method: Trained) -> str:
        return key_of(
            photo=photo, kind=CLEAN, side_px=self.settings.side_px, method=method.name, version=method.version,
            release=[self.release.name, self.release.acted_above], code=self.code_version,
        )  # fmt: skip
