"""One content: what it is, and what is to be done with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from storage.records.sources import SourceRef

MaskSource = Literal["detected", "supplied", "label"]


@dataclass(frozen=True, kw_only=True)
class PhotoRecord:
    """One content, by its SHA-256."""

    sha256: str
    size_bytes: int
    format: str
    height: int
    width: int
    channels: int
    bit_depth: int
    source_mode: str | None = None
    icc_profile_name: str | None = None
    dpi_x: float | None = None
    dpi_y: float | None = None
    orientation: int = 1
    capture: Mapping[str, str] = field(default_factory=dict)
    perceptual_hash: str | None = None


@dataclass(frozen=True, kw_only=True)
class PhotoWork:
    """A photo to restore and what is needed to do it.

    Attributes:
        work_hash: what the result will be recorded under.
        sources: its registered objects in the collections asked for, oldest first.
        mask_source: ``label`` where a label applies, whose mask is joined with the detected one; ``supplied`` where
            the parameters carry a mask.
        label_mask_key: key of the label's mask in the labels store.
    """

    photo_sha256: str
    work_hash: str
    sources: tuple[SourceRef, ...]
    size_bytes: int
    format: str
    height: int
    width: int
    channels: int
    bit_depth: int
    mask_source: MaskSource = "detected"
    mask_sha256: str | None = None
    label_mask_key: str | None = None

    @property
    def source_key(self) -> str:
        """Key of the first source."""
        return self.sources[0].key

    @property
    def collection_url(self) -> str:
        """URL of the first source's collection."""
        return self.sources[0].collection_url
