"""Hypothesis strategies that several tests share: pictures, masks and object keys."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

SIDES_PX = st.integers(32, 67)
"""Small sides, odd ones among them."""


@st.composite
def pictures(
    draw: st.DrawFn,
    *,
    dtypes: st.SearchStrategy[type] = st.sampled_from([np.uint8, np.uint16]),
    channels: st.SearchStrategy[int] = st.sampled_from([1, 3]),
    sides_px: st.SearchStrategy[int] = SIDES_PX,
) -> np.ndarray:
    """Gives (H, W) or (H, W, 3) pixels: noise from a drawn seed, in a drawn range, so that examples stay cheap."""
    dtype, count = np.dtype(draw(dtypes)), draw(channels)
    shape = (draw(sides_px), draw(sides_px)) + ((3,) if count == 3 else ())
    full = int(np.iinfo(dtype).max)
    low = draw(st.integers(0, full))
    high = draw(st.integers(low, full))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return generator.integers(low, high, shape, dtype=dtype, endpoint=True)


def masks(*, sides_px: st.SearchStrategy[int] = SIDES_PX) -> st.SearchStrategy[np.ndarray]:
    """Gives (H, W) float32 masks in [0, 1], all-intact and all-damaged ones among them."""
    return hnp.arrays(
        np.float32,
        st.tuples(sides_px, sides_px),
        elements=st.floats(0, 1, width=32),
        fill=st.sampled_from([np.float32(0), np.float32(1)]),
    )


def keys() -> st.SearchStrategy[str]:
    """Gives object keys as people make them: blanks, accents, other scripts, line breaks, several suffixes."""
    letters = st.characters(blacklist_categories=["Cs"], blacklist_characters="/\0")
    part = st.text(letters, min_size=1, max_size=20).filter(lambda text: text not in (".", ".."))
    suffix = st.sampled_from(["", ".jpg", ".JPG", ".tif", ".tar.gz", ".jpg.xmp"])
    return st.builds(lambda parts, end: "/".join(parts) + end, st.lists(part, min_size=1, max_size=3), suffix)


def resolutions() -> st.SearchStrategy[tuple[float, float]]:
    """Gives dots an inch (x, y) that a scanner may have."""
    one = st.floats(20, 12_800, allow_nan=False).map(lambda value: round(value, 2))
    return st.tuples(one, one)
