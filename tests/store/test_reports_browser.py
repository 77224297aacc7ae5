"""The page of a run in a real browser, opened from a file as a person opens it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.store.report_makers import HOSTILE_NAMES, failed, page_of, photo, run, set_aside

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.browser

PHOTOS = (
    failed("album/broken.jpg"),
    photo("album/large change.jpg", mean_change=0.2, mask_coverage=0.01, seconds=9.0),
    photo("album/middle.jpg", mean_change=0.1, mask_coverage=0.3, seconds=1.0),
    photo("small.jpg", mean_change=0.05, mask_coverage=0.1, seconds=4.0),
    photo("still.jpg", outcome="unchanged", mean_change=0.0, mask_coverage=0.0),
    *(photo(f"line {i}.jpg", mean_change=0.001 * i) for i in range(1, 7)),
)


@pytest.fixture(scope="module")
def report_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with five photos in pictures or so, and the rest by line."""
    path = tmp_path_factory.mktemp("report") / "a report.html"
    report = run(*PHOTOS, quarantined=[set_aside("cut.jpg")], ignored_by_pattern={"Thumbs.db": 2})
    path.write_text(page_of(report, limit=6, browse_base_url="../browse"), encoding="utf-8")
    return path


@pytest.fixture
def quiet_page(page: Page) -> Iterator[Page]:
    """A tab that fails the test when the page complains on the console or asks for anything but itself."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on(
        "request",
        lambda request: request.url.startswith(("file:", "data:")) or complaints.append(f"asked for {request.url}"),
    )
    page.set_default_timeout(5000)
    yield page
    assert not complaints, complaints


@pytest.fixture
def report(quiet_page: Page, report_path: Path) -> Page:
    """The page, opened."""
    quiet_page.goto(report_path.as_uri())
    return quiet_page


def plate(page: Page, name: str) -> Locator:
    return page.locator(f'.plate[data-name="{name}"]')


def shown_names(page: Page) -> list[str]:
    plates = page.locator(".plate:visible")
    return [found or "" for found in plates.evaluate_all("plates => plates.map(plate => plate.dataset.name)")]


def divider_at(one: Locator) -> float:
    """Gives where the divider line stands, in percent of the picture."""
    picture, line = one.locator(".picture").bounding_box(), one.locator(".line").bounding_box()
    assert picture is not None
    assert line is not None
    return 100 * (line["x"] + line["width"] / 2 - picture["x"]) / picture["width"]


def test_the_divider_follows_the_mouse(report: Page) -> None:
    one = plate(report, "small.jpg")
    one.scroll_into_view_if_needed()
    box = one.locator(".picture").bounding_box()
    assert box is not None
    assert divider_at(one) == pytest.approx(50, abs=0.5)
    report.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.3)
    report.mouse.down()
    for share in (0.4, 0.3, 0.25):
        report.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] * 0.6)
    report.mouse.up()
    assert divider_at(one) == pytest.approx(25, abs=1.5)
    report.mouse.click(box["x"] + box["width"] * 0.8, box["y"] + 20)
    assert divider_at(one) == pytest.approx(80, abs=1.5)
    clip = one.locator(".before").evaluate("layer => getComputedStyle(layer).clipPath")
    assert clip.startswith(("inset(0px 19", "inset(0px 20", "inset(0px 21")), clip


def test_the_divider_follows_a_finger(browser: Browser, report_path: Path) -> None:
    context = browser.new_context(has_touch=True, is_mobile=True, viewport={"width": 390, "height": 844})
    tab = context.new_page()
    tab.goto(report_path.as_uri())
    one = plate(tab, "small.jpg")
    one.scroll_into_view_if_needed()
    box = one.locator(".picture").bounding_box()
    assert box is not None
    tab.touchscreen.tap(box["x"] + box["width"] * 0.9, box["y"] + box["height"] / 2)
    assert divider_at(one) == pytest.approx(90, abs=2)
    assert tab.evaluate("document.documentElement.scrollWidth") == 390
    context.close()


def test_a_photo_can_be_looked_at_with_the_keyboard_alone(report: Page) -> None:
    one = plate(report, "small.jpg")
    divider = one.get_by_role("slider", name="Divider between before and restored: small.jpg")
    divider.focus()
    report.keyboard.press("ArrowRight")
    assert divider.get_attribute("aria-valuetext") == "51 % before, 49 % restored"
    assert divider_at(one) == pytest.approx(51, abs=0.5)
    assert one.locator(".picture").evaluate("picture => getComputedStyle(picture).outlineStyle") == "solid"
    report.keyboard.press("Home")
    assert divider_at(one) == pytest.approx(0, abs=0.5)
    assert one.get_by_role("button", name="Restored", exact=True).get_attribute("aria-pressed") == "true"
    report.keyboard.press("m")
    assert one.locator(".mask").is_visible()
    assert divider_at(one) == pytest.approx(0, abs=0.5), "the mask lies over the restored half too"
    report.keyboard.press("Tab")  # the link to this photo
    report.keyboard.press("Tab")
    report.keyboard.press("Space")
    assert one.locator(".mask").is_hidden()


def test_j_and_k_go_from_photo_to_photo(report: Page) -> None:
    names = shown_names(report)
    plate(report, names[1]).locator(".divider").focus()
    report.keyboard.press("j")
    focused = "document.activeElement.closest('.plate').dataset.name"
    assert report.evaluate(focused) == names[2]
    report.keyboard.press("k")
    report.keyboard.press("k")
    assert report.evaluate(focused) == names[0]
    report.keyboard.press("k")
    assert report.evaluate(focused) == names[0]


def test_the_mask_is_drawn_over_both_halves(report: Page) -> None:
    one = plate(report, "small.jpg")
    mask, button = one.locator(".mask"), one.get_by_role("button", name="Mask")
    assert mask.is_hidden()
    button.click()
    assert mask.is_visible()
    assert button.get_attribute("aria-pressed") == "true"
    picture = one.locator(".before img").first.bounding_box()
    assert mask.bounding_box() == picture
    for at in ("0%", "50%", "100%"):
        one.locator(".picture").evaluate("(picture, at) => picture.style.setProperty('--at', at)", at)
        clips = mask.evaluate("""mask => {
          const found = [];
          for (let each = mask; each.matches(".plate *"); each = each.parentElement) {
            found.push(getComputedStyle(each).clipPath);
          }
          return found;
        }""")
        assert set(clips) == {"none"}, "no half of it is cut away"
    button.click()
    assert mask.is_hidden()


def test_a_photo_is_looked_at_in_full_size_with_the_keyboard_alone(report: Page) -> None:
    one = plate(report, "album/middle.jpg")
    one.locator(".divider").focus()
    report.keyboard.press("f")
    full = report.locator("dialog.full")
    assert full.is_visible()
    assert full.get_by_role("heading").inner_text() == "album/middle.jpg"
    box = full.locator(".picture").bounding_box()
    assert box is not None
    assert (box["width"], box["height"]) == (160, 120), "a pixel of the picture is one of the page"
    assert full.locator(".scale").inner_text().startswith("10 %")
    assert report.evaluate("document.activeElement.matches('.full .divider')")
    report.keyboard.press("ArrowRight")
    assert divider_at(full) == pytest.approx(51, abs=1)
    report.keyboard.press("m")
    assert full.locator(".mask").is_visible()
    assert one.locator(".mask").is_hidden()
    full.get_by_role("button", name="Before", exact=True).click()
    assert divider_at(full) == pytest.approx(100, abs=0.5)
    assert full.get_by_role("link", name="Open restored file").get_attribute("href") == one.locator(
        "a.open"
    ).get_attribute("href")
    report.keyboard.press("Escape")
    assert full.is_hidden()
    assert report.evaluate("document.activeElement.closest('.plate').dataset.name") == "album/middle.jpg"


def test_the_full_size_is_opened_and_closed_with_the_mouse(report: Page) -> None:
    plate(report, "album/broken.jpg").get_by_role("button", name="Larger").click()
    full = report.locator("dialog.full")
    assert full.locator(".picture img").count() == 1
    assert full.get_by_role("button").all_inner_texts() == ["Close"], "a failed photo has nothing to compare"
    full.get_by_role("button", name="Close").click()
    assert full.is_hidden()


def test_all_masks_are_shown_and_hidden_at_once(report: Page) -> None:
    button = report.get_by_role("button", name="All masks")
    masks = report.locator(".mask").count()
    button.click()
    assert report.locator(".mask:not([hidden])").count() == masks > 3
    plate(report, "small.jpg").get_by_role("button", name="Mask").click()
    assert button.get_attribute("aria-pressed") == "false"


def test_before_and_restored_can_be_seen_whole(report: Page) -> None:
    one = plate(report, "small.jpg")
    before, restored = (one.get_by_role("button", name=name, exact=True) for name in ("Before", "Restored"))
    before.click()
    assert divider_at(one) == pytest.approx(100, abs=0.5)
    restored.click()
    assert divider_at(one) == pytest.approx(0, abs=0.5)
    restored.click()
    assert divider_at(one) == pytest.approx(50, abs=0.5)


def test_the_filter_shows_one_outcome(report: Page) -> None:
    report.get_by_role("radio", name="Failed").check()
    assert shown_names(report) == ["album/broken.jpg"]
    assert report.locator(".lines tbody tr:visible").count() == 0
    assert report.locator(".found").inner_text() == f"1 of {len(PHOTOS)}"


def test_what_needs_a_review_can_be_shown_alone_and_says_why(quiet_page: Page, tmp_path: Path) -> None:
    reasons = "mask coverage: 0.3, at most 0.25"
    photos = [
        photo("fine.jpg"), photo("waits.jpg", review_reasons=reasons), photo("line.jpg", review_reasons=reasons),
        photo("seen.jpg", review_reasons=reasons, verdict="accepted"),
    ]  # fmt: skip
    path = tmp_path / "report.html"
    path.write_text(page_of(run(*photos, totals={"restored": 4, "needs_review": 2}), limit=2), encoding="utf-8")
    quiet_page.goto(path.as_uri())
    quiet_page.locator("[data-total=needs_review] a").click()
    assert quiet_page.locator("[data-item]:visible").count() == 2
    assert quiet_page.locator(".plate:visible .review").first.inner_text().endswith(reasons)
    quiet_page.get_by_role("radio", name="All", exact=True).check()
    assert quiet_page.locator("[data-item]:visible").count() == 4


def test_a_total_leads_to_its_photos(report: Page) -> None:
    report.locator("[data-total=failed] a").click()
    assert shown_names(report) == ["album/broken.jpg"]
    report.locator("[data-total=quarantined]").evaluate("tile => tile.scrollIntoView()")
    assert report.locator("#quarantined").get_by_text("cut.jpg").is_visible()


def test_search_finds_names_and_hashes_among_pictures_and_lines(report: Page) -> None:
    search = report.get_by_role("searchbox")
    search.fill("ALBUM/")
    assert len(shown_names(report)) == 3
    search.fill(PHOTOS[-1].photo_sha256[:10])
    assert report.locator("[data-item]:visible").count() == 1
    search.fill("no such photo")
    report.get_by_role("button", name="Show all").click()
    assert report.locator("[data-item]:visible").count() == len(PHOTOS)


def test_photos_are_sorted_by_what_a_person_asks_for(report: Page) -> None:
    first = shown_names(report)
    sort = report.get_by_label("Sort by")
    sort.select_option("mask")
    assert shown_names(report)[0] == "album/middle.jpg"
    sort.select_option("seconds")
    assert shown_names(report)[0] == "album/large change.jpg"
    sort.select_option("name")
    assert shown_names(report) == sorted(first)
    sort.select_option("number")
    assert shown_names(report) == first


@pytest.mark.parametrize("length", [64, 12])
def test_a_deep_link_leads_to_its_photo(quiet_page: Page, report_path: Path, length: int) -> None:
    quiet_page.set_viewport_size({"width": 1000, "height": 700})
    wanted = PHOTOS[3]
    quiet_page.goto(f"{report_path.as_uri()}#photo-{wanted.photo_sha256[:length]}")
    one = plate(quiet_page, wanted.source_key)
    assert "linked" in (one.get_attribute("class") or "")
    assert quiet_page.evaluate("document.activeElement.closest('.plate')?.dataset.name") == wanted.source_key
    quiet_page.wait_for_timeout(300)  # a few frames
    box = one.bounding_box()
    assert box is not None
    assert 0 <= box["y"] < 200


def test_a_deep_link_opens_a_filter_that_hides_its_photo(report: Page) -> None:
    report.locator("[data-total=failed] a").click()
    wanted = PHOTOS[3]
    assert plate(report, wanted.source_key).is_hidden()
    report.evaluate("hash => { location.hash = hash }", f"photo-{wanted.photo_sha256}")
    plate(report, wanted.source_key).wait_for(state="visible")


def test_the_hash_is_copied(browser: Browser, report_path: Path) -> None:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    tab = context.new_page()
    tab.goto(report_path.as_uri())
    button = plate(tab, "small.jpg").locator(".copy")
    button.click()
    tab.locator(".copy code", has_text="copied").wait_for()
    assert tab.evaluate("navigator.clipboard.readText()") == PHOTOS[3].photo_sha256
    context.close()


def test_every_picture_is_decoded(report: Page) -> None:
    report.get_by_role("button", name="All masks").click()
    for one in report.locator(".plate").all():
        one.scroll_into_view_if_needed()
        for _ in range(50):  # pictures are decoded beside the script; a page from a file has them in an instant
            widths = one.locator(".picture img").evaluate_all("images => images.map(image => image.naturalWidth)")
            if all(widths):
                break
            report.wait_for_timeout(50)
        assert widths
        assert all(widths)


def test_hostile_names_are_text_in_the_browser(quiet_page: Page, tmp_path: Path) -> None:
    path = tmp_path / "hostile.html"
    photos = [photo(name) for name in HOSTILE_NAMES]
    report = run(*photos, title=HOSTILE_NAMES[0], quarantined=[set_aside(name) for name in HOSTILE_NAMES])
    path.write_text(page_of(report, browse_base_url="../browse"), encoding="utf-8")
    quiet_page.set_viewport_size({"width": 390, "height": 800})
    quiet_page.goto(path.as_uri())
    assert quiet_page.locator("h1").inner_text() == HOSTILE_NAMES[0]
    assert quiet_page.title() == HOSTILE_NAMES[0] + " · restoration report"
    assert quiet_page.locator(".plate").count() == len(HOSTILE_NAMES)
    assert quiet_page.locator("script").count() == 1
    assert quiet_page.evaluate("document.documentElement.scrollWidth") == 390, "no name pushes the page wide"


@pytest.mark.parametrize("width", [1400, 820, 390])
def test_nothing_sticks_out_of_the_page(report: Page, width: int) -> None:
    report.set_viewport_size({"width": width, "height": 900})
    assert report.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("how", ["print", "no script"])
def test_on_paper_and_without_script_before_and_restored_stand_side_by_side(
    browser: Browser, report_path: Path, how: str
) -> None:
    context = browser.new_context(java_script_enabled=how == "print")
    tab = context.new_page()
    tab.goto(report_path.as_uri())
    if how == "print":
        tab.emulate_media(media="print")
    one = plate(tab, "small.jpg")
    before, restored = (one.locator(f".layer.{side}").bounding_box() for side in ("before", "restored"))
    assert before is not None
    assert restored is not None
    assert before["x"] + before["width"] <= restored["x"]
    assert one.locator(".divider").is_hidden()
    assert tab.locator(".toolbar").is_hidden()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_schemes(report: Page, scheme: str) -> None:
    report.emulate_media(color_scheme=scheme)
    contrasts = report.evaluate(CONTRASTS)
    assert min(contrasts.values()) >= 4.5, contrasts


CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const light = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const grounds = (element) => {
    const found = [];
    for (let each = element; each; each = each.parentElement) found.unshift(getComputedStyle(each).backgroundColor);
    return found;
  };
  const contrasts = {};
  const asked = [".promise", ".facts dt", ".tile .label", ".extent", ".extent a", ".folder", ".derivative",
    ".badge.restored", ".badge.failed", ".badge.unchanged", ".caption .error", ".figures dt", ".copy", ".no-picture",
    ".aside .reason", "footer p"];
  for (const selector of asked) {
    const element = document.querySelector(selector);
    if (!element) continue;
    const ground = grounds(element);
    const [a, b] = [light(ground), light([...ground, getComputedStyle(element).color])].sort((x, y) => y - x);
    contrasts[selector] = (a + 0.05) / (b + 0.05);
  }
  return contrasts;
}"""
"""Gives the WCAG contrast of each kind of text against what lies behind it."""
