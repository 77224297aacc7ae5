"""What the page of a run says, and that it stands alone; read as HTML, without a browser."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from PIL import Image

from storage.keys import browse_path
from storage.reports.model import TOTALS, OtherPage
from tests.store.report_makers import HOSTILE_NAMES, Pictures, failed, mask_image, page_of, photo, run, set_aside

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Reader(HTMLParser):
    """Collects elements and text, and insists that every element is closed in turn."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str, **wanted: str) -> list[dict[str, str]]:
        return [found for name, found in self.elements if name == tag and wanted.items() <= found.items()]


def test_every_total_has_its_tile() -> None:
    totals = dict(zip(TOTALS, range(1201, 1208), strict=True)) | {"missing": 3}
    page = Reader(page_of(run(photo("a.jpg"), totals=totals)))
    tiles = [found["data-total"] for found in page.all("li") if "data-total" in found]
    assert tiles == [*TOTALS, "missing"]
    for number, words in (("1,201", "Registered"), ("1,204", "Already done"), ("1,207", "Failed"), ("3", "Missing")):
        assert f"{number} {words}" in page.text


def test_the_head_tells_source_release_mode_time_and_machine() -> None:
    page = Reader(page_of(run(photo("a.jpg"))))
    for words in ("s3://scans/glass plates", "archive-0a1b2c3d", "Full restoration", "cpu, 2 cores", "2 h 14 min"):
        assert words in page.text
    assert [found["datetime"] for found in page.all("time")] == ["2025-11-22T01:00:04Z", "2025-11-22T03:14:51Z"]
    assert "22 Nov 2025, 01:00:04 to 03:14:51 UTC" in page.text


def test_a_restored_photo_is_called_a_derivative_and_shows_its_figures() -> None:
    one = photo("album/a.jpg", also_at=("copies/a.jpg",))
    text = Reader(page_of(run(one))).text
    assert "Computer restoration; the master is unchanged." in text
    for words in ("1,600 × 1,200 px", "3.1 %", "4.2 %", "1.2 %", "3.4 s", one.photo_sha256[:12], "copies/a.jpg"):
        assert words in text


def test_what_a_restoration_says_of_itself_stands_beside_the_photo() -> None:
    note = "lost pieces on 2.5% of the photo, left as they are (mending: everything fills them)"
    said = note.capitalize() + "."
    page = Reader(page_of(run(photo("a.jpg", notes=(note, "<b>"))), limit=1))
    assert f"{said} <b>." in page.text
    assert len(page.all("p", **{"class": "said"})) == 2
    assert said in Reader(page_of(run(photo("a.jpg", notes=(note,))), limit=0)).text


def test_a_photo_whose_tone_alone_was_corrected_is_not_called_mended() -> None:
    photos = [photo("a.jpg"), photo("b.jpg", mask_coverage=0.0, tone="correct")]
    for limit in (2, 0):
        page = Reader(page_of(run(*photos), limit=limit))
        assert len(page.all("span", **{"class": "badge restored tone_only"})) == 1
        assert len(page.all("span", **{"class": "badge restored"})) == 1
        assert "2 photos restored (1 mended, 1 tone only)." in page.text
        assert "2 Restored 1 mended, 1 tone only" in page.text
        assert "Tone only" in page.text
    assert "Nothing was mended; the tone was corrected." in Reader(page_of(run(*photos))).text


def test_a_photo_that_kept_its_tone_is_restored_though_its_mask_is_empty() -> None:
    page = Reader(page_of(run(photo("b.jpg", mask_coverage=0.0, tone="keep"))))
    assert "Tone only" not in page.text


def test_mask_and_found_map_are_linked_where_the_store_can_be_reached() -> None:
    one = photo("a.jpg", mask_key="ab/mask.png", found_key="ab/found.png")
    hrefs = [a["href"] for a in Reader(page_of(run(one), derivatives_base_url="../my%20store/")).all("a")]
    assert {"../my%20store/ab/mask.png", "../my%20store/ab/found.png"} <= set(hrefs)
    assert "found.png" not in page_of(run(one))


def test_the_full_size_says_how_large_it_is() -> None:
    whole = Reader(page_of(run(photo("a.jpg", height=120, width=160))))
    part = Reader(page_of(run(photo("a.jpg", height=1200, width=1600))))
    assert [found["data-full"] for found in whole.all("button") if "data-full" in found] == ["100 %"]
    (words,) = [found["data-full"] for found in part.all("button") if "data-full" in found]
    assert words.startswith("10 %: the page's copy is smaller")
    assert "Full size" in whole.text
    assert "Larger" in part.text


def test_speed_and_mending_are_told_in_words_that_mean_something() -> None:
    text = Reader(page_of(run(photo("a.jpg", seconds=157 * 1.92)))).text
    assert "157.0 s a megapixel (median)" in text
    assert "Mending normal (what is likely damage too)" in text


