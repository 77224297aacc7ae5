"""XMP of derivatives: what the master said stays, and the same statement gives the same bytes."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from oldphoto_core.xmp import RESTORED_TYPE, DerivativeStatement, derivative_xmp, for_derivative, joined

STATEMENT = DerivativeStatement(
    master_sha256="5e" * 32,
    release="archive-12345678",
    weights_hash="1234567890abcdef",
    mode="scratches",
    tone="keep",
    mending="sure",
    strength=0.5,
    software="oldphoto 0.1.0",
)
MASTER = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
 xmlns:stEvt="http://ns.adobe.com/xap/1.0/sType/ResourceEvent#" xmlns:museum="http://museum.example/ns/"
 xmpMM:DocumentID="xmp.did:master" xmpMM:InstanceID="xmp.iid:master" tiff:Orientation="6" museum:shelf="B 12"
 photoshop:Instructions="Handle with care.">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Großmutter</rdf:li></rdf:Alt></dc:title>
<xmpMM:History><rdf:Seq><rdf:li stEvt:action="created" stEvt:softwareAgent="a scanner"/></rdf:Seq></xmpMM:History>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>""".encode()

_NAMES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "mm": "http://ns.adobe.com/xap/1.0/mm/",
    "ref": "http://ns.adobe.com/xap/1.0/sType/ResourceRef#",
    "evt": "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#",
    "iptc": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "ps": "http://ns.adobe.com/photoshop/1.0/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "museum": "http://museum.example/ns/",
}


def texts(packet: bytes, path: str) -> list[str]:
    """Gives what an XPath finds in a packet."""
    return [str(found) for found in etree.fromstring(packet).xpath(path, namespaces=_NAMES)]


def with_properties(attributes: str, elements: str = "") -> bytes:
    """Gives a packet of one description."""
    spaces = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in _NAMES.items())
    return f"<rdf:RDF {spaces}><rdf:Description {attributes}>{elements}</rdf:Description></rdf:RDF>".encode()


def test_it_says_of_which_master_by_which_release_and_how() -> None:
    packet = derivative_xmp(None, STATEMENT)
    master = f"nih:sha-256;{STATEMENT.master_sha256}"
    assert texts(packet, "//mm:DerivedFrom/ref:instanceID/text()") == [master]
    assert texts(packet, "//mm:DerivedFrom/ref:documentID/text()") == [master]
    (parameters,) = texts(packet, "//mm:History//evt:parameters/text()")
    for word in (
        STATEMENT.master_sha256, "archive-12345678", "1234567890abcdef", "scratches", "keep", "mending sure",
        "strength 0.5",
    ):  # fmt: skip
        assert word in parameters
    assert texts(packet, "//mm:History//evt:softwareAgent/text()") == ["oldphoto 0.1.0"]
    assert texts(packet, "//iptc:DigitalSourceType/text()") == [RESTORED_TYPE]
    (sentence,) = texts(packet, "//ps:Instructions/text()")
    assert "restoration" in sentence and "not the original" in sentence and STATEMENT.master_sha256 in sentence
    assert texts(packet, "//evt:when") == []


def test_what_the_master_said_stays() -> None:
    packet = derivative_xmp(MASTER, STATEMENT)
    assert texts(packet, "//dc:title//rdf:li/text()") == ["Großmutter"]
    assert texts(packet, "//@museum:shelf") == ["B 12"]
    assert texts(packet, "//mm:DerivedFrom/ref:documentID/text()") == ["xmp.did:master"]
    assert texts(packet, "//mm:OriginalDocumentID/text()") == ["xmp.did:master"]
    assert texts(packet, "//mm:History/rdf:Seq/rdf:li/@evt:action") == ["created"]
    assert texts(packet, "//mm:History/rdf:Seq/rdf:li/evt:action/text()") == ["edited"]
    assert "xmp.iid:master" in texts(packet, "//evt:parameters/text()")[0]
    assert texts(packet, "//ps:Instructions/text()")[0].startswith("Handle with care. Digital restoration")
    for name in ("DocumentID", "InstanceID"):
        assert len(texts(packet, f"//@mm:{name} | //mm:{name}")) == 1
    assert "xmp.did:master" not in texts(packet, "//mm:DocumentID/text()")


