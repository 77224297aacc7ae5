"""A release's networks on one device: pieces of a photo in, pieces out, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from oldphoto_core.models.look import Glance
from oldphoto_core.models.network import RestorationNetwork, stack_windows
from oldphoto_core.releases.bundle import LoadedRelease
from oldphoto_core.restoration.evidence import evidence_of_fading, kept_within_grain
from oldphoto_core.restoration.precision import PrecisionChoice, prepare_release
from oldphoto_core.restoration.turns import Turns

Window = tuple[float, float, float, float]
"""Top, left, bottom, right as fractions of the whole photo."""
_Piece = tuple[np.ndarray, np.ndarray, Glance | None, Window]
MOST_TOGETHER_PX = 8_000_000
"""Pixels of pieces of several photos that a GPU is given at once."""


class Networks:
    """Detector, mender, look, VAEs and translation of a release, ready to be given pieces.

    Attributes:
        device: where they compute.
        precision: `float32` or `bfloat16`, of products; chosen here where `auto` is asked for.
        largest_batch: pieces that were restored together at most.
    """

    def __init__(self, release: LoadedRelease, *, device: torch.device, precision: PrecisionChoice) -> None:
        self._loaded = release
        self._release, self.precision = prepare_release(release, device=device, precision=precision)
        self.device = device
        self._offset = release.card.logit_offset
        self.largest_batch = 0
        self._detecting: Turns[np.ndarray, np.ndarray] | None = None
        self._restoring: Turns[_Piece, np.ndarray] | None = None
        if device.type != "cpu":
            self.share()

    def on_cpu(self) -> Networks:
        """Gives a copy that computes on the CPU."""
        release = replace(
            self._loaded,
            detector=deepcopy(self._loaded.detector).cpu(),
            network=deepcopy(self._loaded.network).cpu(),
        )
        return Networks(release, device=torch.device("cpu"), precision="float32")

    @property
    def detector_reach_px(self) -> int | None:
        """How far a pixel may change what `detect` gives; None: any distance."""
        return self._release.detector.reach_px

    @property
    def coarse(self) -> int:
        """Pixels a side that are averaged for the detector's second look at a photo; 1: it looks once."""
        return self._release.detector.coarse

    @property
    def reach_px(self) -> int | None:
        """How far a pixel may change the restoration, for a given glance; None: any distance."""
        return self._network.reach_px

    @property
    def stride(self) -> int:
        """Pieces start, and end, at multiples of so many pixels."""
        return max(self._network.total_stride, self._release.detector.total_stride)

    @property
    def _network(self) -> RestorationNetwork:
        return self._release.network

    def share(self) -> None:
        """Lets threads that ask at the same time be answered together."""
        self._detecting = Turns(self._detect_together, most=MOST_TOGETHER_PX)
        self._restoring = Turns(self._restore_together, most=MOST_TOGETHER_PX)

    def detect(self, piece: np.ndarray) -> np.ndarray:
        """Gives the probability of damage (h, w) float32 of a piece (h, w, 3) float32 in [0, 1], by one look."""
        if self._detecting is None:
            return self._detect_together([piece])[0]
        return self._detecting.ask(piece, kind=piece.shape, weight=piece.shape[0] * piece.shape[1])

    @torch.inference_mode()
    def mend(self, piece: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Gives a filled piece (h, w, 3) float32 in [0, 1] with what the mender adds inside the mask (h, w) bool."""
        if self._network.mender is None:
            return piece
        with self._autocast():
            image = self._to_device([piece * 2 - 1])
            mended = self._network.mender(image, self._to_device([mask[:, :, None]]))
        return _to_arrays(mended)[0]

    @torch.inference_mode()
    def _detect_together(self, pieces: Sequence[np.ndarray]) -> list[np.ndarray]:
        with self._autocast():
            image = self._to_device([piece * 2 - 1 for piece in pieces])
            logits = self._release.detector.at_one_scale(image) + self._offset
        return list(torch.sigmoid(logits.float())[:, 0].cpu().numpy())

    @torch.inference_mode()
    def glance(self, thumbnail: Tensor, thumbnail_mask: Tensor) -> Glance | None:
        """Looks once at a whole photo: (1, 3, 64, 64) in [-1, 1] and (1, 1, 64, 64) in [0, 1]; None without a look."""
        look = self._network.look
        if look is None:
            return None
        with self._autocast():
            glance = look(thumbnail.to(self.device), thumbnail_mask.to(self.device))
        return replace(glance, tone=glance.tone.strength(evidence_of_fading(thumbnail)))

    @property
    def mends_first(self) -> bool:
        """Whether the translation is shown photos that are mended, and no mask; the paper's meets the damage itself."""
        return self._network.fills

    def restore(self, piece: np.ndarray, mask: np.ndarray, glance: Glance | None, window: Window) -> np.ndarray:
        """Restores a piece.

        Args:
            piece: (h, w, 3) float32 in [0, 1].
            mask: (h, w) float32 in [0, 1] of what is still damaged.
            glance: of the whole photo.
            window: where the piece lies in the photo.

        Returns:
            (h, w, 3) float32, clipped to [0, 1].
        """
        request = (piece, mask, glance, window)
        if self._restoring is None:
            return self._restore_together([request])[0]
        return self._restoring.ask(request, kind=piece.shape, weight=piece.shape[0] * piece.shape[1])

    @torch.inference_mode()
    def _restore_together(self, requests: Sequence[_Piece]) -> list[np.ndarray]:
        self.largest_batch = max(self.largest_batch, len(requests))
        pieces, masks, glances, windows = zip(*requests, strict=True)
        image = self._to_device([piece * 2 - 1 for piece in pieces])
        mask = self._to_device([mask[:, :, None] for mask in masks])
        glance = None if glances[0] is None else Glance.together(glances)
        where = stack_windows(list(windows), self.device)
        with self._autocast():
            toned = self._network.toned(image, glance, where)
            restored = self._network.restore_toned(toned, mask, glance).float()
        return _to_arrays(restored if glance is None else kept_within_grain(toned.float(), restored))

    @torch.inference_mode()
    def tone(self, piece: np.ndarray, glance: Glance | None, window: Window) -> np.ndarray:
        """Gives a piece (h, w, 3) float32 in [0, 1] with the photo's tone map alone applied, clipped to [0, 1]."""
        image = self._to_device([piece * 2 - 1])
        return _to_arrays(self._network.toned(image, glance, stack_windows([window], self.device)).float())[0]

    def _autocast(self) -> torch.autocast:
        on = self.device.type != "cpu" and self.precision == "bfloat16"  # a CPU's copies see to it themselves
        return torch.autocast(self.device.type, torch.bfloat16, enabled=on)

    def _to_device(self, pieces: Sequence[np.ndarray]) -> Tensor:
        """Gives (B, C, h, w) channels-last of pieces (h, w, C): the same memory order."""
        flat = torch.from_numpy(np.ascontiguousarray(pieces[0] if len(pieces) == 1 else np.stack(pieces), np.float32))
        flat = flat[None] if len(pieces) == 1 else flat
        if self.device.type == "cuda":  # copied from pages that stay, while the processor goes on
            flat = flat.pin_memory().to(self.device, non_blocking=True)
        return flat.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def _to_arrays(images: Tensor) -> list[np.ndarray]:
    return list(((images.permute(0, 2, 3, 1) + 1) / 2).clamp(0, 1).cpu().contiguous().numpy())
