"""The uncertainty head: what it learns, what it is shown, that tiles equal the whole, and how it lies in a release."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from oldphoto_core import Restorer
from oldphoto_core.colour_space import WorkingColour
from oldphoto_core.errors import ReleaseError
from oldphoto_core.evaluation.calibration import Calibration
from oldphoto_core.evaluation.uncertainty import main as measure_uncertainty
from oldphoto_core.models.uncertainty import FLOOR, UncertaintyHead, laplace_loss, within
from oldphoto_core.releases.bundle import load_release
from oldphoto_core.releases.card import DEFAULT_FOLDER, find_release, read_card
from oldphoto_core.releases.uncertainty import FILE_NAME, attach_uncertainty, load_uncertainty, require_uncertainty
from oldphoto_core.restoration.uncertainty import uncertainty_rows
from oldphoto_core.scan import ArrayScan


def lively_head(seed: int = 1) -> UncertaintyHead:
    """A head whose answer depends on all that it sees."""
    head = UncertaintyHead().eval()
    generator = torch.Generator().manual_seed(seed)
    for parameter in head.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.2
    return head


def inputs(height: int, width: int, seed: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = ((1, 3, height, width), (1, 1, height, width), (1, 3, height, width))
    damaged, mask, restored = (torch.rand(shape, generator=generator) for shape in shapes)
    return damaged * 2 - 1, mask, restored * 2 - 1


@pytest.fixture(scope="module")
def release_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packaged release with a lively head, whatever the packaged one has."""
    folder = tmp_path_factory.mktemp("release") / "default"
    shutil.copytree(DEFAULT_FOLDER, folder)
    attach_uncertainty(folder, lively_head(), {"data": "none: for a test"})
    return folder


def test_a_scale_is_given_for_each_pixel_and_is_never_below_the_floor() -> None:
    scale = lively_head()(*inputs(40, 56)).detach()
    assert scale.shape == (1, 1, 40, 56)
    assert scale.dtype == torch.float32
    assert float(scale.min()) >= FLOOR


def test_a_gradient_reaches_every_parameter_and_no_input() -> None:
    head = lively_head().train()
    damaged, mask, restored = (x.requires_grad_() for x in inputs(32, 32))
    laplace_loss(head(damaged, mask, restored), restored.detach(), damaged.detach()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())
    assert damaged.grad is None and mask.grad is None and restored.grad is None


def test_a_pixel_changes_the_answer_no_farther_than_the_reach() -> None:
    head, side = lively_head(), 144
    base = inputs(side, side)
    with torch.no_grad():
        before = head(*base)
        farthest = 0
        for at in (72, 75, 76, 79):
            moved = [x.clone() for x in base]
            moved[0][:, :, at, at] += 1
            changed = ((head(*moved) - before).abs()[0, 0] > 0).nonzero()
            farthest = max(farthest, int((changed - at).abs().max()))
    assert 0.5 * head.reach_px < farthest <= head.reach_px


def test_the_head_learns_the_scale_of_errors_that_the_mask_tells() -> None:
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        head = UncertaintyHead()
    optimiser = torch.optim.Adam(head.parameters(), 5e-3)
    for _ in range(120):
        damaged = torch.rand(4, 3, 32, 32, generator=generator) * 2 - 1
        squares = (torch.rand(4, 1, 4, 4, generator=generator) < 0.5).float()
        mask = squares.repeat_interleave(8, 2).repeat_interleave(8, 3)
        scale = torch.where(mask > 0, 0.08, 0.01)  # in [0, 1]
        uniform = torch.rand(4, 3, 32, 32, generator=generator) - 0.5
        error = -scale * uniform.sign() * torch.log1p(-2 * uniform.abs().clamp_max(0.4999))
        optimiser.zero_grad()
        laplace_loss(head(damaged, mask, damaged), damaged, damaged + 2 * error).backward()
        optimiser.step()
    with torch.no_grad():
        answer = head(damaged, mask, damaged)
    assert float(answer[mask > 0].median()) == pytest.approx(0.08, rel=0.3)
    assert float(answer[mask == 0].median()) == pytest.approx(0.01, rel=0.3)


