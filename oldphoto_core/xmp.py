"""XMP of derivatives: the master's packet as it stands, with what was done added in standard vocabularies.

- `xmpMM`: DocumentID and InstanceID of the derivative's own, DerivedFrom for the master, and a line of History.
- `Iptc4xmpExt`: DigitalSourceType, and the software and its version (AISystemUsed, AISystemVersionUsed).
- `photoshop`: a sentence for people in Instructions, behind what stood there. The description stays the photo's own.

**DigitalSourceType.** IPTC's `compositeWithTrainedAlgorithmicMedia` is the term for pictures in which a trained model
made some of the content, inpainting named among its cases. That is what mends a scratch, so it is said, although
`algorithmicallyEnhanced` would sound kinder: that one is for corrections which add no content. A photo that was left
alone keeps the master's own type.

The master is named by its SHA-256 in stRef:instanceID, as an `nih` URI (RFC 6920), since a hash names exactly these
bytes; its own InstanceID goes into the line of History.

The same statement gives the same bytes: identifiers are name-based UUIDs, and there is no date unless one is given.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from oldphoto_core.errors import one_line

log = logging.getLogger(__name__)

RESTORED_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""IPTC's term for a picture of which a trained model made a part."""

MAX_PACKET_BYTES = 16 << 20
"""A packet larger than this is no metadata of a photo."""

_NAMESPACE = uuid.UUID("c1d3a0f2-3c0e-5d1a-9b51-6f1f0a1d7a55")
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_MM = "http://ns.adobe.com/xap/1.0/mm/"
_REF = "http://ns.adobe.com/xap/1.0/sType/ResourceRef#"
_EVENT = "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
_TIFF, _EXIF, _XMP = "http://ns.adobe.com/tiff/1.0/", "http://ns.adobe.com/exif/1.0/", "http://ns.adobe.com/xap/1.0/"
_NOTE = "http://ns.adobe.com/xmp/note/"
_PREFIXES = {
    "rdf": _RDF,
    "xmpMM": _MM,
    "stRef": _REF,
    "stEvt": _EVENT,
    "Iptc4xmpExt": _IPTC,
    "photoshop": _PHOTOSHOP,
}
_EMPTY = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}"/></x:xmpmeta>'.encode()


class XmpBroken(ValueError):
    """The packet is no XMP that may be read; the message says why."""


@dataclass(frozen=True)
class DerivativeStatement:
    """What a derivative says of itself."""

    master_sha256: str
    """SHA-256 of the master's file, in hexadecimal digits."""

    release: str
    """Name of the model release."""

    weights_hash: str
    """Hash of the release's weights."""

    mode: str
    """`full` or `scratches`."""

    tone: str
    """`correct`, `neutral` or `keep`."""

    mending: str
    """`sure`, `normal` or `everything`."""

    strength: float
    """0 to 1."""

    software: str
    """Name and version of the program."""

    restored: bool = True
    """Whether anything was changed; False where the photo was left alone."""

    mask: str = "detected"
    """Where the damage mask came from: `detected`, or whose it was and its SHA-256."""

    pixels_sha256: str = ""
    """SHA-256 of the derivative's pixels, so that two attempts that differ are two instances."""

    page: int = 0
    """Number of the page of the master that this is, from 1; 0 where it has one only. XMP has no word for it (its parts
    are of sound, film and time), so that it stands among the parameters and in the sentence."""

    when: str | None = None
    """Time of the restoration, ISO 8601; left out where the bytes must be the same every time."""

    @property
    def parameters(self) -> str:
        """What was asked for, in one line."""
        page = f", page {self.page}" if self.page else ""
        return (
            f"derived from master SHA-256 {self.master_sha256}{page}; release {self.release}; "
            f"weights {self.weights_hash}; "
            f"mode {self.mode}; tone {self.tone}; mending {self.mending}; strength {self.strength:g}; mask {self.mask}"
        )

    @property
    def sentence(self) -> str:
        """What it is, for people."""
        page = f"page {self.page} of " if self.page else ""
        master = f"the master is {page}the file with SHA-256 {self.master_sha256}"
        if not self.restored:
            return f"Copy of a scan that {self.software} found nothing to mend in; {master}."
        return f"Digital restoration by {self.software}, release {self.release}, not the original scan; {master}."


