"""A run's page, written from a real home: while it is at work, where nothing was new, and its links."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flows.file_locks import FileLock
from flows.reporting import write_report
from flows.settings import Settings
from oldphoto_core import PIXEL_VERSION
from storage.catalog.catalogue import Catalogue
from storage.keys import WorkParameters
from storage.records import RunRecord
from tests.store.makers import RELEASE, WEIGHTS, failed, restored, with_photos

PARAMETERS = WorkParameters(weights_hash=WEIGHTS, mending="everything", pixel_version=PIXEL_VERSION)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home with a catalogue that holds three photos and a run that began."""
    found = Settings.load(str(tmp_path / "home"))
    found.layout.home.mkdir()
    with Catalogue.open(found.catalogue_url) as catalogue:
        with_photos(catalogue, "a.jpg", "b.jpg", "c.jpg", url=tmp_path.joinpath("scans").as_uri())
        begin(catalogue, "r1", tmp_path)
    return found


def begin(catalogue: Catalogue, run_id: str, folder: Path) -> None:
    """A run of the folder's scans begins."""
    catalogue.start_run(
        RunRecord(
            run_id=run_id, kind="run", title=f"Night {run_id}", source_url=folder.joinpath("scans").as_uri(),
            release=RELEASE.name, mode="full", tone="correct", mending="everything", strength=1.0,
        )
    )  # fmt: skip


def test_a_run_whose_lock_is_held_is_at_work_and_tells_what_is_outstanding(settings: Settings) -> None:
    with Catalogue.open(settings.catalogue_url) as catalogue:
        catalogue.record_restorations([restored("a.jpg", PARAMETERS, run_id="r1", pixel_version=PIXEL_VERSION)])
    assert "This run did not finish." in write_report(settings).read_text()
    locks = settings.layout.work / "runs"
    locks.mkdir(parents=True)
    with FileLock(locks / "r1.lock") as lock:
        assert lock.take()
        html = write_report(settings).read_text()
        assert "This run is at work.</strong> 2 photos outstanding." in html
        assert "did not finish" not in html
        with Catalogue.open(settings.catalogue_url) as catalogue:
            catalogue.record_restorations([replace(failed("b.jpg"), run_id="r1")])
        assert "1 photo outstanding." in write_report(settings).read_text()


def test_a_run_that_finds_nothing_new_links_the_page_that_has_pictures(settings: Settings, tmp_path: Path) -> None:
    with Catalogue.open(settings.catalogue_url) as catalogue:
        catalogue.record_restorations([restored("a.jpg", PARAMETERS, run_id="r1")])
        catalogue.finish_run("r1", totals={"restored": 1})
        write_report(settings, "r1")
        begin(catalogue, "r2", tmp_path)
        catalogue.finish_run("r2", totals={"already_done": 3, "registered": 3})
    write_report(settings)
    html = (settings.layout.reports / "latest.html").read_text()
    assert '<a class="other-page" href="r1.html"><bdi>Night r1' in html
    assert "Nothing was new" in html
    (settings.layout.reports / "r1.html").unlink()
    assert "other-page" not in write_report(settings).read_text()


def test_mask_and_found_map_are_linked_in_the_store(settings: Settings) -> None:
    done = restored("a.jpg", PARAMETERS, run_id="r1")
    with Catalogue.open(settings.catalogue_url) as catalogue:
        catalogue.record_restorations([done])
    html = write_report(settings).read_text()
    for key in (done.mask_key, done.found_key):
        assert f'href="../derivatives/{key}"' in html
