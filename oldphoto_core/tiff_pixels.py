"""The pixels of the TIFFs that archives write: whole samples of grey, RGB, CMYK or Lab, losslessly compressed or not.

They are read with tifffile and imagecodecs, because Pillow cuts some of them (16-bit colour), misreads others (16-bit
min-is-white), and its libtiff reads a damaged strip as if nothing were the matter.
"""

from __future__ import annotations

import io

import numpy as np

from oldphoto_core.tiff_pages import TiffPhoto

_MIN_IS_WHITE, _PLANES_APART = 0, 2
_COLOURS = {"grey": 1, "rgb": 3, "cmyk": 4, "lab": 3, "icc-lab": 3}
_ASSOCIATED, _UNASSOCIATED = 1, 2


def decode_plain(data: bytes, photo: TiffPhoto) -> tuple[np.ndarray, np.ndarray | None]:
    """Gives the pixels as stored, black being 0, and the alpha if any.

    Args:
        data: The whole file.
        photo: A page whose `plain` is not None.

    Returns:
        (H, W), (H, W, 3) RGB or Lab, or (H, W, 4) CMYK, and (H, W); uint8 or uint16.
    """
    import tifffile

    assert photo.plain is not None
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[photo.page].aspage()
        samples = page.asarray()
        if samples.ndim == 3 and page.planarconfig == _PLANES_APART:
            samples = np.moveaxis(samples, 0, -1)
        planes = samples.reshape(photo.height, photo.width, -1).astype(samples.dtype.newbyteorder("="), copy=False)
        extras = tuple(int(extra) for extra in page.extrasamples)
        is_inverted = int(page.photometric) == _MIN_IS_WHITE
    count = _COLOURS[photo.plain]
    colours, others = planes[..., :count], planes[..., count:]
    if is_inverted:
        colours = np.iinfo(planes.dtype).max - colours
    # A further sample that nobody explains is taken for alpha, as other readers do; one called unspecified is not.
    kind = (extras[0] if extras else _UNASSOCIATED) if others.shape[2] else None
    alpha = others[..., 0] if kind in (_ASSOCIATED, _UNASSOCIATED) else None
    if alpha is not None and kind == _ASSOCIATED:
        colours = _undo_premultiplication(colours, alpha)
    return (colours[..., 0] if count == 1 else np.ascontiguousarray(colours)), alpha


def _undo_premultiplication(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    full = np.iinfo(colours.dtype).max
    whole = colours.astype(np.float32) * full / np.maximum(alpha, 1)[..., None]
    return np.minimum(np.rint(whole), full).astype(colours.dtype)
