"""A run of a real catalogue, with its objects in a real store, as a page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from flows.reviews import give_verdict
from storage.catalog import Catalogue
from storage.objects import ObjectStore
from storage.records import RunRecord
from storage.reports.render import render_report
from tests.store.makers import failed, restored, seen, with_photos
from tests.store.report_makers import encoded, mask_image, photo_image


def test_what_the_catalogue_and_the_store_hold_is_on_the_page(catalogue: Catalogue, tmp_path: Path) -> None:
    collection_id = with_photos(catalogue, "1912/a.jpg", "b.jpg", url="file:///scans")
    aside = seen("x.jpg", status="quarantined", photo_sha256=None, reason="empty", detail="0 bytes")
    ignored = seen("Thumbs.db", status="ignored", photo_sha256=None, reason="Thumbs.db")
    catalogue.record_objects(collection_id, [aside, ignored])
    catalogue.start_run(
        RunRecord(run_id="r1", kind="run", title="Night of 3 May", collection_id=collection_id, mode="full")
    )
    done = restored("1912/a.jpg", run_id="r1", report={"notes": ["lost pieces on 2.5% of the photo, filled"]})
    catalogue.record_restorations([done, replace(failed("b.jpg"), run_id="r1")])
    catalogue.finish_run("r1", totals={"restored": 1, "failed": 1})

    store = ObjectStore(tmp_path.joinpath("derivatives").as_uri())
    size = (300, 400)
    assert done.preview_key is not None
    assert done.mask_key is not None
    store.write_bytes_atomic(done.preview_key, encoded(photo_image(size=size)))
    store.write_bytes_atomic(done.mask_key, encoded(mask_image(size), "PNG"))
    html = render_report(
        catalogue.run_report("r1"),
        before_image=lambda photo: encoded(photo_image(size=size)),
        object_bytes=store.read_bytes,
        browse_base_url="../browse",
        derivatives_base_url="../derivatives",
    )
    assert html.count("data:image/jpeg") == 3
    assert html.count("data:image/png") == 1
    assert "cannot be shown" not in html
    assert "Lost pieces on 2.5% of the photo, filled." in html
    assert f'href="../derivatives/{done.found_key}"' in html
    assert ("needs_review", 0) in catalogue.run_report("r1").totals.items()
    for words in (
        "Night of 3 May",
        "out of memory",
        "x.jpg",
        "Empty file",
        "0 bytes",
        'href="../browse/1912/a.jpg.png"',
    ):
        assert words in html


def test_what_waits_for_a_review_says_why_until_somebody_said_something(catalogue: Catalogue) -> None:
    with_photos(catalogue, "a.jpg", url="file:///scans")
    catalogue.start_run(RunRecord(run_id="r1", kind="run"))
    reasons = "mask coverage: 0.3, at most 0.25; gradient correlation: 0.8, at least 0.9"
    catalogue.record_restorations([restored("a.jpg", run_id="r1", needs_review=True, review_reasons=reasons)])
    catalogue.finish_run("r1", totals={"restored": 1, "needs_review": 1})

    def page() -> str:
        return render_report(
            catalogue.run_report("r1"), before_image=lambda photo: None, object_bytes=lambda key: None
        )

    for words in (
        "1 photo restored (1 of them to be reviewed before publication)", "<li>mask coverage: 0.3, at most 0.25</li>",
        "<li>gradient correlation: 0.8, at least 0.9</li>", 'data-review="needs_review"', 'value="needs_review"',
    ):  # fmt: skip
        assert words in page()
    give_verdict(catalogue, "a.jpg", "accepted", by="Ada")
    assert "1 photo restored." in page()
    assert 'data-review="accepted"' in page()
    assert 'value="needs_review"' not in page()


def test_runs_that_left_restorations_are_found_newest_first(catalogue: Catalogue) -> None:
    with_photos(catalogue, "a.jpg", "b.jpg", "c.jpg")
    for run_id in ("r1", "r2", "r3", "r4"):
        catalogue.start_run(RunRecord(run_id=run_id, kind="run"))
    catalogue.record_restorations([restored("a.jpg", run_id="r1"), restored("b.jpg", run_id="r2")])
    catalogue.record_restorations([replace(failed("c.jpg"), run_id="r3")])
    assert [run.run_id for run in catalogue.pictured_runs()] == ["r2", "r1"]
