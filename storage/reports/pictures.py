"""The pictures of one photo, small enough for the page: before, restored, and the mask drawn in a colour.

Nothing here raises for a picture: one that is missing or broken leaves a sentence that says why, and the rest of the
page stands. Before and restored are always encoded alike, so that what differs on the screen differs in the photo.
"""

from __future__ import annotations

import base64
import io
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image, ImageOps

from storage.reports.model import ReportPhoto

BeforeImage = Callable[[ReportPhoto], bytes | None]
"""Gives a JPEG of a photo's master, upright, or None where there is none."""
ObjectBytes = Callable[[str], bytes | None]
"""Gives the bytes of a derivative by its key, or None where there is none."""

LONG_SIDE_PX = 1024
"""As large as previews are, where the page has room for it: a snapshot is then shown pixel for pixel."""
MASK_RGB = (224, 0, 122)
"""Magenta: far from grey and from sepia, for people who see red and green alike too."""

_ENCODINGS = (
    (LONG_SIDE_PX, 90), (LONG_SIDE_PX, 80), (640, 80), (640, 70), (640, 60), (512, 62), (416, 58), (320, 50),
)  # fmt: skip
"""Longer side in pixels and JPEG quality, tried in turn until the pictures fit."""
_MASK_STEPS = 8
_SHAPE_TOLERANCE = 0.03

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pictures:
    """What can be shown of a photo; URIs are `data:` and None where there is no picture."""

    height: int
    width: int
    before_uri: str | None = None
    restored_uri: str | None = None
    mask_uri: str | None = None
    problems: tuple[str, ...] = ()
    """A sentence for each picture that should be there and is not."""


class _CannotShow(Exception):
    """A picture that is missing or broken; the message is for the page."""


def draw_pictures(
    photo: ReportPhoto, *, before_image: BeforeImage, object_bytes: ObjectBytes, cap_bytes: int = 200_000
) -> Pictures:
    """Gives the photo's pictures, at most about `cap_bytes` together before they become text."""
    problems: list[str] = []

    def attempt(what: str, fetch: Callable[[], bytes | None], as_mask: bool = False) -> Image.Image | None:
        try:
            return _open(fetch(), as_mask=as_mask)
        except _CannotShow as problem:
            problems.append(f"{what} cannot be shown: {problem}.")
        except Exception as error:  # whatever a decoder or a store throws for one picture, the page stands
            _log.warning("report: %s of %r cannot be shown", what, photo.source_key, exc_info=True)
            problems.append(f"{what} cannot be shown: {type(error).__name__}: {error}.")
        return None

    before_key, preview_key, mask_key = photo.before_preview_key, photo.preview_key, photo.mask_key
    before = attempt("The master", lambda: object_bytes(before_key) if before_key else before_image(photo))
    restored = None
    if preview_key is not None:
        restored = attempt("The restoration", lambda: object_bytes(preview_key))
    if before is not None and restored is not None and not _same_shape(before, restored):
        problems.append(
            f"The master cannot be laid over the restoration: it is {before.width} x {before.height}, "
            f"the restoration {restored.width} x {restored.height}, another shape."
        )
        before = None
    frame = restored or before
    if frame is None:
        return Pictures(photo.height or 3, photo.width or 4, problems=tuple(problems))

    mask = None
    if mask_key is not None and before is not None:
        mask = attempt("The mask", lambda: object_bytes(mask_key), as_mask=True)
        if mask is not None and not _same_shape(mask, frame):
            problems.append(f"The mask cannot be shown: it is {mask.width} x {mask.height}, another shape.")
            mask = None
    (width, height), mask_png, encoded = _encode([one for one in (before, restored) if one], mask, frame, cap_bytes)
    return Pictures(
        height,
        width,
        before_uri=_uri(encoded[0], "jpeg") if before else None,
        restored_uri=_uri(encoded[-1], "jpeg") if restored else None,
        mask_uri=_uri(mask_png, "png") if mask_png else None,
        problems=tuple(problems),
    )


def _open(data: bytes | None, *, as_mask: bool) -> Image.Image:
    """Gives the decoded picture: RGB or grey, upright, no more than a few times larger than it is shown."""
    if data is None:
        raise _CannotShow("there is no such file")
    if not data:
        raise _CannotShow("its file is empty")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # above twice the limit it is an error
        try:
            image: Image.Image = Image.open(io.BytesIO(data))
            image.draft(None, (2 * LONG_SIDE_PX, 2 * LONG_SIDE_PX))  # a JPEG decodes at 1/2 to 1/8 where that is enough
            image.load()
        except Image.UnidentifiedImageError:
            raise _CannotShow("its file is not an image") from None
        except OSError as error:
            raise _CannotShow(f"its file is damaged ({error})") from None
    if image.mode.startswith("I;16"):
        image = image.point(lambda value: value * (1 / 257)).convert("L")
    if as_mask:
        return image.convert("L")
    image = ImageOps.exif_transpose(image)
    return image.convert("L" if image.mode in ("1", "L", "LA") else "RGB")


def _same_shape(one: Image.Image, other: Image.Image) -> bool:
    """Tells whether two pictures can be laid over each other; a small one may be a pixel off by its rounding."""
    slack = _SHAPE_TOLERANCE * one.height * other.width + max(one.height, one.width, other.height, other.width)
    return abs(one.width * other.height - one.height * other.width) <= slack


def _fit(image: Image.Image, long_side_px: int) -> tuple[int, int]:
    scale = min(1.0, long_side_px / max(image.size))
    return max(1, round(image.width * scale)), max(1, round(image.height * scale))


def _encode(
    images: list[Image.Image], mask: Image.Image | None, frame: Image.Image, cap_bytes: int
) -> tuple[tuple[int, int], bytes, list[bytes]]:
    """Gives a size (width, height), the mask as PNG and the pictures as JPEG, the largest that fit under the cap."""
    size, mask_png, encoded = (0, 0), b"", list[bytes]()
    for long_side_px, quality in _ENCODINGS:
        target = _fit(frame, long_side_px)
        if target != size:
            size = target
            mask_png = _overlay(mask, size) if mask is not None else b""
        encoded = [_jpeg(image.resize(size, Image.Resampling.LANCZOS), quality) for image in images]
        if sum(map(len, encoded)) + len(mask_png) <= cap_bytes:
            break
    return size, mask_png, encoded


def _jpeg(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, optimize=True, progressive=True)
    return buffer.getvalue()


def _overlay(mask: Image.Image, size: tuple[int, int]) -> bytes:
    """Gives the mask as a small PNG of one colour whose opacity follows the mask.

    A scratch one pixel wide in a large scan would fade away in the mean over a page pixel, so opacity rises faster
    than coverage does.
    """
    if mask.point(lambda value: 255 if value > 1 else 0).getbbox() is None:  # written as 0 and 1
        mask = mask.point(lambda value: value * 255)
    small = mask.resize(size, Image.Resampling.BOX)
    steps = small.point(lambda value: min(_MASK_STEPS - 1, -(-value * 3 * (_MASK_STEPS - 1) // 255)))
    indexed = Image.frombytes("P", size, steps.tobytes())
    indexed.putpalette(MASK_RGB * _MASK_STEPS)
    opacity = bytes(round(205 * step / (_MASK_STEPS - 1)) for step in range(_MASK_STEPS))
    buffer = io.BytesIO()
    indexed.save(buffer, "PNG", optimize=True, transparency=opacity, bits=4)
    return buffer.getvalue()


def _uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
