"""The two presets: `paper`, the authors' sizes, and `archive`, compact and made for scans.

Beside them, never released: `tiny`, for tests.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from oldphoto_core.errors import ConfigError
from oldphoto_core.models.detector import DetectorConfig, build_detector_network
from oldphoto_core.models.discriminators import ChannelDiscriminator, LatentDiscriminator, PatchDiscriminator
from oldphoto_core.models.look import Look, LookConfig
from oldphoto_core.models.mender import Mender
from oldphoto_core.models.network import RestorationNetwork
from oldphoto_core.models.translation import TranslationConfig, build_translation_network
from oldphoto_core.models.vae import VAE, VAEConfig
from oldphoto_core.models.vae import build_vae as build_vae_network


@dataclass(frozen=True)
class Preset:
    """The sizes of every network of one release.

    Attributes:
        name: what a release's card says.
        detector, vae, translation: sizes; both VAEs have the same.
        look: sizes of the look at the whole photo, or None.
        discriminator_filters: first width of the discriminators.
        mender: first to last width of the mender, or None.
        fills: E_RX is shown photos whose damaged places are mended.
        published: trained by the paper's losses, rates and optimiser, not by the recipe's.
    """

    name: str
    detector: DetectorConfig
    vae: VAEConfig
    translation: TranslationConfig
    look: LookConfig | None
    discriminator_filters: int = 64
    mender: tuple[int, ...] | None = None
    fills: bool = False
    published: bool = False


ARCHIVE = Preset(
    name="archive",
    detector=DetectorConfig(kind="pretrained", widths=(32, 48, 64, 96)),
    vae=VAEConfig(kind="linear", latent_channels=48, width=64, depth=1),
    translation=TranslationConfig(
        kind="gated",
        latent_channels=48,
        widths=(64, 128, 192),
        depths=(2, 2, 4, 2),
        inner=64,
        condition_size=64,
        token_size=64,
    ),
    look=LookConfig(width=64, depth=2, token_size=64, condition_size=64),
    discriminator_filters=32,
    mender=(32, 64, 96, 128),
    fills=True,
)

PAPER = Preset(
    name="paper",
    detector=DetectorConfig(kind="plain", widths=(64, 128, 256, 512, 1024)),
    vae=VAEConfig(kind="residual", latent_channels=64, width=64, depth=4),
    translation=TranslationConfig(
        kind="residual", latent_channels=64, widths=(128, 256, 512, 512), depths=(3, 3), inner=256
    ),
    look=None,
    published=True,
)

TINY = Preset(
    name="tiny",
    detector=DetectorConfig(kind="pretrained", widths=(8, 8), stages=3),
    vae=VAEConfig(kind="linear", latent_channels=48, width=8, depth=1),
    translation=TranslationConfig(
        kind="gated",
        latent_channels=48,
        widths=(8, 8, 8),
        depths=(1, 1, 1, 1),
        inner=8,
        condition_size=8,
        token_size=8,
    ),
    look=LookConfig(width=8, depth=1, token_size=8, condition_size=8),
    discriminator_filters=4,
    mender=(8, 8),
    fills=True,
)
"""The archive's shape at toy sizes, for smoke runs and tests; never released."""

PRESETS = {preset.name: preset for preset in (ARCHIVE, PAPER, TINY)}


def preset(name: str) -> Preset:
    """Gives a preset by name.

    Raises:
        ConfigError: there is none of that name.
    """
    try:
        return PRESETS[name]
    except KeyError:
        raise ConfigError(f"there is no preset {name!r}; the presets are {', '.join(sorted(PRESETS))}") from None


def build_detector(p: Preset) -> nn.Module:
    """Gives a fresh scratch detector."""
    return build_detector_network(p.detector)


def build_mender(p: Preset) -> Mender | None:
    """Gives a fresh mender, or None where the preset has none."""
    return None if p.mender is None else Mender(p.mender)


def build_vae(p: Preset) -> VAE:
    """Gives a fresh VAE (VAE1 and VAE2 alike)."""
    return build_vae_network(p.vae)


def build_translation(p: Preset) -> nn.Module:
    """Gives a fresh translation T."""
    return build_translation_network(p.translation)


def build_look(p: Preset) -> Look | None:
    """Gives a fresh look, or None where the preset has none."""
    return None if p.look is None else Look(p.look)


def build_restoration(p: Preset) -> RestorationNetwork:
    """Gives fresh VAE1, VAE2, T, look and mender, joined."""
    return RestorationNetwork(
        vae_x=build_vae(p),
        vae_y=build_vae(p),
        translation=build_translation(p),
        look=build_look(p),
        mender=build_mender(p),
        fills=p.fills,
    )


def build_patch_discriminator(p: Preset) -> PatchDiscriminator:
    """Gives a fresh discriminator of images."""
    return PatchDiscriminator(filters=p.discriminator_filters)


def build_latent_discriminator(p: Preset) -> LatentDiscriminator:
    """Gives a fresh discriminator of latents."""
    return LatentDiscriminator(p.vae.latent_channels, filters=p.discriminator_filters)


def build_channel_discriminator(p: Preset) -> ChannelDiscriminator:
    """Gives a discriminator of latents' channel statistics, which has seen nothing."""
    return ChannelDiscriminator(p.vae.latent_channels)