def derivative_xmp(master_xmp: bytes | None, statement: DerivativeStatement) -> bytes:
    """Gives the packet of a derivative.

    Args:
        master_xmp: The master's packet; one that cannot be read is left out, and the log says so.
        statement: What the derivative is.
    """
    root, rdf = _parsed_or_empty(master_xmp)
    ours = _our_description(rdf)
    document, instance = _take(rdf, _MM, "DocumentID"), _take(rdf, _MM, "InstanceID")
    original = _take(rdf, _MM, "OriginalDocumentID") or document
    _take(rdf, _MM, "DerivedFrom")
    identity = f"{statement.parameters}; {statement.software}"
    new_document = f"xmp.did:{uuid.uuid5(_NAMESPACE, identity)}"
    new_instance = f"xmp.iid:{uuid.uuid5(_NAMESPACE, f'{identity}; pixels {statement.pixels_sha256}')}"
    by_hash = f"nih:sha-256;{statement.master_sha256}"
    _add(ours, _MM, "DocumentID", new_document)
    _add(ours, _MM, "InstanceID", new_instance)
    _add(ours, _MM, "OriginalDocumentID", original or by_hash)
    master = {"documentID": document or by_hash, "instanceID": by_hash}
    if original and original != document:
        master["originalDocumentID"] = original
    _add_structure(ours, _MM, "DerivedFrom", _REF, master)
    parameters = statement.parameters + (f"; master's InstanceID {instance}" if instance else "")
    event = {
        "action": "edited" if statement.restored else "copied",
        "instanceID": new_instance,
        "softwareAgent": statement.software,
        "parameters": parameters,
    }
    if statement.when:
        event["when"] = statement.when
    _add_event(rdf, ours, event)
    if statement.restored:
        for name, value in {
            "DigitalSourceType": RESTORED_TYPE,
            "AISystemUsed": statement.software,
            "AISystemVersionUsed": f"release {statement.release}",
        }.items():
            _take(rdf, _IPTC, name)
            _add(ours, _IPTC, name, value)
    before = _take(rdf, _PHOTOSHOP, "Instructions")
    _add(ours, _PHOTOSHOP, "Instructions", " ".join(filter(None, [before, statement.sentence])))
    return _packet(root)


def for_derivative(packet: bytes | None, *, height: int, width: int, is_srgb: bool) -> bytes | None:
    """Gives the packet for pixels that are upright and of this size, without a thumbnail of the damaged photo.

    None where there is none, or it cannot be read; the log says so. A packet that needs no change stays as it is.
    """
    if not packet:
        return None
    try:
        root, rdf = _parsed(packet)
    except XmpBroken as error:
        log.warning("An XMP packet that cannot be read (%s) is left out of the derivative.", error)
        return None
    values = {
        (_TIFF, "Orientation"): "1",
        (_TIFF, "ImageWidth"): str(width),
        (_TIFF, "ImageLength"): str(height),
        (_EXIF, "PixelXDimension"): str(width),
        (_EXIF, "PixelYDimension"): str(height),
        (_EXIF, "ColorSpace"): "1" if is_srgb else "65535",
    }
    changed = [_replace(rdf, *name, value) for name, value in values.items()]
    changed += [_take(rdf, _XMP, "Thumbnails") is not None, _take(rdf, _NOTE, "HasExtendedXMP") is not None]
    return _packet(root) if any(changed) else packet


def joined(packet: bytes, extension: bytes) -> bytes:
    """Gives a packet with the further part of it that JPEG keeps apart; the packet alone where that is broken."""
    try:
        root, rdf = _parsed(packet)
        _, further = _parsed(extension)
    except XmpBroken as error:
        log.warning("The further part of an XMP packet is left out: %s.", error)
        return packet
    _take(rdf, _NOTE, "HasExtendedXMP")
    rdf.extend(list(further))
    return _packet(root)


