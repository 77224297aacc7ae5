"""Sizes and budgets of an ablation. Every variant sees the same crops, and as many pixels of them as the others.

The paper's networks see fewer: each takes them eight times as long, and they are trained for about as long.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import nn

from oldphoto_core.errors import ConfigError
from oldphoto_core.evaluation.ablation.variants import Variant
from oldphoto_core.models.pix2pix import Pix2pixConfig, Pix2pixGenerator
from oldphoto_core.models.presets import QUARTER, build_restoration, preset
from oldphoto_core.training.look import LookSettings
from oldphoto_core.training.pix2pix import Pix2pixSettings
from oldphoto_core.training.schedule import Phase, pixels_seen, steps_for_pixels
from oldphoto_core.training.translation import TranslationSettings
from oldphoto_core.training.vaes import VaeSettings


@dataclass(frozen=True)
class Plan:
    """One ablation. Steps are those of the reference; other variants' follow from the pixels that it sees."""

    steps_look: int
    steps_vae: int
    """Of both VAEs together."""
    steps_t: int
    batch: int = 16
    crop: int = 96
    seed: int = 0
    steps_a_chunk: int = 2
    """A new chunk of damaged photos enters the pool every so many steps."""
    pool_chunks: int = 8
    chunk_photos: int = 8

    def __post_init__(self) -> None:
        least = min(self.steps_look, self.steps_t, self.batch, *self._pace.values())
        if least < 1 or self.steps_vae < 2:
            raise ConfigError(f"an ablation takes at least one step of each stage, two for the VAEs: {self}")

    def look(self) -> LookSettings:
        """Gives the look's settings: one for all variants that have a look."""
        pace = self._pace | {"chunk_photos": 4 * self.chunk_photos}
        return LookSettings(preset=QUARTER.name, batch=4 * self.batch, **pace)

    def vaes(self, variant: Variant) -> VaeSettings:
        """Gives the VAEs' settings: the recipe's, or the paper's, and what the variant changes."""
        settings = replace(VaeSettings.for_preset(variant.preset), **self._pace)
        settings = settings if preset(variant.preset).published else replace(settings, **self._crops)
        return replace(settings, **variant.vaes)

    def translation(self, variant: Variant) -> TranslationSettings:
        """Gives T's settings: the recipe's, or the paper's."""
        settings = replace(TranslationSettings.for_preset(variant.preset), **self._pace)
        return settings if preset(variant.preset).published else replace(settings, **self._crops)

    def pix2pix(self, variant: Variant) -> Pix2pixSettings:
        """Gives pix2pix's settings: the width that comes nearest to the reference's number of weights."""
        published = Pix2pixSettings()
        return replace(
            published, width=width_of(self.method_weights), critic_width=published.critic_width // 4,
            **self._crops, **self._pace, **variant.pix2pix,
        )  # fmt: skip

    @property
    def method_weights(self) -> int:
        """Weights of the reference's two VAEs and T, which pix2pix stands beside; the look comes on top."""
        with torch.device("meta"):
            network = build_restoration(QUARTER)
        return sum(weights(part) for part in (network.vae_x, network.vae_y, network.translation))

    @property
    def vae_pixels(self) -> int:
        """Pixels that the reference's VAEs see."""
        return self.steps_vae * self.batch * self.crop**2

    @property
    def t_pixels(self) -> int:
        """Pixels that the reference's T sees."""
        phases = TranslationSettings(batch=self.batch, crop=self.crop).phases
        return pixels_seen(phases, self.steps_t)

    def vae_steps(self, settings: VaeSettings) -> int:
        """Gives the steps in which a variant's VAEs see as many pixels."""
        return max(2, steps_for_pixels((Phase(1.0, settings.crop, settings.batch),), self.vae_pixels))

    def t_steps(self, variant: Variant) -> int:
        """Gives the steps in which a variant's T sees as many pixels, or the variant's share of them."""
        settings, share = self.translation(variant), variant.t_share
        if self._alike(settings) and share == 1:
            return self.steps_t
        return steps_for_pixels(settings.phases, int(self.t_pixels * share))

    def pix2pix_steps(self, settings: Pix2pixSettings) -> int:
        """Gives the steps in which pix2pix sees as many pixels as the VAEs and T together."""
        return steps_for_pixels(settings.phases, self.vae_pixels + self.t_pixels)

    def identity(self, variant: Variant) -> dict[str, Any]:
        """Gives what a trained variant must share with this plan to be taken as it is: plain values."""
        return {"plan": asdict(self), "variant": asdict(variant)}

    def _alike(self, settings: TranslationSettings) -> bool:
        return (settings.batch, settings.crop, settings.larger_crops) == (self.batch, self.crop, True)

    @property
    def _crops(self) -> dict[str, Any]:
        return {"batch": self.batch, "crop": self.crop}

    @property
    def _pace(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in ("steps_a_chunk", "pool_chunks", "chunk_photos")}


def weights(network: nn.Module) -> int:
    """Gives the number of learned weights."""
    return sum(parameter.numel() for parameter in network.parameters())


@cache
def width_of(wanted: int) -> int:
    """Gives the first width at which pix2pix's generator comes nearest to so many weights."""
    with torch.device("meta"):  # counted, not made
        counts = {width: weights(Pix2pixGenerator(Pix2pixConfig(width))) for width in range(2, 33)}
    return min(counts, key=lambda width: abs(counts[width] - wanted))
