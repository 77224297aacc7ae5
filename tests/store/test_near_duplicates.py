"""Pairs that look alike: all of them, none else, few enough, and real pictures on the right side of the line."""

from __future__ import annotations

import io

import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from oldphoto_core.images import decode_image
from storage.catalog import Catalogue
from storage.near_duplicates import MAX_DISTANCE, MAX_LINKS, hash_bits, near_pairs
from tests.store.makers import photo, rows, sha, with_photos


def hashes_of(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.uint64)


def every_pair(hashes: np.ndarray) -> set[tuple[int, int, int]]:
    """All near pairs, by comparing each with each."""
    distances = np.bitwise_count(hashes[:, None] ^ hashes[None, :])
    one, other = np.nonzero(distances <= MAX_DISTANCE)
    return {(int(a), int(b), int(distances[a, b])) for a, b in zip(one, other, strict=True) if a != b}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 15))
def test_every_near_pair_is_found_and_no_other(seed: int, count: int) -> None:
    """Wherever the bits differ: a few pictures, each with versions up to six bits away."""
    generator = np.random.default_rng(seed)
    hashes = []
    for base in generator.integers(0, 2**63, count, dtype=np.uint64).tolist():
        hashes.append(base)
        bits = generator.choice(64, int(generator.integers(0, 7)), replace=False)
        hashes.append(base ^ sum(1 << int(bit) for bit in bits))
    everything = hashes_of(*hashes)
    found = zip(*(column.tolist() for column in near_pairs(np.arange(len(everything)), everything)), strict=True)
    assert set(found) == every_pair(everything)


def test_only_the_new_are_compared() -> None:
    """With all that are there."""
    one, other, distance = near_pairs(np.array([2]), hashes_of(0, 0, 1, 2**64 - 1))
    assert (one.tolist(), sorted(other.tolist()), distance.tolist()) == ([2, 2], [0, 1], [1, 1])


def test_a_thousand_blank_pages_make_few_links() -> None:
    """To their neighbours in the order of registration, and first of all to the nearest."""
    blank = [0] * 1000 + [1] * 10
    one, other, distance = near_pairs(np.arange(1010), hashes_of(*blank))
    assert np.bincount(one).max() == MAX_LINKS
    assert len(one) == 1010 * MAX_LINKS
    assert set(distance[one < 1000].tolist()) == {0}
    assert np.abs(one - other)[(one > 50) & (one < 950)].max() <= MAX_LINKS
    assert sorted(distance[one == 1009].tolist()) == [0] * 9 + [1] * 11


def test_a_hundred_thousand_are_compared_in_a_moment() -> None:
    """As a whole first night's, with the pairs that were planted in them."""
    generator = np.random.default_rng(1)
    everything = generator.integers(0, 2**63, 100_000, dtype=np.uint64)
    everything[50_000:50_100] = everything[:100] ^ np.uint64(0b1011)
    one, _, distance = near_pairs(np.arange(100_000), everything)
    assert len(one) == 200
    assert set(distance.tolist()) == {3}


@pytest.mark.parametrize(
    ("digits", "bits"), [("00000000000000ff", 255), ("f" * 16, 2**64 - 1), ("", None), (None, None)]
)
def test_hashes_are_read_as_they_are_kept(digits: str | None, bits: int | None) -> None:
    """Sixteen hexadecimal digits; whatever else stands there is not compared."""
    assert hash_bits(digits) == bits
    assert hash_bits("not hexadecimal!") is None


def test_versions_of_a_picture_are_near_and_other_pictures_are_not() -> None:
    """Saved anew, made smaller or greyer, against photographs of something else."""
    pictures = [skimage.data.astronaut(), skimage.data.coffee(), skimage.data.chelsea(), skimage.data.rocket()]
    versions, of = [], []
    for number, picture in enumerate(pictures):
        image = Image.fromarray(picture)
        half = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
        for version, quality in ((image, 95), (image, 60), (half, 90), (image.convert("L"), 85)):
            data = io.BytesIO()
            version.save(data, "JPEG", quality=quality)
            versions.append(hash_bits(decode_image(data.getvalue(), "a.jpg").facts.perceptual_hash))
            of.append(number)
    everything = np.array(versions, dtype=np.uint64)
    one, other, _ = near_pairs(np.arange(len(everything)), everything)
    found = set(zip(one.tolist(), other.tolist(), strict=True))
    assert found == {(a, b) for a in range(len(of)) for b in range(len(of)) if a != b and of[a] == of[b]}


def test_links_are_recorded_once_and_one_way(catalogue: Catalogue) -> None:
    """Again changes nothing; the view shows both photos by their names."""
    with_photos(catalogue, "a.jpg", "b.jpg")
    first, second = catalogue.unchecked_photos(limit=10)
    assert catalogue.record_near_duplicates([first, second], [(second, first, 3), (first, second, 3)]) == 1
    assert catalogue.record_near_duplicates([first, second], [(first, second, 3)]) == 0
    assert catalogue.unchecked_photos(limit=10) == []
    shown = rows(catalogue, "SELECT photo_key, other_key, distance FROM photo_near_duplicates")
    assert shown == [("a.jpg", "b.jpg", 3)]


def test_hashes_come_with_their_photos(catalogue: Catalogue) -> None:
    """All 64 bits; photos without a hash are left out."""
    photos = [photo("a", perceptual_hash="f" * 16), photo("b"), photo("c", perceptual_hash="0" * 16)]
    catalogue.record_objects(with_photos(catalogue), [], photos)
    ids, hashes = catalogue.perceptual_hashes()
    by_id = dict(rows(catalogue, "SELECT id, sha256 FROM photo"))
    assert [by_id[id_] for id_ in ids.tolist()] == [sha("a"), sha("c")]
    assert hashes.tolist() == [2**64 - 1, 0]