def _parsed_or_empty(packet: bytes | None) -> tuple[Any, Any]:
    if packet:
        try:
            return _parsed(packet)
        except XmpBroken as error:
            log.warning("The master's XMP packet is left out of the derivative: %s.", error)
    return _parsed(_EMPTY)


def _parsed(packet: bytes) -> tuple[Any, Any]:
    """Gives the root and its rdf:RDF. Neither document types nor entities are read, and nothing is fetched."""
    from lxml import etree

    if len(packet) > MAX_PACKET_BYTES:
        raise XmpBroken(f"{len(packet)} bytes of it")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(packet.strip(b"\0 \t\r\n"), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise XmpBroken(one_line(f"not whole XML: {error}")) from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise XmpBroken("a document type in it, which XMP has none of")
    rdf = root if root.tag == f"{{{_RDF}}}RDF" else root.find(f".//{{{_RDF}}}RDF")
    if rdf is None:
        raise XmpBroken("no rdf:RDF in it")
    return root, rdf


def _packet(root: Any) -> bytes:
    from lxml import etree

    body = etree.tostring(root, encoding="UTF-8", xml_declaration=False, with_tail=False)
    begin = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'.encode()
    return begin + body + b'\n<?xpacket end="w"?>'


def _our_description(rdf: Any) -> Any:
    from lxml import etree

    about = next((node.get(f"{{{_RDF}}}about") for node in rdf if node.get(f"{{{_RDF}}}about")), "")
    return etree.SubElement(rdf, f"{{{_RDF}}}Description", {f"{{{_RDF}}}about": about}, nsmap=_PREFIXES)


def _properties(rdf: Any, namespace: str, name: str) -> Iterator[tuple[Any, Any]]:
    """Gives (description, element or None where it is an attribute) of a property."""
    tag = f"{{{namespace}}}{name}"
    for description in rdf:
        if not isinstance(description.tag, str):  # a comment
            continue
        if tag in description.attrib:
            yield description, None
        for element in description.findall(tag):
            yield description, element


def _take(rdf: Any, namespace: str, name: str) -> str | None:
    """Removes a property; gives its text, "" where it is a structure, None where there was none."""
    found = None
    for description, element in list(_properties(rdf, namespace, name)):
        if element is None:
            text = description.attrib.pop(f"{{{namespace}}}{name}")
        else:
            text = (element.text or "").strip() or element.get(f"{{{_RDF}}}resource") or ""
            description.remove(element)
        found = found or text
    return found


def _replace(rdf: Any, namespace: str, name: str, value: str) -> bool:
    changed = False
    for description, element in list(_properties(rdf, namespace, name)):
        if element is None:
            tag = f"{{{namespace}}}{name}"
            changed |= description.get(tag) != value
            description.set(tag, value)
        elif len(element) == 0:
            changed |= element.text != value
            element.text = value
    return changed


def _add(parent: Any, namespace: str, name: str, value: str) -> None:
    from lxml import etree

    etree.SubElement(parent, f"{{{namespace}}}{name}").text = value


def _add_structure(parent: Any, namespace: str, name: str, inner: str, values: dict[str, str]) -> None:
    from lxml import etree

    structure = etree.SubElement(parent, f"{{{namespace}}}{name}", {f"{{{_RDF}}}parseType": "Resource"})
    for key, value in values.items():
        _add(structure, inner, key, value)


def _add_event(rdf: Any, ours: Any, event: dict[str, str]) -> None:
    """Adds a line to the history, which is the master's where it has one."""
    from lxml import etree

    histories = [element for _, element in _properties(rdf, _MM, "History") if element is not None]
    line = next((history.find(f"{{{_RDF}}}Seq") for history in histories), None)
    if line is None:
        _take(rdf, _MM, "History")
        line = etree.SubElement(etree.SubElement(ours, f"{{{_MM}}}History"), f"{{{_RDF}}}Seq")
    item = etree.SubElement(line, f"{{{_RDF}}}li", {f"{{{_RDF}}}parseType": "Resource"}, nsmap={"stEvt": _EVENT})
    for key, value in event.items():
        _add(item, _EVENT, key, value)
