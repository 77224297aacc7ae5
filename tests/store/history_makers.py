"""An archive's first two months as rows of every table: the same content for each database, and for docs/history.md."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog import tables
from storage.catalog.engine import open_engine
from storage.keys import derivative_keys, derivative_prefix
from storage.records import source_object_id
from tests.store.makers import sha

ALBUMS, PLATES = "file:///scans/albums", "s3://museum/plates"
OLD, NEW = "archive-aaaaaaaa", "archive-bbbbbbbb"
WEIGHTS = {OLD: "a" * 64, NEW: "b" * 64}
OCTOBER, NOVEMBER, BROKEN = "20261012T010000Z-0a1b2c", "20261105T010000Z-3d4e5f", "20261119T010000Z-778899"

PHOTOS = (
    "wedding", "harbour", "school", "plate 1", "plate 2", "plate 3", "plate 4", "second wedding", "new", "gone",
)  # fmt: skip
"""In the order of their ids, from 1."""

OBJECTS: tuple[tuple[int, str, str | None, str, str | None, str | None], ...] = (
    # collection, key, photo, status, reason, detail; in the order of their ids, from 1
    (1, "1931/wedding.jpg", "wedding", "registered", None, None),
    (1, "1931/harbour.tif", "harbour", "registered", None, None),
    (1, "1954/school.jpg", "school", "registered", None, None),
    (1, "1954/school-copy.jpg", "school", "registered", None, None),
    (1, "1931/wedding-rescan.jpg", "second wedding", "registered", None, None),
    (1, "unsorted/new.jpg", "new", "registered", None, None),
    (1, "unsorted/harbour.tif", "harbour", "missing", None, None),
    (1, "unsorted/gone.jpg", "gone", "missing", None, None),
    (1, "Thumbs.db", None, "ignored", "Thumbs.db", None),
    (1, "albums.csv", None, "ignored", "*.csv", None),
    (1, "1954/half.jpg", None, "quarantined", "truncated",
     "the image ends after 1200 of 2400 rows; copy the file again"),
    (1, "1954/empty.jpg", None, "quarantined", "empty", "the file has no bytes; copy it again"),
    (2, "0001.tif", "plate 1", "registered", None, None),
    (2, "0002.tif", "plate 2", "registered", None, None),
    (2, "0003.tif", "plate 3", "registered", None, None),
    (2, "0004.tif", "plate 4", "registered", None, None),
    (2, "0001.xmp", None, "ignored", "*.xmp", None),
)  # fmt: skip

RESTORATIONS: tuple[dict[str, Any], ...] = (
    {"of": "wedding", "release": OLD, "coverage": 0.021, "outside": 0.011, "mean": 0.034, "seconds": 3.2},
    {"of": "harbour", "release": OLD, "coverage": 0.084, "outside": 0.013, "mean": 0.051, "seconds": 6.4},
    {"of": "plate 1", "release": OLD, "coverage": 0.155, "outside": 0.018, "mean": 0.066, "seconds": 1.5, "gpu": True},
    {"of": "plate 2", "release": OLD, "coverage": 0.120, "outside": 0.016, "mean": 0.060, "seconds": 1.4, "gpu": True},
    {"of": "plate 3", "release": OLD, "coverage": 0.062, "outside": 0.012, "mean": 0.041, "seconds": 1.6, "gpu": True,
     "deleted_at": "2026-11-07T09:30:05Z"},
    {"of": "wedding", "release": NEW, "coverage": 0.024, "outside": 0.009, "mean": 0.031, "seconds": 3.0},
    {"of": "school", "release": NEW, "coverage": 0.047, "outside": 0.021, "mean": 0.044, "seconds": 3.4},
    {"of": "plate 1", "release": NEW, "coverage": 0.149, "outside": 0.032, "mean": 0.071, "seconds": 1.2, "gpu": True,
     "mask_source": "label", "mask": "mask of plate 1"},
    {"of": "second wedding", "release": NEW, "outcome": "unchanged", "coverage": 0.0, "outside": 0.0, "mean": 0.0,
     "seconds": 1.1},
    {"of": "plate 4", "release": NEW, "error": "out of memory at 96 megapixels; run again with a smaller --tile-px"},
)  # fmt: skip
"""In the order of their ids, from 1."""


def fill_catalogue(url: str) -> None:
    """Fills every table of a new, empty catalogue."""
    engine = open_engine(url, create=False)
    with engine.execution_options(oldphoto_write=True).begin() as connection:
        for fill in (_archive, _releases, _runs, _objects, _restorations, _people, _training, _events, _rest):
            fill(connection)
    engine.dispose()


def _add(connection: Connection, table: sa.Table, *rows: dict[str, Any]) -> None:
    """One by one, so that ids go from 1 in this order on every database."""
    for row in rows:
        connection.execute(sa.insert(table), row)


def _photo_id(name: str | None) -> int | None:
    return None if name is None else PHOTOS.index(name) + 1


def _archive(connection: Connection) -> None:
    policy = {"is_recursive": 1, "ignore_patterns": "[]", "tone": "correct", "mending": "normal", "strength": 1.0,
              "output_format": "auto"}  # fmt: skip
    _add(
        connection, tables.collection,
        {"url": ALBUMS, "browse_folder": "", "mode": "full", "created_at": "2026-10-12T01:00:00Z", **policy},
        {"url": PLATES, "browse_folder": "plates", "mode": "full", "created_at": "2026-10-12T01:02:00Z", **policy},
    )  # fmt: skip
    states = {
        "plate 2": {"state": "held", "state_by": "Ada", "state_reason": "rights are being asked for",
                    "state_at": "2026-11-06T08:00:00Z"},
        "plate 3": {"state": "withdrawn", "state_by": "Ada", "state_reason": "the family asked for it",
                    "state_at": "2026-11-07T09:30:00Z"},
    }  # fmt: skip
    for number, name in enumerate(PHOTOS):
        size = {"height": 6000, "width": 8000} if name.startswith("plate") else {"height": 1200, "width": 1600}
        tif = name.startswith(("plate", "harbour"))
        _add(
            connection, tables.photo,
            {"sha256": sha(name), "size_bytes": 1000 + number, "format": "TIFF" if tif else "JPEG", "channels": 1,
             "bit_depth": 16 if tif else 8, "orientation": 1, "capture": "{}", "dpi_x": 600.0, "dpi_y": 600.0,
             "source_mode": "L", "icc_profile_name": "Gray Gamma 2.2", "perceptual_hash": f"{number:016x}",
             "first_seen_at": "2026-11-05T01:00:09Z" if name in ("new", "school") else "2026-10-12T01:00:09Z",
             "near_checked_at": "2026-11-05T01:01:00Z", **size, **states.get(name, {})},
        )  # fmt: skip


def _releases(connection: Connection) -> None:
    for number, name in enumerate((OLD, NEW)):
        _add(
            connection, tables.model_release,
            {"name": name, "weights_hash": WEIGHTS[name], "preset": "archive", "url": f"s3://museum/releases/{name}",
             "parent_id": number or None, "status": "active" if number else "retired", "metrics": '{"psnr": 27.5}',
             "card": "{}", "registered_at": f"2026-1{number}-01T12:00:00Z",
             "activated_at": f"2026-1{number}-02T12:00:00Z", "retired_at": None if number else "2026-11-02T12:00:00Z"},
        )  # fmt: skip


def _runs(connection: Connection) -> None:
    facts = {"kind": "run", "machine": '{"cores": "16"}', "mode": "full", "tone": "correct", "mending": "normal",
             "strength": 1.0}  # fmt: skip
    _add(
        connection, tables.run,
        {"id": OCTOBER, "number": 1, "title": "albums", "source_url": ALBUMS, "collection_id": 1, "release": OLD,
         "flow_run_id": "f1", "status": "finished", "totals": '{"restored": 5}', "started_at": "2026-10-12T01:00:00Z",
         "finished_at": "2026-10-12T01:05:00Z", **facts},
        {"id": NOVEMBER, "number": 2, "title": "albums", "source_url": ALBUMS, "collection_id": 1, "release": NEW,
         "flow_run_id": "f2", "status": "finished", "totals": '{"restored": 3}', "started_at": "2026-11-05T01:00:00Z",
         "finished_at": "2026-11-05T01:04:00Z", **facts},
        {"id": BROKEN, "number": 3, "title": "plates", "source_url": PLATES, "collection_id": 2, "release": NEW,
         "flow_run_id": "f3", "status": "failed", "totals": '{"failed": 1}', "started_at": "2026-11-19T01:00:00Z",
         "finished_at": "2026-11-19T01:02:00Z", **facts},
    )  # fmt: skip
    looked = {"policy_hash": sha("policy"), "status": "finished"}
    _add(
        connection, tables.listing,
        {"collection_id": 1, "run_id": OCTOBER, "objects_seen": 9, "started_at": "2026-10-12T01:00:00Z",
         "finished_at": "2026-10-12T01:00:20Z", **looked},
        {"collection_id": 1, "run_id": NOVEMBER, "objects_seen": 10, "started_at": "2026-11-05T01:00:00Z",
         "finished_at": "2026-11-05T01:00:30Z", **looked},
        {"collection_id": 2, "run_id": BROKEN, "objects_seen": 5, "started_at": "2026-11-19T01:00:00Z",
         "finished_at": "2026-11-19T01:00:10Z", **looked},
    )  # fmt: skip


def _objects(connection: Connection) -> None:
    for collection_id, key, photo, status, reason, detail in OBJECTS:
        first = "2026-11-05T01:00:09Z" if "1954" in key or "new" in key else "2026-10-12T01:00:09Z"
        last = "2026-11-05T01:00:09Z" if collection_id == 1 else "2026-11-19T01:00:05Z"
        _add(
            connection, tables.source_object,
            {"collection_id": collection_id, "key": key, "photo_id": _photo_id(photo), "status": status,
             "reason": reason, "detail": detail, "size_bytes": 0 if reason == "empty" else 1000,
             "modified_at": "2026-10-01T10:00:00Z", "etag": sha(key)[:8],
             "version_id": "v1" if collection_id == 2 else None, "first_seen_at": first,
             "last_seen_at": "2026-10-12T01:00:09Z" if status == "missing" else last,
             "listing_id": 1 if status == "missing" else collection_id + 1},
        )  # fmt: skip
    _add(connection, tables.near_duplicate, {"photo_id": 1, "other_photo_id": 8, "distance": 3,
                                             "found_at": "2026-11-05T01:01:00Z"})  # fmt: skip
    read = {"read_at": "2026-11-05T01:01:30Z", "etag": "e"}
    _add(
        connection, tables.sidecar,
        {"source_object_id": 10, "format": "csv", "sha256": sha("albums.csv"), "problem": "row 9: no file", **read},
        {"source_object_id": 17, "format": "xmp", "sha256": sha("0001.xmp"), **read},
    )  # fmt: skip
    dates = ((1, 1, "1931"), (2, 1, "1931-07-14"), (3, 1, "1954"), (5, 1, "1931"), (13, 2, "1908"))
    for object_id, sidecar_id, date in dates:
        _add(connection, tables.object_metadata, {"source_object_id": object_id, "sidecar_id": sidecar_id,
                                                  "field": "date", "position": 0, "value": date})  # fmt: skip


def _restorations(connection: Connection) -> None:
    for number, made in enumerate(RESTORATIONS):
        failed = "error" in made
        old = made["release"] == OLD
        gpu = made.get("gpu", False)
        row: dict[str, Any] = {
            "photo_id": _photo_id(made["of"]), "work_hash": sha(f"{made['of']} {made['release']}"),
            "release": made["release"], "weights_hash": WEIGHTS[made["release"]], "mode": "full", "tone": "correct",
            "mending": "normal", "strength": 1.0, "mask_source": made.get("mask_source", "detected"),
            "pixel_version": 1, "mask_joined": int("mask" in made),
            "supplied_mask_sha256": sha(made["mask"]) if "mask" in made else None, "report": "{}",
            "outcome": "failed" if failed else made.get("outcome", "restored"), "error": made.get("error"),
            "run_id": OCTOBER if old else BROKEN if failed else NOVEMBER, "flow_run_id": "f1" if old else "f2",
            "code_version": "0.1.0", "deleted_at": made.get("deleted_at"),
            "finished_at": f"2026-{'10-12' if old else '11-19' if failed else '11-05'}T01:02:{number:02d}Z",
        }  # fmt: skip
        if not failed:
            result = sha(f"restored {number}")
            prefix = derivative_prefix(
                sha(made["of"]), release=made["release"], work_hash=row["work_hash"], restored_sha256=result
            )
            keys = derivative_keys(prefix, "tif")
            row |= {
                "output_format": "tif", "restored_key": keys.restored, "restored_sha256": result, "mask_key": keys.mask,
                "mask_sha256": sha(f"mask {number}"), "found_key": keys.found, "found_sha256": sha(f"found {number}"),
                "difference_key": keys.difference,
                "difference_sha256": sha(f"difference {number}"), "preview_key": keys.preview,
                "preview_sha256": sha(f"preview {number}"), "provenance_key": keys.provenance,
                "mask_coverage": made["coverage"], "change_outside_mask": made["outside"], "mean_change": made["mean"],
                "seconds": made["seconds"], "megapixels": 48.0 if made["of"].startswith("plate") else 1.92,
                "device": "cuda" if gpu else "cpu", "precision": "bfloat16" if gpu else "float32",
            }  # fmt: skip
        _add(connection, tables.restoration, row)


def _people(connection: Connection) -> None:
    _add(
        connection, tables.label,
        {"photo_id": 4, "mask_key": "labels/plate-1.png", "mask_sha256": sha("mask of plate 1"), "author": "Grace",
         "tool": "napari 0.6", "coverage": 0.149, "labelled_at": "2026-10-20T10:00:00Z"},
        {"photo_id": 2, "mask_key": "labels/harbour.png", "mask_sha256": sha("mask of harbour"), "author": "Grace",
         "tool": "napari 0.6", "coverage": 0.09, "labelled_at": "2026-11-10T10:00:00Z"},
    )  # fmt: skip
    _add(
        connection, tables.label_annotation,
        {"label_id": 2, "mask_key": "labels/harbour.png", "mask_sha256": sha("mask of harbour"), "author": "Grace",
         "tool": "napari 0.6", "coverage": 0.09, "labelled_at": "2026-11-10T10:00:00Z"},
    )  # fmt: skip
    verdicts = (
        (1, "Ada", "accepted", None, "2026-10-14"), (2, "Ada", "rejected", "the mast is gone", "2026-10-14"),
        (3, "Ada", "needs label", "crack over the face", "2026-10-14"), (4, "Grace", "accepted", None, "2026-10-15"),
        (6, "Ada", "accepted", None, "2026-11-06"), (7, "Ada", "accepted", None, "2026-11-06"),
        (8, "Ada", "accepted", None, "2026-11-06"), (7, "Grace", "rejected", "moiré in the curtain", "2026-11-07"),
    )  # fmt: skip
    for restoration_id, reviewer, verdict, note, day in verdicts:
        _add(connection, tables.review, {"restoration_id": restoration_id, "reviewer": reviewer, "verdict": verdict,
                                         "note": note, "reviewed_at": f"{day}T09:00:00Z"})  # fmt: skip


def _training(connection: Connection) -> None:
    _add(connection, tables.dataset_snapshot, {"sha256": sha("snapshot"), "manifest_key": "snapshots/s1.parquet",
                                               "photo_count": 4, "label_count": 1,
                                               "created_at": "2026-10-25T10:00:00Z"})  # fmt: skip
    _add(connection, tables.dataset_snapshot_label, {"snapshot_id": 1, "label_id": 1})
    sides = ((1, "train"), (2, "validation"), (3, "test"), (4, "train"))
    decided = {"decided_by": "hash", "decided_at": "2026-10-25T10:00:00Z"}
    _add(connection, tables.photo_split, *({"photo_id": id_, "split": split, **decided} for id_, split in sides))
    label = {"label_id": 1, "label_mask_key": "labels/plate-1.png", "label_mask_sha256": sha("mask of plate 1")}
    for id_, split in sides:
        _add(
            connection, tables.dataset_snapshot_photo,
            {"snapshot_id": 1, "photo_id": id_, "split": split, "role": "labelled" if id_ == 4 else "unlabelled",
             "source_url": PLATES if id_ == 4 else ALBUMS, "source_key": "0001.tif" if id_ == 4 else f"1931/{id_}.jpg",
             **(label if id_ == 4 else {})},
        )  # fmt: skip
    for number, stage in enumerate(("detector", "translation")):
        _add(
            connection, tables.training_run,
            {"id": f"train-{stage}", "stage": stage, "configuration": "{}", "snapshot_id": 1, "status": "finished",
             "parent_id": "train-detector" if number else None, "metrics": '{"f1": 0.81}',
             "curves_key": f"training/{stage}.parquet", "device": "cuda", "code_version": "0.1.0",
             "flow_run_id": f"t{number}", "retrain_id": "20261026T100000Z-9a8b7c", "seed": 7,
             "started_at": f"2026-10-2{6 + number}T10:00:00Z",
             "finished_at": f"2026-10-2{6 + number}T12:00:00Z"},
        )  # fmt: skip
        _add(connection, tables.model_release_run, {"release_id": 2, "training_run_id": f"train-{stage}"})


def _events(connection: Connection) -> None:
    for name, kind in (("oldphoto 0.1.0", "software"), ("Ada", "person"), ("Grace", "person")):
        _add(connection, tables.agent, {"name": name, "type": kind, "first_seen_at": "2026-10-12T01:00:00Z"})
    robot, ada, grace = 1, 2, 3

    def thing(key: str, url: str = ALBUMS) -> str:
        return source_object_id(url, key)

    seen = [("source_object", thing(o[1], (ALBUMS, PLATES)[o[0] - 1]), "source") for o in OBJECTS if o[2]]
    made = [row["of"] for row in RESTORATIONS]
    happened: list[tuple[str, str, int, str, str | None, str | None, list[tuple[str, str, str]]]] = [
        # type, at, agent, outcome, run, note, objects
        ("ingestion", "2026-10-12T01:00:09Z", robot, "success", OCTOBER, "9 photos registered", seen),
        ("fixity check", "2026-10-12T01:02:00Z", robot, "success", OCTOBER, None,
         [("photo", sha(of), "source") for of in made[:5]]),
        ("restoration", "2026-10-12T01:02:00Z", robot, "success", OCTOBER, None, [("photo", sha("wedding"), "source")]),
        ("labelling", "2026-10-20T10:00:00Z", grace, "success", None, None, [("photo", sha("plate 1"), "source"),
         ("mask", sha("mask of plate 1"), "outcome")]),
        ("promotion", "2026-11-02T12:00:00Z", ada, "success", None, "better on the plates",
         [("model_release", NEW, "outcome"), ("model_release", OLD, "previous")]),
        ("validation", "2026-11-05T01:00:12Z", robot, "failure", NOVEMBER,
         "the image ends after 1200 of 2400 rows; copy the file again",
         [("source_object", thing("1954/half.jpg"), "source")]),
        ("validation", "2026-11-05T01:00:12Z", robot, "failure", NOVEMBER, "the file has no bytes; copy it again",
         [("source_object", thing("1954/empty.jpg"), "source")]),
        ("validation", "2026-11-05T01:00:30Z", robot, "warning", NOVEMBER,
         "2 objects are not there any more, such as unsorted/harbour.tif",
         [("source_object", thing("unsorted/harbour.tif"), "missing"),
          ("source_object", thing("unsorted/gone.jpg"), "missing")]),
        ("ingestion", "2026-11-05T01:00:30Z", robot, "success", NOVEMBER,
         "moved from unsorted/harbour.tif to 1931/harbour.tif",
         [("source_object", thing("unsorted/harbour.tif"), "previous"),
          ("source_object", thing("1931/harbour.tif"), "source"), ("photo", sha("harbour"), "outcome")]),
        ("metadata", "2026-11-05T01:01:30Z", robot, "warning", NOVEMBER, "albums.csv: row 9: no file",
         [("source_object", thing("albums.csv"), "source")]),
        ("fixity check", "2026-11-05T01:02:05Z", robot, "success", NOVEMBER, None,
         [("photo", sha(of), "source") for of in made[5:9]]),
        ("restoration", "2026-11-05T01:02:06Z", robot, "success", NOVEMBER, None, [("photo", sha("school"), "source")]),
        ("review", "2026-11-07T09:00:00Z", grace, "success", None, "rejected: moiré in the curtain",
         [("restoration", "7", "source")]),
        ("hold", "2026-11-06T08:00:00Z", ada, "success", None, "photo held: rights are being asked for",
         [("photo", sha("plate 2"), "source")]),
        ("withdrawal", "2026-11-07T09:30:00Z", ada, "success", None, "photo withdrawn: the family asked for it",
         [("photo", sha("plate 3"), "source")]),
        ("deletion", "2026-11-07T09:30:05Z", robot, "success", None, "5 objects of 1 restoration deleted",
         [("photo", sha("plate 3"), "source")]),
        ("publication", "2026-11-08T02:00:00Z", robot, "success", None, "2 copies written to s3://museum/public",
         [("publication", "s3://museum/public/1931/wedding.tif", "source")]),
        ("fixity check", "2026-11-15T03:00:00Z", robot, "failure", None,
         "0001.tif: the bytes are not those that were registered; restore the master from its backup",
         [("photo", sha("plate 1"), "source")]),
        ("restoration", "2026-11-19T01:02:09Z", robot, "failure", BROKEN,
         "out of memory at 96 megapixels; run again with a smaller --tile-px", [("photo", sha("plate 4"), "source")]),
        ("training", "2026-10-27T12:00:00Z", robot, "success", None, None, [("model_release", NEW, "outcome")]),
    ]  # fmt: skip
    for number, (kind, at, agent, outcome, run_id, note, objects) in enumerate(happened, 1):
        _add(connection, tables.event, {"uid": f"u{number}", "type": kind, "at": at, "agent_id": agent,
                                        "outcome": outcome, "detail": json.dumps({"count": len(objects)}),
                                        "run_id": run_id, "note": note})  # fmt: skip
        _add(
            connection, tables.event_object,
            *({"event_id": number, "object_type": what, "object_id": which, "role": role}
              for what, which, role in dict.fromkeys(objects)),
        )  # fmt: skip


def _rest(connection: Connection) -> None:
    _add(connection, tables.publication, {"destination": "s3://museum/public", "key": "1931/wedding.tif",
                                          "source_object_id": 1, "restoration_id": 6, "sha256": sha("restored 5"),
                                          "size_bytes": 2000, "published_at": "2026-11-08T02:00:00Z"})  # fmt: skip
    _add(connection, tables.lease, {"name": "work/x", "holder": "somebody", "acquired_at": "2026-11-19T01:00:00Z",
                                    "expires_at": "2026-11-19T01:01:00Z"})  # fmt: skip
    _add(connection, tables.store_endpoint, {"endpoint": "https://s3.example", "conditional_writes": 1,
                                             "probed_at": "2026-10-12T01:00:00Z"})  # fmt: skip
