"""What is read in sidecars: as Adobe's programs, darktable, exiftool, Google and Excel write them, and in bad ones."""

from __future__ import annotations

import json

import pytest

from storage.sidecar_fields import MAX_FIELDS, MAX_VALUE_CHARACTERS, Reading, Subject
from storage.sidecar_matching import NameMatcher
from storage.sidecars import named_after, read_sidecar, sidecar_format

ADOBE = b"""<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core 5.6-c140">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:Iptc4xmpCore="http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"
    xmlns:xmpRights="http://ns.adobe.com/xap/1.0/rights/" xmlns:museum="http://museum.example/ns/"
    photoshop:DateCreated="1912-06" photoshop:City="Trondheim" xmp:Rating="4" museum:Shelf="K 12">
   <dc:title><rdf:Alt>
     <rdf:li xml:lang="nb-NO">Bryllupet</rdf:li><rdf:li xml:lang="x-default">The wedding</rdf:li>
   </rdf:Alt></dc:title>
   <dc:creator><rdf:Seq><rdf:li>Hilfling Rasmussen</rdf:li><rdf:li>unknown helper</rdf:li></rdf:Seq></dc:creator>
   <dc:subject><rdf:Bag><rdf:li>wedding</rdf:li><rdf:li>family</rdf:li></rdf:Bag></dc:subject>
   <Iptc4xmpCore:Location>Nidaros</Iptc4xmpCore:Location>
   <Iptc4xmpCore:CreatorContactInfo rdf:parseType="Resource">
     <Iptc4xmpCore:CiAdrCity>Oslo</Iptc4xmpCore:CiAdrCity>
   </Iptc4xmpCore:CreatorContactInfo>
   <xmpRights:UsageTerms><rdf:Alt><rdf:li xml:lang="x-default">Ask first</rdf:li></rdf:Alt></xmpRights:UsageTerms>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""

DARKTABLE = b"""<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
   xmlns:darktable="http://darktable.sf.net/" exif:DateTimeOriginal="1931:05:02 10:00:00" xmp:Rating="1"
   darktable:xmp_version="5">
   <darktable:history><rdf:Seq>
     <rdf:li darktable:num="0" darktable:operation="rawprepare"/>
     <rdf:li darktable:num="1" darktable:operation="flip"/>
   </rdf:Seq></darktable:history>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>"""

BILLION_LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">
<!ENTITY lol1 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">
<!ENTITY lol2 "&lol1;&lol1;&lol1;&lol1;&lol1;&lol1;&lol1;&lol1;&lol1;&lol1;">]>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description a="&lol2;"/></rdf:RDF>"""

EXIFTOOL = json.dumps(
    [
        {"SourceFile": "./box 1/a.tif", "ImageWidth": 4000, "DPI": 599.999, "Keywords": ["ship", "harbour"]},
        {"SourceFile": "./box 1/b.tif", "Title": "Gården", "Flash": None, "Colour": False},
    ]
).encode()

TAKEOUT = json.dumps(
    {
        "title": "IMG_1912.jpg",
        "description": "Uncle Ole",
        "photoTakenTime": {"timestamp": "-1814400000", "formatted": "1 Jul 1912"},
        "geoData": {"latitude": 63.43, "longitude": 10.39},
        "people": [{"name": "Ole"}, {"name": "Kari"}],
    }
).encode()


def subjects_of(data: bytes, name: str) -> tuple[list[Subject], Reading]:
    format = sidecar_format(name)
    assert format is not None
    reading = read_sidecar(data, format)
    return list(reading.subjects), reading


def fields_of(subject: Subject) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, position, value in subject.fields:
        assert position == len(found.setdefault(name, []))
        found[name].append(value)
    return found


def test_xmp_of_adobe_gives_plain_names_and_the_default_language_first() -> None:
    [subject], reading = subjects_of(ADOBE, "photo.xmp")
    assert fields_of(subject) == {
        "date_created": ["1912-06"], "city": ["Trondheim"], "rating": ["4"], "museum:Shelf": ["K 12"],
        "title": ["The wedding", "Bryllupet"], "creator": ["Hilfling Rasmussen", "unknown helper"],
        "subject": ["wedding", "family"], "location": ["Nidaros"],
        "Iptc4xmpCore:CreatorContactInfo.Iptc4xmpCore:CiAdrCity": ["Oslo"], "usage_terms": ["Ask first"],
    }  # fmt: skip
    assert reading.problems.line() is None


