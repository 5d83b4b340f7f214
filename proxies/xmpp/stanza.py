"""First-level elements of a stream: stanzas, and the nonzas that negotiate it (RFC 6120 8, XEP-0360).

What a decision needs is read at once: the start tag's attributes and the names of the direct children. The
payload stays the bytes that came in, so routing a stanza costs a new start tag and no tree. Children
without a namespace of their own follow the stanza's content namespace, which is what RFC 6120 4.8.3 asks
when a stanza goes from a client's stream to a server's.
"""

import itertools
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, cast
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

from certs.errors import RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.conditions import USUAL_TYPE, StanzaErrorCondition, StanzaErrorType
from proxies.xmpp.jid import Jid

StanzaKind = Literal["message", "presence", "iq"]
STANZA_KINDS: Final[frozenset[str]] = frozenset({"message", "presence", "iq"})
CONTENT_NAMESPACES: Final[frozenset[str]] = frozenset({ns.CLIENT, ns.SERVER, ns.COMPONENT})

_ID_PREFIX: Final = secrets.token_hex(6)
_id_numbers = itertools.count(1)


def make_id() -> str:
    """Return an id that nobody else uses and that cannot be guessed from outside (RFC 6120 8.1.3)."""
    return f"{_ID_PREFIX}{next(_id_numbers):x}"


@dataclass(frozen=True, slots=True)
class Nonza:
    """A first-level element that is no stanza: stream features, TLS, SASL, stream management, dialback."""

    namespace: str
    "Its namespace."

    name: str
    "Its local name."

    attributes: Mapping[str, str] = field(default_factory=dict)
    "Attributes without a namespace by name; others as `{namespace}name`."

    payload: bytes = field(default=b"", repr=False)
    "What lies between the tags, as it came in. Every prefix it uses is declared in it or in `declarations`."

    children: tuple[tuple[str, str], ...] = ()
    "Namespace and local name of each direct child."

    declarations: Mapping[str, str] = field(default_factory=dict)
    "Prefixes declared outside the payload that it may use: prefix to namespace."

    @property
    def text(self) -> str:
        """The character data directly inside, as SASL carries it."""
        return (self.element().text or "").strip() if self.payload else ""

    def element(self) -> ET.Element:
        """Return the element as a tree; made anew at each call."""
        return ET.fromstring(self.encode())  # noqa: S314 - the reader refused DTDs and entities before

    def encode(self) -> bytes:
        """Return the element as bytes, with its namespace."""
        if self.namespace == ns.DIALBACK:
            # XEP-0220 2 asks for a prefix, and there are servers that know only this one.
            declarations = {**self.declarations, "db": ns.DIALBACK}
            return encode_tags(f"db:{self.name}", self.attributes, self.payload, declarations=declarations)
        return encode_tags(self.name, self.attributes, self.payload, self.namespace, self.declarations)


