"""T, the translation from the latent of a damaged photo to that of a clean one (eqs. 5-10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oldphoto_core.errors import ConfigError
from oldphoto_core.models.blocks import GatedStack, conv_norm_relu, residual_stack, upsample_conv
from oldphoto_core.models.look import Glance
from oldphoto_core.models.partial_nonlocal import PartialNonLocal, fuse

MASK_STRIDE = 4
"""Image pixels a side for one latent place."""
SQUARE = 64
"""Latent places a side of the squares that the global branch runs on, on a CPU."""


Attention = Literal["partial", "plain", "none"]
"""Which non-local block T has: eq. 7's, one whose sources may be damaged too, or none and the local branch alone."""


@dataclass(frozen=True)
class TranslationConfig:
    """Sizes of T.

    Attributes:
        kind: `gated` (archive) or `residual` (the authors').
        latent_channels: channels of both latents.
        widths: channels at 1/4, 1/8 and 1/16 (archive), or of the climb to the fusion (paper).
        depths: blocks at 1/4, 1/8, 1/16 and after the fusion (archive); in the two branches and after (paper).
        inner: channels of theta, phi and mu.
        condition_size: length of the look's conditioning vector; 0 without a look.
        token_size: channels of the look's tokens; 0 without a look: the sources are then T's own features.
        attention: `partial`; the others are for the ablation.
    """

    kind: str
    latent_channels: int
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    inner: int
    condition_size: int = 0
    token_size: int = 0
    attention: Attention = "partial"

    def __post_init__(self) -> None:
        if self.attention not in get_args(Attention):
            raise ConfigError(f"attention is {self.attention!r}; expected one of {', '.join(get_args(Attention))}")


class _Sources(NamedTuple):
    """What the non-local block gathers from."""

    tokens: Tensor
    """(B, N, S)."""
    open: Tensor
    """(B, N) bool, True where a source may be used."""


class GatedTranslation(nn.Module):
    """T(z) = z + delta(z, m, glance), delta zero at the start; `archive`.

    A U-shaped trunk to 1/16, then the partial non-local block and the fusion at 1/4. The mask comes at full
    resolution, its 4x4 pixels unshuffled to channels, so a one-pixel scratch does not cost a 4x4 cell.
    Sources of the non-local block are the look's tokens: intact, 256 at most, the same for each tile. Without a look
    they are T's own intact features, as in the paper, and a tile's answer depends on what the tile holds.
    The block's answer is added to F before rho_global, so that a thin scratch is not cut off from its surroundings
    (eq. 10 gives a damaged place the gathered answer alone; `paper` does so).
    """

    total_stride = 16

    def __init__(self, config: TranslationConfig) -> None:
        super().__init__()
        fine, middle, coarse = config.widths
        at_fine, at_middle, at_coarse, after = config.depths
        condition = config.condition_size
        self.attention, self.looks = config.attention, config.token_size > 0
        self.reach_px: int | None = None  # attention to its own features sees the whole photo
        if self.looks or self.attention == "none":
            self.reach_px = 4 * (2 + at_fine + after) + 8 * 2 * at_middle + 16 * at_coarse + 15  # within a 1/16 cell
        self.stem = nn.Conv2d(config.latent_channels + MASK_STRIDE**2, fine, 3, padding=1)
        self.fine_in = GatedStack(fine, at_fine, condition_size=condition)
        self.down_middle = nn.Conv2d(fine, middle, 2, stride=2)
        self.middle_in = GatedStack(middle, at_middle, condition_size=condition)
        self.down_coarse = nn.Conv2d(middle, coarse, 2, stride=2)
        self.coarse = GatedStack(coarse, at_coarse, condition_size=condition)
        self.up_middle = upsample_conv(coarse, middle)
        self.middle_out = GatedStack(middle, at_middle, condition_size=condition)
        self.up_fine = upsample_conv(middle, fine)
        self.nonlocal_block: PartialNonLocal | None = None
        self.rho_global: GatedStack | None = None
        if self.attention != "none":
            self.nonlocal_block = PartialNonLocal(fine, config.inner, source_channels=config.token_size or fine)
        self.rho_local = GatedStack(fine, after, condition_size=condition)
        if self.attention != "none":
            self.rho_global = GatedStack(fine, after, condition_size=condition)
        self.head = nn.Conv2d(fine, config.latent_channels, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, latent: Tensor, mask: Tensor, glance: Glance | None = None) -> Tensor:
        """Gives z_y of z_x.

        Args:
            latent: (B, C, h, w), h and w multiples of 4 (of 16 in image pixels).
            mask: (B, 1, 4h, 4w) in [0, 1], soft.
            glance: the look at the whole photo; needed where the preset has one.

        Returns:
            (B, C, h, w) float32.
        """
        if glance is None and self.looks:
            raise ValueError("the archive translation needs the look at the whole photo: pass glance")
        condition = None if glance is None else glance.condition
        cells = F.pixel_unshuffle(mask, MASK_STRIDE)  # (B, 16, h, w)
        features = self.stem(torch.cat([latent, cells.to(latent.dtype)], dim=1))
        fine = self.fine_in(features, condition)
        middle = self.middle_in(self.down_middle(fine), condition)
        coarse = self.coarse(self.down_coarse(middle), condition)
        middle = self.middle_out(middle + self.up_middle(coarse), condition)
        fine = fine + self.up_fine(middle)
        local = self.rho_local(fine, condition)
        if self.nonlocal_block is None:
            return latent.float() + self.head(local).float()
        damaged = F.max_pool2d(mask, MASK_STRIDE).to(local.dtype)  # (B, 1, h, w)
        if not torch.is_grad_enabled() and local.device.type == "cpu":
            return latent.float() + self.head(self._mended(fine, local, damaged, glance)).float()
        if torch.is_grad_enabled() or bool(damaged.any()):  # nothing damaged: eq. 10 leaves the local branch alone
            local = fuse(damaged, local, self._global(fine, self._sources(fine, damaged, glance), condition))
        return latent.float() + self.head(local).float()

    def _sources(self, fine: Tensor, damaged: Tensor, glance: Glance | None) -> _Sources:
        """Gives the look's tokens, or without a look the features themselves; all of them for plain attention."""
        if glance is not None:
            tokens, intact = glance.tokens, glance.token_intact
        else:
            tokens, intact = fine.flatten(2).transpose(1, 2), damaged.flatten(1) < 0.5
        return _Sources(tokens, intact if self.attention == "partial" else torch.ones_like(intact))

    def _global(self, fine: Tensor, sources: _Sources, condition: Tensor | None) -> Tensor:
        """Gives rho_global(F + O) of eqs. 9 and 10, (B, C, h, w)."""
        assert self.nonlocal_block is not None and self.rho_global is not None
        return self.rho_global(fine + self.nonlocal_block.from_tokens(fine, *sources), condition)

    def _mended(self, fine: Tensor, local: Tensor, damaged: Tensor, glance: Glance | None) -> Tensor:
        """Gives eq. 10 with the global branch run only on squares in which something is damaged, and their rims."""
        assert self.rho_global is not None
        height, width = local.shape[2:]
        rim = len(self.rho_global.blocks)  # the branch's reach
        sources, condition = self._sources(fine, damaged, glance), None if glance is None else glance.condition
        result = local.clone(memory_format=torch.channels_last)
        for top, left in squares_with_damage(damaged):
            rows, columns = slice(top, min(top + SQUARE, height)), slice(left, min(left + SQUARE, width))
            above, before = min(top, rim), min(left, rim)
            shown = fine[:, :, top - above : rows.stop + rim, left - before : columns.stop + rim]
            answer = self._global(shown, sources, condition)[
                :, :, above : above + rows.stop - top, before : before + columns.stop - left
            ]
            result[:, :, rows, columns] = fuse(damaged[:, :, rows, columns], local[:, :, rows, columns], answer)
        return result


