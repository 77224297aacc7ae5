"""Distance and probe on samples whose answer is known, and photos that are matched before either is asked."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from oldphoto_core.evaluation.latents import latent_figures, matched_photos, pooled, probe, sliced_wasserstein
from oldphoto_core.models.presets import build_vae, preset
from oldphoto_core.training.matching import nearest_partners, traits
from tests.core.training_photos import smooth_photos, tiny_material

RNG = np.random.default_rng(0)


def test_the_distance_of_shifted_samples_is_the_shift():
    """In d dimensions a shift s of one channel is s^2 / d in the mean of squared projections."""
    sample = RNG.standard_normal((4000, 4))
    moved = sample + np.array([3.0, 0, 0, 0])
    spread = np.concatenate([sample, moved])[:, 0].std()
    found = sliced_wasserstein(sample, moved, projections=2000)
    assert found == pytest.approx(3.0 / spread / 2, rel=0.05)
    assert sliced_wasserstein(sample, RNG.permutation(sample)) == 0


def test_a_latent_is_not_nearer_for_being_small():
    one, other = RNG.standard_normal((1000, 6)), RNG.standard_normal((1000, 6)) + 1
    assert sliced_wasserstein(one, other) == pytest.approx(sliced_wasserstein(one / 100, other / 100), rel=1e-6)
    with pytest.raises(ValueError, match="1000 and 999"):
        sliced_wasserstein(one, other[:-1])


def test_a_probe_tells_apart_what_differs_and_guesses_at_what_does_not():
    kinds, owners = np.repeat([0, 1], 100), np.arange(200)
    same = RNG.standard_normal((200, 10))
    accuracy, error = probe(same, kinds, owners)
    assert abs(accuracy - 0.5) < 4 * error + 0.03
    apart, _ = probe(same + 3 * kinds[:, None] * np.eye(10)[0], kinds, owners)
    assert apart > 0.85
    assert all(math.isnan(value) for value in probe(same[:10], kinds[95:105], owners[:10]))


def test_a_probe_does_not_know_a_photo_that_it_has_seen():
    """Rows of one photo are alike and random otherwise: with photos split over folds a probe would know them again."""
    owners = np.repeat(np.arange(40), 5)
    features = RNG.standard_normal((40, 30))[owners] + 0.01 * RNG.standard_normal((200, 30))
    accuracy, _ = probe(features, np.repeat([0, 1], 100), owners)
    assert accuracy < 0.75


def test_pooled_features_are_means_and_deviations():
    latents = torch.randn(3, 5, 8, 8)
    features = pooled(latents)
    assert features.shape == (3, 10)
    assert np.allclose(features[:, :5], latents.mean((2, 3)), atol=1e-6)
    assert np.allclose(features[:, 5:], latents.flatten(2).std(2), atol=1e-6)


def test_partners_are_as_grey_and_nearly_as_sharp():
    one = np.array([[1, -3.0], [0, -2.0], [1, -5.0]])
    other = np.array([[0, -2.1], [1, -3.1], [1, -2.9], [0, -9.0]])
    partners, alike = nearest_partners(one, other)
    assert alike.tolist() == [True, True, False]
    assert partners[0] in (1, 2)
    assert partners[1] == 0
    assert len(set(partners.tolist())) == 3


def test_traits_are_grey_and_sharpness():
    blurred = torch.linspace(-1, 1, 64).expand(1, 3, 64, 64)
    sharp = torch.rand(1, 1, 64, 64).expand(1, 3, 64, 64) * 2 - 1
    coloured = torch.rand(1, 3, 64, 64) * 2 - 1
    found = traits(torch.cat([blurred, sharp, coloured]))
    assert found[:, 0].tolist() == [1, 1, 0]
    assert found[0, 1] < found[1, 1]


def test_latents_of_old_and_damaged_photos_have_figures():
    material = replace(tiny_material(), old_held_out=smooth_photos(12, 3), clean_held_out=smooth_photos(12, 1))
    photos = matched_photos(material, None, most=12)
    assert photos is not None
    assert photos.old.shape == photos.synthetic.shape
    vae = build_vae(preset("tiny"))
    vae.initialise_linear_path(photos.synthetic)
    figures = latent_figures(vae, photos)
    assert figures["psnr"] > 25
    assert figures["wasserstein"] > 0
    assert math.isnan(figures["probe"]) == (len(photos.old) < 8)
    assert matched_photos(replace(material, old_held_out=None), None) is None
