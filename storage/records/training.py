"""What trains a release: splits of photos, snapshots of what a training run sees, and the runs themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Split = Literal["train", "validation", "test"]
SPLITS = ("train", "validation", "test")
Role = Literal["labelled", "unlabelled"]
TrainingStage = Literal["look", "detector", "vaes", "translation", "uncertainty"]
TrainingStatus = Literal["running", "finished", "failed"]


@dataclass(frozen=True, kw_only=True)
class SnapshotRow:
    """One photo of a snapshot, as it was when the snapshot was made.

    Attributes:
        collection_url, source_key: where the photo's bytes lay then; it may have moved since.
        role: ``labelled`` where a reviewed label applies; then the label's mask is named.
        label_mask_key, disagreement_key: keys in the labels store; the second is None for a single annotator.
    """

    photo_sha256: str
    collection_url: str
    source_key: str
    split: Split
    role: Role
    label_mask_key: str | None = None
    label_mask_sha256: str | None = None
    disagreement_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class SnapshotRecord:
    """An immutable list of what a training run sees, kept as a Parquet file.

    Attributes:
        sha256: of the Parquet file.
        key: of the Parquet file in the manifests store.
        rows_sha256: of the rows as canonical JSON, the same whatever program writes the file; None for a snapshot from
            before revision 0006.
        written_with: the program that wrote the file, such as ``pyarrow 24.0.0``; None likewise.
        rows: by photo SHA-256; empty where only the snapshot itself was asked for.
    """

    sha256: str
    key: str
    photo_count: int
    label_count: int
    rows_sha256: str | None = None
    written_with: str | None = None
    created_at: str | None = None
    rows: tuple[SnapshotRow, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TrainingRunRecord:
    """One stage of training: with what, on what, and how well.

    Attributes:
        retrain_id: the retraining that it is a stage of; the runs of a retraining that was taken up again share it.
        parent_run_id: the training run whose weights it went on from.
        curves_key: in the releases store.
        flow_run_id: Prefect's.
    """

    run_id: str
    stage: TrainingStage
    retrain_id: str | None = None
    configuration: Mapping[str, Any] = field(default_factory=dict)
    snapshot_sha256: str | None = None
    parent_run_id: str | None = None
    seed: int | None = None
    status: TrainingStatus = "running"
    metrics: Mapping[str, Any] = field(default_factory=dict)
    curves_key: str | None = None
    device: str | None = None
    code_version: str | None = None
    flow_run_id: str | None = None
    started_at: str | None = None
    finished_at: str | None = None


@dataclass(frozen=True, kw_only=True)
class ReleaseLineage:
    """What a release learned from, counted.

    Attributes:
        runs: its training runs, oldest first.
        snapshots: SHA-256 of what these saw, each once.
        photos, labels: number of different ones in the snapshots.
        labels_by_author: on how many of these labels each person painted; one that several painted counts for each.
    """

    runs: tuple[TrainingRunRecord, ...] = ()
    snapshots: tuple[str, ...] = ()
    photos: int = 0
    labels: int = 0
    labels_by_author: Mapping[str, int] = field(default_factory=dict)
