"""The WSDL of the AXL web service, as far as the lab has its operations.

Names of services, bindings and messages are those of the product's AXLAPI.wsdl, so that programs which were
written for it find their binding, `{http://www.cisco.com/AXLAPIService/}AXLAPIBinding`.
"""

import io
import zipfile
from collections.abc import Mapping
from typing import Final
from xml.sax.saxutils import quoteattr

from proxies.http.axl.names import ACTION, API, LAB, SERVICE

_FOLDERS: Final = ("schema/9.0", "schema/current")

_PRODUCT: Final = ("getCCMVersion", "listUser", "listProcessNode")
_OWN: Final = ("getInterclusterStamp", "listInterclusterNode", "listInterclusterUser")

_PAGE: Final = (
    '<xs:element name="skip" type="xs:unsignedInt" minOccurs="0"/>'
    '<xs:element name="first" type="xs:unsignedInt" minOccurs="0"/>'
)


def _strings(*names: str, optional: bool = False) -> str:
    occurs = ' minOccurs="0"' if optional else ""
    return "".join(f'<xs:element name="{name}" type="xs:string"{occurs}/>' for name in names)


def _search(criterion: str, *tags: str) -> str:
    return (
        f'<xs:element name="searchCriteria"><xs:complexType><xs:sequence>{_strings(criterion)}'
        '</xs:sequence></xs:complexType></xs:element><xs:element name="returnedTags"><xs:complexType>'
        f"<xs:sequence>{_strings(*tags, optional=True)}</xs:sequence></xs:complexType></xs:element>{_PAGE}"
    )


def _rows(name: str, content: str, attributes: str = "") -> str:
    return (
        f'<xs:element name="{name}" minOccurs="0" maxOccurs="unbounded"><xs:complexType><xs:sequence>'
        f"{content}</xs:sequence>{attributes}</xs:complexType></xs:element>"
    )


_SEQUENCE: Final = '<xs:attribute name="sequence" type="xs:unsignedLong"/>'
"A request's number, which its answer repeats."

_UUID: Final = '<xs:attribute name="uuid" type="xs:string"/>'

_USER_TAGS: Final = ("userid", "homeCluster", "imAndPresenceEnable")
_NODE_TAGS: Final = ("name", "description", "nodeUsage")

_ELEMENTS: Final[Mapping[str, tuple[str, str]]] = {
    "getCCMVersion": (
        _strings("processNodeName", optional=True),
        '<xs:element name="componentVersion"><xs:complexType><xs:sequence>'
        f"{_strings('version')}</xs:sequence></xs:complexType></xs:element>",
    ),
    "listUser": (
        _search("userid", *_USER_TAGS),
        _rows("user", _strings(*_USER_TAGS, optional=True), _UUID),
    ),
    "listProcessNode": (
        _search("name", *_NODE_TAGS),
        _rows("processNode", _strings(*_NODE_TAGS, optional=True), _UUID),
    ),
    "getInterclusterStamp": ("", _strings("cluster", "domain", "stamp")),
    "listInterclusterNode": (
        "",
        _rows(
            "node",
            _strings("fqdn")
            + '<xs:element name="number" type="xs:unsignedInt"/>'
            + '<xs:element name="routerPort" type="xs:unsignedShort"/>'
            + _strings("certificate"),
        ),
    ),
    "listInterclusterUser": (_PAGE, _rows("user", _strings("userid", "homeNode"))),
}
"What each operation's request and the `return` of its response have in them."


def wsdl(url: str) -> bytes:
    """Return the WSDL of a node whose AXL is at this URL."""
    operations = (*_PRODUCT, *_OWN)
    messages = "".join(
        f'<message name="{name}In"><part name="axlParams" element="{_prefix(name)}:{name}"/></message>'
        f'<message name="{name}Out"><part name="axlParams" element="{_prefix(name)}:{name}Response"/></message>'
        for name in operations
    )
    port = "".join(
        f'<operation name="{name}"><input message="s0:{name}In"/><output message="s0:{name}Out"/>'
        '<fault name="AXLError" message="s0:AXLError"/></operation>'
        for name in operations
    )
    binding = "".join(
        f'<operation name="{name}"><soap:operation soapAction={quoteattr(_action(name))} style="document"/>'
        '<input><soap:body use="literal"/></input><output><soap:body use="literal"/></output>'
        '<fault name="AXLError"><soap:fault name="AXLError" use="literal"/></fault></operation>'
        for name in operations
    )
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:xs="http://www.w3.org/2001/XMLSchema" '
        f'xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:s0="{SERVICE}" xmlns:axl="{API}" '
        f'xmlns:lab="{LAB}" targetNamespace="{SERVICE}">'
        f"<types>{_schema(API, _PRODUCT, _AXL_ERROR)}{_schema(LAB, _OWN)}</types>"
        f'{messages}<message name="AXLError"><part name="fault" element="axl:axlError"/></message>'
        f'<portType name="AXLPort">{port}</portType>'
        '<binding name="AXLAPIBinding" type="s0:AXLPort">'
        '<soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>'
        f"{binding}</binding>"
        '<service name="AXLAPIService"><port name="AXLPort" binding="s0:AXLAPIBinding">'
        f"<soap:address location={quoteattr(url)}/></port></service></definitions>\n"
    )
    return text.encode("utf-8")


def toolkit(url: str) -> bytes:
    """Return the AXL SQL Toolkit's archive, with the WSDL where the product's has it."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for folder in _FOLDERS:
            packed.writestr(f"{folder}/AXLAPI.wsdl", wsdl(url))
    return archive.getvalue()


_AXL_ERROR: Final = (
    '<xs:element name="axlError"><xs:complexType><xs:sequence>'
    '<xs:element name="axlcode" type="xs:int"/>' + _strings("axlmessage", "request") + "</xs:sequence>"
    "</xs:complexType></xs:element>"
)


def _schema(namespace: str, operations: tuple[str, ...], more: str = "") -> str:
    # Only the outermost elements are in the namespace, as in the product's schema.
    elements = "".join(
        f'<xs:element name="{name}"><xs:complexType><xs:sequence>{request}</xs:sequence>{_SEQUENCE}</xs:complexType>'
        f'</xs:element><xs:element name="{name}Response"><xs:complexType><xs:sequence>'
        f'<xs:element name="return"><xs:complexType><xs:sequence>{result}</xs:sequence></xs:complexType>'
        f"</xs:element></xs:sequence>{_SEQUENCE}</xs:complexType></xs:element>"
        for name in operations
        for request, result in [_ELEMENTS[name]]
    )
    return f'<xs:schema targetNamespace="{namespace}" elementFormDefault="unqualified">{elements}{more}</xs:schema>'


def _prefix(operation: str) -> str:
    return "axl" if operation in _PRODUCT else "lab"


def _action(operation: str) -> str:
    return f"{ACTION} {operation}" if operation in _PRODUCT else f"{LAB}#{operation}"
