"""What the tables of `label_tables` and their columns mean, in one line each."""

from __future__ import annotations

from collections.abc import Mapping

from storage.catalog.archive_words import ROW_ID, day_of

LABEL_WORDS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "label": (
        "A mask of scratches that people painted for a photo; its latest reviewed one applies to the next restoration.",
        {
            "id": ROW_ID,
            "photo_id": "The photo it was painted for.",
            "mask_key": "Key of the mask in the labels store, white where damaged; of several people their majority.",
            "mask_sha256": "SHA-256 of the mask file.",
            "author": "Who painted it; several names, joined by commas, where several did.",
            "tool": "With what program.",
            "coverage": "Share of the pixels that it marks, 0 to 1.",
            "labelled_at": "When it was painted, or recorded where that was not told.",
            "reviewed": "1 where it may be used: for restoring and for training; else 0.",
            "reviewed_by": "Who accepted or rejected it; null where nobody did, or where it came as reviewed.",
            "reviewed_at": "When they did; null where nobody did.",
            "rejected_at": "When it was rejected, so that it is used for nothing; null where it was not.",
            "annotators": "Number of people whose masks it was made of.",
            "disagreement": "Share of the pixels where these differ, 0 to 1.",
            "disagreement_key": "Key of a mask in the labels store, white where they differ; null where they do not.",
            "day": day_of("labelled_at"),
        },
    ),
    "label_annotation": (
        "What each annotator painted, before a label was made of it: a row an annotator.",
        {
            "id": ROW_ID,
            "label_id": "The label that was made of it.",
            "author": "Who painted it.",
            "tool": "With what program.",
            "mask_key": "Key of this mask in the labels store, white where damaged.",
            "mask_sha256": "SHA-256 of the mask file.",
            "coverage": "Share of the pixels that it marks, 0 to 1.",
            "labelled_at": "When it was painted, or recorded where that was not told.",
            "day": day_of("labelled_at"),
        },
    ),
}
