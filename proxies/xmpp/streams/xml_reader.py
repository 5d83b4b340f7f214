"""Cuts an XML stream into its header, stanzas and nonzas (RFC 6120 4, 11).

Expat says where elements begin and end; a stanza's payload is then cut out of the bytes that came in. So nothing
is built that nobody may ever look at, and a payload is passed on exactly as it was sent.
"""

import re
from collections import deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NoReturn
from xml.etree import ElementTree as ET
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from certs.errors import RemoteProtocolError
from proxies.xmpp.conditions import StreamErrorCondition as Condition
from proxies.xmpp.stanza import CONTENT_NAMESPACES, STANZA_KINDS, Nonza, Stanza, encode_content, stanza_kind
from proxies.xmpp.streams.reader_events import ReaderEvent, ReaderLimits, StreamEnd, StreamHeader

_SPACE: Final = b" \t\r\n"
_START_TAG: Final = re.compile(rb"""<([^\s/>]+)[^'">]*(?:(?:'[^']*'|"[^"]*")[^'">]*)*>""")

_CONDITIONS: Final[Mapping[int, Condition]] = MappingProxyType(
    {
        expat.errors.codes[expat.errors.XML_ERROR_UNDEFINED_ENTITY]: Condition.RESTRICTED_XML,
        expat.errors.codes[expat.errors.XML_ERROR_UNKNOWN_ENCODING]: Condition.UNSUPPORTED_ENCODING,
        expat.errors.codes[expat.errors.XML_ERROR_NO_MEMORY]: Condition.RESOURCE_CONSTRAINT,
    }
)
"Stream errors for what expat refuses; anything else is not well-formed."

_INVALID_TOKEN: Final = expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]


