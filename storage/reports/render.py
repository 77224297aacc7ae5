"""Renders a run as one HTML page that needs nothing else: no network, no server, no other file.

The page carries its pictures, its style and its script. A content security policy allows exactly that style and that
script, by their hashes, so that nothing in a file's name could ever run; Jinja2 escapes every value besides.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from storage.reports import views, wording
from storage.reports.model import ReportPhoto, RunReport
from storage.reports.pictures import MASK_RGB, BeforeImage, ObjectBytes, draw_pictures
from storage.reports.selection import select_photos

PAGE_BUDGET_BYTES = 40_000_000
"""How heavy a page may become by its pictures."""
LINE_LIMIT = 10_000
"""How many photos are told by line; a browser tires of more."""

_LARGEST_SHARE_BYTES = 900_000
_TEXT_SHARE = 0.96
"""What is left of the budget beside the page's text, on the safe side."""


def render_report(
    report: RunReport,
    *,
    before_image: BeforeImage,
    object_bytes: ObjectBytes,
    limit: int = 200,
    line_limit: int = LINE_LIMIT,
    budget_bytes: int = PAGE_BUDGET_BYTES,
    browse_base_url: str | None = None,
    derivatives_base_url: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> str:
    """Gives the run's page as HTML text, always encodable as UTF-8.

    Args:
        report: What happened.
        before_image: Gives an upright JPEG of a photo's master, or None. Called once for each photo with pictures.
        object_bytes: Gives a derivative by its key, or None. Whatever either throws becomes a sentence in the page.
        limit: At most so many photos are shown with pictures.
        line_limit: At most so many further photos are told by line.
        budget_bytes: Pictures are made smaller where they would outgrow this.
        browse_base_url: Where `browse/` lies as seen from the page, such as `../browse`; without it nothing is linked.
        derivatives_base_url: Where the derivatives lie as seen from the page; without it masks are not linked.
        progress: Called with the photos done and the photos to do, of those with pictures.

    Raises:
        ValueError: `limit` is negative.
    """
    selection = select_photos(report.photos, run_id=report.run_id, limit=limit)
    anchors = views.Anchors()

    def view(photo: ReportPhoto) -> views.PhotoView:
        return views.photo_view(
            photo,
            anchor=anchors.take(photo.photo_sha256),
            browse_base_url=browse_base_url,
            derivatives_base_url=derivatives_base_url,
        )

    pictured = len(selection.pictured)
    # Base64 makes four bytes of three.
    share_bytes = min(_LARGEST_SHARE_BYTES, int(budget_bytes * _TEXT_SHARE * 3 / 4) // max(1, pictured))
    plates = []
    for number, chosen in enumerate(selection.pictured, start=1):
        pictures = draw_pictures(
            chosen.photo, before_image=before_image, object_bytes=object_bytes, cap_bytes=share_bytes
        )
        plates.append(views.plate(number, chosen, view(chosen.photo), pictures))
        if progress is not None:
            progress(number, pictured)

    environment = page_environment()
    style = _style(environment, plates)
    script = page_source(environment, "report.js")
    present = {photo.outcome for photo in report.photos}
    html = environment.get_template("report.html").render(
        title=wording.readable_name(report.title),
        run_id=wording.readable_name(report.run_id),
        policy=page_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        facts=views.head_facts(report),
        tiles=views.tiles(report),
        verdict=views.verdict(report),
        notes=[wording.readable_name(note) for note in report.notes],
        is_unfinished=report.finished_at is None and not report.is_at_work,
        at_work=views.at_work(report) if report.is_at_work else None,
        found_nothing_new=report.found_nothing_new,
        other_page=views.other_page(report),
        plates=plates,
        lines=[view(photo) for photo in selection.by_line[:line_limit]],
        lines_left_out=max(0, len(selection.by_line) - line_limit),
        photo_count=len(report.photos),
        outcomes={name: words for name, words in views.OUTCOMES.items() if name in present},
        any_to_review=any(photo.waits_for_review for photo in report.photos),
        has_masks=any(plate.pictures.mask_uri for plate in plates),
        quarantined=[views.set_aside(file) for file in report.quarantined],
        ignored={wording.readable_name(pattern): found for pattern, found in report.ignored_by_pattern.items()},
        count=wording.count,
    )
    return html.encode("utf-8", "backslashreplace").decode("utf-8")


def page_environment() -> Environment:
    """What fills the templates; every value is escaped."""
    return Environment(
        loader=PackageLoader("storage.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page_source(environment: Environment, name: str) -> str:
    """A style or script among the templates, as it is."""
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _style(environment: Environment, plates: list[views.Plate]) -> str:
    """Gives the page's style, with each picture's proportions: the policy allows no style beside it."""
    frames = "".join(f"#plate-{one.number}{{--ratio:{one.ratio};--largest:{one.largest_px}px}}\n" for one in plates)
    colour = f":root{{--mask:rgb({MASK_RGB[0]} {MASK_RGB[1]} {MASK_RGB[2]})}}\n"
    return page_source(environment, "report.css") + colour + frames


def page_policy(style: str, script: str | None = None) -> str:
    """The content security policy that allows this style and this script, by their hashes, and nothing else."""
    script_source = f"'{_hash(script)}'" if script is not None else "'none'"
    return (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src {script_source}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(source: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode("ascii")
