"""What the tables of `archive_tables` and their columns mean, in one line each."""

from __future__ import annotations

from collections.abc import Mapping

ROW_ID = "Number of the row, given by the database; only meant for joins."

STATE_WORDS: Mapping[str, str] = {
    "state_by": "Name of the person who set the state; null while it was never set.",
    "state_reason": "That person's reason, in their words; null while the state was never set.",
    "state_at": "When the state was set; null while it never was.",
}


def day_of(column: str) -> str:
    """The words of a column ``day``."""
    return f"Date of {column} in UTC, such as 2026-01-31; written by the database."


ARCHIVE_WORDS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "collection": (
        "A source that photos come from, a folder or a bucket, and how its photos are restored.",
        {
            "id": ROW_ID,
            "url": "Where the source lies: file:///folder or s3://bucket/prefix, without a slash at its end.",
            "browse_folder": "Its folder below browse/ in the home; empty for the catalogue's first collection.",
            "is_recursive": "1 where the folders below are taken too, 0 where not.",
            "include_patterns": "JSON list of patterns; where there are any, only keys that match one are taken.",
            "ignore_patterns": "JSON list of patterns whose keys are ignored, beyond the patterns that always are.",
            "mode": "What is restored: full (the whole photo) or scratches (only what lies below the mask).",
            "tone": "correct (fading and casts are mended), neutral (toned prints become grey too) or keep.",
            "mending": "How much of the damage that is found is mended: sure, normal or everything.",
            "strength": "How much of the restoration is blended in, from 0 (nothing) to 1 (all).",
            "output_format": "File format asked for: auto, tif, png or jpg.",
            "state": "open, held (its photos are not restored) or withdrawn (nor are derivatives of them kept).",
            **STATE_WORDS,
            "created_at": "When it was registered.",
            "day": day_of("created_at"),
        },
    ),
    "photo": (
        "One content: all files that are equal byte for byte are one photo, under however many names.",
        {
            "id": ROW_ID,
            "sha256": "SHA-256 of the master file, 64 lower-case hexadecimal digits; the photo's identity.",
            "size_bytes": "Size of the master file in bytes.",
            "format": "File format as its content says, such as JPEG or TIFF; not by the name's extension.",
            "height": "Height in pixels, upright (orientation applied).",
            "width": "Width in pixels, upright (orientation applied).",
            "channels": "Number of channels of the decoded picture: 1 grey, 3 colour, 4 colour with transparency.",
            "bit_depth": "Bits a channel: 8 or 16.",
            "source_mode": "How the file keeps its pixels, in the decoder's words (such as CMYK); null if unknown.",
            "icc_profile_name": "Description of the embedded colour profile; null where there is none.",
            "dpi_x": "Horizontal resolution in pixels an inch, as the file says; null where it does not.",
            "dpi_y": "Vertical resolution in pixels an inch, as the file says; null where it does not.",
            "orientation": "EXIF orientation of the file, 1 to 8; 1 is upright.",
            "capture": "JSON object of what the file says of its capture: maker, model, time and the like.",
            "perceptual_hash": "64-bit hash of what it looks like, 16 hexadecimal digits; null where none was made.",
            "state": "open, held (not restored) or withdrawn (not restored, and its derivatives deleted).",
            **STATE_WORDS,
            "first_seen_at": "When it was first registered, by the database's clock.",
            "near_checked_at": "When it was compared with all others for near-duplicates; null until then.",
            "day": day_of("first_seen_at"),
        },
    ),
    "listing": (
        "One look at what a source holds; one that was interrupted goes on at its cursor.",
        {
            "id": ROW_ID,
            "collection_id": "The collection that was listed.",
            "run_id": "The run that began it; null where it belongs to none.",
            "policy_hash": "SHA-256 of the patterns and depth it was made with; with others it cannot go on.",
            "status": "running (begun, perhaps interrupted), finished, or abandoned (a new one was begun instead).",
            "cursor": "Where to go on: in the store's own words; null at the beginning.",
            "objects_seen": "Number of objects it has come across.",
            "started_at": "When it began.",
            "finished_at": "When it ended; null while it has not.",
            "day": day_of("started_at"),
        },
    ),
    "source_object": (
        "One object (a file or a bucket's key) that was ever seen in a collection; never deleted from here.",
        {
            "id": ROW_ID,
            "collection_id": "The collection it lies in.",
            "key": "Its path below the collection's URL, / between names.",
            "photo_id": "The photo it holds; null until it was read, and where it is no photo. Kept when it vanishes.",
            "status": "registered, quarantined (looks like a photo, cannot be read), ignored, or missing (vanished).",
            "reason": "Why it is quarantined (a short word) or which pattern ignored it; null where registered.",
            "detail": "One line for a person on the reason: expected, found, what to do; null where there is none.",
            "size_bytes": "Size in bytes, as last listed.",
            "modified_at": "When it was last changed, by the store's clock; null where the store does not say.",
            "etag": "The store's ETag; for a local file its time in nanoseconds and size; null if unknown.",
            "version_id": "The version in a bucket that keeps versions; null elsewhere.",
            "first_seen_at": "When it was first listed, by the database's clock.",
            "last_seen_at": "When it was last recorded as there, by the database's clock.",
            "listing_id": "The last listing that came across it; null where it was recorded without one.",
            "name": "File name: what follows the key's last slash; written by the database.",
            "day": day_of("first_seen_at"),
        },
    ),
    "near_duplicate": (
        "Two photos that look alike but are different files. They are linked only: each is restored.",
        {
            "photo_id": "The photo that was registered earlier.",
            "other_photo_id": "The photo that was registered later.",
            "distance": "Number of bits, 0 to 64, in which their perceptual hashes differ; 0 looks the same.",
            "found_at": "When the likeness was found, by the database's clock.",
            "day": day_of("found_at"),
        },
    ),
    "sidecar": (
        "A file beside the photos that says something of them: a table, a JSON document, an XMP packet.",
        {
            "id": ROW_ID,
            "source_object_id": "The object that is this file.",
            "format": "csv, json or xmp.",
            "sha256": "SHA-256 of the file as it was read.",
            "etag": "ETag of the object as it was read, so that it is read again only when changed; null if unknown.",
            "problem": "One line on what could not be read or matched; null where all was.",
            "read_at": "When it was read.",
            "day": day_of("read_at"),
        },
    ),
    "object_metadata": (
        "What sidecars say of an object: a row a value. A newer version of the sidecar replaces its rows.",
        {
            "source_object_id": "The object that is spoken of.",
            "sidecar_id": "The sidecar that says so.",
            "field": "Name of the field, as the sidecar spells it.",
            "position": "0 for the first value of a field, 1 for the second and so on.",
            "value": "The value as text.",
        },
    ),
}
