"""Each loss gives what its formula gives by hand, and pulls in the direction that its stage needs."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from oldphoto_core.training.losses import (
    area_under_roc,
    charbonnier,
    dice,
    feature_matching,
    focal,
    gradient_l1,
    kl_to_standard_normal,
    kl_weight,
    l1,
    latent_adversary,
    latent_encoder,
    lsgan_discriminator,
    lsgan_generator,
    psnr,
    weighted_mean,
)
from oldphoto_core.training.schedule import seeded


def drawn(*shape: int, of: str = "losses") -> Tensor:
    return torch.randn(shape, generator=seeded(0, of, 0))


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def said(*logits: float) -> list[tuple[Tensor, list[Tensor]]]:
    """What a discriminator of one scale a number says, without features."""
    return [(torch.full((1, 1, 2, 2), value), []) for value in logits]


def test_kl_is_zero_for_the_standard_normal_and_by_hand_elsewhere():
    zeros = torch.zeros(1, 1, 2, 2)
    assert kl_to_standard_normal(zeros, zeros) == 0
    assert kl_to_standard_normal(zeros + 1, zeros) == pytest.approx(0.5)
    assert kl_to_standard_normal(zeros, zeros + math.log(4)) == pytest.approx(0.5 * (4 - 1 - math.log(4)))


def test_kl_is_that_of_the_distributions():
    mean, logvar = drawn(2, 3, 4, 4), drawn(2, 3, 4, 4, of="logvar")
    wanted = kl_divergence(Normal(mean, (logvar / 2).exp()), Normal(0.0, 1.0)).mean()
    assert kl_to_standard_normal(mean, logvar) == pytest.approx(float(wanted), rel=1e-5)


def test_kl_weight_keeps_equation_2s_balance_of_sums():
    image, decoded = drawn(1, 3, 8, 8), drawn(1, 3, 8, 8, of="decoded")
    mean, logvar = drawn(1, 48, 2, 2, of="mean"), drawn(1, 48, 2, 2, of="logvar")
    sums = kl_to_standard_normal(mean, logvar) * mean.numel() + 10 * (decoded - image).abs().sum()
    means = l1(decoded, image) + kl_weight(10.0, latent_elements=48, image_elements=48) * kl_to_standard_normal(
        mean, logvar
    )
    assert float(sums / (10 * image.numel())) == pytest.approx(float(means), rel=1e-5)


def test_a_weight_of_zero_leaves_pixels_out():
    values, weight = torch.tensor([[[[1.0, 5.0, 100.0]]]]), torch.tensor([[[[1.0, 1.0, 0.0]]]])
    assert weighted_mean(values, weight) == 3
    assert weighted_mean(values.expand(1, 3, 1, 3), weight) == 3  # one map for three channels
    assert weighted_mean(values, torch.zeros_like(weight)) == 0  # nothing counts, nothing is lost
    assert l1(values, torch.zeros_like(values), weight) == 3


def test_charbonnier_is_l1_with_a_rounded_tip():
    zero = torch.zeros(1, 1, 1, 1)
    assert charbonnier(zero, zero) == pytest.approx(1e-3)
    assert charbonnier(zero + 3, zero, epsilon=4.0) == pytest.approx(5.0)
    assert charbonnier(zero + 0.5, zero) == pytest.approx(0.5, abs=1e-5)


def test_gradient_l1_sees_edges_and_not_levels():
    target = torch.zeros(1, 1, 2, 3)
    assert gradient_l1(target + 0.7, target) == 0
    step = torch.tensor([[[[0.0, 1.0, 1.0], [0.0, 1.0, 1.0]]]])
    assert gradient_l1(step, target) == pytest.approx(0.5)  # two of four horizontal differences are 1, vertical 0
    assert gradient_l1(step.mT, target.mT) == pytest.approx(0.5)


def test_the_discriminator_is_paid_for_1_on_real_and_0_on_fake():
    assert lsgan_discriminator(said(1.0, 1.0), said(0.0, 0.0)) == 0
    assert lsgan_discriminator(said(0.5), said(0.25)) == pytest.approx(0.5 * (0.25 + 0.0625))
    assert lsgan_discriminator(said(1.0, 0.5), said(0.0, 0.25)) == pytest.approx(0.15625 / 2)  # mean over scales


def test_the_generator_is_paid_for_images_called_real():
    assert lsgan_generator(said(1.0, 1.0)) == 0
    assert lsgan_generator(said(0.5)) == pytest.approx(0.25)
    assert lsgan_generator(said(0.0, 1.0)) == pytest.approx(0.5)


def test_equation_3_by_hand():
    old, synthetic = torch.tensor([0.8, 0.6]), torch.tensor([0.3, 0.1])
    assert latent_adversary(old, synthetic) == pytest.approx((0.09 + 0.01) / 2 + (0.04 + 0.16) / 2)
    assert latent_adversary(torch.ones(3), torch.zeros(3)) == 0
    assert latent_encoder(torch.zeros(3), torch.ones(3)) == 0


def test_the_latent_critic_and_the_encoder_pull_in_opposite_directions():
    """D goes to 1 on old and 0 on synthetic latents; the encoder moves what D says the other way, on both."""

    def pull(loss) -> tuple[float, float]:
        old, synthetic = (torch.tensor(0.5, requires_grad=True) for _ in range(2))
        loss(old, synthetic).backward()
        return -float(old.grad), -float(synthetic.grad)  # where a step down the loss takes each

    assert pull(latent_adversary) == (1.0, -1.0)
    assert pull(latent_encoder) == (-1.0, 1.0)


def test_minimising_equation_3_is_bounded():
    """As eq. 4 is printed, D maximises it: then its loss would fall without end. Ours has its least value, 0."""
    far = torch.tensor([1e3])
    assert latent_adversary(far, far) > 0
    assert latent_encoder(far, far) > 0


def test_feature_matching_is_the_mean_over_layers_and_scales():
    real = [(torch.zeros(1), [torch.zeros(2, 2), torch.zeros(3)]), (torch.zeros(1), [torch.zeros(4)])]
    fake = [(torch.ones(1), [torch.ones(2, 2), torch.full((3,), -2.0)]), (torch.ones(1), [torch.full((4,), 6.0)])]
    assert feature_matching(real, fake) == pytest.approx((1 + 2 + 6) / 3)


def test_feature_matching_teaches_the_generator_alone():
    real, fake = (torch.full((2,), value, requires_grad=True) for value in (1.0, 3.0))
    feature_matching([(real, [real])], [(fake, [fake])]).backward()
    assert real.grad is None
    assert (fake.grad > 0).all()


def test_focal_is_the_plain_formula_at_gamma_2_and_alpha_075():
    probability, target = torch.tensor([0.8, 0.3, 0.8, 0.3]), torch.tensor([1.0, 1.0, 0.0, 0.0])
    wanted = [
        0.75 * 0.2**2 * -math.log(0.8),
        0.75 * 0.7**2 * -math.log(0.3),
        0.25 * 0.8**2 * -math.log(0.2),
        0.25 * 0.3**2 * -math.log(0.7),
    ]
    assert focal(torch.logit(probability), target) == pytest.approx(sum(wanted) / 4, rel=1e-5)


def test_focal_without_focus_is_half_of_cross_entropy():
    logits, target = drawn(2, 1, 4, 4), (drawn(2, 1, 4, 4, of="target") > 0).float()
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, target)
    assert focal(logits, target, gamma=0.0, alpha=0.5) == pytest.approx(float(entropy) / 2, rel=1e-5)


def test_dice_by_hand():
    probability, target = torch.tensor([0.9, 0.2, 0.4]), torch.tensor([1.0, 0.0, 1.0])
    assert dice(torch.logit(probability), target) == pytest.approx(1 - (2 * 1.3 + 1) / (1.5 + 2 + 1), rel=1e-5)
    assert dice(torch.full((4,), 50.0), torch.ones(4)) == pytest.approx(0, abs=1e-6)
    assert dice(torch.full((4,), -50.0), torch.zeros(4)) == pytest.approx(0, abs=1e-6)  # nothing there, nothing found


@pytest.mark.parametrize("loss", [focal, dice])
def test_ignored_pixels_change_nothing_and_get_no_gradient(loss):
    target = torch.tensor([[[[1.0, 0.0, 1.0, 0.0]]]])
    counted = torch.tensor([[[[1.0, 1.0, 0.0, 0.0]]]])
    one = torch.tensor([[[[0.5, -0.5, 3.0, 3.0]]]], requires_grad=True)
    other = torch.tensor([[[[0.5, -0.5, -9.0, 9.0]]]])
    assert loss(one, target, counted) == loss(other, 1 - target * (1 - counted) - (1 - target) * counted, counted)
    loss(one, target, counted).backward()
    assert (one.grad[..., 2:] == 0).all()
    assert one.grad[0, 0, 0, 0] < 0 < one.grad[0, 0, 0, 1]  # up where damaged, down where intact


def test_losses_are_float32_whatever_they_are_given():
    half = drawn(1, 1, 4, 4).bfloat16()
    for loss in (l1, charbonnier, gradient_l1, focal, dice, kl_to_standard_normal):
        assert loss(half, torch.zeros_like(half)).dtype == torch.float32


def test_psnr_is_the_mean_over_images():
    target = torch.zeros(2, 3, 4, 4)
    wrong = target + torch.tensor([0.2, 0.02])[:, None, None, None]
    assert psnr(wrong, target) == pytest.approx(30.0, abs=1e-4)  # 20 and 40 dB, peak 2


def test_area_under_roc_is_the_share_of_pairs_in_the_right_order():
    scores = torch.rand(60, generator=seeded(0, "scores", 0)).mul(20).round().div(20)  # with ties
    truth = torch.rand(60, generator=seeded(0, "truth", 0)) < 0.3
    good, bad = scores[truth][:, None], scores[~truth][None]
    wanted = ((good > bad).float() + 0.5 * (good == bad).float()).mean()
    assert area_under_roc(scores, truth) == pytest.approx(float(wanted), abs=1e-6)
    assert math.isnan(area_under_roc(scores, torch.zeros(60, dtype=torch.bool)))
