"""Presence documents (PIDF, RFC 3863): read with entities refused and sizes bounded, composed, written."""

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from xml.parsers import expat

from certs.errors import RemoteProtocolError

CONTENT_TYPE: Final = "application/pidf+xml"
NAMESPACE: Final = "urn:ietf:params:xml:ns:pidf"
MAXIMUM_SIZE: Final = 64 * 1024
"Bytes of a document; one of a well-equipped client has five thousand."

MAXIMUM_DEPTH: Final = 16
"Levels of elements."

_PRESENCE, _TUPLE = f"{{{NAMESPACE}}}presence", f"{{{NAMESPACE}}}tuple"
_STATUS_BASIC: Final = f"{{{NAMESPACE}}}status/{{{NAMESPACE}}}basic"

ET.register_namespace("", NAMESPACE)


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceDocument:
    """A presentity and what is known of it. Extensions stay in the elements as they came."""

    entity: str
    "The presentity: a `pres:` or `sip:` URI."

    elements: tuple[ET.Element, ...] = ()
    "Tuples, notes and extensions, in order. Nobody changes them."

    @property
    def is_open(self) -> bool:
        """Whether one of its tuples can be reached (RFC 3863 4.1.4)."""
        return any(e.findtext(_STATUS_BASIC, "").strip() == "open" for e in self.elements if e.tag == _TUPLE)


def simple_document(entity: str, *, is_open: bool, tuple_id: str = "t1", note: str = "") -> PresenceDocument:
    """Return a document with one tuple."""
    element = ET.Element(_TUPLE, {"id": tuple_id})
    status = ET.SubElement(element, f"{{{NAMESPACE}}}status")
    ET.SubElement(status, f"{{{NAMESPACE}}}basic").text = "open" if is_open else "closed"
    if note:
        ET.SubElement(element, f"{{{NAMESPACE}}}note").text = note
    return PresenceDocument(entity=entity, elements=(element,))


def parse_pidf(body: bytes) -> PresenceDocument:
    """Parse a document.

    Raises RemoteProtocolError: 413 where it is too large, 400 where it is no PIDF or holds a DTD.
    """
    if len(body) > MAXIMUM_SIZE:
        raise RemoteProtocolError(f"a presence document has at most {MAXIMUM_SIZE} bytes", reply="413")
    root = _parse_xml(body)
    if root.tag != _PRESENCE:
        raise RemoteProtocolError(f"the root element is {root.tag}, not {_PRESENCE}")
    entity = root.get("entity", "")
    if not entity:
        raise RemoteProtocolError("the presence element names no entity")
    for element in root.iterfind(_TUPLE):
        if not element.get("id"):
            raise RemoteProtocolError("a tuple has no id")
    return PresenceDocument(entity=entity, elements=tuple(root))


def encode_pidf(document: PresenceDocument) -> bytes:
    """Return the document's bytes, in UTF-8."""
    root = ET.Element(_PRESENCE, {"entity": document.entity})
    root.extend(document.elements)
    encoded: bytes = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return encoded


def compose(entity: str, documents: Iterable[PresenceDocument]) -> PresenceDocument:
    """Return what all publications of a presentity say together (RFC 3856 6.11), the newest first.

    Of tuples with the same id the first counts. Without any publication the presentity is closed.
    """
    elements: list[ET.Element] = []
    ids: set[str] = set()
    for document in documents:
        for element in document.elements:
            if element.tag == _TUPLE:
                identifier = element.get("id", "")
                if identifier in ids:
                    continue
                ids.add(identifier)
            elements.append(element)
    if not ids:
        return simple_document(entity, is_open=False)
    return PresenceDocument(entity=entity, elements=tuple(elements))


def _parse_xml(body: bytes) -> ET.Element:
    parser = expat.ParserCreate(namespace_separator="}")
    builder = ET.TreeBuilder()
    depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAXIMUM_DEPTH:
            raise RemoteProtocolError(f"elements lie deeper than {MAXIMUM_DEPTH} levels")
        builder.start(_braced(name), {_braced(key): value for key, value in attributes.items()})

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(_braced(name))

    def refuse(*_: object) -> None:
        raise RemoteProtocolError("a presence document has no document type and no entities")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        raise RemoteProtocolError(f"the presence document is not well-formed XML: {error}") from error
    return builder.close()


def _braced(name: str) -> str:
    return "{" + name if "}" in name else name