def test_intervals_of_a_laplace_distribution_hold_their_share() -> None:
    draws = np.abs(np.random.default_rng(0).laplace(0, 3.0, (300, 200, 3)))
    found = Calibration()
    found.add(np.full((300, 200), 3.0), draws)
    for share in (0.5, 0.8, 0.95):
        assert found.coverage(share) == pytest.approx(share, abs=0.01)
    assert found.factor() == pytest.approx(1, abs=0.02)
    assert within(0.5) == pytest.approx(np.log(2))


def test_the_curve_from_expected_to_true_errors_is_found() -> None:
    generator = np.random.default_rng(3)
    scale = generator.uniform(1, 12, (200, 200))
    true = 2.5 + 0.05 * scale**2  # no line
    found = Calibration()
    found.add(scale, np.abs(generator.laplace(0, 1, (200, 200, 3))) * true[:, :, None])
    asked, answered = found.curve()
    assert answered == pytest.approx(2.5 + 0.05 * asked**2, rel=0.1)
    head = UncertaintyHead()
    for knots, levels in zip((head.asked, head.answered), (asked, answered), strict=True):
        knots.copy_(torch.from_numpy(levels / 255))
    told = head.calibrated(torch.from_numpy(scale / 255).float()).numpy() * 255
    assert np.abs(told / true - 1).mean() < 0.05
    beyond = torch.tensor([0.1, 30, 60]) / 255
    least, once, twice = (head.calibrated(beyond) * 255).tolist()
    assert least == pytest.approx(answered[0], rel=1e-4) and twice == pytest.approx(2 * once, rel=1e-4)


def test_errors_that_fall_while_scales_rise_are_pooled_and_scales_that_are_alike_stay_apart() -> None:
    falling, alike = Calibration(), Calibration()
    scale = np.linspace(1, 10, 5000).reshape(50, 100)
    falling.add(scale, np.repeat(scale[::-1, ::-1, None], 3, 2))
    alike.add(np.full((50, 100), 3.0), np.repeat(scale[:, :, None], 3, 2))
    for found in (falling, alike):
        for knots in found.curve():
            assert (np.diff(knots) > 0).all()
        assert found.curve()[1] == pytest.approx(5.5, rel=0.2)
    assert np.ptp(falling.curve()[1]) < 0.02


def test_deciles_are_in_order_of_the_prediction_and_tell_when_errors_are_not() -> None:
    scale = np.linspace(1, 10, 5000).reshape(50, 100)
    right, wrong = Calibration(), Calibration()
    right.add(scale, np.repeat(scale[:, :, None], 3, 2))
    wrong.add(scale, np.repeat(scale[::-1, ::-1, None], 3, 2))
    assert right.is_monotone() and not wrong.is_monotone()
    assert right.deciles()[0].predicted < right.deciles()[9].predicted
    assert right.correlation() == pytest.approx(1, abs=1e-3)
    assert len(right.markdown().splitlines()) == 2 + 10 + 1 + 2 + 3


