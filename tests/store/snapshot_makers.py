"""Photos to learn from, compared with each other and on known sides."""

from __future__ import annotations

from collections.abc import Iterator

from storage.catalog import Catalogue
from storage.catalog.split_queries import split_of_hash
from storage.records import SnapshotRecord
from tests.store.makers import label, rows, sha, with_photos


def compared(catalogue: Catalogue, *links: tuple[object, object]) -> None:
    """Marks all photos as compared with each other; these pairs look alike."""
    ids = dict(rows(catalogue, "SELECT sha256, id FROM photo"))
    pairs = [(ids[sha(one)], ids[sha(other)], 2) for one, other in links]
    catalogue.record_near_duplicates(catalogue.unchecked_photos(limit=10_000), pairs)


def names_on(split: str) -> Iterator[str]:
    """Names of photos whose hash puts them on this side."""
    return (name for name in map(str, range(10_000)) if split_of_hash(sha(name)) == split)


def splits(snapshot: SnapshotRecord) -> dict[str, str]:
    return {row.photo_sha256: row.split for row in snapshot.rows}


def fill(catalogue: Catalogue) -> int:
    """Thirty photos, four of them labelled."""
    collection_id = with_photos(catalogue, *map(str, range(30)))
    compared(catalogue)
    catalogue.record_labels(
        [label(str(name), f"mask {name}", disagreement_key="d.png" if name == 3 else None) for name in range(4)]
    )
    return collection_id
