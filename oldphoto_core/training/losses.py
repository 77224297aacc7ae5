"""The losses, each a function of tensors that gives a float32 scalar.

Weighted means take a weight map, 0 where a pixel is to be left out. Equation numbers are those of Wan et al. 2020.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F

Critique = Sequence[tuple[torch.Tensor, Sequence[torch.Tensor]]]
"""What a discriminator says: (logits, features by layer) for each of its scales."""


def weighted_mean(values: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
    """Gives the mean of the values where the weight, broadcast over them, says they count."""
    values = values.float()
    if weight is None:
        return values.mean()
    weight = weight.float().expand_as(values)
    return (values * weight).sum() / weight.sum().clamp_min(1.0)


def kl_to_standard_normal(mean: torch.Tensor, logvar: torch.Tensor) -> torch.Tensor:
    """Gives KL(N(mean, exp(logvar)) || N(0, 1)) of eq. 2, as a mean over the latent's elements.

    Eq. 2 has sums; `kl_weight` turns its alpha into the weight of this mean.
    """
    mean, logvar = mean.float(), logvar.float()
    return 0.5 * (mean.square() + logvar.exp() - 1.0 - logvar).mean()


def kl_weight(alpha: float, *, latent_elements: int, image_elements: int) -> float:
    """Gives w so that L1 + w KL over means has the balance of KL + alpha L1 over sums (eq. 2)."""
    return latent_elements / (alpha * image_elements)


def l1(predicted: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
    """Gives the mean absolute difference (eqs. 2 and 5)."""
    return weighted_mean((predicted.float() - target.float()).abs(), weight)


def charbonnier(
    predicted: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None = None, *, epsilon: float = 1e-3
) -> torch.Tensor:
    """Gives the mean of sqrt(d^2 + epsilon^2): L1 with a rounded tip (Charbonnier et al. 1994)."""
    return weighted_mean(((predicted.float() - target.float()).square() + epsilon**2).sqrt(), weight)


def gradient_l1(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Gives the L1 distance of horizontal and vertical differences: edges as sharp as the target's."""
    difference = predicted.float() - target.float()
    return difference.diff(dim=-1).abs().mean() + difference.diff(dim=-2).abs().mean()


def lsgan_discriminator(real: Critique, fake: Critique) -> torch.Tensor:
    """Gives the least-squares loss of a discriminator: 1 for real, 0 for fake, mean over its scales."""
    pairs = zip(real, fake, strict=True)
    return torch.stack(
        [0.5 * ((r.float() - 1).square().mean() + f.float().square().mean()) for (r, _), (f, _) in pairs]
    ).mean()


def lsgan_generator(fake: Critique) -> torch.Tensor:
    """Gives the least-squares loss of a generator: its images are to be called real."""
    return torch.stack([(f.float() - 1).square().mean() for f, _ in fake]).mean()


def latent_adversary(real_old: torch.Tensor, synthetic: torch.Tensor) -> torch.Tensor:
    """Gives eq. 3, E_x[D(E(x))^2] + E_r[(1 - D(E(r)))^2], from the logits on both kinds of latent.

    The paper's eq. 4 maximises this over D and minimises it over E. With least squares that is upside down: D would
    be paid for being wrong without bound, and diverges. Here D *minimises* it (1 for real old photos, 0 for
    synthetic ones) and the encoder minimises `latent_encoder`, in which the labels are swapped.
    """
    return synthetic.float().square().mean() + (1 - real_old.float()).square().mean()


def latent_encoder(real_old: torch.Tensor, synthetic: torch.Tensor) -> torch.Tensor:
    """Gives eq. 3 with its labels swapped: what the encoder minimises so that D takes either kind for the other."""
    return latent_adversary(synthetic, real_old)


def feature_matching(real: Critique, fake: Critique) -> torch.Tensor:
    """Gives eq. 6 over a discriminator's layers: mean absolute difference of features, mean over layers and scales.

    No gradient reaches the discriminator through the real side.
    """
    scales = zip(real, fake, strict=True)
    pairs = [(r, f) for (_, rs), (_, fs) in scales for r, f in zip(rs, fs, strict=True)]
    return torch.stack([l1(f, r.detach()) for r, f in pairs]).mean()


def focal(
    logits: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor | None = None,
    *,
    gamma: float = 2.0,
    alpha: float = 0.75,
) -> torch.Tensor:
    """Gives the focal loss (Lin et al. 2017): cross entropy that fades where the answer is already right.

    Args:
        logits: (B, 1, H, W).
        target: (B, 1, H, W), 1 = damaged.
        weight: (B, 1, H, W), 0 for the ignored band.
        gamma: how fast easy pixels fade.
        alpha: weight of damaged pixels, 1 - alpha that of intact ones.
    """
    logits, target = logits.float(), target.float()
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    probability = torch.sigmoid(logits)
    wrong = target * (1 - probability) + (1 - target) * probability
    balance = target * alpha + (1 - target) * (1 - alpha)
    return weighted_mean(balance * wrong.pow(gamma) * entropy, weight)


def dice(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
    """Gives 1 - Dice overlap over the whole batch (a batch, not a photo, so that intact photos do not dominate)."""
    probability, target = torch.sigmoid(logits.float()), target.float()
    if weight is not None:
        probability, target = probability * weight, target * weight
    overlap = (probability * target).sum()
    return 1 - (2 * overlap + 1) / (probability.sum() + target.sum() + 1)


def psnr(predicted: torch.Tensor, target: torch.Tensor, *, peak: float = 2.0) -> float:
    """Gives the mean PSNR in dB over a batch, each image by itself; peak 2 for images in [-1, 1]."""
    error = (predicted.float() - target.float()).square().flatten(1).mean(1).clamp_min(1e-10)
    return float((20 * math.log10(peak) - 10 * error.log10()).mean())


def area_under_roc(scores: torch.Tensor, truth: torch.Tensor, *, bins: int = 2048) -> float:
    """Gives the area under the ROC curve of scores in [0, 1] for a boolean truth, by counting in bins.

    Ties within a bin count half. NaN where only one class is present.
    """
    index = (scores.float().clamp(0, 1) * (bins - 1)).round().long().flatten()
    truth = truth.flatten().bool()
    positive = torch.bincount(index[truth], minlength=bins).double()
    negative = torch.bincount(index[~truth], minlength=bins).double()
    if positive.sum() == 0 or negative.sum() == 0:
        return float("nan")
    below = negative.cumsum(0) - negative
    return float((positive * (below + 0.5 * negative)).sum() / (positive.sum() * negative.sum()))