@dataclass(frozen=True, slots=True)
class Stanza:
    """A message, presence or IQ stanza (RFC 6120 8), in whatever stream it came."""

    kind: StanzaKind
    "The element's name."

    attributes: Mapping[str, str] = field(default_factory=dict)
    "`to`, `from`, `type`, `id` and others without a namespace by name; others as `{namespace}name`."

    payload: bytes = field(default=b"", repr=False)
    "What lies between the tags, as it came in."

    children: tuple[tuple[str, str], ...] = ()
    "Namespace and local name of each direct child; an empty namespace means the stanza's own."

    declarations: Mapping[str, str] = field(default_factory=dict)
    "Prefixes declared outside the payload that it may use: prefix to namespace."

    @property
    def type(self) -> str:
        """The type attribute, or the default of RFC 6121 5.2.2 for a message; empty where there is none."""
        return self.attributes.get("type", "normal" if self.kind == "message" else "")

    @property
    def id(self) -> str:
        """The id attribute, or an empty text."""
        return self.attributes.get("id", "")

    @property
    def to(self) -> Jid | None:
        """The addressee, or None.

        Raises RemoteProtocolError (`jid-malformed`) where the attribute is no address.
        """
        text = self.attributes.get("to")
        return Jid.parse(text) if text is not None else None

    @property
    def sender(self) -> Jid | None:
        """The `from` address, or None.

        Raises RemoteProtocolError (`jid-malformed`) where the attribute is no address.
        """
        text = self.attributes.get("from")
        return Jid.parse(text) if text is not None else None

    @property
    def is_request(self) -> bool:
        """Whether it is an IQ that must be answered (RFC 6120 8.2.3)."""
        return self.kind == "iq" and self.attributes.get("type") in ("get", "set")

    def has_child(self, namespace: str, name: str) -> bool:
        """Whether a direct child has the name; an empty namespace asks for the stanza's own, as `body`."""
        return (namespace, name) in self.children

    def element(self, namespace: str = ns.CLIENT) -> ET.Element:
        """Return the stanza as a tree, its names in a content namespace; made anew at each call."""
        return ET.fromstring(self.encode(namespace))  # noqa: S314 - the reader refused DTDs and entities

    def encode(self, namespace: str = "") -> bytes:
        """Return the bytes to send, without `xmlns` where the stream has declared it (the usual case)."""
        return encode_tags(self.kind, self.attributes, self.payload, namespace, self.declarations)

    def with_attributes(self, **changes: str | None) -> "Stanza":
        """Return the same stanza with attributes set, or taken away by None; `from_` means `from`."""
        attributes = dict(self.attributes)
        for name, value in changes.items():
            name = name.rstrip("_")
            if value is None:
                attributes.pop(name, None)
            else:
                attributes[name] = value
        return Stanza(self.kind, attributes, self.payload, self.children, self.declarations)

    def with_child(self, child: ET.Element) -> "Stanza":
        """Return the same stanza with one more child behind the others."""
        name = split_name(child.tag)
        return replace(self, payload=self.payload + encode_element(child), children=(*self.children, name))

    def without_children(self, namespace: str, name: str | None = None) -> "Stanza":
        """Return the stanza without its direct children of a namespace, or of a namespace and name."""
        if not any(each[0] == namespace and name in (None, each[1]) for each in self.children):
            return self
        # The content namespace is a stand-in: children that follow the stanza's own must stay so.
        tree = self.element(ns.CLIENT)
        kept = [
            c
            for c in tree
            if not (split_name(c.tag)[0] == namespace and name in (None, split_name(c.tag)[1]))
        ]
        return make_stanza(self.kind, self.attributes, kept)

    def reply(self, *payload: ET.Element, type_: str = "result") -> "Stanza":
        """Return the answer to an IQ: addresses swapped, the same id (RFC 6120 8.2.3)."""
        return make_stanza(self.kind, self._reply_attributes(type_), payload)

    def error(
        self,
        condition: StanzaErrorCondition,
        text: str = "",
        *,
        type_: StanzaErrorType | None = None,
        by: str = "",
        application: ET.Element | None = None,
    ) -> "Stanza":
        """Return the error stanza that answers this one (RFC 6120 8.3).

        `by` names the entity that found the error; `application` is a condition of the application's own.
        """
        error = ET.Element("error", {"type": type_ or USUAL_TYPE[condition]})
        if by:
            error.set("by", by)
        ET.SubElement(error, f"{{{ns.STANZA_ERRORS}}}{condition}")
        if text:
            ET.SubElement(error, f"{{{ns.STANZA_ERRORS}}}text").text = text
        if application is not None:
            error.append(application)
        return make_stanza(self.kind, self._reply_attributes("error"), [error])

    def _reply_attributes(self, type_: str) -> dict[str, str]:
        attributes = {"type": type_}
        for name, source in (("id", "id"), ("to", "from"), ("from", "to")):
            if (value := self.attributes.get(source)) is not None:
                attributes[name] = value
        return attributes


def make_stanza(
    kind: StanzaKind, attributes: Mapping[str, str], payload: Iterable[ET.Element] = ()
) -> Stanza:
    """Make a stanza from trees; a child whose tag has no namespace, or `jabber:client`, is the stanza's own."""
    payload = tuple(payload)
    return Stanza(
        kind,
        dict(attributes),
        b"".join(map(encode_element, payload)),
        tuple((("" if n in CONTENT_NAMESPACES else n), t) for n, t in (split_name(c.tag) for c in payload)),
    )