class XmlReader:
    """Reads one stream, from its header to its closing tag.

    After an error or the stream's end it gives nothing more; a restarted stream takes a new reader.
    """

    def __init__(self, limits: ReaderLimits, *, content_namespace: str = "") -> None:
        """`content_namespace` is that of the stanzas where it is not the root's default namespace."""
        self.limits = limits
        "May be replaced when more is known about the peer."
        self._events: deque[ReaderEvent] = deque()
        self._error: RemoteProtocolError | None = None
        self._over = False
        # What came in since the last whole first-level element. All other positions count from where the parser
        # began, as its own do; `_base` is that of the buffer's first byte.
        self._buffer: bytes | bytearray = b""
        self._base = 0
        self._start = 0  # of the first-level element that is being read
        self._tag_end = 0  # of its start tag
        self._end = 0  # of the last first-level element
        self._depth = 0
        self._declared: list[tuple[str | None, str]] = []
        self._name = ""
        self._attributes: dict[str, str] = {}
        self._children: list[tuple[str, str]] = []
        self._prefixed = False
        self._root_tag = b""
        self._content = content_namespace
        self._stanza_names: frozenset[str] = frozenset()
        self._scope: tuple[tuple[bytes, str, str], ...] = ()
        self._parser = _make_parser()
        self._attach(self._parser)

    def receive_data(self, data: bytes) -> None:
        """Take bytes as they come."""
        if self._over:
            return
        if self._buffer:
            if isinstance(self._buffer, bytes):
                self._buffer = bytearray(self._buffer)  # many small pieces must not cost a copy of all each
            self._buffer += data
        else:
            if self._depth < 2:
                data = data.lstrip(_SPACE)  # a keep-alive (RFC 6120 4.6.1)
                if not data:
                    return
            self._buffer = data
        try:
            self._parser.Parse(data, False)
            self._trim()
        except expat.ExpatError as error:
            self._stop(None if self._over else self._translate(error))
        except RemoteProtocolError as error:
            self._stop(error)

    def receive_eof(self) -> None:
        """The peer will send no more. Between two elements that is no error of the XML."""
        if not self._over:
            inside = self._depth > 1 or bool(self._buffer)
            self._stop(
                _error(Condition.NOT_WELL_FORMED, "the stream ended inside an element") if inside else None
            )

    @property
    def is_behind(self) -> bool:
        """Whether something lies behind the last event that was pulled."""
        return bool(self._events or self._buffer or self._error)

    def next_event(self) -> ReaderEvent | None:
        """Return what comes next in the stream, or None until more bytes arrive.

        Raises RemoteProtocolError, whose reply is the name of a stream error, where the stream cannot be read on.
        """
        if self._events:
            return self._events.popleft()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return None

    # what is kept

    def _trim(self) -> None:
        """Give up what lies in front of the unfinished element; refuse what no element begins with."""
        if self._over:
            self._stop(None)
            return
        kept = self._start if self._depth > 1 else self._end
        if drop := kept - self._base:
            self._buffer = self._buffer[drop:]
            self._base = kept
        if self._depth == 1 and self._buffer and self._buffer[0] != 0x3C:
            rest = self._buffer.lstrip(_SPACE)
            self._base += len(self._buffer) - len(rest)
            self._end = self._base
            self._buffer = rest
            if rest and rest[0] != 0x3C:
                _refuse(Condition.BAD_FORMAT, "text between stanzas")
        if len(self._buffer) > self.limits.stanza_size:
            self._refuse_size()
        if self._base > 2 * self.limits.stanza_size:
            self._renew()

    def _renew(self) -> None:
        """Go on with a new parser: expat never forgets a name that it has seen, and the peer chooses the names."""
        _detach(self._parser)
        self._declared.clear()
        self._parser = _make_parser()
        self._parser.Parse(self._root_tag, False)
        self._attach(self._parser)
        self._base = self._end = len(self._root_tag)
        self._depth = 1
        self._parser.Parse(self._buffer, False)

    def _stop(self, error: RemoteProtocolError | None) -> None:
        self._error = error
        self._over = True
        self._buffer = b""
        _detach(self._parser)

    def _refuse_size(self) -> NoReturn:
        _refuse(Condition.POLICY_VIOLATION, f"an element may have {self.limits.stanza_size} bytes")

    # what expat calls

    def _attach(self, parser: expat.XMLParserType) -> None:
        parser.StartElementHandler = self._start_element
        parser.EndElementHandler = self._end_element
        parser.StartNamespaceDeclHandler = self._start_namespace
        parser.XmlDeclHandler = _check_declaration
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.EntityDeclHandler = _refuse_entity
        parser.ProcessingInstructionHandler = _refuse_instruction
        parser.CommentHandler = _refuse_comment

    def _start_namespace(self, prefix: str | None, uri: str) -> None:
        if self._depth < 2:
            self._declared.append((prefix, uri or ""))

    def _start_element(self, name: str, attributes: dict[str, str]) -> None:
        depth = self._depth = self._depth + 1
        if depth == 3:
            namespace, _, local = name.rpartition("}")
            self._children.append(("" if namespace == self._content else namespace, local))
            if len(self._children) > self.limits.children:
                _refuse(Condition.POLICY_VIOLATION, f"a stanza may have {self.limits.children} children")
        elif depth == 2:
            self._begin(name, attributes)
        elif depth == 1:
            self._open(name, attributes)
        elif depth > self.limits.depth + 1:  # the stream is no part of the stanza
            _refuse(Condition.POLICY_VIOLATION, f"elements may be {self.limits.depth} deep")
        if len(attributes) > self.limits.attributes:
            _refuse(Condition.POLICY_VIOLATION, f"an element may have {self.limits.attributes} attributes")

    def _end_element(self, _name: str) -> None:
        depth = self._depth = self._depth - 1
        if depth == 1:
            self._finish()
        elif depth == 0:
            self._check_gap(self._parser.CurrentByteIndex)
            self._over = True
            self._events.append(StreamEnd())

    # the root, and the elements in it

    def _open(self, name: str, attributes: dict[str, str]) -> None:
        match = self._start_tag(self._parser.CurrentByteIndex)
        self._end = self._base + match.end()
        self._root_tag = bytes(match[0])
        if b"\0" in self._root_tag:
            _refuse_utf16()
        if self._end > self.limits.stanza_size:
            self._refuse_size()
        prefixes = {prefix: uri for prefix, uri in self._declared if prefix and prefix != "xml"}
        default = next((uri for prefix, uri in self._declared if not prefix), "")
        self._declared.clear()
        self._content = self._content or default
        self._stanza_names = frozenset(f"{self._content}}}{kind}" for kind in STANZA_KINDS)
        self._scope = tuple((f"{prefix}:".encode(), prefix, uri) for prefix, uri in prefixes.items())
        namespace, _, local = name.rpartition("}")
        prefix = match[1].decode().rpartition(":")[0]
        self._events.append(
            StreamHeader(
                namespace=namespace,
                name=local,
                prefix=prefix,
                attributes=_attributes(attributes),
                content_namespace=default,
                declarations=prefixes,
            )
        )

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        start = self._parser.CurrentByteIndex
        if start != self._end:
            self._check_gap(start)
        match = self._start_tag(start)
        self._start = start
        self._tag_end = self._base + match.end()
        self._prefixed = b":" in match[1]
        self._name = name
        self._attributes = _attributes(attributes) if b":" in match[0] else attributes
        self._children.clear()

    def _check_gap(self, start: int) -> None:
        if self._buffer[self._end - self._base : start - self._base].strip(_SPACE):
            _refuse(Condition.BAD_FORMAT, "text between stanzas")

    def _finish(self) -> None:
        buffer, base = self._buffer, self._base
        tag_end = self._tag_end - base
        if buffer[tag_end - 2] == 0x2F:  # <presence/>
            payload = b""
            self._end = self._tag_end
        else:
            end = self._parser.CurrentByteIndex - base
            payload = bytes(buffer[tag_end:end])
            self._end = base + buffer.index(b">", end) + 1
        if self._end - self._start > self.limits.stanza_size:
            self._refuse_size()
        scope = self._scope
        if self._declared:
            scope = self._scope_inside()
        is_stanza = self._name in self._stanza_names
        children = tuple(self._children)
        if children and self._must_be_rebuilt(payload, scope, is_stanza=is_stanza):
            payload, scope = self._rebuild(scope, is_stanza=is_stanza), ()
        declarations = {prefix: uri for mark, prefix, uri in scope if mark in payload} if scope else {}
        namespace, _, local = self._name.rpartition("}")
        self._events.append(
            Stanza(stanza_kind(local), self._attributes, payload, children, declarations)
            if is_stanza
            else Nonza(namespace, local, self._attributes, payload, children, declarations)
        )

    def _scope_inside(self) -> tuple[tuple[bytes, str, str], ...]:
        """Return the prefixes that hold inside this stanza, its own among them."""
        prefixes = {prefix: uri for _, prefix, uri in self._scope}
        prefixes.update((prefix, uri) for prefix, uri in self._declared if prefix and prefix != "xml")
        self._declared.clear()
        return tuple((f"{prefix}:".encode(), prefix, uri) for prefix, uri in prefixes.items())

    def _must_be_rebuilt(
        self, payload: bytes, scope: tuple[tuple[bytes, str, str], ...], *, is_stanza: bool
    ) -> bool:
        """Whether the payload, as it came in, would mean something else in another stream.

        It would where the element's own name has a prefix, so that its children do not follow it, and where a
        stanza's child names the content namespace, which another stream may not share.
        """
        if self._prefixed:
            return True
        if not is_stanza:
            return False
        return self._content.encode() in payload or any(
            uri in CONTENT_NAMESPACES and mark in payload for mark, _, uri in scope
        )

    def _rebuild(self, scope: tuple[tuple[bytes, str, str], ...], *, is_stanza: bool) -> bytes:
        declarations = "".join(f" xmlns:{prefix}={quoteattr(uri)}" for _, prefix, uri in scope)
        around = f"<around xmlns={quoteattr(self._content)}{declarations}>".encode()
        wire = bytes(self._buffer[self._start - self._base : self._end - self._base])
        element = ET.fromstring(b"%b%b</around>" % (around, wire))[0]  # noqa: S314 - the parser refused entities
        parent = "" if is_stanza else self._name.rpartition("}")[0]
        return encode_content(element, parent)

    def _start_tag(self, position: int) -> re.Match[bytes]:
        match = _START_TAG.match(self._buffer, position - self._base)
        if match is None:
            _refuse_utf16()
        return match

    def _translate(self, error: expat.ExpatError) -> RemoteProtocolError:
        condition = _CONDITIONS.get(error.code, Condition.NOT_WELL_FORMED)
        if error.code == _INVALID_TOKEN:
            position = max(self._parser.ErrorByteIndex - self._base, 0)
            try:
                self._buffer[position:].decode()
            except UnicodeDecodeError as wrong:
                if wrong.start == 0:
                    condition = Condition.UNSUPPORTED_ENCODING  # RFC 6120 4.9.3.22
        return _error(condition, expat.ErrorString(error.code) or "not XML")


