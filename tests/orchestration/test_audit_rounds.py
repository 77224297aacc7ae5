"""Audits go round and go on, and take no store that is away for a loss."""

from __future__ import annotations

from typing import Any

import pytest

from flows.audit_checks import Auditor
from flows.errors import UsageError
from flows.settings import Settings
from flows.states import change_state, find_meant, finish_withdrawals
from storage.catalog import Catalogue
from storage.catalog.audit_queries import MasterOnRecord, PhotoOnRecord
from storage.errors import StoreUnavailable
from storage.objects import SourceStore
from storage.records import SourceEntry
from storage.settings import StorageSettings
from storage.urls import canonical_url
from tests.orchestration.audited import FILES, PHOTOS, Archive, flip


@pytest.mark.parametrize("store", ["scans", "home/derivatives"])
def test_a_store_that_is_not_mounted_is_told_as_a_whole(audited: Archive, store: str) -> None:
    folder = audited.folder / store
    folder.rename(audited.folder / "unmounted")
    folder.mkdir()
    found = audited.audit()
    assert [url for url, _ in found.absent] == [canonical_url(folder)]
    assert (found.found.total(), found.exit_code()) == (0, 1)
    assert (found.masters, found.derivatives) == ((0, PHOTOS * FILES) if store == "scans" else (PHOTOS + 1, 0))
    assert audited.ask("SELECT COUNT(deleted_at) FROM restoration") == [(0,)]
    if store != "scans":
        accepted = audited.audit(accept_empty=True)
        assert (accepted.of("gone"), accepted.to_be_made_again) == (PHOTOS * FILES, PHOTOS)


def test_another_place_than_the_right_one_marks_nothing(audited: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.audit_checks._GONE_ALLOWED", 2 * FILES)
    (audited.folder / "elsewhere").mkdir()
    (audited.folder / "elsewhere" / "notes.txt").write_text("not the store")
    audited.settings = audited.settings | {"derivatives_url": str(audited.folder / "elsewhere")}
    with pytest.raises(StoreUnavailable, match="is it the right place"):
        audited.audit()
    assert audited.ask("SELECT COUNT(deleted_at) FROM restoration") == [(0,)]
    assert audited.ask("SELECT status FROM run WHERE kind = 'audit'") == [("failed",)]


def test_a_part_each_time_comes_to_every_photo_in_turn(audited: Archive) -> None:
    """And begins again from the first; a share is a part too, and a source has a round of its own."""
    seen = []
    for _ in range(PHOTOS):
        found = audited.audit(limit=2)
        assert (found.photos, found.left, found.went_on) == (2, PHOTOS - 2, False)
        seen += audited.ask(
            "SELECT object_id FROM event_history WHERE type = 'fixity check' AND object_type = 'derivative' "
            f"AND run_id = '{found.run_id}' ORDER BY object_id"
        )
    assert [seen.count(one) for one in set(seen)] == [2] * PHOTOS
    assert audited.audit(share=0.5).photos == 3
    assert audited.audit(source=str(audited.source), limit=1).photos == 1
    for wrong in ({"limit": 0}, {"share": 0.0}, {"source": str(audited.home)}):
        with pytest.raises(UsageError):
            audited.audit(**wrong)


def test_an_audit_that_was_killed_goes_on(audited: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """It had come past the last photo, and the next one audits what was left before the photo that it began behind."""
    monkeypatch.setattr("flows.audit._BATCH", 1)
    assert audited.audit(limit=3).photos == 3
    ordinary = Catalogue.record_audit
    recorded = []

    def killed(self: Catalogue, *arguments: Any, **keywords: Any) -> None:
        if len(recorded) == PHOTOS - 2:
            raise KeyboardInterrupt
        recorded.append(arguments)
        ordinary(self, *arguments, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(Catalogue, "record_audit", killed)
        with pytest.raises(KeyboardInterrupt):
            audited.audit()
    flip(audited.source / "photo-001.png")
    flip(audited.source / "photo-004.png")  # audited before the kill
    rest = audited.audit()
    assert (rest.photos, rest.went_on, rest.of("changed")) == (2, True, 1)
    whole = audited.audit()
    assert (whole.photos, whole.went_on, whole.of("changed")) == (PHOTOS, False, 2)


def test_a_store_that_stops_answering_ends_the_audit() -> None:
    """A few objects that it does not give are only told."""
    options = StorageSettings.load(s3={"endpoint_url": "http://127.0.0.1:9", "access_key": "a", "secret_key": "b",
                                       "attempts": 1}).store_options("s3://scans")  # fmt: skip
    auditor = Auditor(sources={1: SourceStore("s3://scans", options)}, derivatives=SourceStore("s3://scans", options))
    verdicts = []
    with pytest.raises(StoreUnavailable):
        for number in range(100):
            entry = SourceEntry(key=f"{number}.png", size_bytes=1)
            master = MasterOnRecord(
                object_id=number, collection_id=1, collection_url="s3://scans", entry=entry, is_open=True
            )
            photo = PhotoOnRecord(photo_id=number, sha256="0" * 64, is_open=True, masters=(master,))
            result = auditor.check_photo(photo)
            assert result is not None
            verdicts += [checked.verdict for _, checked in result.masters]
    assert verdicts == ["unreadable"] * 15


def test_what_is_withdrawn_or_ingested_anew_meanwhile_is_no_finding(
    audited: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catalogue is asked once more before anything is told."""
    ordinary = Auditor.check_photo
    key = "photo-003.png"

    def withdrawn_first(self: Auditor, photo: Any) -> Any:
        if photo.masters[0].entry.key == key:
            with Catalogue.open(audited.home / "catalogue.db") as catalogue:
                change_state(catalogue, find_meant(catalogue, key), "withdrawn", by="Ada", reason="family asked")
                finish_withdrawals(catalogue, Settings.load(audited.home))
        return ordinary(self, photo)

    monkeypatch.setattr(Auditor, "check_photo", withdrawn_first)
    found = audited.audit()
    assert (found.found.total(), found.masters, found.derivatives) == (0, PHOTOS + 1, (PHOTOS - 1) * FILES)
