"""The copies for restoring alone give what the networks give."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from oldphoto_core.models import inference, translation
from oldphoto_core.models.detector import HAT_SIDES_PX, _spread, against_surroundings, top_hats
from oldphoto_core.models.inference import carries_bfloat16, inference_copy
from oldphoto_core.models.look import whole_window
from oldphoto_core.models.network import RestorationNetwork
from oldphoto_core.models.presets import build_detector, build_restoration, preset


def awake(module: nn.Module, seed: int = 0) -> nn.Module:
    """Draws every parameter and running statistic anew, so that nothing that starts at zero or one hides what it does.

    Blocks stay as tame as trained ones are: weights keep the size of what they are given.
    """
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        fan_in = parameter[0].numel() if parameter.ndim > 1 else 25
        parameter.data = torch.randn(parameter.shape, generator=generator) / fan_in**0.5
    for name, buffer in module.named_buffers():
        if name.endswith("running_mean"):
            buffer.copy_(torch.randn(buffer.shape, generator=generator) / 10)
        elif name.endswith("running_var"):
            buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)
    return module.eval()


def draw(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def restored(network: RestorationNetwork, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return network.restore(image, mask, network.glance(image, mask), whole_window(len(image)))


@pytest.fixture
def network() -> RestorationNetwork:
    return awake(build_restoration(preset("tiny")))  # type: ignore[return-value]


@pytest.mark.parametrize("size", [(64, 96), (208, 48)])
@torch.inference_mode()
def test_the_copy_of_a_restoration_network_equals_it(network, size, monkeypatch):
    """With two photos that look different, and bands and squares far smaller than the photo."""
    monkeypatch.setattr(inference, "BAND_BYTES", 1)
    monkeypatch.setattr(translation, "SQUARE", 8)
    image, mask = draw(2, 3, *size) * 2 - 1, torch.zeros(2, 1, *size)
    mask[0, :, 20:23, 5:40], mask[1, :, 50, 30] = 1.0, 0.7
    expected = restored(network, image, mask)
    assert (restored(inference_copy(network), image, mask) - expected).abs().max() < 1e-5 * expected.abs().max()


@torch.inference_mode()
def test_the_global_branch_on_squares_equals_the_branch_on_everything(network, monkeypatch):
    """Against eq. 10 as training computes it, with gradients enabled."""
    monkeypatch.setattr(translation, "SQUARE", 4)
    image, mask = draw(1, 3, 96, 128) * 2 - 1, torch.zeros(1, 1, 96, 128)
    mask[0, 0, 30, 20:90], mask[0, 0, 95, 127] = 1.0, 0.4
    with torch.inference_mode(False), torch.enable_grad():
        expected = restored(network, image.clone(), mask.clone()).detach()
    assert (restored(network, image, mask) - expected).abs().max() < 1e-5 * expected.abs().max()


@torch.inference_mode()
def test_the_copy_of_a_detector_equals_it():
    detector = awake(build_detector(preset("tiny")))
    image = draw(2, 3, 75, 90) * 2 - 1
    expected = detector(image)
    assert (inference_copy(detector)(image) - expected).abs().max() < 1e-5 * expected.abs().max()


@torch.inference_mode()
def test_a_copy_leaves_its_network_as_it_was(network):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    copy = inference_copy(network, dtype=torch.bfloat16)
    assert copy is not network
    assert {name: tensor.dtype for name, tensor in network.state_dict().items()} == {
        name: tensor.dtype for name, tensor in before.items()
    }
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


@torch.inference_mode()
def test_bfloat16_is_near_and_gives_float32(network):
    image, mask = draw(1, 3, 64, 64) * 2 - 1, torch.zeros(1, 1, 64, 64)
    mask[0, 0, 20:24] = 1
    expected = restored(network, image, mask)
    found = restored(inference_copy(network, dtype=torch.bfloat16), image, mask)
    assert found.dtype == torch.float32
    assert 0 < (found - expected).abs().mean() < 0.02 * expected.std()

    detector = awake(build_detector(preset("tiny")))
    logits = inference_copy(detector, dtype=torch.bfloat16)(image)
    assert logits.dtype == torch.float32
    assert 0 < (logits - detector(image)).abs().mean() < 0.05 * logits.std()


def test_networks_of_the_paper_are_given_back_as_they_are():
    paper = build_restoration(preset("paper"))
    assert inference_copy(paper) is paper
    assert not carries_bfloat16(paper)
    assert carries_bfloat16(build_restoration(preset("tiny")))


@pytest.mark.parametrize("size", [(37, 50), (8, 9)])
def test_top_hats_are_the_same_by_morphology_and_by_pooling(size):
    """Also at edges, and on photos narrower than the square."""
    image = draw(2, 3, *size) * 2 - 1
    luma = (image * image.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(dim=1, keepdim=True)
    hats = []
    for side in HAT_SIDES_PX:
        opened = _spread(-_spread(-luma, side), side)
        hats += [luma - opened, -_spread(-_spread(luma, side), side) - luma]
    assert torch.equal(top_hats(image), 4 * torch.cat(hats, dim=1))


@pytest.mark.parametrize("size", [(64, 96), (40, 33)])
def test_surroundings_are_the_same_by_opencv_and_by_pooling(size):
    image = draw(2, 3, *size) * 2 - 1
    on_a_gpu = against_surroundings(image.clone().requires_grad_(True))  # gradients rule OpenCV out
    assert (against_surroundings(image) - on_a_gpu.detach()).abs().max() < 2e-4


def test_a_faded_scratch_stands_out_as_far_as_a_fresh_one():
    """Against its surroundings a line keeps its strength when the whole photo loses four fifths of its contrast."""
    fresh = draw(1, 3, 96, 96) * 1.2 - 0.6
    fresh[..., 48, :] = 0.9
    line = against_surroundings(fresh)[0, 1, 48].mean()
    faded = against_surroundings(0.2 * fresh + 0.5)[0, 1, 48].mean()
    assert line > 1
    assert faded > 0.5 * line


def test_a_scratch_of_another_colour_than_the_print_shows_in_colour_alone():
    print_ = torch.tensor([0.3, 0.1, -0.2])[None, :, None, None].expand(1, 3, 96, 96).clone()
    print_[..., 40:42, :] = 0.1  # neutral, and nearly as light as the sepia beside it
    shown = against_surroundings(print_)[0, 2:]
    assert (shown[:, 40:42].abs() > 5 * shown[:, :30].abs().mean()).all()
