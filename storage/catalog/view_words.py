"""What every view and its columns mean, in one line each; a column that a table has too keeps that table's words."""

from __future__ import annotations

from collections.abc import Mapping

from storage.catalog.archive_words import ARCHIVE_WORDS
from storage.catalog.event_words import EVENT_WORDS
from storage.catalog.label_words import LABEL_WORDS
from storage.catalog.training_words import TRAINING_WORDS
from storage.catalog.work_words import RESTORATION_WORDS, WORK_WORDS
from storage.records import FIDELITY

_PHOTO = {name: ARCHIVE_WORDS["photo"][1][name] for name in ("format", "height", "width", "channels", "bit_depth")}
_PHOTO_STATE = ARCHIVE_WORDS["photo"][1]["state"]
_OBJECT = ARCHIVE_WORDS["source_object"][1]
_EVENT = EVENT_WORDS["event"][1]
_EVENT_OBJECT = EVENT_WORDS["event_object"][1]
_TRAINING = TRAINING_WORDS["training_run"][1]
_SNAPSHOT = TRAINING_WORDS["dataset_snapshot"][1]
_RELEASE = WORK_WORDS["model_release"][1]
_LABEL = LABEL_WORDS["label"][1]
_VERDICT = "Verdict of its latest review: accepted, rejected, needs label; null where none."


def _restoration(*names: str) -> dict[str, str]:
    return {name: RESTORATION_WORDS[name] for name in names}


def _of_latest(name: str) -> str:
    """The words of a restoration's column where the restoration may be missing but is none that failed."""
    words = RESTORATION_WORDS[name].removesuffix(".").removesuffix("; null where it failed")
    return f"{words}{',' if '; null' in words else '; null'} where the photo has no restoration."


def _lineage(words: str, when: str) -> str:
    return f"{words.partition('; null')[0].rstrip('.')}; null {when}."