def _make_parser() -> expat.XMLParserType:
    parser = expat.ParserCreate("UTF-8", "}")
    if hasattr(parser, "SetReparseDeferralEnabled"):  # expat 2.6 would hold back split tokens
        parser.SetReparseDeferralEnabled(False)
    return parser


def _detach(parser: expat.XMLParserType) -> None:
    # Without the ring of parser and reader both are freed at once.
    parser.StartElementHandler = None
    parser.EndElementHandler = None
    parser.StartNamespaceDeclHandler = None


def _attributes(attributes: dict[str, str]) -> dict[str, str]:
    return {("{" + name if "}" in name else name): value for name, value in attributes.items()}


def _error(condition: Condition, text: str) -> RemoteProtocolError:
    return RemoteProtocolError(text, reply=condition)


def _refuse(condition: Condition, text: str) -> NoReturn:
    raise _error(condition, text)


def _refuse_utf16() -> NoReturn:
    # Expat follows a byte order mark even where it is told the encoding.
    _refuse(Condition.UNSUPPORTED_ENCODING, "UTF-16 instead of UTF-8")


def _check_declaration(_version: str, encoding: str | None, _standalone: int) -> None:
    if encoding is not None and encoding.upper() != "UTF-8":
        _refuse(Condition.UNSUPPORTED_ENCODING, f"{encoding[:40]} instead of UTF-8")


def _refuse_doctype(_name: str, _system: str | None, _public: str | None, _subset: int) -> None:
    _refuse(Condition.RESTRICTED_XML, "a document type (RFC 6120 11.1)")


def _refuse_entity(*_declaration: object) -> None:
    _refuse(Condition.RESTRICTED_XML, "an entity declaration (RFC 6120 11.1)")


def _refuse_instruction(_target: str, _data: str) -> None:
    _refuse(Condition.RESTRICTED_XML, "a processing instruction (RFC 6120 11.1)")


def _refuse_comment(_text: str) -> None:
    _refuse(Condition.RESTRICTED_XML, "a comment (RFC 6120 11.1)")
