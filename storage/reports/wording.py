"""How names, times and figures are put into words that a person can read and a page can hold.

Names of files come from anywhere: they may hold line breaks, terminal controls, marks that turn the direction of the
text, or bytes that are no text at all. Each becomes visible instead of acting.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from urllib.parse import urlsplit, urlunsplit

NOTHING = "–"
"""What stands where a figure is not known."""

_NO_BREAK = "\u00a0"

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]")

_ESCAPES = {0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r"}

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
"""In English whatever the machine's locale, as the rest of the page is."""

_REASONS: dict[str, tuple[str, str]] = {
    "empty": ("Empty file", "Copy or upload the file again; the scan never arrived."),
    "not-an-image": ("Not an image", "If it belongs beside the scans, add a pattern for it to the ignore patterns."),
    "truncated": ("Cut short", "The file ends before its picture does. Copy or scan it again."),
    "corrupt": ("Damaged file", "Bring the file back from a backup, or scan the photo again."),
    "bomb": ("Too many pixels", "Check that the file is a scan; if so, raise the limit on pixels in oldphoto.toml."),
    "animated": ("More than one picture", "Save each page or frame as a file of its own."),
    "sixteen-bit-colour": ("16-bit colour", "Deep colour of this kind would be cut. Save a copy as 16-bit TIFF."),
    "unsupported-mode": ("Unknown kind of pixels", "Save a copy as an RGB or grey TIFF, PNG or JPEG."),
    "too-small": ("Too small", "Photos from 32 x 32 pixels are restored; this may be a thumbnail to ignore."),
    "wrong-size": ("Another size than its photo", "Make the mask at the full size of the photo that it belongs to."),
    "unreadable": ("Cannot be read", "Check the permissions of the file, then run again."),
}


def readable_name(name: str) -> str:
    r"""Gives the name with everything invisible written out: a line break as `\n`, a stray byte as `\xff`."""
    return _UNPRINTABLE.sub(lambda found: _visible(ord(found[0])), name)


def _visible(code: int) -> str:
    if code in _ESCAPES:
        return _ESCAPES[code]
    if code < 0x100:
        return f"\\x{code:02x}"
    if 0xDC80 <= code <= 0xDCFF:  # how Python carries a byte of a name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}"


def readable_url(url: str) -> str:
    """Gives the URL without what may be a secret: user, password, and the values of a query."""
    if "://" not in url:
        return readable_name(url)
    try:
        parts = urlsplit(url)
    except ValueError:
        return readable_name(url.partition("://")[0] + "://…")
    place = "***@" + parts.netloc.rpartition("@")[2] if "@" in parts.netloc else parts.netloc
    return readable_name(urlunsplit((parts.scheme, place, parts.path, "…" if parts.query else "", "")))


def as_utc(moment: datetime | str | None) -> datetime | None:
    """Gives the moment in UTC, None where there is none or the text is no ISO-8601 time."""
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            return None
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def iso(moment: datetime) -> str:
    """Gives the moment as ISO-8601 UTC text, to the second."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def readable_time(moment: datetime) -> str:
    """Gives the moment as a person reads it: `22 Nov 2025, 03:14:07 UTC`."""
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}, {moment:%H:%M:%S} UTC"


def duration(seconds: float | None) -> str:
    """Gives a length of time that stays on one line: `0.42 s`, `3.1 s`, `4 min 20 s`, `2 h 5 min`."""
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return NOTHING
    if seconds < 59.5:
        digits = 2 if seconds < 0.995 else 1 if seconds < 9.95 else 0
        return f"{seconds:.{digits}f}{_NO_BREAK}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s".replace(" ", _NO_BREAK)
    return f"{minutes // 60} h {minutes % 60} min".replace(" ", _NO_BREAK)


def percent(share: float | None) -> str:
    """Gives a share of 0 to 1 in percent, to about two figures: `0 %`, `< 0.01 %`, `0.42 %`, `3.1 %`, `27 %`."""
    if share is None or not math.isfinite(share):
        return NOTHING
    value = 100 * share
    if value == 0:
        return "0 %"
    if abs(value) < 0.01:
        return "< 0.01 %"
    digits = 2 if abs(value) < 0.995 else 1 if abs(value) < 9.95 else 0
    return f"{value:.{digits}f} %"


def count(number: int, one: str, many: str | None = None) -> str:
    """Gives a count with its noun: `1 photo`, `1,204 photos`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def reason_title(reason: str) -> str:
    """Gives a reason slug in words; a reason that is a sentence already is given as it is."""
    return _REASONS[_slug(reason)][0] if _slug(reason) in _REASONS else readable_name(reason)


def reason_advice(reason: str) -> str | None:
    """Gives what to do about a reason slug, None where this is not known."""
    return _REASONS[_slug(reason)][1] if _slug(reason) in _REASONS else None


def _slug(reason: str) -> str:
    return reason.strip().partition(":")[0].strip().lower().replace("_", "-")
