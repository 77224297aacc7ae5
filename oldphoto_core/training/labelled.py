"""Labelled real photos: crops to fine-tune on, as a pure function of (seed, step), and whole photos to judge by."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from oldphoto_core.training.data import joined, parted
from oldphoto_core.training.material_folder import LabelledPhoto, read_labelled
from oldphoto_core.training.schedule import seeded

CENTRED_SHARE = 0.5
"""Share of crops that are centred on damage, or on what was taken for it."""
SCALES = (0.7, 1.3)
"""Range of the scale that crops of photos are taken at."""
FILM_SCALES = (0.9, 2.4)
"""The same of film frames: they are small, and their dust is finer than a print's."""
GREY_SHARE = 0.2
BAND_PX = 2
"""Pixels at a mask's border that count for nothing: nobody paints to the pixel."""
DAMAGED_COVER = 0.35
"""Share of a crop's pixel that damage must cover for it to be damaged."""


@dataclass(frozen=True)
class LabelledCrops:
    """A batch: images (B, 3, S, S) in [-1, 1], maps (B, 1, S, S) in {0, 1}."""

    image: torch.Tensor
    mask: torch.Tensor
    """1 where damaged."""
    ignore: torch.Tensor
    """1 where neither: beside a mask's border, or where annotators disagree."""


