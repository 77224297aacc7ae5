"""Facts about the networks of both presets."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from oldphoto_core.errors import ConfigError, TrainingError
from oldphoto_core.models.discriminators import LatentDiscriminator, PatchDiscriminator
from oldphoto_core.models.encoder import imagenet_weights
from oldphoto_core.models.look import _quantiles, _ranks, make_thumbnail, whole_window
from oldphoto_core.models.network import RestorationNetwork
from oldphoto_core.models.presets import build_detector, build_look, build_mender, build_restoration, build_vae, preset
from oldphoto_core.models.tone import GLOBAL_NUMBERS, GRID, GRID_NUMBERS, Tone


def million(module: nn.Module) -> float:
    return sum(parameter.numel() for parameter in module.parameters()) / 1e6


def wake(module: nn.Module, seed: int = 0) -> nn.Module:
    """Draws every parameter anew, so that nothing that starts at zero hides what it does."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            fan_in = parameter[0].numel() if parameter.ndim > 1 else 25
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / fan_in**0.5)
    return module


def photos(batch: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_the_paper_preset_has_the_authors_sizes():
    paper = preset("paper")
    network = build_restoration(paper)
    assert million(build_detector(paper)) == pytest.approx(31.0, abs=0.1)
    assert million(network.vae_x) == pytest.approx(0.87, abs=0.01)
    assert million(network.translation) == pytest.approx(51, abs=0.5)


def test_the_archive_preset_stays_under_eight_million_weights():
    archive = preset("archive")
    assert million(build_detector(archive)) < 3
    assert million(build_detector(archive)) + million(build_restoration(archive)) < 8


def test_the_detectors_encoder_takes_the_weights_of_imagenet():
    """Layer by layer, in the package's order; and refuses another network's."""
    detector, weights = build_detector(preset("archive")), imagenet_weights()
    detector.encoder.load_imagenet(weights)
    assert torch.equal(detector.encoder.stem[0].weight, weights["_conv_stem.weight"])
    last = detector.encoder.levels[-1][-1].layers
    assert torch.equal(last[6].weight, weights["_blocks.14._project_conv.weight"])
    assert torch.equal(last[7].running_var, weights["_blocks.14._bn2.running_var"])
    features = detector.eval().encoder(photos(1, 64, 96))
    assert [tuple(level.shape[1:]) for level in features] == [
        (16, 32, 48), (24, 16, 24), (40, 8, 12), (112, 4, 6), (192, 2, 3),
    ]  # fmt: skip
    with pytest.raises(TrainingError, match="_blocks"):
        detector.encoder.load_imagenet({name: w for name, w in weights.items() if "_blocks.0" not in name})


def test_the_mender_changes_nothing_outside_the_mask_and_sees_no_further_than_its_reach():
    mender = wake(build_mender(preset("archive"))).eval()
    side = 2 * (mender.reach_px // 16 + 2) * 16
    image, mask = photos(1, side, side).requires_grad_(), torch.zeros(1, 1, side, side)
    row = column = side // 2 + 3
    mask[0, 0, row - 4 : row + 4, column - 40 : column + 40] = 1
    mended = mender(image, mask)
    intact = (mask == 0).expand_as(image)
    assert torch.equal(mended[intact], image[intact]) and not torch.equal(mended, image)
    mended[0, :, row, column].sum().backward()
    distance = (image.grad[0].abs().sum(dim=0).nonzero() - torch.tensor([row, column])).abs().max().item()
    assert 0.4 * mender.reach_px <= distance <= mender.reach_px


def test_a_mender_keeps_odd_sizes_and_gradient_reaches_all_of_it():
    mender = wake(build_mender(preset("tiny")))
    mask = torch.ones(1, 1, 37, 50)
    mended = mender(photos(1, 37, 50), mask)
    assert mended.shape == (1, 3, 37, 50)
    mended.square().sum().backward()
    assert [name for name, p in mender.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_an_unknown_preset_is_refused_by_name():
    with pytest.raises(ConfigError, match="archive, paper"):
        preset("big")


@pytest.mark.parametrize("name", ["tiny", "archive", "paper"])
@pytest.mark.parametrize("size", [(33, 47), (64, 50)])
def test_the_detector_keeps_odd_sizes(name, size):
    logits = build_detector(preset(name)).eval()(photos(1, *size))
    assert logits.shape == (1, 1, *size)
    assert logits.dtype == torch.float32


@pytest.mark.parametrize("name", ["tiny", "archive", "paper"])
def test_restoration_keeps_the_shape(name):
    network = build_restoration(preset(name)).eval()
    image, mask = photos(2, 48, 80), torch.zeros(2, 1, 48, 80)
    restored = network.restore(image, mask, network.glance(image, mask), whole_window(2))
    assert restored.shape == image.shape


@pytest.mark.parametrize("fill", [0.0, 1.0])
@pytest.mark.parametrize("name", ["tiny", "archive", "paper"])
def test_no_damage_and_all_damage_give_finite_pixels(name, fill):
    network = build_restoration(preset(name)).eval()
    image, mask = photos(1, 64, 64), torch.full((1, 1, 64, 64), fill)
    restored = network.restore(image, mask, network.glance(image, mask), whole_window(1))
    assert torch.isfinite(restored).all()


@pytest.mark.parametrize("name", ["archive", "paper"])
def test_gradient_reaches_every_parameter_of_the_restoration(name):
    network = wake(build_restoration(preset(name)))
    image = photos(2, 64, 64)
    mask = torch.zeros(2, 1, 64, 64)
    mask[0, :, 20:40, 20:40] = 1
    mask[1] = 1  # a photo with nothing intact reaches the fallback source
    sampled, mean, logvar = network.vae_x(network.toned(image, network.glance(image, mask), whole_window(2)))
    clean, mean_y, logvar_y = network.vae_y(image)
    restored = network.restore(image, mask, network.glance(image, mask), whole_window(2))
    loss = sum((tensor * torch.randn_like(tensor)).sum() for tensor in (sampled, mean, logvar, clean, mean_y, logvar_y))
    (loss + (restored * torch.randn_like(restored)).sum()).backward()
    network.mender = None  # which has a test of its own
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


@pytest.mark.parametrize("name", ["archive", "paper"])
def test_gradient_reaches_every_parameter_of_the_detector(name):
    detector = build_detector(preset(name))
    detector(photos(1, 128, 128)).square().sum().backward()
    assert [name for name, p in detector.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


@pytest.mark.parametrize("name", ["tiny", "archive"])
def test_nothing_beyond_the_computed_reach_changes_a_pixel(name):
    network = wake(build_restoration(preset(name))).eval()
    side = 2 * (network.reach_px // 16 + 2) * 16
    image, mask = photos(1, side, side).requires_grad_(), torch.rand(1, 1, side, side)
    with torch.no_grad():
        glance = build_look(preset(name))(*make_thumbnail(photos(1, 64, 64), torch.zeros(1, 1, 64, 64)))
    row = column = side // 2 + 5
    mean, _ = network.vae_x.encode(image)
    latent = network.translation(mean, mask, glance)
    network.vae_y.decode(latent)[0, :, row, column].sum().backward()
    touched = image.grad[0].abs().sum(dim=0).nonzero()
    distance = (touched - torch.tensor([row, column])).abs().max().item()
    assert 0.4 * network.reach_px <= distance <= network.reach_px


def test_the_detector_sees_no_further_than_its_reach():
    detector = wake(build_detector(preset("archive"))).eval()
    side = 2 * (detector.reach_px // 32 + 2) * 32
    image = photos(1, side, side).requires_grad_()
    row = column = side // 2 + 3
    detector.at_one_scale(image)[0, 0, row, column].backward()
    distance = (image.grad[0].abs().sum(dim=0).nonzero() - torch.tensor([row, column])).abs().max().item()
    assert 0.4 * detector.reach_px <= distance <= detector.reach_px


def test_the_linear_path_starts_lossless():
    vae = build_vae(preset("archive"))
    image = photos(2, 32, 48)
    vae.initialise_linear_path(image)
    mean, logvar = vae.encode(image)
    assert torch.allclose(vae.decode(mean), image, atol=1e-5)
    assert mean.shape == logvar.shape == (2, 48, 8, 12)


def test_translation_starts_as_the_identity():
    network = build_restoration(preset("archive"))
    image, mask = photos(1, 32, 32), torch.ones(1, 1, 32, 32)
    latent = torch.randn(1, 48, 8, 8)
    assert torch.equal(network.translation(latent, mask, network.glance(image, mask)), latent)


def test_a_fresh_tone_map_changes_nothing():
    image = photos(2, 40, 56)
    assert torch.allclose(Tone.identity(2).apply(image, whole_window(2)), image, atol=1e-6)


def test_a_tone_map_is_the_same_for_a_window_and_for_the_whole():
    tone = Tone.from_raw(torch.randn(1, GRID_NUMBERS, GRID, GRID), torch.randn(1, GLOBAL_NUMBERS))
    image = photos(1, 96, 128)
    whole = tone.apply(image, whole_window(1))
    window = torch.tensor([[16 / 96, 32 / 128, 64 / 96, 112 / 128]])
    assert torch.allclose(tone.apply(image[:, :, 16:64, 32:112], window), whole[:, :, 16:64, 32:112], atol=1e-5)


def test_curves_are_monotone_whatever_the_network_says():
    tone = Tone.from_raw(torch.zeros(1, GRID_NUMBERS, GRID, GRID), 10 * torch.randn(1, GLOBAL_NUMBERS))
    ramp = torch.linspace(0, 1, 101).expand(1, 3, 1, 101)
    assert (tone._curves(ramp).diff(dim=3) > 0).all()


def test_the_stretch_is_the_identity_at_rest_and_fills_the_range_at_full_reach():
    faded = photos(1, 40, 40) * 0.2 + 0.1  # values from 0.45 to 0.65, of [0, 1]
    darkest, lightest = torch.full((1, 3), 0.45), torch.full((1, 3), 0.65)
    grid, numbers = torch.zeros(1, GRID_NUMBERS, GRID, GRID), torch.zeros(1, GLOBAL_NUMBERS)
    at_rest = Tone.from_raw(grid, numbers, darkest, lightest)
    assert torch.allclose(at_rest.apply(faded, whole_window(1)), faded, atol=1e-6)
    numbers[:, :6] = math.atanh(1 / 1.2)  # all the way to black and to white
    stretched = Tone.from_raw(grid, numbers, darkest, lightest).apply(faded, whole_window(1))
    assert torch.allclose(stretched, (faded - 0.1) / 0.2, atol=1e-4)


def test_a_blank_page_is_not_stretched_to_noise():
    grid, numbers = torch.zeros(1, GRID_NUMBERS, GRID, GRID), torch.full((1, GLOBAL_NUMBERS), 100.0)
    same = torch.full((1, 3), 0.5)
    assert Tone.from_raw(grid, numbers, same, same).slope.max() <= 1.2 / 0.08 + 1


def test_ranks_are_the_same_after_any_monotone_curve():
    thumbnail = photos(1, 64, 64).clamp(-0.99, 0.99)
    curved = ((thumbnail + 1) / 2).pow(1.7) * 0.6 - 0.2
    ranks = [_ranks(seen, _quantiles(seen)) for seen in (thumbnail, curved)]
    assert (ranks[0] - ranks[1]).abs().max() < 0.05  # straight between quantiles, where the curve is not


def test_tone_strength_zero_is_the_identity():
    tone = Tone.from_raw(torch.randn(1, GRID_NUMBERS, GRID, GRID), torch.randn(1, GLOBAL_NUMBERS)).strength(0)
    image = photos(1, 16, 16)
    assert torch.allclose(tone.apply(image, whole_window(1)), image, atol=1e-6)


def test_damaged_pixels_have_no_influence_on_the_look():
    look = build_look(preset("archive"))
    image, mask = photos(1, 200, 150), torch.zeros(1, 1, 200, 150)
    mask[:, :, 50:120, 30:90] = 1
    other = torch.where(mask > 0, photos(1, 200, 150, seed=1), image)
    first, second = look(*make_thumbnail(image, mask)), look(*make_thumbnail(other, mask))
    assert torch.equal(first.tokens, second.tokens)
    assert torch.equal(first.condition, second.condition)
    assert not first.token_intact.all() and first.token_intact.any()


def test_a_thumbnail_averages_the_intact_pixels():
    image, mask = torch.full((1, 3, 256, 256), 0.5), torch.zeros(1, 1, 256, 256)
    image[:, :, :, ::2], mask[:, :, :, ::2] = -1, 1
    thumbnail, share = make_thumbnail(image, mask)
    assert torch.allclose(thumbnail, torch.full_like(thumbnail, 0.5))
    assert torch.allclose(share, torch.full_like(share, 0.5))


def test_discriminators_give_a_map_a_scale_and_their_features():
    answers = PatchDiscriminator(filters=8)(photos(1, 64, 64))
    assert len(answers) == 2
    assert all(logits.shape[1] == 1 and len(features) == 4 for logits, features in answers)
    assert len(LatentDiscriminator(48, filters=8)(torch.randn(1, 48, 16, 16))) == 1


def test_a_tiny_network_can_be_overfitted():
    torch.manual_seed(2)
    network: RestorationNetwork = build_restoration(preset("tiny"))
    clean = torch.nn.functional.interpolate(photos(1, 6, 6), 48, mode="bilinear")
    damaged, mask = clean * 0.6 + 0.2, torch.zeros(1, 1, 48, 48)
    damaged[:, :, 20:23], mask[:, :, 20:23] = 1, 1
    network.vae_x.initialise_linear_path(clean)
    network.vae_y.initialise_linear_path(clean)
    optimiser = torch.optim.AdamW(network.parameters(), lr=5e-3)
    losses = []
    for _ in range(60):
        restored = network.restore(damaged, mask, network.glance(damaged, mask), whole_window(1))
        loss = (restored - clean).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