def photo(height: int, width: int, seed: int) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 255, (height // 6, width // 6, 3)).astype(np.uint8)
    return cv2.resize(small, (width, height))


@pytest.mark.parametrize("tile_px", [64, 88, 1000])
def test_a_map_made_in_tiles_is_the_map_of_the_whole(release_folder: Path, tile_px: int) -> None:
    release = load_release(read_card(release_folder))
    before, after, mask = photo(203, 171, 1), photo(203, 171, 2), photo(203, 171, 3)[:, :, 0].copy()
    scans = [ArrayScan(x) for x in (before, after, mask)]
    colour = WorkingColour.of(None, channels=3)
    parts = list(uncertainty_rows(release, *scans, colour, tile_px=tile_px))
    tops = np.cumsum([0, *(len(rows) for _, rows in parts)])[:-1]
    assert [top for top, _ in parts] == tops.tolist()
    tiled = np.concatenate([rows for _, rows in parts])
    whole = np.concatenate([rows for _, rows in uncertainty_rows(release, *scans, colour, tile_px=4096)])
    assert tiled.shape == (203, 171) and tiled.dtype == np.float32
    assert np.abs(tiled - whole).max() < 1e-3 * whole.max()


def test_a_grey_scan_of_sixteen_bits_has_a_map_too_and_at_any_scale_of_its_size(release_folder: Path) -> None:
    release = load_release(read_card(release_folder))
    before, after = (photo(131, 150, seed)[:, :, 0].astype(np.uint16) * 257 for seed in (1, 2))
    mask = ArrayScan(np.zeros((131, 150), np.uint8))
    colour = WorkingColour.of(None, channels=1)
    for scale in (1, 2, 3):
        rows = uncertainty_rows(release, ArrayScan(before), ArrayScan(after), mask, colour, scale=scale, tile_px=40)
        values = np.concatenate([part for _, part in rows])
        assert values.shape == (131, 150)
        assert (values >= 255 * FLOOR * 0.999).all()


def test_a_restorer_gives_the_map_with_the_photo_on_request_and_the_photo_is_the_same(release_folder: Path) -> None:
    restorer = Restorer.from_release(release_folder, device="cpu", precision="float32")
    image = photo(70, 93, 5)
    plain, told = restorer.restore(image), restorer.restore(image, uncertainty=True)
    assert plain.uncertainty is None
    assert told.uncertainty is not None and told.uncertainty.shape == (70, 93)
    assert told.uncertainty.dtype == np.float32 and float(np.ptp(told.uncertainty)) > 0
    assert np.array_equal(plain.image, told.image)


def test_a_head_changes_neither_name_nor_hash_of_its_release(release_folder: Path) -> None:
    card, packaged = read_card(release_folder), find_release()
    assert (card.name, card.weights_hash, card.files) == (packaged.name, packaged.weights_hash, packaged.files)
    assert require_uncertainty(card)["data"] == "none: for a test"
    assert card.companions == (FILE_NAME,)
    card.verify()
    stored = load_uncertainty(card).state_dict()
    assert all(torch.equal(value, stored[name]) for name, value in lively_head().state_dict().items())


def test_a_release_without_a_head_says_so_and_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    shutil.copytree(DEFAULT_FOLDER, folder)
    card_file = folder / "card.json"
    content = json.loads(card_file.read_text())
    content.pop("uncertainty", None)
    card_file.write_text(json.dumps(content))
    card = read_card(folder)
    assert card.companions == ()
    with pytest.raises(ReleaseError, match="has no uncertainty head.*training.uncertainty"):
        load_uncertainty(card)


def test_an_altered_or_missing_head_is_refused_by_name(release_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "altered"
    shutil.copytree(release_folder, folder)
    file = folder / FILE_NAME
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(ReleaseError, match="was altered: expected SHA-256"):
        load_uncertainty(read_card(folder))
    file.unlink()
    with pytest.raises(ReleaseError, match=f"{FILE_NAME} is missing"):
        load_uncertainty(read_card(folder))


def test_the_measurement_writes_deciles_coverage_and_pictures(
    release_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for k in range(30):
        cv2.imwrite(str(photos / f"{k:04d}_scene{k}.png"), photo(96, 96, k))
    common = ["--photos", str(photos), "--out", str(tmp_path / "out")]
    common += ["--role", "all", "--count", "2", "--device", "cpu"]
    assert measure_uncertainty([*common, "--release", str(release_folder)]) in (0, 1)
    figures = json.loads((tmp_path / "out" / "uncertainty.json").read_text())["second generator"]
    assert figures["pixels"] == 2 * 96 * 96
    predicted = [row["predicted"] for row in figures["deciles"]]
    assert predicted == sorted(predicted) and predicted[0] < predicted[-1]
    assert "| 95 % |" in (tmp_path / "out" / "uncertainty.md").read_text()
    for picture in ("uncertainty.png", "maps.png"):
        assert cv2.imread(str(tmp_path / "out" / picture)).size > 1000
    plain = tmp_path / "plain"
    shutil.copytree(release_folder, plain)
    content = json.loads((plain / "card.json").read_text())
    del content["uncertainty"]
    (plain / "card.json").write_text(json.dumps(content))
    assert measure_uncertainty([*common, "--release", str(plain)]) == 2
    assert "has no uncertainty head" in capsys.readouterr().err
