"""The page of an evaluation: it stands alone, escapes what it is given, and fits a small screen."""

from __future__ import annotations

import io
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from storage.reports.evaluation import (
    Cell,
    EvaluationPage,
    PageSection,
    PageTable,
    PictureRow,
    Plot,
    render_evaluation_page,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 10"><rect width="40" height="10" fill="#1c5574"/></svg>'


def evaluation_html(size: tuple[int, int] = (64, 48)) -> str:
    jpeg = io.BytesIO()
    Image.new("RGB", size, (120, 90, 60)).save(jpeg, "JPEG")
    strip = [(f"cell {k}", "20.1 dB", jpeg.getvalue()) for k in range(7)]
    wide = PageTable(
        ["Method", *(f"figure {k}" for k in range(9))],
        [
            ("ours", [Cell("+1.00", "0.9 to 1.1", shade=2)] * 9),
            ("other", [Cell("5", is_best=True), *[Cell("−4.00", shade=-3)] * 8]),
        ],
        "caption",
        strong=frozenset({"ours"}),
    )
    file = ("<script>a</script>.jpg", [Cell("00ff" * 16, prose=True)])
    folded = PageTable(["File", "SHA-256"], [("Held out", ()), file], folded="1 file")
    pictures = [PictureRow("Mixed", strip)]
    section = PageSection("methods", "Methods", "said", [Plot("curve", SVG)], [wide, folded], pictures)
    return render_evaluation_page(
        EvaluationPage("archive-<b>", "A & B.", {"Seed": "1"}, [("+1", "dB", "restored")], [section], ["a note"])
    )


def test_the_page_stands_alone_and_escapes_what_it_is_given() -> None:
    html = evaluation_html()
    assert "archive-&lt;b&gt;" in html and "A &amp; B." in html
    assert "<script" not in html and "&lt;script&gt;a" in html
    policy = unescape(html.split('Content-Security-Policy" content="')[1].split('"')[0])
    assert "script-src 'none'" in policy and "img-src data:" in policy and "default-src 'none'" in policy
    assert html.count("data:image/jpeg;base64,") == 7 and html.count("data:image/svg+xml;base64,") == 1
    assert 'class="strong"' in html and "shade-3 below" in html and 'class="num best"' in html
    assert '<tr class="group"><th scope="colgroup" colspan="2">Held out</th></tr>' in html


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1360])
def test_a_browser_shows_it_without_complaint_and_nothing_is_cut_off(page: Page, tmp_path: Path, width: int) -> None:
    path = tmp_path / "evaluation.html"
    path.write_text(evaluation_html(), encoding="utf-8")
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("request", lambda r: r.url.startswith(("file:", "data:")) or complaints.append(r.url))
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator(".strip img").evaluate_all("all => all.every(one => one.naturalWidth === 64)")
    assert not page.locator("details.table td").is_visible()
    page.locator("details.table summary").click()
    assert page.locator("details.table td").is_visible()
    assert not complaints


@pytest.mark.browser
@pytest.mark.parametrize(("width", "beside"), [(390, False), (1360, True)])
def test_wide_photos_stand_side_by_side_where_there_is_room(
    page: Page, tmp_path: Path, width: int, beside: bool
) -> None:
    path = tmp_path / "evaluation.html"
    path.write_text(evaluation_html((640, 400)), encoding="utf-8")
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(path.as_uri())
    figures = page.locator(".strip figure")
    before, after = figures.nth(0).bounding_box(), figures.nth(1).bounding_box()
    assert before and after
    assert (before["y"] == after["y"]) is beside
