"""Facts about the public API: shapes, modes, tones, and what stays bit for bit."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from oldphoto_core import Restorer
from oldphoto_core.color import is_neutral_grey
from oldphoto_core.errors import ConfigError, ReleaseError
from oldphoto_core.models.presets import build_detector, build_restoration, preset
from oldphoto_core.releases.bundle import save_release


@pytest.fixture(scope="module")
def restorer(tmp_path_factory) -> Restorer:
    """A tiny release whose every layer does something."""
    torch.manual_seed(3)
    tiny = preset("tiny")
    detector, network = build_detector(tiny), build_restoration(tiny)
    with torch.no_grad():
        for module in (detector, network):
            for parameter in module.parameters():
                parameter.add_(torch.randn(parameter.shape) * 0.05)
    folder = tmp_path_factory.mktemp("release")
    save_release(folder, sizes=tiny, detector=detector, network=network, card={})
    return Restorer.from_release(folder, device="cpu", precision="float32")


def photo(height: int = 96, width: int = 131, *, dtype=np.uint8, seed: int = 0) -> np.ndarray:
    smooth = np.random.default_rng(seed).random((7, 9, 3), dtype=np.float32)
    large = cv2.resize(smooth, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    return np.rint(large * np.iinfo(dtype).max).astype(dtype)


def scratched(height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), dtype=bool)
    mask[:, width // 2 : width // 2 + 3] = True
    return mask


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(96, 131, 3), (33, 32, 3), (40, 57)])
def test_shape_and_dtype_are_kept(restorer, shape, dtype):
    image = photo(*shape[:2], dtype=dtype)
    image = image if len(shape) == 3 else image[:, :, 0].copy()
    before = image.copy()
    result = restorer.restore(image)
    assert result.image.shape == image.shape and result.image.dtype == dtype
    assert result.mask.shape == shape[:2] and result.mask.dtype == np.float32
    assert set(np.unique(result.mask)) <= {0, 1}
    assert result.found.shape == shape[:2] and 0 <= result.found.min() and result.found.max() <= 1
    assert np.array_equal(image, before), "the input is never written to"


def test_sixteen_bits_are_restored_in_sixteen_bits(restorer):
    result = restorer.restore(photo(dtype=np.uint16), mask=scratched(96, 131))
    assert len(np.unique(result.image)) > 2000


def test_scratches_mode_leaves_everything_outside_the_mask_bit_for_bit(restorer):
    image, mask = photo(), scratched(96, 131)
    result = restorer.restore(image, mask=mask, mode="scratches")
    assert np.array_equal(result.image[~mask], image[~mask])
    assert not np.array_equal(result.image[mask], image[mask])


def test_scratches_mode_without_damage_changes_nothing(restorer):
    image = photo()
    assert np.array_equal(restorer.restore(image, mask=np.zeros((96, 131)), mode="scratches").image, image)


def test_a_repair_takes_the_tone_of_its_surroundings():
    """What fills a scratch is continued from beside it: on a plain ground it does not show as a patch."""
    plain = np.full((96, 128, 3), (180, 150, 90), np.uint8)
    damage = scratched(96, 128)
    plain[damage] = 255
    packaged = Restorer.from_release("default", device="cpu", precision="float32")
    mended = packaged.restore(plain, mask=damage, mode="scratches").image
    assert np.abs(mended.astype(int) - (180, 150, 90)).max() <= 3


def test_grey_in_gives_grey_out(restorer):
    grey = photo()[:, :, :1].repeat(3, axis=2)
    for mode in ("full", "scratches"):
        for tone in ("correct", "keep"):
            result = restorer.restore(grey, mask=scratched(96, 131), mode=mode, tone=tone)
            assert is_neutral_grey(result.image), (mode, tone)


def test_a_grey_array_and_the_same_grey_in_three_channels_give_the_same_pixels(restorer):
    grey = photo()[:, :, 0].copy()
    flat = restorer.restore(grey).image
    assert np.array_equal(flat, restorer.restore(np.stack([grey] * 3, axis=2)).image[:, :, 0])


def test_a_sepia_photo_keeps_its_hue_and_turns_neutral_where_that_is_asked_for(restorer):
    luma = photo()[:, :, :1].astype(np.float32) / 255
    sepia = np.rint(255 * luma ** np.array([0.8, 1.0, 1.3], np.float32)).astype(np.uint8)
    result = restorer.restore(sepia, mask=np.zeros((96, 131)))
    assert result.report.monochrome == "toned"
    red, green, blue = result.image.reshape(-1, 3).mean(axis=0)
    assert red > green > blue
    neutral = restorer.restore(sepia, mask=np.zeros((96, 131)), tone="neutral")
    assert is_neutral_grey(neutral.image) and neutral.report.tone == "neutral"


def test_keeping_the_tone_keeps_sepia_sepia(restorer):
    luma = photo()[:, :, :1].astype(np.float32) / 255
    sepia = np.rint(255 * luma ** np.array([0.8, 1.0, 1.3], np.float32)).astype(np.uint8)
    kept = restorer.restore(sepia, mask=np.zeros((96, 131)), tone="keep").image.astype(float)
    before = sepia.reshape(-1, 3).mean(axis=0)
    assert np.abs(kept.reshape(-1, 3).mean(axis=0) - before).max() < 3


def test_strength_zero_gives_the_input_back(restorer):
    image = photo()
    result = restorer.restore(image, mask=scratched(96, 131), strength=0.0)
    assert np.array_equal(result.image, image)
    assert result.report.left_alone and result.report.mean_change == 0


def test_half_strength_lies_between(restorer):
    image, mask = photo(), scratched(96, 131)
    whole = restorer.restore(image, mask=mask).image.astype(int)
    half = restorer.restore(image, mask=mask, strength=0.5).image.astype(int)
    assert np.abs(half - (image.astype(int) + whole) / 2).max() <= 1


def test_the_same_input_gives_the_same_pixels(restorer):
    assert np.array_equal(restorer.restore(photo()).image, restorer.restore(photo()).image)


def test_tiles_give_what_the_whole_gives(restorer):
    image = photo(300, 420)
    tiled = Restorer(restorer.release, device=torch.device("cpu"), tile_px=96)
    whole, pieces = restorer.restore(image), tiled.restore(image)
    assert whole.report.tiles == 1 and pieces.report.tiles == 20
    assert np.abs(whole.image.astype(int) - pieces.image.astype(int)).max() <= 1


@pytest.mark.parametrize("fill", [0.0, 1.0])
def test_an_empty_and_a_full_mask_give_an_image(restorer, fill):
    result = restorer.restore(photo(), mask=np.full((96, 131), fill))
    assert result.report.mask_coverage == fill


def test_the_report_says_what_changed(restorer):
    report = restorer.restore(photo(), mask=scratched(96, 131)).report
    assert report.mask_coverage == pytest.approx(3 / 131)
    assert report.device == "cpu" and report.precision == "float32" and report.seconds > 0
    assert report.change_outside_mask > 0 and report.as_dict()["mode"] == "full"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"mode": "all"}, "full or scratches"),
        ({"tone": "sepia"}, "correct, neutral or keep"),
        ({"mending": "all"}, "sure, normal or everything"),
        ({"strength": 2}, "from 0 to 1"),
        ({"mask": np.zeros((5, 5))}, r"expected \(96, 131\)"),
        ({"mask": np.full((96, 131), 255, np.uint8)}, "divide"),
        ({"mask": np.full((96, 131), 2.0)}, r"\[0, 1\]"),
        ({"mask": np.full((96, 131), np.nan)}, r"\[0, 1\]"),
    ],
)
def test_arguments_that_cannot_be_right_are_refused(restorer, arguments, says):
    with pytest.raises(ConfigError, match=says):
        restorer.restore(photo(), **arguments)


@pytest.mark.parametrize(
    "image", [np.zeros((31, 64, 3), np.uint8), np.zeros((64, 64, 4), np.uint8), np.zeros((64, 64), np.float32)]
)
def test_images_that_are_not_carried_are_refused(restorer, image):
    with pytest.raises(ConfigError, match="expected"):
        restorer.restore(image)
    with pytest.raises(ConfigError, match="expected"):
        restorer.detect(image)


def test_an_unknown_release_and_device_are_refused():
    with pytest.raises(ReleaseError):
        Restorer.from_release("archive-ffffffff")
    with pytest.raises(ConfigError, match="expected auto, cpu or cuda"):
        Restorer.from_release(device="abacus")


def test_detection_alone_is_what_a_restoration_found(restorer):
    assert np.array_equal(restorer.detect(photo()), restorer.restore(photo()).found)


def test_the_cards_offset_says_how_sure_the_detector_must_be(restorer):
    """It is added to the detector's logits: far below, nothing is found."""
    card = restorer.card
    strict = {**card.card, "operating": {"logit_offset": -40.0}}
    strict_restorer = Restorer(replace(restorer.release, card=replace(card, card=strict)), device=torch.device("cpu"))
    image = photo()
    empty = restorer.restore(image, mask=np.zeros((96, 131)))
    assert restorer.detect(image).max() > 0 == strict_restorer.restore(image).mask.max()
    assert np.array_equal(strict_restorer.restore(image).image, empty.image)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_packaged_release_keeps_its_promises_in_either_precision(precision):
    """Tiles give what the whole gives, within a level; the same photo the same pixels; whatever the processor has."""
    packaged = Restorer.from_release("default", device="cpu", precision=precision)
    tiled = Restorer(packaged.release, device=torch.device("cpu"), tile_px=96, precision=precision)
    image = photo(150, 200)
    image[:, 90:92] = 250
    whole, again, pieces = packaged.restore(image), packaged.restore(image), tiled.restore(image)
    assert whole.mask[:, 90:92].mean() > 0.9 and pieces.report.tiles == 6
    assert np.array_equal(whole.image, again.image)
    assert np.abs(whole.image.astype(int) - pieces.image).max() <= 1


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_precision_asked_for_is_used_and_told(restorer, precision):
    """Both give the same restoration to within a level or two of 255."""
    photo = np.random.default_rng(5).integers(60, 200, (96, 128, 3), np.uint8)
    asked = Restorer(restorer.release, device=torch.device("cpu"), precision=precision)
    result = asked.restore(photo)
    assert asked.precision == result.report.precision == precision
    difference = np.abs(result.image.astype(int) - restorer.restore(photo).image.astype(int))
    assert difference.mean() < 1.0
