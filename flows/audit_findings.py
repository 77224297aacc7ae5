"""What follows from an audit's findings: words for a person, fixity checks for the record, room for what is made again.

A damaged derivative is moved out of its place, never deleted, and its restoration is marked, so that the next restore
makes it again. That is done only where the master is sound and may be restored; else all is left as it is. Masters are
never touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from flows.audit_checks import Checked, CheckedPhoto
from flows.run_records import agent
from flows.wording import counted
from storage.catalog.audit_queries import PhotoOnRecord, RestorationOnRecord
from storage.errors import ObjectNotFound, ObjectStoreError
from storage.keys import sha256_hex
from storage.objects import ObjectStore
from storage.records import EventRecord


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One object that is not sound, in words.

    Attributes:
        message: what is wrong, what was expected and found, and what to do.
        moved_to: where a damaged derivative lies now.
    """

    photo_sha256: str
    checked: Checked
    message: str
    moved_to: str | None = None


@dataclass(kw_only=True)
class BatchFindings:
    """What a batch of photos came to.

    Attributes:
        sound_masters: (place, photo's SHA-256) of masters.
        sound_restorations: restored keys of those whose files are all sound; `derivatives` counts sound files.
        sound_labels: SHA-256 of sound files of labels.
        damaged: (id, restored key) of restorations that are to be made again.
    """

    photos: int = 0
    sound_masters: list[tuple[str, str]] = field(default_factory=list)
    sound_restorations: list[str] = field(default_factory=list)
    sound_labels: list[str] = field(default_factory=list)
    derivatives: int = 0
    findings: list[Finding] = field(default_factory=list)
    damaged: list[tuple[int, str]] = field(default_factory=list)


def add_masters(batch: BatchFindings, result: CheckedPhoto, still_there: set[int]) -> None:
    """Adds what was found of a photo's masters, without those that an ingestion changed on record meanwhile."""
    sound = [checked.place for _, checked in result.masters if checked.verdict == "sound"]
    batch.sound_masters += [(place, result.photo.sha256) for place in sound]
    for master, checked in result.masters:
        if checked.verdict != "sound" and master.object_id in still_there:
            message = _master_message(checked, sound)
            batch.findings.append(Finding(photo_sha256=result.photo.sha256, checked=checked, message=message))


def add_restoration(
    batch: BatchFindings,
    result: CheckedPhoto,
    restoration: RestorationOnRecord,
    checks: Sequence[Checked],
    *,
    store: ObjectStore,
    run_id: str,
) -> None:
    """Adds what was found of a restoration's files, and makes room for those that are damaged where it may be."""
    bad = [checked for checked in checks if checked.verdict != "sound"]
    batch.derivatives += len(checks) - len(bad)
    if not bad:
        batch.sound_restorations.append(restoration.restored_key)
        return
    damaged = [checked for checked in bad if checked.verdict in ("changed", "gone")]
    why_not = _why_not_again(result, bad)
    moved: dict[str, str] = {}
    if damaged and why_not is None:
        try:
            moved = _move_away(store, result.photo, restoration, damaged, run_id)
            batch.damaged.append((restoration.restoration_id, restoration.restored_key))
        except (ObjectStoreError, OSError) as error:
            why_not = f"it cannot be moved out of its place: {error}"
    for checked in bad:
        message = _derivative_message(checked, restoration, moved.get(checked.key), why_not)
        finding = Finding(
            photo_sha256=result.photo.sha256, checked=checked, message=message, moved_to=moved.get(checked.key)
        )
        batch.findings.append(finding)


def audit_events(batch: BatchFindings, *, run_id: str, through_photo: int, round_from: int) -> list[EventRecord]:
    """A fixity check for all that is sound, one for all that could not be read, and one for each failure.

    Each says how far the audit has come: the next one goes on from there.
    """
    place = {"hash": "sha256", "through_photo": through_photo, "round_from": round_from}
    events = [_failure(finding, place, run_id) for finding in batch.findings if _is_failure(finding)]
    unread = [finding for finding in batch.findings if not _is_failure(finding)]
    if unread:
        links = [_link(finding.checked) for finding in unread]
        note = f"{counted(len(unread), 'object')} not read, such as {unread[0].message}"
        detail = place | {"verdict": "unreadable", "count": len(unread)}
        events.append(_event("warning", detail, links, run_id, note))
    if batch.sound_masters or batch.sound_restorations or batch.sound_labels:
        links = [("source_object", place, "source") for place, _ in batch.sound_masters]
        links += [("photo", sha256, "source") for _, sha256 in batch.sound_masters]
        links += [("derivative", key, "source") for key in batch.sound_restorations]
        links += [("mask", sha256, "source") for sha256 in batch.sound_labels]
        masters, restorations = len(batch.sound_masters), len(batch.sound_restorations)
        note = f"{counted(masters, 'master')} and {counted(restorations, 'restoration')} are as they are on record"
        detail = place | {"verdict": "sound", "masters": masters, "restorations": restorations}
        if batch.sound_labels:
            detail |= {"labels": len(batch.sound_labels)}
            note += f", with {counted(len(batch.sound_labels), 'file')} of labels"
        events.append(_event("success", detail, links, run_id, note))
    return events