def child_text(stanza: Stanza, name: str) -> str:
    """Return the text of a stanza's own first child of a name, as `body`; empty where there is none."""
    if not stanza.has_child("", name):
        return ""
    return (stanza.element().findtext(f"{{{ns.CLIENT}}}{name}") or "").strip()


def stanza_kind(name: str) -> StanzaKind:
    """Return the name of a stanza as its kind.

    Raises RemoteProtocolError (`unsupported-stanza-type`, RFC 6120 4.9.3.24) where there is none.
    """
    if name not in STANZA_KINDS:
        raise RemoteProtocolError(f"<{name}/> is not a stanza", reply="unsupported-stanza-type")
    return cast(StanzaKind, name)


def split_name(tag: str) -> tuple[str, str]:
    """Return namespace and local name of a tree's tag."""
    if tag.startswith("{"):
        namespace, _, name = tag[1:].partition("}")
        return namespace, name
    return "", tag


_ESCAPES: Final = {"\r": "&#13;"}
_PLAIN: Final = re.compile(r"[^<>&'\"\n\r\t]*").fullmatch


def encode_tags(
    name: str,
    attributes: Mapping[str, str],
    payload: bytes,
    namespace: str = "",
    declarations: Mapping[str, str] = {},
) -> bytes:
    """Return an element around a payload that is bytes already; no `xmlns` where the namespace is empty."""
    parts = [f"<{name}"]
    if namespace:
        parts.append(f" xmlns={quoteattr(namespace)}")
    for prefix, uri in declarations.items():
        parts.append(f" xmlns:{prefix}={quoteattr(uri)}")
    for number, (key, value) in enumerate(attributes.items()):
        if key[0] == "{":
            uri, local = split_name(key)
            if uri == ns.XML:
                key = f"xml:{local}"
            else:
                parts.append(f" xmlns:a{number}={quoteattr(uri)}")
                key = f"a{number}:{local}"
        parts.append(f" {key}='{value}'" if _PLAIN(value) else f" {key}={quoteattr(value)}")
    if not payload:
        parts.append("/>")
        return "".join(parts).encode()
    parts.append(">")
    return b"%b%b</%b>" % ("".join(parts).encode(), payload, name.encode())


def encode_element(element: ET.Element, parent_namespace: str = "") -> bytes:
    """Return a tree as bytes that may stand inside a stanza.

    Each element whose namespace differs from its parent's declares it as the default, so no prefix is
    needed. An element without a namespace follows its parent. A content namespace counts as the stanza's
    own and is not written, except inside an element of another namespace (a forwarded stanza).
    """
    parts: list[str] = []
    _write(element, parent_namespace, parts)
    return "".join(parts).encode()


def encode_content(element: ET.Element, namespace: str = "") -> bytes:
    """Return what lies between a tree's tags as bytes, for an element of a namespace; empty for a stanza."""
    parts: list[str] = []
    _write_content(element, namespace, parts)
    return "".join(parts).encode()


def _write(element: ET.Element, inherited: str, parts: list[str]) -> None:
    namespace, name = split_name(element.tag)
    if not inherited and namespace in CONTENT_NAMESPACES:
        namespace = ""
    parts.append(f"<{name}")
    if namespace and namespace != inherited:
        parts.append(f" xmlns={quoteattr(namespace)}")
        inherited = namespace
    for number, (key, value) in enumerate(element.attrib.items()):
        uri, local = split_name(key)
        if uri == ns.XML:
            local = f"xml:{local}"
        elif uri:
            parts.append(f" xmlns:a{number}={quoteattr(uri)}")
            local = f"a{number}:{local}"
        parts.append(f" {local}={quoteattr(value)}")
    if element.text or len(element):
        parts.append(">")
        _write_content(element, inherited, parts)
        parts.append(f"</{name}>")
    else:
        parts.append("/>")


def _write_content(element: ET.Element, inherited: str, parts: list[str]) -> None:
    if element.text:
        parts.append(escape(element.text, _ESCAPES))
    for child in element:
        _write(child, inherited, parts)
        if child.tail:
            parts.append(escape(child.tail, _ESCAPES))
