"""What each variant leaves out of the method, or does otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

REFERENCE = "reference"


@dataclass(frozen=True)
class Variant:
    """One network to train and measure."""

    name: str
    """Of its folder, and in tables."""
    title: str
    """For people."""
    preset: str = "quarter"
    """Sizes, and which parts there are; of no meaning for pix2pix."""
    vaes: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the VAEs that differ from the preset's."""
    vaes_of: str = ""
    """The variant that has the same VAEs, to the bit; empty: it trains its own."""
    t_share: float = 1.0
    """Of the pixels that the others' T see; below 1 where each takes so much longer, for about the same time."""
    pix2pix: Mapping[str, Any] | None = None
    """Settings of pix2pix that differ from the published ones; None: it is no pix2pix."""


VARIANTS = (
    Variant(REFERENCE, "the whole method"),
    Variant("pix2pix", "pix2pix", preset="", pix2pix={}),
    Variant("no-nonlocal", "no partial non-local block", preset="quarter-local", vaes_of=REFERENCE),
    Variant("plain-nonlocal", "plain non-local block", preset="quarter-plain", vaes_of=REFERENCE),
    Variant("one-vae", "one VAE", vaes={"shared": True}),
    Variant("no-kl", "autoencoders, no KL", vaes={"variational": False}),
    Variant("no-latent-adversary", "no latent adversary", vaes={"latent_adversary": 0.0}),
    Variant("no-look", "no look", preset="quarter-blind"),
    Variant("pix2pix-our-rate", "pix2pix at our learning rate", preset="", pix2pix={"rate": 1e-3}),
    Variant("paper", "the paper's sizes and losses", preset="paper-quarter", t_share=0.125),
)
"""In the order of tables, and of training where time is short."""


def chosen(names: list[str] | None) -> list[Variant]:
    """Gives the variants of these names, all where there are none, in the order of tables."""
    return [variant for variant in VARIANTS if not names or variant.name in names]