class LabelledBank:
    """Labelled photos held as bytes on the training device."""

    def __init__(
        self,
        photos: Iterable[LabelledPhoto],
        *,
        scales: tuple[float, float] = SCALES,
        device: torch.device | str = "cpu",
    ):
        self.scales = scales
        self.names: list[str] = []
        self._images: list[torch.Tensor] = []
        self._maps: list[torch.Tensor] = []
        self._damage: list[torch.Tensor] = []
        for photo in photos:
            self.names.append(photo.name)
            self._images.append(torch.from_numpy(photo.image.transpose(2, 0, 1).copy()).to(device))
            self._maps.append(torch.from_numpy(np.stack([photo.mask, photo.ignore]).astype(np.uint8)).to(device))
            damage = np.argwhere(photo.mask)
            mistaken = damage[:0] if photo.mistaken is None else np.argwhere(photo.mistaken)
            if len(damage) and len(mistaken):  # as often on the one as on the other
                most = max(len(damage), len(mistaken))
                damage, mistaken = damage[np.arange(most) % len(damage)], mistaken[np.arange(most) % len(mistaken)]
            places = np.concatenate([damage, mistaken]).astype(np.int16)
            self._damage.append(torch.from_numpy(places))  # on the CPU, where places are drawn

    @classmethod
    def from_folder(
        cls, folder: Path, split: str, *, kind: str = "labelled", device: torch.device | str = "cpu"
    ) -> LabelledBank:
        """Loads a split of a material folder; `kind`: `labelled`, `reviewed` or `film`."""
        scales = FILM_SCALES if kind == "film" else SCALES
        return cls(read_labelled(folder, split, kind=kind), scales=scales, device=device)

    def __getstate__(self) -> dict[str, Any]:
        """Gives the photos as few tensors; see `PhotoBank`."""
        state: dict[str, Any] = {"names": self.names, "scales": self.scales}
        for name in ("_images", "_maps", "_damage"):
            state[name] = joined(getattr(self, name))
            setattr(self, name, parted(*state[name]))  # whoever sends the tensor must keep it until it has arrived
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.names, self.scales = state["names"], state["scales"]
        self._images, self._maps, self._damage = (parted(*state[name]) for name in ("_images", "_maps", "_damage"))

    def to(self, device: torch.device | str) -> LabelledBank:
        """Gives the photos on a device."""
        bank = LabelledBank([], scales=self.scales, device=device)
        bank.names, bank._damage = self.names, self._damage
        bank._images = [image.to(device) for image in self._images]
        bank._maps = [maps.to(device) for maps in self._maps]
        return bank

    def __len__(self) -> int:
        return len(self.names)

    def crops(
        self, step: int, *, crop_px: int, batch: int, seed: int, rank: int = 0, purpose: str = "labelled"
    ) -> LabelledCrops:
        """Gives the crops of a step: every photo in its turn, half of the crops centred on damage, augmented.

        Args:
            step: of the run.
            crop_px: side of a crop.
            batch: crops.
            seed: of the run.
            rank: of the process, where several train together.
            purpose: sets this bank's random numbers apart from another's of the same run.
        """
        purpose = purpose if rank == 0 else f"{purpose}/{rank}"
        generator = seeded(seed, purpose, step)
        images, maps = [], []
        for place in range(step * batch, (step + 1) * batch):
            lap, turn = divmod(place, len(self))
            order = torch.randperm(len(self), generator=seeded(seed, f"{purpose}/order", lap))
            image, marks = self._crop(int(order[turn]), crop_px, torch.rand(16, generator=generator).tolist())
            images.append(image)
            maps.append(marks)
        image, marks = torch.stack(images), torch.stack(maps)
        mask, disagreed = marks[:, :1], marks[:, 1:]
        ignore = torch.maximum(border_band(mask), disagreed) * (1 - mask)
        ignore = torch.maximum(ignore, mask * _wide_rim(mask))
        return LabelledCrops(image, mask * (1 - ignore), ignore)

    def _crop(self, number: int, crop_px: int, draws: list[float]) -> tuple[torch.Tensor, torch.Tensor]:
        """Gives one augmented crop (3, S, S) in [-1, 1] and its mask and disagreement (2, S, S) in {0, 1}."""
        photo, marks, damage = self._images[number], self._maps[number], self._damage[number]
        height, width = photo.shape[-2:]
        low, high = self.scales
        side = min(round(crop_px / (low * (high / low) ** draws[0])), height, width)
        at_y, at_x = draws[1] * (height - side), draws[2] * (width - side)
        if len(damage) and draws[3] < CENTRED_SHARE:
            y, x = damage[min(int(draws[4] * len(damage)), len(damage) - 1)].tolist()
            at_y, at_x = y - side * (0.25 + 0.5 * draws[1]), x - side * (0.25 + 0.5 * draws[2])
        top = min(max(round(at_y), 0), height - side)
        left = min(max(round(at_x), 0), width - side)
        window = (slice(None), slice(top, top + side), slice(left, left + side))
        image = _resized(photo[window].float() / 255, crop_px).clamp(0, 1)
        maps = _resized(marks[window].float(), crop_px)
        damaged, touched = maps[0] >= DAMAGED_COVER, maps[0] > 0.05
        turned = torch.cat([image, torch.stack([damaged, (maps[1] > 0.05) | (touched & ~damaged)]).float()])
        turned = torch.rot90(turned, int(draws[5] * 4), (-2, -1))
        turned = turned.flip(-1) if draws[6] < 0.5 else turned
        return _toned(turned[:3], draws[7:]) * 2 - 1, turned[3:]

    def whole(self, number: int, *, long_side_px: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Gives a whole photo (1, 3, H, W) in [-1, 1], its mask and what is ignored (1, 1, H, W), for judging.

        A photo with a longer long side than asked is shown as the middle of that size, at its own scale.
        """
        photo, marks = self._images[number], self._maps[number]
        rows, columns = (_middle(side, long_side_px) for side in photo.shape[-2:])
        image, maps = photo[None, :, rows, columns].float() / 127.5 - 1, marks[None, :, rows, columns].float()
        mask = maps[:, :1]
        ignore = torch.maximum(border_band(mask) * (1 - mask), maps[:, 1:] * (1 - mask))
        ignore = torch.maximum(ignore, mask * _wide_rim(mask))
        return image, mask * (1 - ignore), ignore


def border_band(mask: torch.Tensor) -> torch.Tensor:
    """Gives what lies within two pixels of a mask (B, 1, H, W), the mask included."""
    return F.max_pool2d(mask, 2 * BAND_PX + 1, stride=1, padding=BAND_PX)


def _wide_rim(mask: torch.Tensor) -> torch.Tensor:
    """Gives the inner rim, two pixels wide, of damage wider than five: a scratch has no pixel to give away."""
    core = 1 - border_band(1 - mask)
    near_core = F.max_pool2d(core, 4 * BAND_PX + 1, stride=1, padding=2 * BAND_PX)
    return mask * near_core * (1 - core)


def _resized(maps: torch.Tensor, side_px: int) -> torch.Tensor:
    if maps.shape[-2:] == (side_px, side_px):
        return maps
    return F.interpolate(maps[None], (side_px, side_px), mode="bilinear", antialias=True, align_corners=False)[0]


def _toned(image: torch.Tensor, draws: list[float]) -> torch.Tensor:
    """Gives (3, S, S) in [0, 1] with gamma, contrast, brightness and a cast moved a little, or made grey."""
    gamma = math.exp(0.5 * (draws[0] - 0.5))
    contrast, lift = 0.8 + 0.4 * draws[1], 0.2 * (draws[2] - 0.5)
    cast = image.new_tensor([0.12 * (draw - 0.5) for draw in draws[3:6]])[:, None, None]
    image = ((image.clamp_min(1e-4) ** gamma - 0.5) * contrast + 0.5 + lift + cast).clamp(0, 1)
    if draws[6] < GREY_SHARE:
        weights = image.new_tensor([0.299, 0.587, 0.114])[:, None, None]
        image = (image * weights).sum(0, keepdim=True).expand(3, -1, -1)
    return image


def _middle(side: int, most: int) -> slice:
    start = max(0, (side - most) // 2)
    return slice(start, start + min(side, most))