@pytest.mark.parametrize(
    ("outstanding", "words"), [(3, "3 photos outstanding."), (None, "It is still looking for photos.")]
)
def test_a_run_at_work_does_not_say_that_it_did_not_finish(outstanding: int | None, words: str) -> None:
    page = Reader(page_of(run(finished_at=None, is_at_work=True, outstanding=outstanding, totals={})))
    assert f"This run is at work. {words}" in page.text
    assert "Nothing is finished yet." in page.text
    assert "did not finish" not in page.text


def test_a_page_without_pictures_links_the_newest_that_has_some() -> None:
    newest = OtherPage("Night <1>", "run 0.html", "2025-11-21T03:14:51Z")
    page = Reader(page_of(run(totals={"already_done": 4}, newest_pictured=newest)))
    assert [found["href"] for found in page.all("a", **{"class": "other-page"})] == ["run%200.html"]
    assert "Nothing was new. No photo was worked on in this run." in page.text
    assert "Night <1>, 21 Nov 2025, 03:14:51 UTC" in page.text
    assert not Reader(page_of(run(photo("a.jpg"), newest_pictured=newest))).all("a", **{"class": "other-page"})


def test_a_run_that_broke_before_it_restored_does_not_say_that_nothing_was_new() -> None:
    assert "Nothing was new" not in page_of(run(totals={"registered": 3}))


def test_a_failed_photo_shows_its_reason_and_its_master() -> None:
    page = Reader(page_of(run(failed("a.jpg"))))
    assert "out of memory: run again with a smaller tile" in page.text
    assert len(page.all("img")) == 1
    assert "Computer restoration; the master" not in page.text


def test_the_page_says_how_many_are_not_pictured_and_tells_those_by_line() -> None:
    photos = [photo(f"{i}.jpg") for i in range(30)]
    page = Reader(page_of(run(*photos), limit=12))
    assert len(page.all("article")) == 12
    assert "12 photos of 30 with pictures" in page.text
    assert "The other 18 are not pictured" in page.text
    assert len(page.all("table", **{"class": "lines"})) == 1
    anchors = {found["id"] for tag in ("article", "tr") for found in page.all(tag) if "id" in found}
    assert anchors == {f"photo-{one.photo_sha256}" for one in photos}


def test_pictures_are_asked_for_only_where_they_are_shown() -> None:
    pictures = Pictures()
    steps: list[tuple[int, int]] = []
    report = run(*(photo(f"{i}.jpg") for i in range(30)))
    page_of(
        report,
        limit=3,
        before_image=pictures.before_image,
        object_bytes=pictures.object_bytes,
        progress=lambda done, all_of_them: steps.append((done, all_of_them)),
    )
    assert len(pictures.before_asked) == 3
    assert len(pictures.keys_asked) == 6
    assert steps == [(1, 3), (2, 3), (3, 3)]


def test_lines_beyond_the_limit_are_counted() -> None:
    text = Reader(page_of(run(*(photo(f"{i}.jpg") for i in range(20))), limit=2, line_limit=5)).text
    assert "5 photos not pictured. 13 more are in the catalogue only" in text


def test_quarantined_files_come_with_reason_and_advice() -> None:
    text = Reader(
        page_of(
            run(
                quarantined=(
                    set_aside("a.tif", "sixteen-bit-colour", detail="expected 8 bits, found 16"),
                    set_aside("b.jpg", "it smells", advice="Open a window."),
                )
            )
        )
    ).text
    for words in ("a.tif", "16-bit colour", "expected 8 bits, found 16", "Save a copy", "it smells", "Open a window."):
        assert words in text


def test_ignored_files_are_counted_by_pattern() -> None:
    assert "Thumbs.db 1,200 *.xmp 4" in Reader(page_of(run(ignored_by_pattern={"Thumbs.db": 1200, "*.xmp": 4}))).text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"totals": {"already_done": 40}}, "Nothing was new: 40 photos were restored before"),
        ({"totals": {"already_done": 1}}, "Nothing was new: 1 photo was restored before"),
        ({"totals": {}}, "Nothing was new: the source holds no photo that was not seen before."),
        ({"totals": {"registered": 3}}, "3 photos registered."),
        ({"totals": {}, "finished_at": None}, "This run did not finish."),
        ({"totals": {"quarantined": 2}, "quarantined": [set_aside("a"), set_aside("b")]}, "2 files quarantined."),
    ],
)
def test_a_run_without_photos_says_why(changes: dict[str, object], words: str) -> None:
    page = Reader(page_of(run(**changes)))
    assert words in page.text
    assert "No photo was worked on in this run." in page.text
    assert not page.all("form")


