"""Makes runs to report on: photos with real JPEG and PNG bytes, drawn small."""

from __future__ import annotations

import hashlib
import io
import random
from dataclasses import dataclass, field, replace

from PIL import Image, ImageDraw, ImageFilter

from storage.reports.model import QuarantinedFile, ReportPhoto, RunReport
from storage.reports.render import render_report

HOSTILE_NAMES = (
    '</script><script>document.title="pwned"</script>.jpg',
    '"><img src=x onerror="document.title=1">.jpg',
    'it\'s "quoted" & {{ 7 * 7 }} {% raw %}.tif',
    "two\nlines\tand\x1b[31m a terminal's colours\x00.png",
    "\u202egpj.exe",
    "שלום עליכם/صورة قديمة.jpg",
    "stray\udcffbyte\ud800.jpg",
    "Été à la plage/Großmutter 写真 🏛.jpg",
    "a" * 300 + ".jpg",
    "]]>--><!--/*.jpg",
)


def photo_image(seed: int = 0, *, size: tuple[int, int] = (120, 160)) -> Image.Image:
    """Gives a picture of the size (height, width) that looks like a faded landscape."""
    dice = random.Random(seed)
    height, width = size
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        x, y = dice.randrange(width), dice.randrange(height)
        draw.ellipse((x, y, x + width // 5, y + height // 6), fill=tuple(dice.randrange(60, 220) for _ in range(3)))
    return image.filter(ImageFilter.GaussianBlur(1))


def mask_image(size: tuple[int, int] = (120, 160)) -> Image.Image:
    """Gives a mask of the size (height, width) with one upright scratch."""
    mask = Image.new("L", (size[1], size[0]))
    ImageDraw.Draw(mask).rectangle((size[1] // 4, 0, size[1] // 4 + 3, size[0]), fill=255)
    return mask


def encoded(image: Image.Image, kind: str = "JPEG") -> bytes:
    """Gives the picture as a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def photo(name: str, **changes: object) -> ReportPhoto:
    """Gives a restored photo with every figure, with changes."""
    sha256 = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    whole = ReportPhoto(
        source_key=name,
        photo_sha256=sha256,
        outcome="restored",
        height=1200,
        width=1600,
        preview_key=f"{sha256}/preview.jpg",
        mask_key=f"{sha256}/mask.png",
        mask_coverage=0.031,
        change_outside_mask=0.012,
        mean_change=0.042,
        seconds=3.4,
        release="archive-0a1b2c3d",
        browse_path=f"browse/{name}.tif",
        mask_source="detected",
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def failed(name: str, error: str = "out of memory: run again with a smaller tile", **changes: object) -> ReportPhoto:
    """Gives a photo whose restoration failed."""
    return photo(
        name, outcome="failed", error=error, preview_key=None, mask_key=None, mask_coverage=None, mean_change=None,
        change_outside_mask=None, **changes,
    )  # fmt: skip


def run(*photos: ReportPhoto, **changes: object) -> RunReport:
    """Gives a finished run over the photos, with totals that fit them."""
    totals = {"registered": len(photos), "already_done": 0, "ignored": 0, "quarantined": 0}
    for outcome in ("restored", "unchanged", "failed"):
        totals[outcome] = sum(one.outcome == outcome for one in photos)
    whole = RunReport(
        run_id="run-1",
        title="Glass plates, night of 21 November",
        source_url="s3://scans/glass plates",
        started_at="2025-11-22T01:00:04+00:00",
        finished_at="2025-11-22T03:14:51Z",
        release="archive-0a1b2c3d",
        mode="full",
        tone="correct",
        mending="normal",
        strength=1.0,
        totals=totals,
        photos=photos,
        machine={"device": "cpu, 2 cores"},
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def set_aside(name: str, reason: str = "truncated", **changes: object) -> QuarantinedFile:
    """Gives a quarantined file."""
    return QuarantinedFile(name, reason, **changes)  # type: ignore[arg-type]


@dataclass
class Pictures:
    """Where a report's pictures come from; keeps what it was asked for."""

    before: Image.Image = field(default_factory=photo_image)
    restored: Image.Image = field(default_factory=lambda: photo_image().filter(ImageFilter.SHARPEN))
    mask: Image.Image = field(default_factory=mask_image)
    before_asked: list[str] = field(default_factory=list)
    keys_asked: list[str] = field(default_factory=list)

    def before_image(self, one: ReportPhoto) -> bytes | None:
        """Gives the master as JPEG."""
        self.before_asked.append(one.source_key)
        return encoded(self.before)

    def object_bytes(self, key: str) -> bytes | None:
        """Gives the preview or the mask."""
        self.keys_asked.append(key)
        return encoded(self.mask, "PNG") if key.endswith("mask.png") else encoded(self.restored)


def page_of(report: RunReport, **options: object) -> str:
    """Gives the run's page, with drawn pictures."""
    pictures = Pictures()
    found: dict[str, object] = {"before_image": pictures.before_image, "object_bytes": pictures.object_bytes}
    return render_report(report, **(found | options))  # type: ignore[arg-type]
