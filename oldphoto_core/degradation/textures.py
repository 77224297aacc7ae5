"""Damage textures: alphas of real dust, hair, scratches and stains, and papers, kept as bytes on the device."""

from __future__ import annotations

import logging
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from oldphoto_core.degradation.dice import Dice
from oldphoto_core.degradation.fields import Size, coordinates, smooth_noise
from oldphoto_core.splits import is_held_out

log = logging.getLogger(__name__)

SIDE_PX = 320
"""Side of a stored texture."""

KINDS: dict[str, str] = {
    "fds-scratches": "scratch",
    "fds-hair-short": "hair",
    "fds-hair": "hair",
    "fds-lint": "lint",
    "fds-spots": "dust",
    "fds-dirt": "dirt",
    "fds-sprinkles": "dirt",
    "fds-realmask": "film-dust",
    "fds-dots": "patch",
    "fds-smut": "patch",
    "fds-stain": "stain",
    "subtle": "paper",
    "qpwo": "paper",
}
"""Class in a file's name (`0050_fds-hair_hair-1580.png`) -> bank. Other files are left alone."""

_SUFFIXES = {".png", ".jpg", ".jpeg"}


class TextureLibrary:
    """Banks of textures by kind, (N, S, S) uint8 each.

    Alphas are 255 where opaque. Papers are grey around 128, their mean taken out.
    """

    def __init__(self, banks: dict[str, Tensor]) -> None:
        self.banks = banks

    @classmethod
    def procedural(cls) -> TextureLibrary:
        """Gives a library without files: everything will be drawn."""
        return cls({})

    @classmethod
    def from_folder(cls, folder: Path | str, *, held_out: bool | None = None) -> TextureLibrary:
        """Reads the textures of a folder.

        Args:
            folder: images named `<number>_<class>_<name>`, see `KINDS`.
            held_out: False for those that may be trained on, True for those kept for measuring, None for all.
        """
        chosen: list[tuple[Path, str]] = []
        for path in sorted(Path(folder).rglob("*")):
            parts = path.name.split("_")
            kind = KINDS.get(parts[1]) if len(parts) > 2 else None
            if kind is None or path.suffix.lower() not in _SUFFIXES:
                continue
            if held_out is None or is_held_out(path.name) == held_out:
                chosen.append((path, kind))
        with ThreadPoolExecutor(4) as pool:
            loaded = list(pool.map(lambda item: _load(*item), chosen))
        stacks: dict[str, list[np.ndarray]] = defaultdict(list)
        for (_, kind), arrays in zip(chosen, loaded, strict=True):
            stacks[kind].extend(arrays)
        banks = {kind: torch.from_numpy(np.stack(arrays)) for kind, arrays in stacks.items()}
        log.info("textures from %s: %s", folder, {kind: len(bank) for kind, bank in banks.items()})
        return cls(banks)

    def to(self, device: torch.device | str) -> TextureLibrary:
        """Gives the library with its banks on the device; itself if they are there already."""
        if all(bank.device == torch.device(device) for bank in self.banks.values()):
            return self
        return TextureLibrary({kind: bank.to(device) for kind, bank in self.banks.items()})

    @property
    def size_bytes(self) -> int:
        """Memory that the banks hold."""
        return sum(bank.numel() for bank in self.banks.values())

    def has(self, kind: str) -> bool:
        """Tells whether there is any texture of the kind."""
        return kind in self.banks

    def draw(
        self,
        kind: str,
        dice: Dice,
        count: int,
        *,
        size: Size,
        zoom: tuple[float, float] = (0.5, 1.4),
        fill: bool = False,
    ) -> Tensor:
        """Gives (count, 1, H, W) in [0, 1]: textures turned, scaled, moved and elastically distorted.

        Args:
            kind: a bank that is there.
            dice: randomness.
            count: number of pictures.
            size: (height, width).
            zoom: range of the texture's side over the photo's shorter side.
            fill: repeat the texture over the whole photo by reflection, for papers and all-over dust.
        """
        bank = self.banks[kind]
        picked = bank[dice.send(dice.integers(0, len(bank) - 1, count))].to(torch.float32)[:, None] / 255
        height, width = size
        short = min(height, width)
        turn = dice.uniform(0, 2 * np.pi, count)
        scale = dice.log_uniform(*zoom, count)
        stretch = dice.log_uniform(0.75, 1.33, count)
        flip = dice.send(dice.chance(0.5, count)).float() * 2 - 1
        shift = dice.uniform(-1, 1, count, 2) * (1.0 if fill else 0.95)
        y, x = coordinates(size, dice.device)
        y = (y * (height / short))[None] - shift[:, 0, None, None] * (height / short)
        x = (x * (width / short))[None] - shift[:, 1, None, None] * (width / short)
        cos, sin = turn.cos()[:, None, None], turn.sin()[:, None, None]
        across = (cos * x + sin * y) * (flip * stretch / scale)[:, None, None]
        down = (cos * y - sin * x) / (scale * stretch)[:, None, None]
        bend = smooth_noise(dice, count, size, cells=4, channels=2) * dice.uniform(0, 0.05, count)[:, None, None, None]
        grid = torch.stack([across, down], -1) + bend.permute(0, 2, 3, 1)
        padding = "reflection" if fill else "zeros"
        return F.grid_sample(picked, grid, mode="bilinear", padding_mode=padding, align_corners=False)


def _load(path: Path, kind: str) -> list[np.ndarray]:
    with Image.open(path) as opened:
        grey = opened.convert("L")
        if kind == "film-dust":
            return _quarters(grey)
        if kind == "paper":
            return [_paper(np.asarray(grey, np.float32))]
        return [np.asarray(grey.resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR))]


def _quarters(grey: Image.Image) -> list[np.ndarray]:
    """Cuts a film scan's dust mask into quarters, at half its scale, so that its dust keeps a dust's size."""
    small = grey.reduce(2) if min(grey.size) >= 2 * SIDE_PX else grey
    array = np.asarray(small)
    height, width = array.shape
    corners = {(y, x) for y in (0, max(height - SIDE_PX, 0)) for x in (0, max(width - SIDE_PX, 0))}
    cut = [array[y : y + SIDE_PX, x : x + SIDE_PX] for y, x in sorted(corners)]
    return [np.pad(c, ((0, SIDE_PX - c.shape[0]), (0, SIDE_PX - c.shape[1]))) for c in cut if c.any()]


def _paper(array: np.ndarray) -> np.ndarray:
    """Takes the mean out and evens the contrast, and repeats small swatches to the bank's side."""
    relief = (array - array.mean()) / max(float(array.std()), 1.0)
    repeats = [-(-SIDE_PX // side) for side in relief.shape]
    relief = np.tile(relief, repeats)[:SIDE_PX, :SIDE_PX]
    return np.clip(relief * 32 + 128, 0, 255).astype(np.uint8)
