"""Eqs. 3 and 4 along the directions in which nothing is lost: a release's latent is turned before it is trained on.

An orthogonal turn of the latent, which E takes and G, T and E_Y take back, changes no photo: eq. 2's reconstruction is
flat along it. But it changes by which channels old and damaged photos differ, so the adversary has a say in it alone.
Gradient steps would find such a turn too, with G always a step behind; here E and G go together. D is the best linear
critic of channel means and deviations (see `ChannelDiscriminator`), and the turn is the one that it sees least by.

A turn is a change of basis: it hides a difference from whoever looks channel by channel, and takes no information away.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from oldphoto_core.models.look import Look
from oldphoto_core.models.translation import GatedTranslation
from oldphoto_core.models.vae import VAE, LinearPathVAE
from oldphoto_core.training import distributed
from oldphoto_core.training.batches import ChunkMaker
from oldphoto_core.training.checkpoint import write_atomically
from oldphoto_core.training.chunks import Detect, old_chunks, synthetic_chunks
from oldphoto_core.training.judging import BATCH
from oldphoto_core.training.look import toned_photos
from oldphoto_core.training.loop import precision
from oldphoto_core.training.matching import nearest_partners, traits
from oldphoto_core.training.material import Material
from oldphoto_core.training.schedule import seeded

_LOG = logging.getLogger(__name__)

TURN = "turn.safetensors"
"""Beside VAE1's checkpoint: the turn (C, C) that its run began with."""
STEPS, RATE, PAIRINGS = 160, 0.01, 6
SHRINKAGE = 0.1


class Moments(NamedTuple):
    """Each photo's latent in short: its channels' means (N, C) and covariances (N, C, C) over the places."""

    mean: Tensor
    covariance: Tensor

    def statistics(self, turn: Tensor) -> Tensor:
        """Gives channel means and deviations (N, 2C) of the latents turned by (C, C)."""
        variance = torch.einsum("ab,nbc,ac->na", turn, self.covariance, turn)
        return torch.cat([self.mean @ turn.T, (variance + 1e-8).sqrt()], dim=1)

    def of(self, rows: Tensor) -> Moments:
        """Gives those of some photos."""
        return Moments(self.mean[rows], self.covariance[rows])


