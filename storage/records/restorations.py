"""What came of a photo: an attempt as it is written down, and a row of the history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from storage.records.photos import MaskSource

Outcome = Literal["restored", "unchanged", "failed"]
Verdict = Literal["accepted", "rejected", "needs label"]
FIDELITY = (
    "delta_e_mean", "delta_e_p95", "tone_free_delta_e_mean", "tone_free_delta_e_p95", "gradient_correlation",
    "clipped_black_growth", "clipped_white_growth", "added_chroma", "changed_share",
)  # fmt: skip
"""Figures of a restoration's fidelity that have columns of their own; docs/fidelity.md says what each means."""


@dataclass(frozen=True, kw_only=True)
class RestorationRecord:
    """One attempt at one work; ``failed`` needs ``error``, the others ``restored_key`` and ``restored_sha256``.

    Attributes:
        mask_joined: whether the label's mask was joined with the detected one, or stood in its place.
        output_format: the extension that came out: tif, png or jpg.
        report: further figures of core's report, kept as JSON.
        run_id: the run of this catalogue; flow_run_id: Prefect's.
        delta_e_mean ... changed_share: the figures that ``FIDELITY`` names; null where they were not measured.
        needs_review: whether a figure is past a limit, so that a person must look before it is published.
        review_reasons: which figures, their values and limits, in words; None where none is.
        tries: 1 where it failed by the photo's own doing, 0 where it came off or the blame lies elsewhere, as with a
            store that did not answer; the catalogue adds them up.
    """

    photo_sha256: str
    work_hash: str
    release: str
    weights_hash: str
    outcome: Outcome
    mode: str = "full"
    tone: str = "correct"
    mending: str = "normal"
    strength: float = 1.0
    mask_source: MaskSource = "detected"
    supplied_mask_sha256: str | None = None
    mask_joined: bool = False
    output_format: str | None = None
    pixel_version: int = 1
    error: str | None = None
    restored_key: str | None = None
    restored_sha256: str | None = None
    mask_key: str | None = None
    mask_sha256: str | None = None
    found_key: str | None = None
    found_sha256: str | None = None
    difference_key: str | None = None
    difference_sha256: str | None = None
    preview_key: str | None = None
    preview_sha256: str | None = None
    provenance_key: str | None = None
    mask_coverage: float | None = None
    change_outside_mask: float | None = None
    mean_change: float | None = None
    delta_e_mean: float | None = None
    delta_e_p95: float | None = None
    tone_free_delta_e_mean: float | None = None
    tone_free_delta_e_p95: float | None = None
    gradient_correlation: float | None = None
    clipped_black_growth: float | None = None
    clipped_white_growth: float | None = None
    added_chroma: float | None = None
    changed_share: float | None = None
    needs_review: bool = False
    review_reasons: str | None = None
    report: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    megapixels: float | None = None
    device: str | None = None
    precision: str | None = None
    code_version: str | None = None
    run_id: str | None = None
    flow_run_id: str | None = None
    finished_at: str | None = None
    tries: int = 0


@dataclass(frozen=True, kw_only=True)
class RestorationRow:
    """A row of the view ``restoration_history``: the restoration with its photo and its first source."""

    restoration_id: int
    photo_sha256: str
    source_url: str | None
    source_key: str | None
    source_count: int
    outcome: Outcome
    error: str | None
    release: str
    weights_hash: str
    work_hash: str
    mode: str
    tone: str
    mending: str
    strength: float
    mask_source: MaskSource
    output_format: str | None
    height: int
    width: int
    mask_coverage: float | None
    change_outside_mask: float | None
    mean_change: float | None
    seconds: float | None
    device: str | None
    precision: str | None
    code_version: str | None
    restored_key: str | None
    restored_sha256: str | None
    provenance_key: str | None
    run_id: str | None
    finished_at: str
