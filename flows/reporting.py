"""The page that a run leaves: `{home}/reports/<run>.html`, and the same as `latest.html`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flows.errors import UsageError
from flows.progress import progress
from flows.settings import Settings
from oldphoto_core.images import DecodeLimits, open_image
from oldphoto_core.previews import preview_of
from storage.catalog.catalogue import Catalogue
from storage.errors import ObjectNotFound
from storage.local_files import write_atomically
from storage.objects import ObjectStore, SourceStore
from storage.reports.model import ReportPhoto, RunReport
from storage.reports.render import render_report

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
        report = catalogue.run_report(run_id)
        html = render_report(
            report,
            before_image=_Masters(settings, catalogue, report),
            object_bytes=_derivatives(settings),
            browse_base_url="../browse",
            progress=_Told(),
        )
    path = settings.layout.reports / f"{run_id}.html"
    for target in (path, settings.layout.reports / LATEST):
        write_atomically(target, html.encode(), overwrite=True)
    return path


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
