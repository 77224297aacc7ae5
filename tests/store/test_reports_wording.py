"""How names, times and figures are put into words."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.reports import wording
from tests.store.report_makers import HOSTILE_NAMES

ANY_NAME = st.text(st.characters(exclude_categories=()), max_size=40)  # lone surrogates too


@given(ANY_NAME)
def test_a_readable_name_holds_nothing_that_acts_or_cannot_be_written(name: str) -> None:
    shown = wording.readable_name(name)
    shown.encode("utf-8")
    assert not any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in shown)
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@given(ANY_NAME)
def test_a_readable_name_stays_as_it_is(name: str) -> None:
    once = wording.readable_name(name)
    assert wording.readable_name(once) == once


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\nb\tc\r.jpg", r"a\nb\tc\r.jpg"),
        ("\x00\x7f\x9b", r"\x00\x7f\x9b"),
        ("stray\udcffbyte", r"stray\xffbyte"),
        ("lone \ud800", r"lone \ud800"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("Été 写真 🏛 שלום.jpg", "Été 写真 🏛 שלום.jpg"),
    ],
)
def test_what_cannot_be_seen_is_written_out(name: str, shown: str) -> None:
    assert wording.readable_name(name) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://key:secret@bucket/scans", "s3://***@bucket/scans"),
        ("https://host/x?X-Amz-Signature=abc&y=1", "https://host/x?…"),
        ("s3://bucket/a folder/é", "s3://bucket/a folder/é"),
        ("/archive/mail@home/what?", "/archive/mail@home/what?"),
        ("s3://[half-open/scans", "s3://…"),
    ],
)
def test_secrets_in_a_url_are_not_shown(url: str, shown: str) -> None:
    assert wording.readable_url(url) == shown


@pytest.mark.parametrize(
    "moment",
    [
        "2025-11-22T03:04:05Z",
        "2025-11-22T03:04:05.678+00:00",
        "2025-11-22T03:04:05",
        datetime(2025, 11, 22, 3, 4, 5, tzinfo=UTC),
        datetime(2025, 11, 22, 4, 4, 5, tzinfo=timezone(timedelta(hours=1))),
    ],
)
def test_times_are_shown_in_utc(moment: datetime | str) -> None:
    found = wording.as_utc(moment)
    assert found is not None
    assert wording.iso(found) == "2025-11-22T03:04:05Z"
    assert wording.readable_time(found) == "22 Nov 2025, 03:04:05 UTC"


def test_a_text_that_is_no_time_is_no_time() -> None:
    assert wording.as_utc("yesterday") is None
    assert wording.as_utc(None) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "–"), (float("nan"), "–"), (-1, "–"), (0, "0.00 s"), (0.42, "0.42 s"), (3.14, "3.1 s"), (59.4, "59 s"),
     (59.9, "1 min 0 s"), (260, "4 min 20 s"), (3599.9, "1 h 0 min"), (7500, "2 h 5 min")],
)  # fmt: skip
def test_lengths_of_time(seconds: float | None, words: str) -> None:
    assert wording.duration(seconds) == words.replace(" ", "\u00a0"), "on one line"


@pytest.mark.parametrize(
    ("share", "words"),
    [(None, "–"), (float("inf"), "–"), (0, "0 %"), (1e-6, "< 0.01 %"), (0.0042, "0.42 %"), (0.031, "3.1 %"),
     (0.274, "27 %"), (1, "100 %")],
)  # fmt: skip
def test_shares(share: float | None, words: str) -> None:
    assert wording.percent(share) == words


def test_known_reasons_have_a_title_and_advice() -> None:
    assert wording.reason_title("sixteen-bit-colour") == "16-bit colour"
    assert "16-bit TIFF" in (wording.reason_advice("sixteen_bit_colour: expected 8, found 16") or "")


def test_an_unknown_reason_is_shown_as_it_is() -> None:
    assert wording.reason_title("the moon\nwas full") == r"the moon\nwas full"
    assert wording.reason_advice("the moon was full") is None


def test_hostile_names_keep_their_letters() -> None:
    for name in HOSTILE_NAMES:
        letters = [letter for letter in name if letter.isalnum()]
        shown = iter(wording.readable_name(name))
        assert all(letter in shown for letter in letters), name
