"""Several people's masks, and masks drawn on the stored pixels of a photo that EXIF turns."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from oldphoto_core.errors import LabelRefused
from oldphoto_core.images import decode_image
from oldphoto_core.labels.merging import merged
from oldphoto_core.labels.orientation import as_seen, standing

SEVERAL = st.integers(1, 6).flatmap(lambda count: hnp.arrays(bool, (count, 7, 9)))


@given(SEVERAL)
def test_the_majority_decides_and_half_is_enough(votes: np.ndarray) -> None:
    found = merged([mask.astype(np.uint8) * np.uint8(255) for mask in votes])
    assert np.array_equal(found.mask > 0, 2 * votes.sum(axis=0) >= len(votes))
    differs = votes.any(axis=0) & ~votes.all(axis=0)
    assert found.disagreement == differs.mean()
    assert (found.differing is None) == (not differs.any())
    if found.differing is not None:
        assert np.array_equal(found.differing > 0, differs)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_mask_on_stored_pixels_comes_to_lie_where_the_photo_shows_it(orientation: int) -> None:
    """Held against what the decoder makes of a photo with a bright stroke."""
    stored = np.zeros((40, 64, 3), np.uint8)
    stored[5:8, 10:50] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    Image.fromarray(stored).save(out, "PNG", exif=exif)
    upright = decode_image(out.getvalue(), "a.png", hashed=False).pixels
    mask, photo = stored[:, :, 0], upright.shape[:2]
    how = standing(mask.shape, photo, orientation)
    assert how == ("stored" if orientation >= 5 else "seen")
    if how == "stored":
        assert np.array_equal(as_seen(mask, how, orientation), upright[:, :, 0])
    assert standing(photo, photo, orientation) == "seen"
    assert np.array_equal(as_seen(upright[:, :, 0], "seen", orientation), upright[:, :, 0])


@pytest.mark.parametrize(("found", "orientation"), [((64, 40), 1), ((64, 40), 3), ((20, 32), 6), ((41, 64), 6)])
def test_a_mask_of_another_size_is_refused(found: tuple[int, int], orientation: int) -> None:
    """A smaller copy, a quarter turn that EXIF knows nothing of."""
    with pytest.raises(LabelRefused, match=r"expected 40 x 64 .* found"):
        standing(found, (40, 64), orientation)


def test_a_square_mask_is_taken_as_people_see_it() -> None:
    assert standing((64, 64), (64, 64), 6) == "seen"
