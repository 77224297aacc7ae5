"""The restoration network: G_Y(T(E_RX(r))) (eq. 1), behind the look at the whole photo."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from oldphoto_core.models.look import Glance, Look, make_thumbnail
from oldphoto_core.models.mender import Mender
from oldphoto_core.models.vae import VAE


class RestorationNetwork(nn.Module):
    """The networks that turn a damaged photo into a restored one.

    Attributes:
        vae_x: VAE1, shared by old and damaged photos; its encoder is used.
        vae_y: VAE2, over clean photos; its decoder is used.
        translation: T.
        look: the look at the whole photo; None in `paper`.
        mender: adds what a filling lacks to photos that are filled; None in `paper`.
        fills: whether E_RX is shown photos whose damaged places are mended (`oldphoto_core.restoration.mending`).
    """

    def __init__(
        self,
        *,
        vae_x: VAE,
        vae_y: VAE,
        translation: nn.Module,
        look: Look | None,
        mender: Mender | None = None,
        fills: bool = False,
    ) -> None:
        super().__init__()
        self.vae_x = vae_x
        self.vae_y = vae_y
        self.translation = translation
        self.look = look
        self.mender = mender
        self.fills = fills

    @property
    def total_stride(self) -> int:
        """Tiles start and end at multiples of this many pixels."""
        return self.translation.total_stride

    def glance(self, image: Tensor, mask: Tensor) -> Glance | None:
        """Looks once at whole photos (B, 3, H, W) in [-1, 1] with masks (B, 1, H, W) in [0, 1]."""
        return None if self.look is None else self.look(*make_thumbnail(image, mask))

    def toned(self, image: Tensor, glance: Glance | None, window: Tensor) -> Tensor:
        """Gives the image with the glance's tone map applied, clipped to [-1, 1]."""
        return image if glance is None else glance.tone.apply(image, window).clamp(-1, 1)

    def restore(self, image: Tensor, mask: Tensor, glance: Glance | None, window: Tensor) -> Tensor:
        """Restores a photo, or a window of one.

        Args:
            image: (B, 3, H, W) in [-1, 1], H and W multiples of `total_stride`.
            mask: (B, 1, H, W) in [0, 1], soft, of what is damaged still.
            glance: the look at the whole photo.
            window: (B, 4) top, left, bottom, right as fractions of the whole photo.

        Returns:
            (B, 3, H, W) float32, about [-1, 1], not clipped.
        """
        return self.restore_toned(self.toned(image, glance, window), mask, glance)

    def restore_toned(self, toned: Tensor, mask: Tensor, glance: Glance | None) -> Tensor:
        """Restores what `toned` gave; see `restore`."""
        return self.vae_y.decode(self.translation(self.vae_x.encode_mean(toned), mask, glance))

    @property
    def reach_px(self) -> int | None:
        """How many pixels away an input pixel can change an output pixel, for a given glance; None: any distance."""
        parts = (self.vae_x.encoder_reach_px, self.translation.reach_px, self.vae_y.decoder_reach_px)
        return None if None in parts else sum(parts)


def stack_windows(windows: list[tuple[float, float, float, float]], device: torch.device | str) -> Tensor:
    """Gives windows (B, 4) of a list of (top, left, bottom, right) fractions."""
    return torch.tensor(windows, dtype=torch.float32, device=device)