def test_xmp_of_darktable_gives_structures_in_lists() -> None:
    [subject], _ = subjects_of(DARKTABLE, "photo.tif.xmp")
    fields = fields_of(subject)
    assert fields["exif:DateTimeOriginal"] == ["1931:05:02 10:00:00"]
    assert fields["darktable:history.darktable:operation"] == ["rawprepare", "flip"]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (BILLION_LAUGHS, "refused as unsafe"),
        (ADOBE[:900], "not whole XML"),
        (b"<html><body>no</body></html>", "no rdf:RDF"),
        (b"<a>" * 5000 + b"</a>" * 5000, "deep"),
        (b"", "not whole XML"),
        (b"<?xml version='1.0' encoding='no-such'?><a/>", "XML"),
    ],
)
def test_hostile_and_broken_xmp_is_told_and_gives_nothing(data: bytes, told: str) -> None:
    subjects, reading = subjects_of(data, "photo.xmp")
    problem = reading.problems.line()
    assert subjects == []
    assert problem is not None
    assert told in problem
    assert "\n" not in problem


def test_json_of_exiftool_is_a_record_a_file_and_keeps_digits() -> None:
    (first, second), reading = subjects_of(EXIFTOOL, "metadata.json")
    assert (first.names, second.names) == (("./box 1/a.tif",), ("./box 1/b.tif",))
    assert fields_of(first)["DPI"] == ["599.999"]
    assert fields_of(first)["Keywords"] == ["ship", "harbour"]
    assert fields_of(second) == {"SourceFile": ["./box 1/b.tif"], "Title": ["Gården"], "Colour": ["false"]}
    assert reading.problems.line() is None


def test_json_of_google_is_flattened_with_dots() -> None:
    [subject], _ = subjects_of(TAKEOUT, "IMG_1912.jpg.supplemental-metadata.json")
    fields = fields_of(subject)
    assert subject.names == ()
    assert fields["photoTakenTime.timestamp"] == ["-1814400000"]
    assert fields["people.name"] == ["Ole", "Kari"]


def test_json_objects_of_records_name_files_by_their_keys() -> None:
    (first, second), _ = subjects_of(b'{"a.tif": {"title": "A"}, "b.tif": {"title": "B"}}', "metadata.json")
    assert (first.names, second.names) == (("a.tif",), ("b.tif",))
    [subject], _ = subjects_of(b'{"photos": [{"file": "c.tif", "title": "C"}]}', "metadata.json")
    assert subject.names == ("c.tif",)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (TAKEOUT[:70], "not whole JSON"),
        (b"[" * 100_000, "too deep"),
        (b'{"a":' * 60 + b"1" + b"}" * 60, "deep"),
        (b"3", "expected an object"),
        (b"[1, 2]", "not of records"),
        (b'[{"title": "A"}, {"title": "B"}]', "names no file"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b"\xff\xfe\x00\xd8", "not whole JSON"),
    ],
)
def test_broken_json_is_told(data: bytes, told: str) -> None:
    _, reading = subjects_of(data, "photo.json")
    assert told in str(reading.problems.line())


def test_a_table_of_excel_has_semicolons_and_windows_1252() -> None:
    data = "Dateiname;Titel;Jahr\r\nbröllop.tif;Bröllopet – år 1912;1912\r\nö2.tif;;\r\n".encode("cp1252")
    (first, second), reading = subjects_of(data, "liste.csv")
    assert first.names == ("bröllop.tif",)
    assert fields_of(first) == {"Dateiname": ["bröllop.tif"], "Titel": ["Bröllopet – år 1912"], "Jahr": ["1912"]}
    assert fields_of(second) == {"Dateiname": ["ö2.tif"]}
    assert reading.problems.line() is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_tables_are_read_in_every_usual_form(encoding: str, delimiter: str) -> None:
    text = f'Title{delimiter}File Name\n"Ål{delimiter} 1912"{delimiter}å.tif\n'
    mark = b"\xff\xfe" if encoding == "utf-16-le" else b""
    [subject], _ = subjects_of(mark + text.encode(encoding), "table.csv")
    assert subject.names == ("å.tif",)
    assert fields_of(subject)["Title"] == [f"Ål{delimiter} 1912"]


def test_excels_hint_of_the_delimiter_is_heeded_and_rows_count_on() -> None:
    (first,), reading = subjects_of(b"sep=;\r\nfile;note\r\na.tif;x, y\r\n;nobody\r\n", "table.csv")
    assert fields_of(first) == {"file": ["a.tif"], "note": ["x, y"]}
    assert reading.problems.line() == "row 4: names no file"


