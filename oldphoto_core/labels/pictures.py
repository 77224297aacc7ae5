"""Masks as pictures: from a paint program, napari, or an export that colours each label."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np

from oldphoto_core.errors import ImageRefused, LabelRefused
from oldphoto_core.labels.drawing import Size

Colour = tuple[int, int, int]

NUMBERED_UP_TO = 15
"""A picture with no value above this holds the numbers of labels, as napari writes them, and not brightness."""
INVERTED_FROM = 0.9
"""Share of marked pixels from which a picture is taken for one of the intact."""


@dataclass(frozen=True)
class Picture:
    """An encoded picture, white (or any bright colour) where damaged; what is transparent is intact.

    Attributes:
        data: the file.
        colours: where given, what is damaged has one of these colours, and the others of the picture are known too.
        known: colours that mean something else, such as the background.
    """

    data: bytes = field(repr=False)
    colours: frozenset[Colour] | None = None
    known: frozenset[Colour] = frozenset()

    def paint(self, mask: np.ndarray) -> None:
        """See `Shape.paint`."""
        found = self.mask()
        if found.shape != mask.shape:
            raise LabelRefused(f"is corrupt: a picture of {found.shape}, in a drawing of {mask.shape}")
        np.maximum(mask, found, out=mask)

    def mask(self) -> np.ndarray:
        """Gives (H, W) uint8, 255 where damaged.

        Raises:
            LabelRefused: it is no picture, holds colours that mean nothing, or is white nearly all over.
        """
        from oldphoto_core.images import decode_image

        try:
            image = decode_image(self.data, "the mask", hashed=False)
        except ImageRefused as error:
            raise LabelRefused(f"cannot be read: expected {error.expected}, found {error.found}") from error
        if self.colours is not None:
            return _of_colours(image.pixels, self.colours, self.known)
        marked = _bright(image.pixels)
        if image.alpha is not None:
            marked &= _at_least_half(image.alpha)
        if marked.mean() > INVERTED_FROM:
            raise LabelRefused(f"marks {marked.mean():.0%} of the photo; white is damage: invert it where black is")
        return marked.astype(np.uint8) * np.uint8(255)


@dataclass(frozen=True)
class Painted:
    """A mask that is decoded already: (H, W) uint8, 255 where marked."""

    pixels: np.ndarray = field(repr=False)

    def paint(self, mask: np.ndarray) -> None:
        """See `Shape.paint`."""
        np.maximum(mask, self.pixels, out=mask)


def picture_size(mask: np.ndarray) -> Size:
    """Gives the (height, width) of a decoded mask."""
    return mask.shape[0], mask.shape[1]


def colours_of_label_map(text: str, wanted: Collection[str] = ()) -> Mapping[bool, frozenset[Colour]]:
    """Gives the colours that count (True) and the others (False) of CVAT's `labelmap.txt`.

    A line is `label:red,green,blue:parts:actions`; `background` never counts.

    Raises:
        LabelRefused: a line is none, or no label counts.
    """
    found: dict[bool, set[Colour]] = {True: set(), False: set()}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.partition(":")
        try:
            red, green, blue = (int(number) for number in rest.partition(":")[0].split(","))
        except ValueError as error:
            raise LabelRefused(f"has the line {line!r}; expected label:red,green,blue::") from error
        found[name != "background" and (not wanted or name in wanted)].add((red, green, blue))
    if not found[True]:
        raise LabelRefused("names no label that counts beside the background")
    return {counts: frozenset(colours - (found[True] if not counts else set())) for counts, colours in found.items()}


def _bright(pixels: np.ndarray) -> np.ndarray:
    """(H, W) bool: where the brightest channel is at least half, or, of numbers of labels, above 0."""
    brightest = pixels if pixels.ndim == 2 else pixels.max(axis=2)
    return brightest > 0 if int(brightest.max(initial=0)) <= NUMBERED_UP_TO else _at_least_half(brightest)


def _at_least_half(values: np.ndarray) -> np.ndarray:
    return values > np.iinfo(values.dtype).max // 2


def _of_colours(pixels: np.ndarray, counting: frozenset[Colour], known: frozenset[Colour]) -> np.ndarray:
    """(H, W) uint8, 255 where a pixel has one of the counting colours; others must be known ones."""
    if pixels.dtype != np.uint8:
        raise LabelRefused("is a picture of 16 bits; CVAT writes 8")
    coloured = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB) if pixels.ndim == 2 else pixels
    codes = coloured.astype(np.uint32)
    codes = codes[:, :, 0] << 16 | codes[:, :, 1] << 8 | codes[:, :, 2]
    counts = np.isin(codes, _codes(counting))
    strange = ~counts & ~np.isin(codes, _codes(known | {(0, 0, 0)}))
    if strange.any():
        code = int(codes[strange][0])
        raise LabelRefused(f"holds the colour {(code >> 16, code >> 8 & 255, code & 255)}, which labelmap.txt does not")
    return counts.astype(np.uint8) * np.uint8(255)


def _codes(colours: frozenset[Colour]) -> np.ndarray:
    return np.array([red << 16 | green << 8 | blue for red, green, blue in colours], np.uint32)
