"""A person's verdict on a label: it may be used, or it is used for nothing."""

from __future__ import annotations

from flows.browsing import show_photo
from flows.errors import UsageError
from flows.labels.joining import join_labels, open_label_store
from flows.settings import Settings
from flows.states import find_meant
from storage.catalog.catalogue import Catalogue
from storage.records import LabelRow


def review_label(
    catalogue: Catalogue,
    settings: Settings,
    photo: str,
    *,
    accepted: bool,
    by: str,
    note: str | None = None,
    label_id: int | None = None,
) -> LabelRow:
    """Accepts or rejects a photo's latest label, or the one with this id, and gives it as it was.

    What is accepted is joined with what other people painted of the photo, as in an import.

    To accept, the latest that waits for a review is meant, if any does; to reject, that one too, else the one in use.

    Raises:
        UsageError: nobody is named, the photo is none, or has no such label.
        LabelRefused: it was accepted, and what others painted cannot be read to be joined with it.
    """
    if not by.strip():
        raise UsageError("say who (--by); it is kept in the catalogue")
    meant = find_meant(catalogue, photo)
    if meant.kind != "photo":
        raise UsageError(f"{photo} is a collection; labels are reviewed a photo at a time")
    labels = catalogue.label_rows([meant.id])
    if not labels:
        raise UsageError(f"{meant.name} has no label; see `oldphoto labels status`")
    chosen = _chosen(labels, label_id)
    if chosen is None:
        known = ", ".join(str(one.label_id) for one in labels)
        raise UsageError(f"{meant.name} has no label {label_id}; it has {known}")
    remark = " ".join((note or "").split()) or None
    if catalogue.review_label(chosen.label_id, accepted=accepted, by=by.strip(), note=remark):
        show_photo(settings, catalogue, chosen.photo_sha256)  # another restoration may be its latest now
    if accepted:
        join_labels(catalogue, open_label_store(catalogue, settings), [chosen.photo_sha256])
        catalogue.decide_label_splits()
    return chosen


def _chosen(labels: list[LabelRow], label_id: int | None) -> LabelRow | None:
    if label_id is not None:
        return next((one for one in labels if one.label_id == label_id), None)
    order = ("waits for review", "in use", "replaced", "rejected")
    return min(labels, key=lambda one: (order.index(one.state), _descending(one.labelled_at), -one.label_id))


def _descending(text: str) -> tuple[int, ...]:
    return tuple(-ord(character) for character in text)
