"""SOAP 1.1 messages: envelopes, bodies and faults, document/literal, as bytes in and elements out.

Source: W3C Note "Simple Object Access Protocol (SOAP) 1.1". A message has no document type declaration (section 3),
so entities cannot hurt; size, depth and number of elements are bounded.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from certs.errors import HarnessError

ENVELOPE: Final = "http://schemas.xmlsoap.org/soap/envelope/"
"The namespace of SOAP 1.1; another one means another version (4.1.2)."

CONTENT_TYPE: Final = "text/xml"
"The media type of SOAP 1.1 over HTTP (6)."

_PREFIXES: Final = {"soapenv": ENVELOPE}


@dataclass(frozen=True, slots=True, kw_only=True)
class SoapLimits:
    """What a message may cost its reader."""

    octets: int = 4 * 1024 * 1024
    "Its size."

    depth: int = 32
    "How deep its elements may nest."

    elements: int = 100_000
    "How many elements it may have."


class SoapFault(HarnessError):  # noqa: N818 - SOAP's word
    """A fault: what a server answers instead of a result (4.4)."""

    def __init__(self, code: str, text: str, *, detail: Iterable[ET.Element] = ()) -> None:
        super().__init__(text)
        self.code = code
        "`Client`, `Server`, `VersionMismatch` or `MustUnderstand` (4.4.1)."
        self.text = text
        "What went wrong, for people."
        self.detail = tuple(detail)
        "What the application says of it."


def parse_envelope(data: bytes, limits: SoapLimits | None = None) -> ET.Element:
    """Return the one element of a message's body.

    Raises SoapFault: the fault that the message carries, or with the code that this broken message deserves.
    """
    envelope = _parse(data, limits or SoapLimits())
    namespace, _, name = envelope.tag[1:].rpartition("}")
    if name != "Envelope":
        raise SoapFault("Client", f"expected a SOAP envelope, seen <{envelope.tag[:100]}>")
    if namespace != ENVELOPE:
        raise SoapFault("VersionMismatch", f"expected SOAP 1.1, seen an envelope of {namespace[:100]!r}")
    header = envelope.find(f"{{{ENVELOPE}}}Header")
    for block in header if header is not None else ():
        if block.get(f"{{{ENVELOPE}}}mustUnderstand") == "1":
            raise SoapFault("MustUnderstand", f"no header block {block.tag[:100]} is understood here")
    body = envelope.find(f"{{{ENVELOPE}}}Body")
    if body is None or len(body) != 1:
        seen = 0 if body is None else len(body)
        raise SoapFault("Client", f"expected a body with one element, seen {seen}")
    if body[0].tag == f"{{{ENVELOPE}}}Fault":
        raise _parse_fault(body[0])
    return body[0]


def encode_envelope(content: ET.Element) -> bytes:
    """Return the message whose body is this element."""
    envelope = ET.Element(f"{{{ENVELOPE}}}Envelope")
    ET.SubElement(envelope, f"{{{ENVELOPE}}}Body").append(content)
    for prefix, namespace in _PREFIXES.items():
        ET.register_namespace(prefix, namespace)
    encoded: bytes = ET.tostring(envelope, encoding="utf-8", xml_declaration=True)
    return encoded


def encode_fault(fault: SoapFault) -> bytes:
    """Return the message that carries a fault."""
    element = ET.Element(f"{{{ENVELOPE}}}Fault")
    # The parts of a fault are in no namespace; the code is a qualified name (4.4).
    ET.SubElement(element, "faultcode").text = f"soapenv:{fault.code}"
    ET.SubElement(element, "faultstring").text = fault.text
    if fault.detail:
        ET.SubElement(element, "detail").extend(fault.detail)
    return encode_envelope(element)


def text_of(parent: ET.Element, name: str) -> str:
    """Return the text of a child that must be there. Raises SoapFault where it is not."""
    found = parent.findtext(name)
    if found is None:
        raise SoapFault("Client", f"<{_local(parent)}>: expected <{name}>, seen none")
    return found.strip()


def integer_of(parent: ET.Element, name: str, *, default: int | None = None) -> int:
    """Return the whole number in a child. Raises SoapFault where it is no number from 0 to 2^31 - 1."""
    if default is not None and parent.find(name) is None:
        return default
    text = text_of(parent, name)
    if not (text.isascii() and text.isdigit() and len(text) <= 10) or int(text) >= 2**31:
        raise SoapFault(
            "Client", f"<{_local(parent)}>: expected a whole number in <{name}>, seen {text[:40]!r}"
        )
    return int(text)


def _parse(data: bytes, limits: SoapLimits) -> ET.Element:
    if len(data) > limits.octets:
        raise SoapFault("Client", f"expected at most {limits.octets} bytes, seen {len(data)}")
    try:
        root: ET.Element = fromstring(data, forbid_dtd=True)
    except DefusedXmlException:
        raise SoapFault("Client", "expected no document type declaration in a SOAP message") from None
    except (ET.ParseError, ValueError, LookupError) as error:
        raise SoapFault("Client", f"expected well-formed XML, seen something else: {error}") from None
    level, elements = [root], 0
    for _ in range(limits.depth):
        elements += len(level)
        if elements > limits.elements:
            raise SoapFault("Client", f"expected at most {limits.elements} elements, seen more")
        level = [child for element in level for child in element]
        if not level:
            return root
    raise SoapFault("Client", f"expected elements at most {limits.depth} deep, seen deeper ones")


def _parse_fault(element: ET.Element) -> SoapFault:
    code = (element.findtext("faultcode") or "Server").rpartition(":")[2]
    text = (element.findtext("faultstring") or "a fault without a text").strip()
    detail = element.find("detail")
    return SoapFault(code, text, detail=detail if detail is not None else ())


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