def test_a_photo_left_alone_keeps_its_source_type() -> None:
    scan = with_properties('iptc:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/print"')
    packet = derivative_xmp(scan, replace(STATEMENT, restored=False))
    assert texts(packet, "//@iptc:DigitalSourceType") == ["http://cv.iptc.org/newscodes/digitalsourcetype/print"]
    assert texts(packet, "//mm:History//evt:action/text()") == ["copied"]
    assert texts(packet, "//iptc:AISystemUsed") == []
    restored = derivative_xmp(scan, STATEMENT)
    assert texts(restored, "//@iptc:DigitalSourceType | //iptc:DigitalSourceType/text()") == [RESTORED_TYPE]


def test_the_same_statement_gives_the_same_bytes_and_another_other_names() -> None:
    assert derivative_xmp(MASTER, STATEMENT) == derivative_xmp(bytes(MASTER), replace(STATEMENT))
    names = set()
    for changed in (
        STATEMENT,
        replace(STATEMENT, pixels_sha256="77"),
        replace(STATEMENT, mode="full"),
        replace(STATEMENT, master_sha256="5f" * 32),
    ):
        names |= set(texts(derivative_xmp(MASTER, changed), "//mm:InstanceID/text()"))
    assert len(names) == 4
    dated = derivative_xmp(None, replace(STATEMENT, when="2026-11-25T12:00:00Z"))
    assert texts(dated, "//evt:when/text()") == ["2026-11-25T12:00:00Z"]


def test_a_restoration_of_a_restoration_tells_both() -> None:
    once = derivative_xmp(MASTER, STATEMENT)
    twice = derivative_xmp(once, replace(STATEMENT, master_sha256="6f" * 32))
    assert len(texts(twice, "//mm:History/rdf:Seq/rdf:li")) == 3
    assert texts(twice, "//mm:DerivedFrom/ref:documentID/text()") == texts(once, "//mm:DocumentID/text()")
    assert texts(twice, "//mm:OriginalDocumentID/text()") == ["xmp.did:master"]
    assert texts(twice, "//mm:DerivedFrom/ref:instanceID/text()") == [f"nih:sha-256;{'6f' * 32}"]


@pytest.mark.parametrize(
    "broken",
    [
        b"nonsense",
        b"<rdf:RDF",
        b"<a/>",
        MASTER[:-200],
        b'<!DOCTYPE x [<!ENTITY e "boo">]><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">&e;</rdf:RDF>',
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/>',
    ],
)
def test_a_broken_packet_is_left_out_with_a_word(broken: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert derivative_xmp(broken, STATEMENT) == derivative_xmp(None, STATEMENT)
        assert for_derivative(broken, height=3, width=4, is_srgb=True) is None
    assert len(caplog.records) == 2


@given(st.binary(max_size=300) | st.binary(max_size=60).map(lambda tail: MASTER[:900] + tail))
def test_no_bytes_whatever_stop_a_derivative(packet: bytes) -> None:
    assert b"DerivedFrom" in derivative_xmp(packet, STATEMENT)
    for_derivative(packet, height=3, width=4, is_srgb=False)


def test_orientation_and_sizes_are_set_right_and_thumbnails_cut_off() -> None:
    packet = with_properties(
        'tiff:Orientation="6" exif:PixelXDimension="10" museum:shelf="B 12"',
        "<exif:PixelYDimension>20</exif:PixelYDimension><exif:ColorSpace>1</exif:ColorSpace>"
        "<xmp:Thumbnails><rdf:Alt/></xmp:Thumbnails>",
    )
    upright = for_derivative(packet, height=10, width=20, is_srgb=False)
    assert upright is not None
    assert texts(upright, "//@tiff:Orientation") == ["1"]
    assert texts(upright, "//@exif:PixelXDimension") == ["20"]
    assert texts(upright, "//exif:PixelYDimension/text()") == ["10"]
    assert texts(upright, "//exif:ColorSpace/text()") == ["65535"]
    assert texts(upright, "//xmp:Thumbnails") == []
    assert texts(upright, "//@museum:shelf") == ["B 12"]
    assert for_derivative(upright, height=10, width=20, is_srgb=False) == upright


def test_the_part_that_jpeg_keeps_apart_is_joined() -> None:
    further = with_properties("", "<dc:title><rdf:Alt><rdf:li>apart</rdf:li></rdf:Alt></dc:title>")
    whole = joined(with_properties('museum:shelf="B 12"'), further)
    assert texts(whole, "//dc:title//rdf:li/text()") == ["apart"]
    assert texts(whole, "//@museum:shelf") == ["B 12"]
    assert joined(MASTER, b"broken") == MASTER
