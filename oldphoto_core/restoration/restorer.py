"""The public way to restore a photo: one array in, one array, its mask and a report out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from oldphoto_core.color import is_neutral_grey, is_toned_grey
from oldphoto_core.errors import ConfigError
from oldphoto_core.models.network import RestorationNetwork, stack_windows
from oldphoto_core.releases.bundle import LoadedRelease, load_release
from oldphoto_core.releases.card import ReleaseCard, find_release
from oldphoto_core.restoration.blending import as_grey, keep_tone, mend_scratches, repair_weight
from oldphoto_core.restoration.fidelity import DAMAGED_ABOVE, RestorationReport, measure_change
from oldphoto_core.restoration.fidelity_meter import FidelityMeter
from oldphoto_core.restoration.pixels import checked, mask_to_tensor, quantise, to_array, to_tensor
from oldphoto_core.restoration.tiling import Tile, map_tiles

Mode = Literal["full", "scratches"]
ToneChoice = Literal["correct", "keep"]

TILE_PX = {"cpu": 1024, "cuda": 2048}
"""Side of a tile's core where none is asked for."""
LEAVE_ALONE_LEVELS = 1.0
"""A photo without damage whose mean change would be below this many 8-bit levels comes back bit for bit."""
LEAVE_ALONE_COVERAGE = 2e-4
"""Share of damaged pixels up to which a photo counts as without damage."""


@dataclass(frozen=True)
class RestorationResult:
    """A restored photo.

    Attributes:
        image: of the input's shape and dtype.
        mask: (H, W) float32 in [0, 1], the probability of structured damage, or the mask that was given.
        report: what was done.
    """

    image: np.ndarray
    mask: np.ndarray
    report: RestorationReport


