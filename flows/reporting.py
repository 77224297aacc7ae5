"""The page that a run leaves: `{home}/reports/<run>.html`, and the same as `latest.html`.

`latest.html` is always the latest run's, so that a morning's look shows that it ran; where nothing was new, the page
links the newest one that has pictures.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flows.collections import find_collection, given_policy
from flows.errors import UsageError
from flows.file_locks import is_locked
from flows.progress import progress
from flows.settings import Settings
from oldphoto_core import PIXEL_VERSION
from oldphoto_core.images import DecodeLimits, open_image
from oldphoto_core.previews import preview_of
from storage.catalog.catalogue import Catalogue
from storage.errors import ObjectNotFound
from storage.keys import WorkParameters
from storage.local_files import write_atomically
from storage.objects import ObjectStore, SourceStore
from storage.records import CollectionRecord, RunRecord
from storage.reports.model import OtherPage, ReportPhoto, RunReport
from storage.reports.render import render_report
from storage.urls import local_folder

LATEST = "latest.html"


def write_report(settings: Settings, run_id: str | None = None) -> Path:
    """Renders a run's page (the latest run's where none is named), stores it, and gives where it is.

    Raises:
        storage.errors.CatalogueMissing: nothing was ever run in this home.
        storage.errors.RecordRefused: no such run.
    """
    with Catalogue.open(settings.catalogue_url, create=False) as catalogue:
        run_id = run_id or catalogue.latest_run_id(("run", "restore")) or catalogue.latest_run_id()
        if run_id is None:
            raise UsageError(f"nothing was run yet in {settings.home}; try `oldphoto run FOLDER`")
        report = _as_of_now(settings, catalogue, catalogue.run_report(run_id))
        html = render_report(
            report,
            before_image=_Masters(settings, catalogue, report),
            object_bytes=_derivatives(settings),
            browse_base_url="../browse",
            derivatives_base_url=_seen_from_reports(settings),
            progress=_Told(),
        )
    path = settings.layout.reports / f"{run_id}.html"
    for target in (path, settings.layout.reports / LATEST):
        write_atomically(target, html.encode(), overwrite=True)
    return path


def _as_of_now(settings: Settings, catalogue: Catalogue, report: RunReport) -> RunReport:
    """The report with what the run's own records do not say: whether it is at work, and where there are pictures."""
    if report.finished_at is None and is_locked(settings.layout.work / "runs" / f"{report.run_id}.lock"):
        report = replace(report, is_at_work=True, outstanding=_outstanding(settings, catalogue, report))
    if not report.photos:
        for run in catalogue.pictured_runs():
            name = f"{run.run_id}.html"
            if (settings.layout.reports / name).exists():
                page = OtherPage(run.title or run.kind, name, run.finished_at)
                return replace(report, newest_pictured=page)
    return report


def _outstanding(settings: Settings, catalogue: Catalogue, report: RunReport) -> int | None:
    """How many photos a run has still to restore; None until it knows with which release."""
    run = catalogue.get_run(report.run_id)
    weights = {release.name: release.weights_hash for release in catalogue.releases()}
    if run is None or run.release not in weights:
        return None
    collections = catalogue.collections()
    if run.source_url is not None:
        found = find_collection(catalogue, run.source_url)
        collections = [found] if found is not None else []
    failed = {photo.photo_sha256 for photo in report.photos if photo.outcome == "failed"}  # left to the next run
    works = set()
    for collection in collections:
        policy = replace(collection.policy, **given_policy(settings))
        parameters = WorkParameters(
            weights_hash=weights[run.release],
            output_format=policy.output_format,  # type: ignore[arg-type]
            pixel_version=PIXEL_VERSION,
            **_choices(run, policy),
        )
        for work in catalogue.photos_to_restore(collection.id, parameters):
            if work.photo_sha256 not in failed:
                works.add((work.photo_sha256, work.work_hash))
    return len(works)


def _choices(run: RunRecord, policy: CollectionRecord) -> dict[str, Any]:
    """What the run was told, which may differ from the settings as they are now."""
    told = {name: getattr(run, name) for name in ("mode", "tone", "mending", "strength")}
    return {name: getattr(policy, name) if value is None else value for name, value in told.items()}


def _seen_from_reports(settings: Settings) -> str | None:
    """Where the derivatives lie as seen from a page; None where they are not in a folder."""
    folder = local_folder(settings.derivatives_url)
    return None if folder is None else quote(os.fsencode(os.path.relpath(folder, settings.layout.reports)))


def _derivatives(settings: Settings) -> Callable[[str], bytes | None]:
    store = ObjectStore(settings.derivatives_url, settings.store_options(settings.derivatives_url, "derivatives"))

    def object_bytes(key: str) -> bytes | None:
        try:
            return store.read_bytes(key)
        except ObjectNotFound:
            return None

    return object_bytes


class _Told:
    """Passes the page's progress on."""

    def __call__(self, done: int, total: int) -> None:
        if done == 1:
            progress().begin("Drawing the report", total)
        progress().advance()


class _Masters:
    """Previews of masters, read from wherever they lie."""

    def __init__(self, settings: Settings, catalogue: Catalogue, report: RunReport) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._report = report
        self._limits = DecodeLimits(max_pixels=int(settings.max_megapixels * 1e6))

    def __call__(self, photo: ReportPhoto) -> bytes | None:
        url = self._url_of(photo)
        if url is None:
            return None
        try:
            store = SourceStore(url, self._settings.store_options(url, "sources"))
            with (
                store.open_whole(photo.source_key) as whole,
                open_image(whole.file, photo.source_key, self._limits) as master,
            ):
                return preview_of(master.scan, icc_profile=master.icc_profile)
        except ObjectNotFound:
            return None

    def _url_of(self, photo: ReportPhoto) -> str | None:
        if self._report.source_url is not None:
            return self._report.source_url
        rows = self._catalogue.history(photo.photo_sha256, limit=1)
        return rows[0].source_url if rows else None
