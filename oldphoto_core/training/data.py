"""Photos held as uint8 tensors on the training device, and the square windows drawn from them."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps

from oldphoto_core.errors import TrainingError
from oldphoto_core.splits import is_held_out

_LOG = logging.getLogger(__name__)

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp"})
SHORT_SIDE_PX = 320
"""Photos larger than this are reduced when they are loaded; smaller ones stay as they are."""
SMALLEST_SIDE_PX = 64


@dataclass(frozen=True)
class LoadReport:
    """What became of each file of a folder: loaded, of the other split, or skipped with a reason."""

    folder: Path
    loaded: int = 0
    other_split: int = 0
    skipped: tuple[tuple[str, str], ...] = field(default=())

    def __str__(self) -> str:
        text = f"{self.folder}: {self.loaded} photos loaded, {self.other_split} of the other split"
        return f"{text}, {len(self.skipped)} skipped" if self.skipped else text


class PhotoBank:
    """Photos of one folder, decoded once and kept on the training device.

    Each photo is a (3, H, W) uint8 sRGB tensor; grey photos have three equal channels.
    """

    def __init__(self, photos: list[torch.Tensor], names: list[str] | None = None, report: LoadReport | None = None):
        if not photos:
            raise TrainingError("a photo bank needs at least one photo, got none")
        self.photos = photos
        self.names = names or [f"photo{i}" for i in range(len(photos))]
        self.report = report or LoadReport(Path("."), loaded=len(photos))

    @classmethod
    def from_folder(
        cls,
        path: Path | str,
        *,
        held_out: bool | None = False,
        short_side_px: int = SHORT_SIDE_PX,
        device: torch.device | str = "cpu",
        limit: int | None = None,
    ) -> PhotoBank:
        """Loads every photo under a folder, subfolders included, in the order of their names.

        Args:
            path: the folder.
            held_out: False for the photos to train on, True for those kept for measuring, None for all.
            short_side_px: photos with a longer short side are reduced to this one.
            device: where the photos stay.
            limit: at most this many photos, for trials.

        Raises:
            TrainingError: the folder is missing, or holds no photo of this split.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise TrainingError(f"photo folder {folder} does not exist; give a folder of photos")
        files = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix.lower() in PHOTO_SUFFIXES)
        chosen = [p for p in files if held_out is None or is_held_out(p.name) == held_out]
        other_split = len(files) - len(chosen)
        chosen = chosen[:limit]
        with ThreadPoolExecutor() as pool:  # Pillow decodes outside the interpreter's lock
            results = list(pool.map(lambda p: _load(p, short_side_px), chosen))
        photos, names, skipped = [], [], []
        for file, result in zip(chosen, results, strict=True):
            if isinstance(result, str):
                skipped.append((str(file.relative_to(folder)), result))
            else:
                photos.append(torch.from_numpy(result).to(device))
                names.append(file.name)
        report = LoadReport(folder, len(photos), other_split, tuple(skipped))
        _LOG.info("%s", report)
        for name, reason in skipped:
            _LOG.warning("%s/%s skipped: %s", folder, name, reason)
        if not photos:
            split = {None: "", True: " held-out", False: " training"}[held_out]
            raise TrainingError(f"no{split} photo in {folder} ({len(files)} files seen, {len(skipped)} skipped)")
        return cls(photos, names, report)

    @classmethod
    def from_files(
        cls, files: list[Path], *, short_side_px: int = SHORT_SIDE_PX, device: torch.device | str = "cpu"
    ) -> PhotoBank | None:
        """Loads these files, in this order; one that cannot be used is named in the log. None where none can."""
        with ThreadPoolExecutor() as pool:
            results = list(pool.map(lambda p: _load(p, short_side_px), files))
        loaded = []
        for file, result in zip(files, results, strict=True):
            if isinstance(result, str):
                _LOG.warning("%s skipped: %s", file, result)
            else:
                loaded.append((torch.from_numpy(result).to(device), file.name))
        return cls([photo for photo, _ in loaded], [name for _, name in loaded]) if loaded else None

    def to(self, device: torch.device | str) -> PhotoBank:
        """Gives the photos on a device."""
        return PhotoBank([photo.to(device) for photo in self.photos], self.names, self.report)

    def __getstate__(self) -> dict[str, Any]:
        """Gives all photos as one tensor: another process is handed a file for each, and may open only so many."""
        flat, shapes = joined(self.photos)
        self.photos = parted(flat, shapes)  # whoever sends the tensor must keep it until it has arrived
        return {"photos": (flat, shapes), "names": self.names, "report": self.report}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.photos = parted(*state["photos"])
        self.names, self.report = state["names"], state["report"]

    def __len__(self) -> int:
        return len(self.photos)

    @property
    def device(self) -> torch.device:
        return self.photos[0].device

    def draw(
        self,
        batch: int,
        size_px: int,
        generator: torch.Generator,
        *,
        side_range: tuple[float, float] = (0.75, 1.0),
        flips: bool = True,
    ) -> torch.Tensor:
        """Gives whole photos to be damaged: (B, 3, size_px, size_px) float32 in [0, 1], sRGB.

        Each is a square window of a random photo, its side a random share of the short side (which is the scale
        jitter), resized with anti-aliasing and flipped left to right at random.
        """
        numbers = torch.rand(batch, 5, generator=generator, device=generator.device).cpu().tolist()
        windows = []
        for pick, scale, at_y, at_x, flip in numbers:
            photo = self.photos[min(int(pick * len(self.photos)), len(self.photos) - 1)]
            height, width = photo.shape[-2:]
            low, high = side_range
            side = max(16, round(min(height, width) * (low + (high - low) * scale)))
            top, left = round(at_y * (height - side)), round(at_x * (width - side))
            window = resize(photo[:, top : top + side, left : left + side][None].float() / 255.0, size_px)
            windows.append(window.flip(-1) if flips and flip < 0.5 else window)
        return torch.cat(windows)

    def centre_windows(self, indices: range | list[int], size_px: int) -> torch.Tensor:
        """Gives the largest centred square of the photos of these numbers, (B, 3, size_px, size_px) in [0, 1]."""
        windows = []
        for index in indices:
            photo = self.photos[index]
            height, width = photo.shape[-2:]
            side = min(height, width)
            top, left = (height - side) // 2, (width - side) // 2
            windows.append(resize(photo[:, top : top + side, left : left + side][None].float() / 255.0, size_px))
        return torch.cat(windows)


