"""Result set management (XEP-0059): asking for a page of many results, and saying which page it is."""

from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

from certs.errors import RemoteProtocolError
from proxies.xmpp import namespaces as ns

MAXIMUM_ID: Final = 256
"Characters of an item's id."

_SET: Final = f"{{{ns.RESULT_SET}}}set"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultSetRequest:
    """The page that is asked for."""

    maximum: int | None = None
    "Items on the page; 0 asks for their number only (2.6); None for as many as the server likes."

    after: str | None = None
    "The item that the page follows (2.3)."

    before: str | None = None
    "The item that the page precedes (2.4); empty for the last page (2.5)."


def parse_result_set(parent: ET.Element) -> ResultSetRequest:
    """Return the page that an element's `<set/>` asks for; the first one where there is none.

    Raises RemoteProtocolError (`bad-request`, or `feature-not-implemented` for a page by its index).
    """
    element = parent.find(_SET)
    if element is None:
        return ResultSetRequest()
    if element.find(f"{{{ns.RESULT_SET}}}index") is not None:
        raise RemoteProtocolError("pages are not found by an index", reply="feature-not-implemented")
    after, before = _text(element, "after"), _text(element, "before")
    if after is not None and before is not None:
        raise RemoteProtocolError("a page is after one item or before one", reply="bad-request")
    maximum = _text(element, "max")
    if maximum is not None and not (maximum.isascii() and maximum.isdecimal() and len(maximum) <= 9):
        raise RemoteProtocolError(f"max: {maximum[:20]!r} is not a number", reply="bad-request")
    return ResultSetRequest(
        maximum=int(maximum) if maximum is not None else None, after=after or None, before=before
    )


def result_set_element(first: str, last: str, count: int) -> ET.Element:
    """Return the `<set/>` that describes a page; `first` and `last` are empty where it has no items."""
    element = ET.Element(_SET)
    if first:
        ET.SubElement(element, f"{{{ns.RESULT_SET}}}first").text = first
        ET.SubElement(element, f"{{{ns.RESULT_SET}}}last").text = last
    ET.SubElement(element, f"{{{ns.RESULT_SET}}}count").text = str(count)
    return element


def _text(element: ET.Element, name: str) -> str | None:
    child = element.find(f"{{{ns.RESULT_SET}}}{name}")
    if child is None:
        return None
    text = (child.text or "").strip()
    if len(text) > MAXIMUM_ID:
        raise RemoteProtocolError(f"{name} may have {MAXIMUM_ID} characters", reply="bad-request")
    return text