class StartTurn:
    """Turns what a run of VAE1 starts from, and keeps the turn for the networks after it."""

    def __init__(
        self, folder: Path, material: Material, *, look: Look | None, detect: Detect | None, photos: int, seed: int
    ):
        """Takes VAE1's folder, and by how many photos of either kind the turn is found."""
        self._folder, self._material, self._look, self._detect = folder, material, look, detect
        self._photos, self._seed = photos, seed
        self._turn: Tensor | None = None

    def __call__(self, networks: Mapping[str, nn.Module]) -> None:
        """Turns the networks, `vae_x` among them, whose weights are all as the release has them."""
        vae = networks["vae_x"]
        if not isinstance(vae, LinearPathVAE) or self._material.old is None:
            return
        if self._turn is None:
            self._turn = self._found(vae)
            if distributed.leading():
                _write(self._folder / TURN, self._turn)
        turn_networks(networks, self._turn)

    def _found(self, vae: VAE) -> Tensor:
        assert self._material.old is not None
        count = min(BATCH, self._photos)
        makers = (
            old_chunks(self._material.old, photos=count, detect=self._detect),
            synthetic_chunks(self._material.clean, self._material.degradation, photos=count, detect=self._detect),
        )
        (old, old_traits), (synthetic, synthetic_traits) = (self._seen(vae, maker) for maker in makers)
        generator = seeded(self._seed, "turn/pairs", 0)
        pairs = []
        for _ in range(PAIRINGS):  # half of the old photos among all damaged ones, so that most find one like them
            some = torch.randperm(len(old_traits), generator=generator)[: max(2, len(old_traits) // 2)]
            partners, alike = nearest_partners(old_traits[some.numpy()], synthetic_traits)
            kept = alike if alike.sum() >= 2 else np.ones_like(alike)
            pairs.append((some[torch.from_numpy(kept)], torch.from_numpy(partners[kept])))
        before, after, turn = least_separating_turn(old, synthetic, pairs)
        _LOG.info("the latent is turned: the best linear critic's distance falls from %.2f to %.2f", before, after)
        return turn

    def _seen(self, vae: VAE, make: ChunkMaker) -> tuple[Moments, np.ndarray]:
        """Gives the moments and the traits of whole photos, toned."""
        parts, seen = [], []
        for number in range(-(-self._photos // BATCH)):
            with torch.no_grad():
                photos = make(seeded(self._seed, "turn/photos", number, self._material.device))
            shown = photos.image if self._look is None else toned_photos(self._look, photos)
            parts.append(moments(vae, shown))
            seen.append(traits(shown))
        return Moments(*(torch.cat(values) for values in zip(*parts, strict=True))), np.concatenate(seen)


def least_separating_turn(
    old: Moments, synthetic: Moments, pairs: list[tuple[Tensor, Tensor]]
) -> tuple[float, float, Tensor]:
    """Gives the separation of two kinds before and after a turn, and the turn (C, C), orthogonal, that makes it small.

    Args:
        old, synthetic: moments of either kind.
        pairs: rows of both that are alike in all but age, used in turn.
    """
    channels = old.mean.shape[1]
    generator = torch.zeros(channels, channels, requires_grad=True)
    optimiser = torch.optim.Adam([generator], lr=RATE)
    sides = [(old.of(first), synthetic.of(second)) for first, second in pairs]

    def turn() -> Tensor:
        return torch.matrix_exp(generator - generator.T)

    with torch.no_grad():
        before = float(separation(*sides[0], turn()))
    for step in range(STEPS):
        optimiser.zero_grad()
        separation(*sides[step % len(sides)], turn()).backward()
        optimiser.step()
    with torch.no_grad():
        found = turn()
        return before, float(separation(*sides[0], found)), found


def separation(old: Moments, synthetic: Moments, turn: Tensor) -> Tensor:
    """Gives d S^-1 d of channel means and deviations: how far apart the best linear critic holds two kinds."""
    one, other = old.statistics(turn), synthetic.statistics(turn)
    within = ((torch.cov(one.T) + torch.cov(other.T)) / 2).detach()
    spread = within.diagonal().clamp_min(1e-12).sqrt()
    related = (1 - SHRINKAGE) * within / spread[:, None] / spread + SHRINKAGE * torch.eye(len(within))
    apart = (one.mean(0) - other.mean(0)) / spread
    return apart @ torch.linalg.solve(related, apart)


def moments(vae: VAE, images: Tensor) -> Moments:
    """Gives the moments of the latents (their means) of images (B, 3, H, W) in [-1, 1], on the CPU."""
    with torch.no_grad(), precision(images.device):
        latent = vae.encode_mean(images).float().flatten(2)
    mean = latent.mean(2)
    centred = latent - mean[..., None]
    return Moments(mean.cpu(), (centred @ centred.transpose(1, 2) / latent.shape[2]).cpu())


def turn_networks(networks: Mapping[str, nn.Module], turn: Tensor) -> None:
    """Turns all of these that know a latent; together they do as before."""
    for network in networks.values():
        if isinstance(network, (LinearPathVAE, GatedTranslation)):
            network.turn(turn)


def kept_turn(run: Path) -> Tensor | None:
    """Gives the turn that a run's VAE1 began with; None where it was not turned."""
    from safetensors.torch import load_file

    path = run / "vae_x" / TURN
    return load_file(path)["turn"] if path.is_file() else None


def _write(path: Path, turn: Tensor) -> None:
    from safetensors.torch import save_file

    write_atomically(path, lambda temporary: save_file({"turn": turn.contiguous()}, temporary))