def joined(tensors: list[torch.Tensor]) -> tuple[torch.Tensor, list[torch.Size]]:
    """Gives tensors of one type as one flat tensor, and their shapes."""
    shapes = [tensor.shape for tensor in tensors]
    return torch.cat([tensor.reshape(-1) for tensor in tensors]) if tensors else torch.empty(0), shapes


def parted(flat: torch.Tensor, shapes: list[torch.Size]) -> list[torch.Tensor]:
    """Gives the tensors that `joined` joined, as views."""
    parts = flat.split([shape.numel() for shape in shapes]) if shapes else ()
    return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]


def resize(image: torch.Tensor, size_px: int) -> torch.Tensor:
    """Gives (B, 3, H, W) resized to a square with anti-aliasing, still in [0, 1]."""
    if image.shape[-2:] == (size_px, size_px):
        return image
    return F.interpolate(image, (size_px, size_px), mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)


def _load(file: Path, short_side_px: int) -> np.ndarray | str:
    """Gives a photo as (3, H, W) uint8, upright and no larger than asked, or the reason why it cannot be used."""
    try:
        with Image.open(file) as opened:
            photo = ImageOps.exif_transpose(opened).convert("RGB")
    except Exception as error:  # any decoder failure is one file's, and is reported with the file
        return f"cannot be decoded ({type(error).__name__}: {error})"
    short = min(photo.size)
    if short < SMALLEST_SIDE_PX:
        return f"short side {short} px, at least {SMALLEST_SIDE_PX} needed"
    if short > short_side_px:
        width, height = (round(side * short_side_px / short) for side in photo.size)
        photo = photo.resize((width, height), Image.Resampling.LANCZOS)
    return np.ascontiguousarray(np.asarray(photo).transpose(2, 0, 1))
