"""Deep image prior as a method: its settings, and how long it is fitted. The network is in `deep_image_prior`."""

from __future__ import annotations

from dataclasses import dataclass, field

from oldphoto_core.errors import ConfigError
from oldphoto_core.evaluation.baselines import Image, Mask
from oldphoto_core.evaluation.comparison.interface import Cost, MaskSource, given_mask

PRIOR = "deep-image-prior-true-mask"

PRIOR_SIDE_PX = 256
"""Side of the squares that it is run on."""


@dataclass(frozen=True)
class PriorSettings:
    """How a network is fitted to the one photo.

    The authors' settings for inpainting are width 128, skip 128 (or none), 3,000 to 6,000 steps on a GPU; for denoising
    width 128, skip 4, about 3,000. These are for about two minutes of one core on 256 x 256 pixels.
    """

    steps: int = 600
    """After which it stops: the best of those looked at on role `select`, see `prior_steps`, and what time allows."""

    width: int = 32
    """Channels of each scale."""

    skip: int = 4
    """Channels that each scale hands past the narrower ones."""

    scales: int = 5
    """Times that height and width are halved."""

    input_channels: int = 32
    """Of the fixed noise that it draws the picture from."""

    learning_rate: float = 0.01

    input_noise: float = 0.03
    """Standard deviation of what is added to the fixed noise, anew at each step, so that it does not fit grain."""

    averaging: float = 0.99
    """Weight of the past in the exponential average of the pictures, which is what is given back."""

    seed: int = 0
    """Of the network's first weights and of all noise."""

    def __post_init__(self) -> None:
        if min(self.steps, self.width, self.scales, self.input_channels) < 1 or self.skip < 1:
            raise ConfigError(f"deep image prior: steps, widths and scales are 1 or more; found {self}")
        if not 0 <= self.averaging < 1 or self.input_noise < 0 or self.learning_rate <= 0:
            raise ConfigError(f"deep image prior: averaging lies in [0, 1), noise is 0 or more; found {self}")


@dataclass(frozen=True)
class DeepImagePrior:
    """An hourglass network fitted to the one photo from noise, on unmasked pixels alone (Ulyanov et al. 2018)."""

    settings: PriorSettings = field(default_factory=PriorSettings)
    device: str = "cpu"
    name: str = PRIOR
    title: str = "Deep image prior, true mask"
    cost: Cost = "high"
    mask_source: MaskSource = "true"

    @property
    def version(self) -> str:
        """Of the code, and all settings: another number of steps gives another picture."""
        return f"1: {self.settings}"

    def restore(self, image: Image, mask: Mask | None) -> Image:
        """Gives what the network drew, over all pixels."""
        from oldphoto_core.evaluation.comparison.deep_image_prior import fit_prior

        return fit_prior(image, given_mask(mask), self.settings, device=self.device)
