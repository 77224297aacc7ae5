"""What people painted of a photo before: each one's latest mask, and whether a mask is on record already.

A mask is known by its pixels: the same ones, packed by another version of zlib, are another file with another hash.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from oldphoto_core.errors import ImageRefused, LabelRefused
from oldphoto_core.previews import read_mask_codes
from storage.errors import ObjectNotFound
from storage.keys import sha256_hex
from storage.objects import ObjectStore
from storage.records import NamedPhoto, RecordedMask


@dataclass(frozen=True)
class PaintedBefore:
    """The masks on record of a photo.

    Attributes:
        store: of labels; read from alone.
    """

    photo: NamedPhoto
    masks: tuple[RecordedMask, ...]
    store: ObjectStore = field(repr=False)

    def latest_by_person(self) -> dict[str, RecordedMask]:
        """The latest mask of each person, of labels that may be used."""
        return self._latest(mask for mask in self.masks if mask.reviewed)

    def in_use(self) -> dict[str, RecordedMask]:
        """What each person painted of the label that applies to the photo."""
        labels = [mask for mask in self.masks if mask.reviewed and mask.author is None]
        if not labels:
            return {}
        label_id = max(labels, key=_age).label_id
        return self._latest(mask for mask in self.masks if mask.label_id == label_id)

    def by(self, author: str, mask_sha256: str) -> list[RecordedMask]:
        """Where this person's painting of this mask is on record."""
        return [mask for mask in self.masks if (mask.author, mask.mask_sha256) == (author, mask_sha256)]

    def label_with(self, mask_sha256: str) -> RecordedMask | None:
        """The label that has this mask."""
        labels = (mask for mask in self.masks if mask.author is None and mask.mask_sha256 == mask_sha256)
        return next(labels, None)

    def same(self, pixels: np.ndarray, mask_sha256: str, coverage: float) -> RecordedMask | None:
        """The mask on record with these pixels (H, W) uint8; None where there is none that can be read."""
        alike = [mask for mask in self.masks if mask.coverage == coverage]  # of as many pixels
        for mask in alike:
            if mask.mask_sha256 == mask_sha256:
                return mask
        for mask in {mask.mask_sha256: mask for mask in alike}.values():
            try:
                if np.array_equal(self.pixels(mask), pixels):
                    return mask
            except LabelRefused:
                continue
        return None

    def pixels(self, mask: RecordedMask) -> np.ndarray:
        """(H, W) uint8: 255 where it marks.

        Raises:
            LabelRefused: its file is gone, or is not what was recorded.
        """
        try:
            data = self.store.read_bytes(mask.mask_key)
            found = sha256_hex(data)
            if found == mask.mask_sha256:
                codes = read_mask_codes(data, (self.photo.height, self.photo.width), mask.mask_key)
                return np.where(codes > 127, np.uint8(255), np.uint8(0))
            problem = f"its SHA-256 is {found}, expected {mask.mask_sha256}"
        except (ObjectNotFound, ImageRefused) as error:
            problem = str(error)
        who = f"the mask of {mask.author}" if mask.author else "a mask"
        raise LabelRefused(
            f"cannot be joined with {who} on record, {mask.mask_key}: {problem}; bring the file back, or reject label "
            f"{mask.label_id} (`oldphoto labels review --reject --id {mask.label_id}`)"
        )

    def _latest(self, masks: Iterable[RecordedMask]) -> dict[str, RecordedMask]:
        return {mask.author: mask for mask in sorted(masks, key=_age) if mask.author is not None}


def _age(mask: RecordedMask) -> tuple[str, int]:
    return mask.labelled_at, mask.label_id