def squares_with_damage(damaged: Tensor) -> list[tuple[int, int]]:
    """Gives (top, left) of each square of SQUARE places of (B, 1, h, w) in which any is above zero."""
    any_photo = damaged.amax(dim=(0, 1))[None, None].float()  # (1, 1, h, w)
    squares = F.max_pool2d(any_photo, SQUARE, ceil_mode=True)[0, 0]
    return [(SQUARE * row, SQUARE * column) for row, column in (squares > 0).nonzero().tolist()]


class ResidualTranslation(nn.Module):
    """T by the paper: 3x3 convolutions 64-128-256-512-512, the partial non-local block, residual blocks, and back.

    Eq. 10's two parallel branches rho_local and rho_global have three residual blocks each, and three more follow
    the fusion: 50.8 M weights, the authors' 51 M. (Their code has no parallel branches; eq. 10 has.)
    """

    total_stride = 4
    reach_px = None  # attention and instance norm see the whole photo

    def __init__(self, config: TranslationConfig) -> None:
        super().__init__()
        climb = (config.latent_channels, *config.widths)
        pairs = list(zip(climb[:-1], climb[1:], strict=True))
        self.rise = nn.Sequential(*(conv_norm_relu(a, b, 3, padding=1) for a, b in pairs))
        top = climb[-1]
        in_branches, after = config.depths
        self.attention = config.attention
        self.nonlocal_block = PartialNonLocal(top, config.inner) if self.attention != "none" else None
        self.rho_local = residual_stack(top, in_branches)
        self.rho_global = residual_stack(top, in_branches) if self.attention != "none" else None
        self.after = residual_stack(top, after)
        back = [conv_norm_relu(b, a, 3, padding=1) for a, b in reversed(pairs[1:])]
        self.fall = nn.Sequential(*back, nn.Conv2d(climb[1], climb[0], 3, padding=1, padding_mode="reflect"))

    def forward(self, latent: Tensor, mask: Tensor, glance: Glance | None = None) -> Tensor:
        """Gives z_y of z_x; see GatedTranslation.forward. The mask is made hard at 0.5; a glance is not used."""
        damaged = (F.max_pool2d(mask, MASK_STRIDE) > 0.5).to(latent.dtype)  # m in {0, 1}, (B, 1, h, w)
        features = self.rise(latent)
        fused = self.rho_local(features)
        if self.nonlocal_block is not None and self.rho_global is not None:
            closed = damaged if self.attention == "partial" else torch.zeros_like(damaged)
            gathered = self.nonlocal_block(features, closed)
            # Nothing open, nothing gathered: a constant O would blow up the gradient of every instance norm after it.
            damaged = damaged * (closed == 0).any(dim=3, keepdim=True).any(dim=2, keepdim=True)
            fused = fuse(damaged, fused, self.rho_global(gathered))
        return self.fall(self.after(fused)).float()


def build_translation_network(config: TranslationConfig) -> nn.Module:
    """Gives a fresh T of the given kind and sizes."""
    return GatedTranslation(config) if config.kind == "gated" else ResidualTranslation(config)