class Restorer:
    """Detects damage and restores photos with one release on one device."""

    def __init__(self, release: LoadedRelease, *, device: torch.device, tile_px: int | None = None) -> None:
        self.release = release
        self.device = device
        self.tile_px = tile_px or TILE_PX.get(device.type, TILE_PX["cpu"])

    @classmethod
    def from_release(
        cls,
        name_or_path: str | Path = "default",
        *,
        device: str = "auto",
        tile_px: int | None = None,
        search: Sequence[Path] = (),
    ) -> Restorer:
        """Loads a release.

        Args:
            name_or_path: `default`, a release's name, or a folder with a card.
            device: `auto` (CUDA where there is one, else the CPU), `cpu`, `cuda`, `cuda:1`...
            tile_px: side of a tile's core; None: 1024 on a CPU, 2048 on a GPU.
            search: folders that releases' names are looked up in.

        Raises:
            ReleaseError: there is no such release, or its files were altered.
            ConfigError: the device is not there.
        """
        chosen = _choose_device(device)
        release = load_release(find_release(name_or_path, search=search), device=chosen)
        return cls(release, device=chosen, tile_px=tile_px)

    @property
    def card(self) -> ReleaseCard:
        """The card of the release in use."""
        return self.release.card

    @property
    def precision(self) -> str:
        """The precision convolutions are computed in on this device."""
        return "bfloat16" if self.device.type == "cuda" else "float32"

    def detect(self, image: np.ndarray) -> np.ndarray:
        """Gives the probability of structured damage, (H, W) float32 in [0, 1], at full resolution.

        Args:
            image: (H, W, 3) or (H, W), uint8 or uint16, sRGB.
        """
        return self._detect(to_tensor(checked(image)))[0, 0].numpy()

    def restore(
        self,
        image: np.ndarray,
        mask: np.ndarray | None = None,
        mode: Mode = "full",
        strength: float = 1.0,
        tone: ToneChoice = "correct",
    ) -> RestorationResult:
        """Restores a photo.

        Args:
            image: (H, W, 3) or (H, W), uint8 or uint16, sRGB; at least 32 x 32. It is not written to.
            mask: (H, W), 1 where damaged (bool, or float in [0, 1]); None: detected.
            mode: `full` restores everything; `scratches` leaves each pixel outside the mask bit for bit.
            strength: 0 gives the input back, 1 the whole restoration.
            tone: `correct` undoes fading and toning; `keep` keeps the print's tone. `scratches` always keeps it.

        Raises:
            ConfigError: an argument cannot be right.
        """
        started = time.perf_counter()
        _check_choices(mode, strength, tone)
        checked(image)
        pixels = to_tensor(image)
        damage = self._detect(pixels) if mask is None else mask_to_tensor(mask, image.shape[:2])
        monochrome = _monochrome(image)
        network_image, tiles = self._restore_tiles(pixels, self._acted_on(damage) if mask is None else damage)

        original = to_array(pixels)
        restored = np.clip(to_array(network_image), 0, 1)
        mask_array = damage[0, 0].numpy()
        if monochrome != "no":
            restored = as_grey(restored)
        if mode == "scratches" or tone == "keep":
            restored = keep_tone(original, restored, mask_array, monochrome=monochrome != "no")
        if mode == "scratches":
            weight = repair_weight(mask_array, threshold=self._threshold)
            restored = mend_scratches(original, restored, weight)
        if strength < 1:
            restored = original + strength * (restored - original)

        result = quantise(restored, image)
        if mode == "scratches":
            outside = weight <= 0
            result[outside] = image[outside]
        coverage = float((mask_array > DAMAGED_ABOVE).mean())
        outside_change, mean_change = measure_change(image, result, mask_array)
        if mask is None and coverage <= LEAVE_ALONE_COVERAGE and mean_change < LEAVE_ALONE_LEVELS:
            result, outside_change, mean_change = image.copy(), 0.0, 0.0
        left_alone = bool(np.array_equal(result, image))
        meter = FidelityMeter(*mask_array.shape, monochrome=monochrome == "neutral")
        meter.add(0, original, to_array(to_tensor(result)), mask_array)
        report = RestorationReport(
            seconds=time.perf_counter() - started,
            device=_device_name(self.device),
            precision=self.precision,
            tiles=tiles,
            mask_coverage=coverage,
            change_outside_mask=outside_change,
            mean_change=mean_change,
            left_alone=left_alone,
            monochrome=monochrome,
            mode=mode,
            tone="keep" if mode == "scratches" else tone,
            strength=strength,
            fidelity=None if left_alone else meter.figures(),
        )
        return RestorationResult(image=result, mask=mask_array, report=report)

    @property
    def _operating(self) -> Mapping[str, float]:
        """The operating point that the release's card names."""
        return self.card.card.get("operating", {})

    @property
    def _threshold(self) -> float:
        return float(self._operating.get("mask_threshold", DAMAGED_ABOVE))

    def _acted_on(self, probability: Tensor) -> Tensor:
        """Gives the mask that the network is given: none below `mask_from`, full from `mask_sure` on, a ramp between.

        A detector that is unsure everywhere makes the translation repaint texture that was never damaged.
        """
        low, high = self._operating.get("mask_from", 0.0), self._operating.get("mask_sure", 1.0)
        return ((probability - low) / (high - low)).clamp(0, 1)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16")

    @torch.inference_mode()
    def _detect(self, pixels: Tensor) -> Tensor:
        """Gives probabilities (1, 1, H, W) of an image (1, 3, H, W) in [-1, 1], both on the CPU."""
        detector = self.release.detector

        def probability(piece: Tensor, tile: Tile) -> Tensor:
            with self._autocast():
                return torch.sigmoid(detector(piece).float())

        result, _ = map_tiles(
            pixels,
            probability,
            outputs=1,
            core_px=self.tile_px,
            reach_px=detector.reach_px,
            stride=detector.total_stride,
            device=self.device,
        )
        return result

    @torch.inference_mode()
    def _restore_tiles(self, pixels: Tensor, damage: Tensor) -> tuple[Tensor, int]:
        """Gives the network's restoration (1, 3, H, W) on the CPU and the number of tiles."""
        network: RestorationNetwork = self.release.network
        height, width = pixels.shape[-2:]
        with self._autocast():
            glance = network.glance(pixels.to(self.device), damage.to(self.device))

        def restore(piece: Tensor, tile: Tile) -> Tensor:
            window = stack_windows([tile.window(height, width)], self.device)
            with self._autocast():
                return network.restore(piece[:, :3], piece[:, 3:], glance, window).float()

        return map_tiles(
            torch.cat([pixels, damage], dim=1),
            restore,
            outputs=3,
            core_px=self.tile_px,
            reach_px=network.reach_px,
            stride=network.total_stride,
            device=self.device,
        )


def _choose_device(device: str) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise ConfigError(f"unknown device {device!r}; expected auto, cpu or cuda") from None
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device {device!r} was asked for, but PyTorch sees no CUDA here; use auto or cpu")
    return chosen


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def _check_choices(mode: str, strength: float, tone: str) -> None:
    if mode not in ("full", "scratches"):
        raise ConfigError(f"unknown mode {mode!r}; expected full or scratches")
    if tone not in ("correct", "keep"):
        raise ConfigError(f"unknown tone {tone!r}; expected correct or keep")
    if not 0 <= strength <= 1:
        raise ConfigError(f"strength must be from 0 to 1, found {strength}")


def _monochrome(image: np.ndarray) -> str:
    if image.ndim == 2 or is_neutral_grey(image):
        return "neutral"
    return "toned" if is_toned_grey(image) else "no"