def test_a_row_with_too_many_columns_is_told_and_the_rest_of_it_kept() -> None:
    (first, second), reading = subjects_of(b"file,title\na.tif,A\nb.tif,B,surplus\n", "table.csv")
    assert (fields_of(first)["title"], fields_of(second)["title"]) == (["A"], ["B"])
    assert reading.problems.line() == "row 3: 3 values for 2 columns; the surplus was left out"


@pytest.mark.parametrize("data", [b"", b"\n", b"title,year\nA,1912\n", b"\x00\x01\x02"])
def test_a_table_that_names_no_files_is_told(data: bytes) -> None:
    subjects, reading = subjects_of(data, "table.csv")
    assert subjects == []
    assert "no column names a file" in str(reading.problems.line())


def test_what_is_past_a_limit_is_counted_and_not_taken() -> None:
    long = {"note": "x" * (MAX_VALUE_CHARACTERS + 1), **{f"f{number}": "1" for number in range(MAX_FIELDS + 7)}}
    [subject], reading = subjects_of(json.dumps(long).encode(), "photo.json")
    assert len(subject.fields) == MAX_FIELDS
    problem = str(reading.problems.line())
    assert f"at most {MAX_VALUE_CHARACTERS}" in problem
    assert "7 values past" in problem


def test_characters_that_no_database_takes_are_replaced() -> None:
    [subject], _ = subjects_of(b'{"a": "x\\u0000y\\ud800z"}', "photo.json")
    assert subject.fields[0].value == "x\ufffdy\ufffdz"


@pytest.mark.parametrize(
    ("sidecar", "photo"),
    [
        ("box/photo.xmp", "photo"),
        ("box/photo.tif.xmp", "photo.tif"),
        ("photo.tif.json", "photo.tif"),
        ("IMG_1.jpg.supplemental-metadata.json", "IMG_1.jpg"),
        ("IMG_1.jpg.supplemen.json", "IMG_1.jpg"),
        ("IMG_1.jpg.su.json", "IMG_1.jpg"),
        ("notes.su.json", "notes.su"),
    ],
)
def test_a_sidecar_is_named_after_its_photo(sidecar: str, photo: str) -> None:
    assert named_after(sidecar) == photo


def matched(keys: list[str], folder: str, *names: str, missing: tuple[str, ...] = ()) -> tuple[list[str], bool]:
    matcher = NameMatcher()
    matcher.want(0, folder, names)
    for number, key in enumerate(keys):
        matcher.offer(number, key, is_missing=key in missing)
    found, is_ambiguous = matcher.found(0)
    return [key for _, key in found], is_ambiguous


def test_names_are_found_from_the_folder_then_from_the_root() -> None:
    keys = ["box/a.tif", "a.tif", "box/sub/a.tif"]
    assert matched(keys, "box", "a.tif") == (["box/a.tif"], False)
    assert matched(keys, "box", "sub/a.tif") == (["box/sub/a.tif"], False)
    assert matched(keys, "box", "box/sub/a.tif") == (["box/sub/a.tif"], False)
    assert matched(keys, "box", "..\\a.tif") == (["a.tif"], False)
    assert matched(keys, "box", "C:\\scans\\a.tif") == (["box/a.tif"], False)
    assert matched(keys, "box", "../../a.tif") == (["box/a.tif"], False)


def test_both_forms_of_unicode_are_one_name() -> None:
    nfc, nfd = "bröllop.tif", "bro\u0308llop.tif"
    assert matched([nfd], "", nfc) == ([nfd], False)
    assert matched([nfc], "", nfd) == ([nfc], False)
    assert matched([nfc, nfd], "", nfd) == ([nfd], False)


def test_letter_case_is_looked_past_only_where_one_object_fits() -> None:
    assert matched(["Photo.TIF"], "", "photo.tif") == (["Photo.TIF"], False)
    assert matched(["Photo.TIF", "photo.tif"], "", "photo.tif") == (["photo.tif"], False)
    assert matched(["Photo.TIF", "PHOTO.tif"], "", "photo.tif") == ([], True)


def test_a_name_without_extension_means_every_photo_of_that_name() -> None:
    assert matched(["photo.tif", "photo.jpg", "photos.jpg"], "", "photo") == (["photo.tif", "photo.jpg"], False)
    assert matched(["photo.tif", "photo.tif.jpg"], "", "photo.tif") == (["photo.tif"], False)


def test_what_is_there_comes_before_what_is_missing() -> None:
    assert matched(["photo.tif", "Photo.tif"], "", "photo.tif", missing=("photo.tif",)) == (["Photo.tif"], False)
    assert matched(["photo.tif"], "", "photo.tif", missing=("photo.tif",)) == (["photo.tif"], False)
