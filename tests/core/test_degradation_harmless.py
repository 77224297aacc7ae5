"""Things of the scene that look like damage and are not: drawn into the target, and looking as they should."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from oldphoto_core.degradation import UNTOUCHED, Degradation, Recipe, TextureLibrary, negatives, patterns
from oldphoto_core.degradation.dice import Dice
from tests.core.test_degradation import make_photos

NOTHING = {name: 0.0 for name in Recipe.__dataclass_fields__ if name.startswith("p_")}
SIZE = (120, 160)


@pytest.fixture
def dice():
    return Dice(torch.Generator().manual_seed(7), torch.device("cpu"))


def only(monkeypatch, name):
    """Makes one sort the only one that is drawn."""
    for other, (_, dark) in list(negatives._SORTS.items()):
        monkeypatch.setitem(negatives._SORTS, other, (float(other == name), dark))


def test_harmless_things_are_in_the_target_too():
    recipe = Recipe(**{**NOTHING, "p_negative": 1.0}, grey_share=0).only(UNTOUCHED)
    photos = make_photos(12)
    batch = Degradation(recipe, TextureLibrary.procedural())(photos, torch.Generator().manual_seed(0))
    assert torch.equal(batch.image, batch.target)
    assert not batch.mask.any()
    assert ((batch.target - photos).abs().amax((1, 2, 3)) > 0.05).sum() >= 9


@pytest.mark.parametrize("name", list(negatives._SORTS))
def test_each_sort_is_drawn_and_the_same_seed_draws_the_same(name, monkeypatch, dice):
    """Within [0, 1]; a grey scene stays grey but for the paper of a border."""
    only(monkeypatch, name)
    scene = torch.full((8, 3, *SIZE), 0.5)
    drawn = [
        negatives.add_negatives(
            Dice(torch.Generator().manual_seed(7), torch.device("cpu")), TextureLibrary.procedural(), scene
        )
        for _ in range(2)
    ]
    assert torch.equal(*drawn)
    assert torch.equal(scene, torch.full_like(scene, 0.5))
    changed = ((drawn[0] - scene).abs().amax(1) > 0.02).float().mean((1, 2))
    assert (changed > 0.002).sum() >= 6, changed
    assert drawn[0].min() >= 0
    assert drawn[0].max() <= 1
    if name != "border":
        assert (drawn[0].amax(1) - drawn[0].amin(1)).max() == 0


@pytest.mark.parametrize("size", [(32, 32), (32, 300), (300, 32)])
def test_photos_of_any_shape_are_drawn_on(size, dice):
    for draw in (patterns.nets, patterns.beads, patterns.pages):
        alpha = draw(dice, 5, size)
        assert alpha.shape == (5, 1, *size)
        assert 0 <= alpha.min() <= alpha.max() <= 1
    colour, alpha = patterns.print_borders(dice, 5, size)
    assert colour.shape == (5, 3, *size)
    assert alpha.shape == (5, 1, *size)
    assert torch.isfinite(colour).all()


def test_lace_has_threads_with_holes_between(dice):
    """Thin, many, over a part of the scene."""
    alpha = patterns.nets(dice, 24, (200, 200))
    share = (alpha > 0.5).float().mean((1, 2, 3))
    assert share.max() < 0.6
    edges = (alpha[..., 1:] - alpha[..., :-1]).abs().gt(0.3).float().sum((1, 2, 3))
    assert (edges > 300).sum() >= 16, edges


def test_beads_are_round_and_one_beside_the_other(dice):
    import cv2

    alpha = patterns.beads(dice, 6, (256, 256))[:, 0].numpy()
    found = 0
    for picture in alpha:
        _, _, stats, _ = cv2.connectedComponentsWithStats((picture > 0.5).astype(np.uint8))
        for _, _, wide, high, area in stats[1:]:
            if 5 <= max(wide, high) <= 12:
                found += int(abs(wide - high) <= 2 and 0.6 < area / (wide * high) < 0.95)
    assert found >= 30


def test_a_page_has_lines_of_print(dice):
    """Rows with ink and rows without follow each other."""
    alpha = patterns.pages(dice, 12, (256, 256))
    rows = (alpha[:, 0] > 0.5).float().mean(2)
    turns = ((rows[:, 1:] > 0.03) != (rows[:, :-1] > 0.03)).sum(1)
    assert (turns >= 4).sum() >= 8, turns


def test_a_border_is_pale_at_the_edge_and_leaves_the_middle(dice):
    scene = torch.zeros(40, 3, 128, 128)
    colour, alpha = patterns.print_borders(dice, 40, (128, 128))
    picture = scene + (colour - scene) * alpha
    assert (alpha[:, :, 48:80, 48:80] == 0).all()
    lightest = picture[:, :, :20].amax((2, 3)).amin(1)
    assert (lightest > 0.7).all()
    frame = alpha[:, 0, 0].mean(1)
    assert (frame > 0.95).all()