VIEW_WORDS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "restoration_history": (
        "A row a restoration, everything by name: photo, source, release, parameters, figures, files.",
        {
            "restoration_id": "Id of the restoration.",
            "photo_sha256": "SHA-256 of the photo's master file.",
            "source_url": "URL of the collection where the photo lies: of several the oldest that is still there.",
            "source_key": "Path of the photo below source_url.",
            "source_count": "Number of objects, in any status, that hold this photo.",
            **_restoration("outcome", "error", "tries", "set_aside_at", "release", "weights_hash"),
            "release_status": "Status of that release today: candidate, active or retired.",
            **_restoration(
                "work_hash", "mode", "tone", "mending", "strength", "mask_source", "supplied_mask_sha256",
                "mask_joined", "output_format", "pixel_version",
            ),
            **_PHOTO,
            "icc_profile_name": ARCHIVE_WORDS["photo"][1]["icc_profile_name"],
            "photo_state": _PHOTO_STATE,
            **_restoration(
                "mask_coverage", "change_outside_mask", "mean_change", *FIDELITY, "seconds", "megapixels", "device",
                "precision", "code_version", "restored_key", "restored_sha256", "mask_key", "mask_sha256",
                "found_key", "found_sha256", "difference_key", "preview_key", "provenance_key", "run_id",
                "flow_run_id", "needs_review", "review_reasons",
            ),
            "latest_verdict": _VERDICT,
            **_restoration("finished_at", "taken_up_at", "deleted_at", "day"),
        },
    ),
    "photo_latest": (
        "A row a photo with its latest restoration whose files are there; nulls where it has none.",
        {
            "photo_id": "Id of the photo.",
            "photo_sha256": "SHA-256 of the photo's master file.",
            **_PHOTO,
            "photo_state": _PHOTO_STATE,
            "first_seen_at": ARCHIVE_WORDS["photo"][1]["first_seen_at"],
            "source_count": "Number of registered objects that hold this photo.",
            "restoration_id": "Id of the restoration; null where the photo has none.",
            "outcome": "restored or unchanged; null where the photo has no restoration.",
            **{
                name: _of_latest(name)
                for name in (
                    "release", "work_hash", "mode", "tone", "mending", "strength", "mask_source",
                    "supplied_mask_sha256", "mask_joined", "mask_coverage", "change_outside_mask", "mean_change",
                    "restored_key", "restored_sha256", "preview_key", "needs_review", "review_reasons",
                )
            },
            "latest_verdict": _VERDICT,
            **{name: _of_latest(name) for name in ("finished_at", "day")},
        },
    ),
    "restoration_stale": (
        "Photos whose latest restoration is not by the active release, or is without their latest reviewed label.",
        {
            "photo_sha256": "SHA-256 of the photo's master file.",
            "restoration_id": "Id of its latest restoration.",
            "release": RESTORATION_WORDS["release"],
            "active_release": "Name of the release that is active today; null where none is.",
            "by_release": "1 where another release is active today, else 0.",
            "by_label": "1 where a reviewed label was not used, or not joined with the detected mask, else 0.",
            "latest_label_at": "When that label was painted; null where by_label is 0.",
            **_restoration("finished_at", "day"),
        },
    ),
    "release_lineage": (
        "From a release to its training runs, to what these saw, to whose labels were in it: a row a label.",
        {
            "release": "Name of the release.",
            "weights_hash": _RELEASE["weights_hash"],
            "release_status": _RELEASE["status"],
            "rejected_reason": _RELEASE["rejected_reason"],
            "parent_release": "Name of the release that its training began from; null where from nothing.",
            "registered_at": _RELEASE["registered_at"],
            "day": "Date of registered_at in UTC, such as 2026-01-31.",
            "training_run_id": "A training run that went into the release; null where none is recorded.",
            "retrain_id": _lineage(_TRAINING["retrain_id"], "where it is of none, or without a training run"),
            "stage": _lineage(_TRAINING["stage"], "without a training run"),
            "seed": _lineage(_TRAINING["seed"], "if unknown, or without a training run"),
            "code_version": _lineage(_TRAINING["code_version"], "if unknown, or without a training run"),
            "parent_training_run_id": _TRAINING["parent_id"],
            "started_at": _lineage("When the training run began.", "without one"),
            "finished_at": "When the training run ended; null without one, or while it has not.",
            "snapshot_id": "Id of the snapshot that it saw; null where there is none.",
            "snapshot_sha256": "SHA-256 of the snapshot; null where there is none.",
            "snapshot_key": "Key of the snapshot in the manifests store; null where there is none.",
            "snapshot_photos": _lineage(_SNAPSHOT["photo_count"], "where there is none"),
            "snapshot_labels": _lineage(_SNAPSHOT["label_count"], "where there is none"),
            "label_id": "Id of a label in the snapshot; null where it holds none.",
            "label_author": _lineage(_LABEL["author"], "without a label"),
            "labelled_at": _lineage("When it was painted.", "without a label"),
            "split": "Side of that photo in the snapshot: train, validation or test; null without a label.",
            "photo_sha256": "SHA-256 of the photo that the label is for; null without a label.",
        },
    ),
    "object_outcome": (
        "A row an object ever seen, and how it ended: everything is accounted for.",
        {
            "collection_id": "Id of the collection; with it in the question a page of one collection is quick.",
            "source_url": "URL of the collection.",
            "source_key": _OBJECT["key"],
            "status": _OBJECT["status"],
            "reason": "Why it is quarantined, missing or ignored; unrestorable where its restoration was set aside.",
            "detail": "Further words on the reason, or why its restoration failed; null where there are none.",
            "photo_sha256": "SHA-256 of the photo that it holds; null where it holds none, or none is known.",
            "outcome": "restored, unchanged, failed, quarantined (also: failed too often), waiting (to be restored), "
            "held or withdrawn; else its status.",
            "restoration_id": "Id of the photo's latest restoration whose files are there; null where there is none.",
            "needs_review": _of_latest("needs_review"),
            "latest_verdict": _VERDICT,
            **{
                name: _OBJECT[name]
                for name in ("size_bytes", "modified_at", "etag", "version_id", "first_seen_at", "last_seen_at", "day")
            },
        },
    ),
    "event_history": (
        "A row an event and object: who did what to what, when, and with what outcome.",
        {
            "event_id": "Number of the event, in the order in which events were written.",
            **{name: _EVENT[name] for name in ("type", "at", "day", "outcome", "run_id", "note")},
            "agent": "Who did it: a person's name, or a program's name and version.",
            "agent_type": "software or person.",
            "object_type": f"{_EVENT_OBJECT['object_type'].rstrip('.')}; null where the event names none.",
            "object_id": f"{_EVENT_OBJECT['object_id'].rstrip('.')}; null where the event names none.",
            "role": f"{_EVENT_OBJECT['role'].rstrip('.')}; null where the event names no object.",
            "detail": _EVENT["detail"],
        },
    ),
    "photo_metadata": (
        "What sidecar files say of a photo: a row a field and value.",
        {
            "photo_sha256": "SHA-256 of the photo; null where the object holds none, or none is known.",
            "source_url": "URL of the collection.",
            "source_key": "Path of the object that is spoken of, below source_url.",
            **{name: ARCHIVE_WORDS["object_metadata"][1][name] for name in ("field", "position", "value")},
            "sidecar_key": "Path of the sidecar, below its collection's URL.",
            "sidecar_format": "csv, json or xmp.",
            "read_at": "When the sidecar was read.",
            "day": "Date of read_at in UTC, such as 2026-01-31.",
        },
    ),
    "photo_near_duplicates": (
        "Pairs of photos that look alike and are not the same file: linked, never merged; each is restored.",
        {
            "photo_sha256": "SHA-256 of the photo that was registered earlier.",
            "other_sha256": "SHA-256 of the photo that was registered later.",
            "distance": ARCHIVE_WORDS["near_duplicate"][1]["distance"],
            "photo_key": "A path of the earlier one: of several the first by alphabet.",
            "other_key": "A path of the later one: of several the first by alphabet.",
            "found_at": ARCHIVE_WORDS["near_duplicate"][1]["found_at"],
            "day": "Date of found_at in UTC, such as 2026-01-31.",
        },
    ),
}  # fmt: skip