def test_a_report_of_names_alone_is_a_page() -> None:
    bare = photo(
        "a.jpg", height=None, width=None, preview_key=None, mask_key=None, mask_coverage=None, mean_change=None,
        change_outside_mask=None, seconds=None, release=None, browse_path=None, mask_source=None,
    )  # fmt: skip
    report = run(bare, started_at="no time", source_url=None, release=None, mode=None, tone=None, machine={}, totals={})
    assert "a.jpg" in Reader(page_of(report, before_image=lambda _: None)).text


@pytest.mark.parametrize("limit", [200, 0])
def test_names_are_text_whatever_they_hold(limit: int) -> None:
    photos = [photo(name, also_at=(name,)) for name in HOSTILE_NAMES]
    photos += [failed("f" + name, error=name) for name in HOSTILE_NAMES]
    hostile = HOSTILE_NAMES[0]
    report = run(
        *photos, title=hostile, source_url=hostile, release=hostile, mode=hostile, tone=hostile, run_id=hostile,
        machine={hostile: hostile}, notes=(hostile,), ignored_by_pattern={hostile: 1},
        quarantined=[set_aside(name, name, detail=name, advice=name) for name in HOSTILE_NAMES],
        totals={hostile: 1},
    )  # fmt: skip
    html = page_of(report, limit=limit, browse_base_url="../browse")
    html.encode("utf-8")
    page = Reader(html)
    assert len(page.all("script")) == len(page.all("style")) == 1
    assert not [found for _, found in page.elements if any(name.startswith("on") for name in found)]
    assert all(found["src"].startswith("data:image/") for found in page.all("img"))


def test_the_policy_allows_this_style_this_script_and_nothing_else() -> None:
    html = page_of(run(photo("a.jpg")))
    page = Reader(html)
    policy = next(
        found["content"] for found in page.all("meta") if found.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        source = re.search(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        assert source is not None
        found = base64.b64encode(hashlib.sha256(source[1].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{found}'" in policy
    assert not [found for _, found in page.elements if "style" in found], "the policy would drop it"


def test_the_page_refers_to_nothing_outside_itself() -> None:
    html = page_of(run(photo("a.jpg"), source_url=None))
    page = Reader(html)
    assert not page.all("link")
    assert not re.search(r"url\(|@import|https?://|fetch\(|XMLHttpRequest|innerHTML|eval\(", html)
    assert all(found["href"].startswith("#") for found in page.all("a"))


def test_links_to_restored_files_survive_every_name() -> None:
    odd = "a folder/50% #1?\udcff.jpg"
    page = Reader(page_of(run(photo(odd, browse_path=f"browse/{odd}.tif")), browse_base_url="../browse/"))
    assert page.all("a", **{"class": "open"})[0]["href"] == "../browse/a%20folder/50%25%20%231%3F%FF.jpg.tif"


def test_a_link_leads_from_the_reports_folder_to_the_file_in_browse(tmp_path: Path) -> None:
    place = browse_path("browse/50% of it, #1.jpg", "tif")
    (tmp_path / place).parent.mkdir(parents=True)
    (tmp_path / place).touch()
    page = Reader(page_of(run(photo("a.jpg", browse_path=place)), browse_base_url="../browse"))
    href = page.all("a", **{"class": "open"})[0]["href"]
    url = urljoin((tmp_path / "reports" / "run.html").as_uri(), href)
    assert Path(unquote(urlsplit(url).path)) == tmp_path / place
    assert Path(unquote(urlsplit(url).path)).is_file()


def test_two_photos_of_one_content_share_no_anchor() -> None:
    one = photo("a.jpg")
    twin = photo("b.jpg", photo_sha256=one.photo_sha256)
    ids = [found["id"] for _, found in Reader(page_of(run(one, twin))).elements if "id" in found]
    assert len(ids) == len(set(ids))


def test_bad_pictures_never_cost_the_page() -> None:
    def broken(_: object) -> bytes:
        raise RuntimeError("<b>the disk & all</b>")

    page = Reader(page_of(run(photo("a.jpg"), photo("b.jpg")), before_image=broken, object_bytes=lambda _: b"\0"))
    assert page.text.count("No picture") == 2
    assert page.text.count("The master cannot be shown: RuntimeError: <b>the disk & all</b>.") == 2
    assert page.text.count("The restoration cannot be shown: its file is not an image.") == 2


def test_a_page_keeps_to_its_budget() -> None:
    noise = Image.frombytes("RGB", (640, 480), os.urandom(640 * 480 * 3))
    noisy = Pictures(noise, noise, mask_image())
    report = run(*(photo(f"{i}.jpg") for i in range(6)))
    found = page_of(report, before_image=noisy.before_image, object_bytes=noisy.object_bytes, budget_bytes=700_000)
    assert 300_000 < len(found) < 700_000


def test_the_same_run_gives_the_same_page() -> None:
    report = run(*(photo(f"{i}.jpg") for i in range(5)), failed("x.jpg"))
    assert page_of(report) == page_of(report)
