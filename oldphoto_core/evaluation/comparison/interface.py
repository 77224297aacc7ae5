"""What a method is: a small class with a name, a cost and the mask that it is given.

Pictures are (H, W, 3) uint8 sRGB; masks (H, W), above 0.5 damaged. A change of what a method does raises its `version`,
so that figures of the old one are computed again.
"""

from __future__ import annotations

from typing import Literal, Protocol

from oldphoto_core.evaluation.baselines import Image, Mask

MaskSource = Literal["none", "true", "detected"]
"""Which mask a method is given: none, the one that the generator knows, or what the release would mend."""

Cost = Literal["none", "low", "middle", "high"]
"""Processor time a megapixel: up to a second, up to twenty, more. What costs more is run on a few photos alone."""

INPUT, RESTORED, RESTORED_TRUE = "input", "restored", "restored-true-mask"


class Method(Protocol):
    """One way to restore a picture."""

    @property
    def name(self) -> str:
        """Stable, for tables of figures."""

    @property
    def title(self) -> str:
        """For people."""

    @property
    def cost(self) -> Cost:
        """Processor time."""

    @property
    def mask_source(self) -> MaskSource:
        """Which mask it is given."""

    @property
    def version(self) -> int | str:
        """Another one whenever it gives other pixels."""

    def restore(self, image: Image, mask: Mask | None) -> Image:
        """Gives the restored picture; `mask` is None for methods of source `none`."""


def needs_true_mask(method: Method) -> bool:
    """Whether a method could be used only where somebody had painted the mask: no rival, but a bound."""
    return method.mask_source == "true"


def is_slow(method: Method) -> bool:
    """Whether a method is run on the few photos of the kind `few` alone."""
    return method.cost == "high"


def given_mask(mask: Mask | None) -> Mask:
    """Gives the mask of a method that is always given one."""
    assert mask is not None, "this method is given a mask"
    return mask
