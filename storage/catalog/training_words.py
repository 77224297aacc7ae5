"""What the tables of `training_tables` and their columns mean, in one line each."""

from __future__ import annotations

from collections.abc import Mapping

from storage.catalog.archive_words import ROW_ID, day_of

TRAINING_WORDS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "photo_split": (
        "On which side of training a photo is: decided once, kept for good; near-duplicates are on one side.",
        {
            "photo_id": "The photo.",
            "split": "train, validation, test (never trained on), or excluded (it looks like photos of two sides).",
            "decided_by": "hash (the start of its SHA-256), or near duplicate (by what it looks like).",
            "decided_at": "When, by the database's clock.",
            "day": day_of("decided_at"),
        },
    ),
    "dataset_snapshot": (
        "An unchangeable list of what a training run saw.",
        {
            "id": ROW_ID,
            "sha256": "SHA-256 of the list, a Parquet file.",
            "manifest_key": "Key of the list in the manifests store.",
            "photo_count": "Number of photos in it.",
            "label_count": "Number of labels in it.",
            "created_at": "When it was made.",
            "rows_sha256": "SHA-256 of its rows as canonical JSON, whatever wrote the file; null before revision 0006.",
            "written_with": "Name and version of the library that wrote the file; null before revision 0006.",
            "day": day_of("created_at"),
        },
    ),
    "dataset_snapshot_photo": (
        "What a snapshot holds, a row a photo, as it was then: the file can be written anew from these.",
        {
            "snapshot_id": "The snapshot.",
            "photo_id": "A photo in it.",
            "split": "Its side in this snapshot: train, validation or test.",
            "role": "labelled (with a person's mask) or unlabelled.",
            "label_id": "The label that applied to it; null where it is unlabelled.",
            "source_url": "URL of the collection where the photo lay when the snapshot was made.",
            "source_key": "Its path there.",
            "label_mask_key": "Key of the label's mask in the labels store; null where it is unlabelled.",
            "label_mask_sha256": "SHA-256 of that mask; null where it is unlabelled.",
            "disagreement_key": "Key of the mask of where annotators differed; null where they did not, or unlabelled.",
        },
    ),
    "dataset_snapshot_label": (
        "Which labels are in which snapshot.",
        {"snapshot_id": "The snapshot.", "label_id": "A label in it."},
    ),
    "training_run": (
        "One stage of training a release: with what, on what, and how well.",
        {
            "id": "Name of the training run.",
            "stage": "What was trained: look, detector, vaes, translation or uncertainty.",
            "configuration": "JSON object of all its settings.",
            "snapshot_id": "What it saw; null where only synthetic damage on other pictures.",
            "parent_id": "The training run it went on from; null where it began anew.",
            "status": "running, finished or failed.",
            "metrics": "JSON object of its last figures.",
            "curves_key": "Key of its curves over time, in the releases store; null where there are none.",
            "device": "What it was computed on; null if unknown.",
            "code_version": "Version of oldphoto that it ran with; null if unknown.",
            "flow_run_id": "Prefect's id of the flow run; null where there is none.",
            "started_at": "When it began.",
            "finished_at": "When it ended; null while it has not.",
            "retrain_id": "The retraining that it is a stage of; null where it is of none.",
            "seed": "Seed of its random numbers; null if unknown.",
            "day": day_of("started_at"),
        },
    ),
    "model_release_run": (
        "Which training runs made which release.",
        {"release_id": "The release.", "training_run_id": "A training run that went into it."},
    ),
}
