"""XMP sidecars as Adobe's programs, darktable, digiKam and exiftool write them: RDF in attributes or in elements.

Fields of Dublin Core and of IPTC get plain names (`title`, `city`); all others keep prefix and name (`exif:FNumber`).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from storage.sidecar_fields import MAX_DEPTH, FieldCollector, Problems, Subject

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_XML = "{http://www.w3.org/XML/1998/namespace}"
_LISTS = (f"{_RDF}Alt", f"{_RDF}Seq", f"{_RDF}Bag")

_DUBLIN_CORE = "http://purl.org/dc/elements/1.1/"
_PREFIXES = {
    "http://ns.adobe.com/photoshop/1.0/": "photoshop",
    "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/": "Iptc4xmpCore",
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29/": "Iptc4xmpExt",
    "http://ns.adobe.com/xap/1.0/": "xmp",
    "http://ns.adobe.com/xap/1.0/rights/": "xmpRights",
    "http://ns.adobe.com/xap/1.0/mm/": "xmpMM",
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://ns.adobe.com/tiff/1.0/": "tiff",
    "http://cipa.jp/exif/1.0/": "exifEX",
    "http://ns.adobe.com/lightroom/1.0/": "lr",
}
"""Prefixes by namespace: a file may call them as it likes."""

_PLAIN_NAMES = {
    "photoshop:DateCreated": "date_created",
    "photoshop:Headline": "headline",
    "photoshop:Credit": "credit",
    "photoshop:City": "city",
    "photoshop:State": "state",
    "photoshop:Country": "country",
    "Iptc4xmpCore:Location": "location",
    "Iptc4xmpCore:CountryCode": "country_code",
    "xmpRights:UsageTerms": "usage_terms",
    "xmpRights:WebStatement": "rights_url",
    "xmp:Rating": "rating",
    "xmp:Label": "colour_label",
}


class XmpRefused(ValueError):
    """The file is no XMP that may be read; the message says why."""


def read_xmp(data: bytes, problems: Problems) -> Iterator[Subject]:
    """The one subject of an XMP file: the photo that the file is named after.

    Raises:
        XmpRefused: not XML, a document type or entities in it, or no RDF.
    """
    root, prefixes = _parsed(data)
    rdf = root if root.tag == f"{_RDF}RDF" else root.find(f".//{_RDF}RDF")
    if rdf is None:
        raise XmpRefused("no rdf:RDF in it; expected XMP")
    collector = FieldCollector(problems)
    reader = _RdfReader(collector, prefixes)
    for description in rdf:
        reader.read_structure(description, "")
    yield Subject(fields=collector.values())


def _parsed(data: bytes) -> tuple[Any, dict[str, str]]:
    """Root element, and the file's own prefixes by namespace. Document types and entities are refused."""
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, iterparse

    prefixes: dict[str, str] = {}
    depth = 0
    try:
        events = iterparse(io.BytesIO(data), events=("start-ns", "start", "end"), forbid_dtd=True)
        for kind, found in events:
            if kind == "start-ns":
                prefix, uri = found
                prefixes.setdefault(uri, prefix)
            else:
                depth += 1 if kind == "start" else -1
                if depth > MAX_DEPTH:
                    raise XmpRefused(f"elements lie more than {MAX_DEPTH} deep in one another")
        return events.root, prefixes
    except ParseError as error:
        raise XmpRefused(f"not whole XML: {error}") from error
    except DefusedXmlException as error:
        raise XmpRefused("a document type or entities in it, which XMP has none of; refused as unsafe") from error
    except (LookupError, ValueError) as error:
        raise error if isinstance(error, XmpRefused) else XmpRefused(f"not readable XML: {error}") from error


class _RdfReader:
    """Goes through RDF and hands each value to the collector."""

    def __init__(self, collector: FieldCollector, prefixes: dict[str, str]) -> None:
        self._collector = collector
        self._prefixes = prefixes

    def read_structure(self, element: Any, within: str) -> None:
        """An rdf:Description, or a property that holds further properties."""
        for tag, value in element.attrib.items():
            if not tag.startswith((_RDF, _XML)):
                self._collector.add(within + self._name(tag), value)
        for child in element:
            self._read_property(child, within + self._name(child.tag))

    def _read_property(self, element: Any, name: str) -> None:
        if not isinstance(element.tag, str):  # a comment
            return
        children = [child for child in element if isinstance(child.tag, str)]
        lists = [child for child in children if child.tag in _LISTS]
        if lists:
            for values in lists:
                for item in _in_order(values):
                    self._read_property(item, name)
        elif children and children[0].tag == f"{_RDF}Description":
            self.read_structure(children[0], f"{name}.")
        elif children or any(not tag.startswith((_RDF, _XML)) for tag in element.attrib):
            self.read_structure(element, f"{name}.")
        else:
            self._collector.add(name, element.text or element.get(f"{_RDF}resource") or "")

    def _name(self, tag: Any) -> str:
        uri, _, local = str(tag).removeprefix("{").rpartition("}")
        if uri == _DUBLIN_CORE:
            return local
        prefix = _PREFIXES.get(uri) or self._prefixes.get(uri) or ""
        name = f"{prefix}:{local}" if prefix else local
        return _PLAIN_NAMES.get(name, name)


def _in_order(values: Any) -> list[Any]:
    """Items of a list; of the alternatives by language the default one first."""
    items = list(values)
    if values.tag == f"{_RDF}Alt":
        items.sort(key=lambda item: item.get(f"{_XML}lang") != "x-default")
    return items
