"""The protocol, the baselines and the sheets, on a restorer whose figures are known beforehand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from oldphoto_core.errors import ConfigError
from oldphoto_core.evaluation import baselines, metrics
from oldphoto_core.evaluation.__main__ import main
from oldphoto_core.evaluation.protocol import CLEAN, INPUT, RESTORED, EvaluationSettings, evaluate
from oldphoto_core.evaluation.results import Requirement
from oldphoto_core.evaluation.sheet import as_picture, overlay_mask, picture_grid


def scene(height: int = 96, width: int = 112, seed: int = 5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    small = rng.integers(20, 235, (6, 8, 3)).astype(np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 90 photos, of which about a tenth are held out."""
    folder = tmp_path_factory.mktemp("clean")
    for k in range(90):
        cv2.imwrite(str(folder / f"{k:04d}_photo{k}.png"), scene(seed=k))
    return folder


@dataclass
class Restoration:
    """What the restorers below give back."""

    image: np.ndarray
    mask: np.ndarray


class ClassicalRestorer:
    """A true restorer without a network: marks are what differs from the median, and are inpainted."""

    def detect(self, image: np.ndarray) -> np.ndarray:
        """Gives the distance to the median of the neighbourhood as a score."""
        difference = cv2.absdiff(image, cv2.medianBlur(image, 9)).max(axis=2)
        return np.clip(difference.astype(np.float32) / 128, 0, 1)

    def restore(self, image: np.ndarray, mask: np.ndarray | None = None, mode: str = "full") -> Restoration:
        """Gives the image with the mask inpainted."""
        used = self.detect(image) if mask is None else mask
        return Restoration(baselines.telea(image, used), used)


def scratched() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gives (clean, scratched and noisy, mask)."""
    clean = scene(128, 128)
    mask = np.zeros((128, 128), np.uint8)
    for start, end in (((5, 10), (120, 90)), ((100, 3), (30, 125))):
        cv2.line(mask, start, end, 1, 2)
    noisy = clean + np.random.default_rng(1).normal(0, 6, clean.shape)
    noisy[mask > 0] = 245
    return clean, noisy.clip(0, 255).astype(np.uint8), mask


def test_the_classical_way_improves_a_scratched_noisy_picture() -> None:
    clean, damaged, mask = scratched()
    before = metrics.psnr(damaged, clean)
    filled = baselines.telea(damaged, mask)
    assert metrics.psnr(filled, clean) > before + 3
    assert metrics.psnr(baselines.telea_then_non_local_means(damaged, mask), clean) > metrics.psnr(filled, clean) + 1
    assert np.array_equal(baselines.identity(damaged), damaged)


def test_inpainting_keeps_what_is_far_from_the_mask_and_survives_empty_and_full_masks() -> None:
    _, damaged, mask = scratched()
    far = cv2.dilate(mask, np.ones((5, 5), np.uint8)) == 0
    assert np.array_equal(baselines.telea(damaged, mask)[far], damaged[far])
    for edge in (np.zeros_like(mask), np.ones_like(mask)):
        assert np.array_equal(baselines.telea(damaged, edge), damaged)


def test_the_noise_of_a_flat_picture_is_measured() -> None:
    flat = np.full((128, 128, 3), 120.0) + np.random.default_rng(2).normal(0, 8, (128, 128, 1))
    assert baselines.noise_sigma(flat.round().astype(np.uint8)) == pytest.approx(8, rel=0.15)
    assert baselines.noise_sigma(np.full((64, 64, 3), 99, np.uint8)) == 0


def test_a_measurement_has_a_row_for_each_photo_and_method_and_is_written(photos: Path, tmp_path: Path) -> None:
    settings = EvaluationSettings(photos, count=3, role="all", sheet_rows=2)
    seen: list[tuple[int, int]] = []
    result = evaluate(ClassicalRestorer(), settings, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert result.methods() == [INPUT, RESTORED, "restored-true-mask", "telea+nlm", CLEAN]
    assert len(result.rows) == 15
    assert result.mean("restored-true-mask", "masked_psnr") > result.mean(INPUT, "masked_psnr")
    result.save(tmp_path)
    assert pq.read_table(tmp_path / "second.parquet").num_rows == 15
    summary = json.loads((tmp_path / "second.json").read_text())
    assert summary["photos"] == 3
    assert summary["methods"]["input"]["psnr"] == pytest.approx(result.mean(INPUT))
    assert 0 < summary["detection"]["auc"] <= 1
    assert len(summary["requirements"]) == 5
    markdown = (tmp_path / "second.md").read_text()
    assert "| telea+nlm |" in markdown
    assert cv2.imread(str(tmp_path / "second.png")).shape[1] > 7 * 112


def test_a_measurement_twice_gives_the_same_figures(photos: Path) -> None:
    settings = EvaluationSettings(photos, count=2, role="all", sheet_rows=0)
    one, two = evaluate(None, settings), evaluate(None, settings)
    assert one.sheet is None
    assert [(r.photo, r.method, r.psnr) for r in one.rows] == [(r.photo, r.method, r.psnr) for r in two.rows]


def test_without_a_restorer_the_baselines_alone_are_measured(photos: Path) -> None:
    result = evaluate(None, EvaluationSettings(photos, count=2, role="all", sheet_rows=1))
    assert result.methods() == [INPUT, "telea+nlm"]
    assert result.requirements() == []
    assert result.gain_db("telea+nlm")[0] == pytest.approx(result.mean("telea+nlm") - result.mean(INPUT))


def test_a_requirement_that_was_not_measured_is_not_met() -> None:
    assert Requirement("x", 3.0, 3.0).met
    assert not Requirement("x", float("nan"), 0.0).met


def test_the_command_measures_and_says_when_there_is_nothing_to_measure(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["--generator", "second", "--release", "none", "--count", "1", "--out", str(tmp_path / "out")]
    assert main(["--photos", str(photos), "--role", "all", *common]) == 0
    assert (tmp_path / "out" / "second.json").exists()
    assert main(["--photos", str(tmp_path / "empty"), *common]) == 2
    assert "no held-out photos" in capsys.readouterr().err


def test_pictures_of_every_kind_become_eight_bit_colour() -> None:
    for pixels in (np.ones((4, 5), bool), np.ones((4, 5)), np.full((4, 5, 3), 65535, np.uint16)):
        assert as_picture(pixels).shape == (4, 5, 3)
        assert (as_picture(pixels) == 255).all()


def test_a_grid_holds_its_pictures_unscaled_when_they_fit() -> None:
    one, two = scene(40, 60), scene(60, 40, seed=1)
    grid = picture_grid([[one, two], [two]], column_titles=["a", "b"], row_titles=["r", "s"], cell_px=64)
    assert np.array_equal(grid[22:62, 4:64], one)
    assert picture_grid([[scene(200, 100)]], cell_px=64).shape == (72, 72, 3)


def test_a_mask_over_a_picture_is_red_where_damaged() -> None:
    mask = np.zeros((40, 60), np.float32)
    mask[:20] = 1
    shown = overlay_mask(scene(40, 60), mask)
    assert (shown[:20] == [255, 70, 40]).all()
    assert shown[20:].max() < 160


def test_an_unreadable_photo_is_named(tmp_path: Path, photos: Path) -> None:
    from oldphoto_core.evaluation.held_out import held_out_photos, read_photo

    bad = tmp_path / held_out_photos(photos, role="all")[0].name
    bad.write_bytes(b"not a picture")
    with pytest.raises(ConfigError, match=bad.name):
        read_photo(bad)
