"""The pictures of one photo: small, alike, and never the end of a page."""

from __future__ import annotations

import base64
import io
import os

import pytest
from PIL import Image

from storage.reports.pictures import LONG_SIDE_PX, MASK_RGB, Pictures, draw_pictures
from tests.store import report_makers as makers


def decoded(uri: str | None) -> Image.Image:
    assert uri is not None
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def drawn(source: makers.Pictures | None = None, **options: object) -> Pictures:
    source = source or makers.Pictures()
    found: dict[str, object] = {"before_image": source.before_image, "object_bytes": source.object_bytes}
    return draw_pictures(makers.photo("a.jpg"), **(found | options))  # type: ignore[arg-type]


def test_pictures_are_reduced_to_the_page_and_never_enlarged() -> None:
    large = makers.Pictures(makers.photo_image(size=(1800, 2400)), makers.photo_image(size=(1500, 2000)))
    shown = drawn(large)
    assert (shown.height, shown.width) == (768, LONG_SIDE_PX)
    assert decoded(shown.before_uri).size == decoded(shown.restored_uri).size == (LONG_SIDE_PX, 768)
    assert decoded(drawn().before_uri).size == (160, 120)


def test_a_snapshot_is_kept_pixel_for_pixel_where_there_is_room() -> None:
    snapshot = makers.photo_image(size=(768, 1024))
    shown = drawn(makers.Pictures(snapshot, snapshot, makers.mask_image((768, 1024))), cap_bytes=900_000)
    assert decoded(shown.restored_uri).size == decoded(shown.mask_uri).size == (1024, 768)
    small = drawn(makers.Pictures(snapshot, snapshot, makers.mask_image((768, 1024))), cap_bytes=40_000)
    assert (small.width, small.height) == decoded(small.restored_uri).size == decoded(small.mask_uri).size
    assert small.width < 1024


def test_before_restored_and_mask_lie_on_each_other() -> None:
    shown = drawn(makers.Pictures(mask=makers.mask_image((1200, 1600))))
    assert decoded(shown.mask_uri).size == decoded(shown.before_uri).size
    assert not shown.problems


def test_the_mask_is_drawn_in_one_colour_and_clear_where_nothing_is_damaged() -> None:
    overlay = decoded(drawn().mask_uri).convert("RGBA")
    assert overlay.getpixel((41, 60))[:3] == MASK_RGB
    assert overlay.getpixel((41, 60))[3] > 190
    assert overlay.getpixel((100, 60))[3] == 0


def test_a_scratch_one_pixel_wide_in_a_large_scan_can_be_seen() -> None:
    mask = Image.new("L", (3200, 2400))
    mask.paste(255, (1000, 0, 1001, 2400))
    source = makers.Pictures(makers.photo_image(size=(480, 640)), makers.photo_image(size=(480, 640)), mask)
    overlay = decoded(drawn(source).mask_uri).convert("RGBA")
    assert max(overlay.getpixel((x, 200))[3] for x in range(198, 203)) > 90


def test_a_mask_of_zeros_and_ones_is_a_mask() -> None:
    mask = makers.mask_image().point(lambda value: value // 255)
    assert decoded(drawn(makers.Pictures(mask=mask)).mask_uri).convert("RGBA").getpixel((41, 60))[3] > 190


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "F"])
def test_every_kind_of_pixels_is_shown(mode: str) -> None:
    kind = "TIFF" if mode in ("CMYK", "I;16", "F") else "PNG"
    image = makers.photo_image().convert("L").convert("I;16" if mode == "I;16" else mode)
    shown = drawn(before_image=lambda _: makers.encoded(image, kind))
    assert decoded(shown.before_uri).size == (160, 120)
    assert not shown.problems


def test_sixteen_bits_keep_their_light() -> None:
    image = Image.new("I;16", (160, 120), 32768)
    shown = drawn(before_image=lambda _: makers.encoded(image, "PNG"))
    assert abs(decoded(shown.before_uri).getpixel((80, 60)) - 128) <= 2


def test_the_pair_is_made_smaller_together_until_it_fits() -> None:
    noise = Image.frombytes("RGB", (640, 480), os.urandom(640 * 480 * 3))
    shown = drawn(makers.Pictures(noise, noise, makers.mask_image()), cap_bytes=90_000)
    before, restored = decoded(shown.before_uri), decoded(shown.restored_uri)
    assert before.size == restored.size
    assert before.quantization == restored.quantization
    assert sum(len(uri or "") * 3 // 4 for uri in (shown.before_uri, shown.restored_uri, shown.mask_uri)) <= 90_000


def test_a_turned_photo_is_shown_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    makers.photo_image(size=(120, 160)).save(buffer, "JPEG", exif=exif)
    upright = makers.photo_image(size=(160, 120))
    shown = drawn(makers.Pictures(restored=upright), before_image=lambda _: buffer.getvalue())
    assert decoded(shown.before_uri).size == (120, 160)


def gone(_: object) -> bytes | None:
    return None


def broken(_: object) -> bytes | None:
    raise ConnectionError("the bucket does not answer")


BAD = {
    "missing": (gone, "there is no such file"),
    "store down": (broken, "ConnectionError: the bucket does not answer"),
    "empty": (lambda _: b"", "its file is empty"),
    "no image": (lambda _: b"GIF? no", "its file is not an image"),
    "cut": (lambda _: makers.encoded(makers.photo_image())[:700], "its file is damaged"),
    "wrong type": (lambda _: "text", "TypeError"),
}


@pytest.mark.parametrize(("source", "reason"), BAD.values(), ids=BAD)
def test_a_bad_master_leaves_the_restoration_and_a_reason(source: object, reason: str) -> None:
    shown = drawn(before_image=source)
    assert shown.before_uri is None
    assert shown.restored_uri is not None
    assert any(problem.startswith("The master cannot be shown") and reason in problem for problem in shown.problems)


@pytest.mark.parametrize(("source", "reason"), BAD.values(), ids=BAD)
def test_bad_derivatives_leave_the_master_and_a_reason_each(source: object, reason: str) -> None:
    shown = drawn(object_bytes=source)
    assert shown.before_uri is not None
    assert shown.restored_uri is None
    assert shown.mask_uri is None
    assert [problem.partition(" cannot")[0] for problem in shown.problems] == ["The restoration", "The mask"]
    assert all(reason in problem for problem in shown.problems)


def test_pictures_of_another_shape_are_not_laid_over_each_other() -> None:
    shown = drawn(makers.Pictures(before=makers.photo_image(size=(160, 120))))
    assert shown.before_uri is None
    assert "120 x 160" in shown.problems[0]


def test_nothing_at_all_keeps_the_photos_shape() -> None:
    shown = drawn(before_image=gone, object_bytes=gone)
    assert (shown.height, shown.width) == (1200, 1600)
    assert len(shown.problems) == 2


def test_a_ready_preview_of_the_master_is_used_where_there_is_one() -> None:
    source = makers.Pictures()
    photo = makers.photo("a.jpg", before_preview_key="before.jpg")
    draw_pictures(photo, before_image=source.before_image, object_bytes=source.object_bytes)
    assert source.before_asked == []
    assert source.keys_asked[0] == "before.jpg"
