"""How far apart Z_R and Z_X lie: what VAE1 makes of real old photos, and of clean ones that we damaged.

Two figures, both zero where the domains are one: the sliced Wasserstein distance of the latents' places, and what a
probe learns, a logistic regression that tells old from synthetic by the latent's channel means and deviations.
A probe also learns whatever else sets the two kinds of photo apart, so that they are matched first: the same size, the
same share of grey photos, and pair by pair about the same sharpness.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from oldphoto_core.models.look import Look, make_thumbnail
from oldphoto_core.models.vae import VAE
from oldphoto_core.training.batches import WholePhotos
from oldphoto_core.training.data import PhotoBank
from oldphoto_core.training.judging import BATCH
from oldphoto_core.training.look import toned_photos
from oldphoto_core.training.loop import precision
from oldphoto_core.training.losses import psnr
from oldphoto_core.training.matching import nearest_partners, traits
from oldphoto_core.training.schedule import seeded
from oldphoto_core.training.vaes import reconstruct

if TYPE_CHECKING:
    from oldphoto_core.training.material import Material

POOL = 3
"""Damaged photos that each old one may be matched with."""
PLACES = 32768
"""Latent places that the distance is measured on, of either kind."""
PROJECTIONS = 128
REPEATS = 8
FEWEST = 8
"""Pairs below which a probe means nothing."""


@dataclass(frozen=True)
class MatchedPhotos:
    """Real old photos and damaged ones, as many of each, as VAE1 is shown them: (N, 3, H, H) in [-1, 1]."""

    old: torch.Tensor
    synthetic: torch.Tensor
    old_owner: list[int]
    """Numbers of the photos, equal where two rows show the same photo."""
    synthetic_owner: list[int]


def matched_photos(
    material: Material, look: Look | None, *, most: int = 120, whole_px: int | None = None
) -> MatchedPhotos | None:
    """Gives held-out old photos and damaged ones that are alike in size, grey share and sharpness.

    Args:
        material: of which the held-out photos and textures are taken.
        look: corrects the tone first, as the encoder is shown.
        most: old photos at most.
        whole_px: side of the photos; None: the material's.

    Returns:
        None where there are no old photos.
    """
    if material.old_held_out is None:
        return None
    side = whole_px or material.judged_px
    count = min(most, len(material.old_held_out))
    old = _shown(_old(material.old_held_out, count, side), look)
    pool = count * POOL
    owners = [k % len(material.clean_held_out) for k in range(pool)]
    parts = []
    for start in range(0, pool, 4 * BATCH):
        chosen = owners[start : start + 4 * BATCH]
        damaged = material.degradation_held_out(
            material.clean_held_out.centre_windows(chosen, side), seeded(0, "matching", start, material.device)
        )
        parts.append(_shown(_whole(damaged.image * 2 - 1, damaged.mask), look))
    synthetic = torch.cat(parts)
    partners, alike = nearest_partners(traits(old), traits(synthetic))
    first, second = np.flatnonzero(alike).tolist(), partners[alike].tolist()
    if not first:
        return None
    return MatchedPhotos(old[first], synthetic[second], first, [owners[k] for k in second])


def latent_figures(vae: VAE, photos: MatchedPhotos) -> dict[str, float]:
    """Gives how near and how well VAE1 brings the two kinds.

    Returns:
        `psnr` of the reconstruction by the latent's mean, which restoration uses; `sampled_psnr`, by a sampled latent,
        which eq. 2 is about; `wasserstein`; `probe`, its accuracy above chance, and `probe_error`; `pairs`.
    """
    old, synthetic = (_latents(vae, images) for images in (photos.old, photos.synthetic))
    accuracy, error = _probed(old, synthetic, photos)
    shown = torch.cat([photos.old, photos.synthetic])
    drawn = reconstruct(vae, shown, generator=seeded(0, "sampled", 0, shown.device))
    return {
        "psnr": psnr(reconstruct(vae, shown), shown),
        "sampled_psnr": psnr(drawn, shown),
        "wasserstein": sliced_wasserstein(places(old), places(synthetic)),
        "probe": accuracy - 0.5,
        "probe_error": error,
        "pairs": float(len(old)),
    }


def basis_free_figures(vae: VAE, photos: MatchedPhotos) -> dict[str, float]:
    """Gives `basis_free_probe`: the probe's accuracy above chance on the latents' own principal components, whitened.

    An invertible linear map of the latent leaves it as it is; the plain probe may fall for such a map alone.
    """
    old, synthetic = (_latents(vae, images) for images in (photos.old, photos.synthetic))
    flat = torch.cat([old, synthetic]).flatten(2).double()  # (N, C, places)
    values, vectors = torch.linalg.eigh(torch.cov(flat.transpose(0, 1).flatten(1)))
    whitening = (vectors / values.clamp_min(1e-12).sqrt()).T.float()
    accuracy, _ = _probed(*(torch.einsum("ab,nbhw->nahw", whitening, latents) for latents in (old, synthetic)), photos)
    return {"basis_free_probe": accuracy - 0.5}


def sliced_wasserstein(
    one: NDArray[np.floating], other: NDArray[np.floating], *, projections: int = PROJECTIONS, seed: int = 0
) -> float:
    """Gives the sliced 2-Wasserstein distance of two samples (N, C) of as many rows, each channel at unit deviation.

    Channels are divided by their deviation over both samples, so that a latent is not nearer for being small.
    """
    if len(one) != len(other):
        raise ValueError(f"samples differ in size: {len(one)} and {len(other)}")
    spread = np.concatenate([one, other]).std(0) + 1e-9
    directions = np.random.default_rng(seed).standard_normal((one.shape[1], projections))
    directions /= np.linalg.norm(directions, axis=0)
    first, second = (np.sort((sample / spread) @ directions, axis=0) for sample in (one, other))
    return float(np.sqrt(((first - second) ** 2).mean()))


def probe(
    features: NDArray[np.floating], kinds: NDArray[np.integer], owners: NDArray[np.integer], *, folds: int = 5
) -> tuple[float, float]:
    """Gives the cross-validated accuracy of a logistic regression, and its standard error for so many rows.

    Photos are dealt into folds several times: one deal moves the accuracy by 0.02.

    Args:
        features: (N, F).
        kinds: (N,) 0 or 1, as many of each.
        owners: (N,) photos; one photo's rows are all in one fold.

    Returns:
        (NaN, NaN) with fewer than eight rows of a kind.
    """
    if min(np.bincount(kinds, minlength=2)) < FEWEST:
        return math.nan, math.nan
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    scores = np.array(
        [
            cross_val_score(
                model, features, kinds, groups=owners, scoring="accuracy",
                cv=StratifiedGroupKFold(folds, shuffle=True, random_state=repeat),
            )
            for repeat in range(REPEATS)
        ]
    )  # fmt: skip
    accuracy = float(scores.mean())
    return accuracy, math.sqrt(accuracy * (1 - accuracy) / len(features))


def pooled(latents: torch.Tensor) -> NDArray[np.float64]:
    """Gives channel means and deviations (N, 2C) of latents (N, C, h, w)."""
    flat = latents.flatten(2).double()
    return torch.cat([flat.mean(2), flat.std(2)], dim=1).numpy()


def places(latents: torch.Tensor, *, count: int = PLACES) -> NDArray[np.float64]:
    """Gives `count` places' vectors (count, C) of latents (N, C, h, w), always the same ones."""
    flat = latents.permute(0, 2, 3, 1).flatten(0, 2)
    chosen = torch.randint(len(flat), (count,), generator=seeded(0, "places", 0))
    return flat[chosen].double().numpy()