def _is_failure(finding: Finding) -> bool:
    return finding.checked.verdict in ("changed", "gone")


def _failure(finding: Finding, place: dict[str, Any], run_id: str) -> EventRecord:
    checked = finding.checked
    links = [_link(checked)]
    if checked.name == "master":  # a photo's fixity checks are about masters: docs/history.md asks for them so
        links.append(("photo", finding.photo_sha256, "source"))
    if finding.moved_to is not None:
        links.append(("derivative", finding.moved_to, "outcome"))
    detail = place | {"verdict": checked.verdict, "expected": checked.expected, "found": checked.found}
    return _event("failure", detail, links, run_id, finding.message)


def _event(
    outcome: str, detail: dict[str, Any], links: Sequence[tuple[str, str, str]], run_id: str, note: str
) -> EventRecord:
    return EventRecord(
        type="fixity check", agent=agent(), outcome=outcome, detail=detail, objects=tuple(links), run_id=run_id,
        note=note,
    )  # fmt: skip


def _link(checked: Checked) -> tuple[str, str, str]:
    if checked.name == "master":
        return ("source_object", checked.place, "source")
    if checked.name == "label":
        return ("mask", str(checked.expected), "source")
    return ("derivative", checked.key, "source")


def _master_message(checked: Checked, sound_copies: Sequence[str]) -> str:
    expected, found = _short(checked.expected), _short(checked.found)
    if checked.verdict == "unreadable":
        return f"{checked.key}: cannot be read now, so nothing is known of it: {checked.reason}"
    back = f"copy it back from {sound_copies[0]}, which is whole" if sound_copies else "bring it back from a backup"
    if checked.verdict == "gone":
        what = f"gone (expected SHA-256 {expected}, found nothing)"
        return f"{checked.key}: {what}; {back}, or run `oldphoto ingest` to record that it is missing"
    if checked.was_replaced:
        what = f"replaced since it was registered (expected SHA-256 {expected}, found {found})"
        return f"{checked.key}: {what}; run `oldphoto ingest` if it was scanned anew, else {back}"
    what = f"damaged: other bytes, though size and time did not change (expected SHA-256 {expected}, found {found})"
    return f"{checked.key}: {what}; {back}, and look into its disk"


def _derivative_message(
    checked: Checked, restoration: RestorationOnRecord, moved_to: str | None, why_not: str | None
) -> str:
    if checked.verdict == "unreadable":
        return f"{checked.key}: cannot be read now, so nothing is known of it: {checked.reason}"
    if checked.verdict == "gone":
        found = f"gone (expected {_expected(checked)}, found nothing)"
    elif checked.reason:
        found = f"changed: {checked.reason}"
    else:
        found = f"changed (expected {_expected(checked)}, found {_short(checked.found)})"
    if why_not is not None:
        return f"{checked.key}: {found}; left as it is, since {why_not}"
    kept = f"; what was there is kept as {moved_to}" if moved_to else ""
    again = f"the next `oldphoto restore` with release {restoration.release} makes it again"
    return f"{checked.key}: {found}{kept}; {again}"


def _why_not_again(result: CheckedPhoto, bad: Sequence[Checked]) -> str | None:
    """Why a restoration of this photo would not be made again, or not in this place; None where it would."""
    if any(checked.verdict == "unreadable" for checked in bad):
        return "not all files beside it can be read now; audit again when they can"
    if not result.photo.is_open:
        return "the photo is held; `oldphoto reopen` it and audit again"
    sound = [master for master, checked in result.masters if checked.verdict == "sound"]
    if not sound:
        return "no master of it was found sound in this audit; see to that first and audit again"
    if not any(master.is_open for master in sound):
        return "its collection is held; `oldphoto reopen` it and audit again"
    return None


def _move_away(
    store: ObjectStore,
    photo: PhotoOnRecord,
    restoration: RestorationOnRecord,
    damaged: Sequence[Checked],
    run_id: str,
) -> dict[str, str]:
    """Moves what is damaged, and the provenance document, out of the way; gives the new keys by the old ones.

    A new attempt would take over whatever stands at its keys, and the document with the old attempt's figures. What is
    sound stays: the new attempt finds the same bytes there. The row follows later: after a crash in between, the next
    audit finds these objects gone.
    """
    folder = f"{photo.sha256[:2]}/{photo.sha256}/damaged/{run_id}/{restoration.release}-{restoration.work_hash[:12]}/"
    expected = {checked.key: checked.expected for checked in damaged if checked.verdict == "changed"}
    moved = {}
    for key in {**expected, restoration.provenance_key: None}:
        try:
            data = store.read_bytes(key)
        except ObjectNotFound:
            continue
        if expected.get(key) == sha256_hex(data):
            continue  # whole by now: another audit and a restoration were here meanwhile
        moved[key] = folder + key.rpartition("/")[2]
        store.write_once(moved[key], data)
        store.delete(key)
    return moved


def _expected(checked: Checked) -> str:
    return f"SHA-256 {_short(checked.expected)}" if checked.expected else "a provenance document"


def _short(digest: str | None) -> str:
    return f"{digest[:12]}…" if digest else "nothing"