def _probed(old: torch.Tensor, synthetic: torch.Tensor, photos: MatchedPhotos) -> tuple[float, float]:
    return probe(
        np.concatenate([pooled(old), pooled(synthetic)]),
        np.repeat([1, 0], [len(old), len(synthetic)]),
        np.array(photos.old_owner + [-1 - owner for owner in photos.synthetic_owner]),
    )


def _latents(vae: VAE, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad(), precision(images.device):
        return torch.cat([vae.encode(image)[0].float().cpu() for image in images.split(BATCH)])


def _old(bank: PhotoBank, count: int, side: int) -> WholePhotos:
    image = bank.centre_windows(range(count), side) * 2 - 1
    return _whole(image, torch.zeros_like(image[:, :1]))


def _whole(image: torch.Tensor, mask: torch.Tensor) -> WholePhotos:
    thumbnail, thumbnail_mask = make_thumbnail(image, mask)
    nothing = torch.zeros_like(mask)
    kind = torch.zeros(len(image), dtype=torch.long, device=image.device)
    return WholePhotos(image, image, mask, nothing, nothing, mask, kind, thumbnail, thumbnail_mask, thumbnail)


def _shown(photos: WholePhotos, look: Look | None) -> torch.Tensor:
    return photos.image if look is None else toned_photos(look, photos)
