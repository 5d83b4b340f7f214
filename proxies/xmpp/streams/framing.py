"""How streams lie in what carries them: TCP (RFC 6120), WebSocket (RFC 7395) and BOSH (XEP-0206)."""

from collections.abc import Mapping
from typing import Protocol
from xml.sax.saxutils import quoteattr

from certs.errors import RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.conditions import StreamErrorCondition as Condition
from proxies.xmpp.streams.framed_reader import FramedReader
from proxies.xmpp.streams.reader_events import ReaderLimits, StreamHeader
from proxies.xmpp.streams.settings import StreamKind
from proxies.xmpp.streams.xml_reader import XmlReader

_STREAM_PREFIX = f" xmlns:stream='{ns.STREAM}'"


class StreamFraming(Protocol):
    """What differs from one carrier to the other."""

    stanza_namespace: str
    "What each stanza declares; empty where the stream's header has done so."

    stream_declaration: str
    "What `<stream:features/>` and `<stream:error/>` declare."

    footer: bytes
    "What closes the stream."

    def make_reader(self, limits: ReaderLimits) -> XmlReader:
        """Return a reader for a new stream."""
        ...

    def check_root(self, header: StreamHeader) -> None:
        """Raise RemoteProtocolError where the stream does not begin as it should."""
        ...

    def encode_header(self, kind: StreamKind, attributes: Mapping[str, str]) -> bytes:
        """Return what opens the stream; empty attributes are left out."""
        ...


class TcpFraming:
    """One document a stream (RFC 6120 4.2)."""

    stanza_namespace = ""
    stream_declaration = ""
    footer = b"</stream:stream>"

    def make_reader(self, limits: ReaderLimits) -> XmlReader:
        """Return a reader for a new document."""
        return XmlReader(limits)

    def check_root(self, header: StreamHeader) -> None:
        """Raise RemoteProtocolError where the root is not `stream:stream` (RFC 6120 4.8)."""
        if header.namespace != ns.STREAM:
            raise RemoteProtocolError(
                f"the root's namespace is {header.namespace!r}", reply=Condition.INVALID_NAMESPACE
            )
        if header.name != "stream":
            raise RemoteProtocolError(f"the root is <{header.name}/>", reply=Condition.BAD_FORMAT)
        if header.prefix != "stream":
            raise RemoteProtocolError(
                f"the root's prefix is {header.prefix!r} instead of 'stream'",
                reply=Condition.BAD_NAMESPACE_PREFIX,
            )
        if header.declarations.get("db", ns.DIALBACK) != ns.DIALBACK:
            raise RemoteProtocolError("db is not dialback's prefix", reply=Condition.INVALID_NAMESPACE)

    def encode_header(self, kind: StreamKind, attributes: Mapping[str, str]) -> bytes:
        """Return the declaration and the root's start tag."""
        dialback = f" xmlns:db='{ns.DIALBACK}'" if kind is StreamKind.SERVER else ""
        return (
            f"<?xml version='1.0'?><stream:stream xmlns='{kind}'{_STREAM_PREFIX}{dialback}"
            f"{_encode_attributes(attributes)}>"
        ).encode()


class WebSocketFraming:
    """One element a message (RFC 7395 3.3)."""

    stanza_namespace = ns.CLIENT
    stream_declaration = _STREAM_PREFIX
    footer = f"<close xmlns='{ns.FRAMING}'/>".encode()

    def make_reader(self, limits: ReaderLimits) -> XmlReader:
        """Return a reader for the messages that follow."""
        return FramedReader(limits)

    def check_root(self, header: StreamHeader) -> None:
        """Accept what the reader took for `<open/>`."""

    def encode_header(self, _kind: StreamKind, attributes: Mapping[str, str]) -> bytes:
        """Return `<open/>`."""
        return f"<open xmlns='{ns.FRAMING}'{_encode_attributes(attributes)}/>".encode()


class BoshFraming:
    """Elements in bodies, whose attributes open and close the stream (XEP-0206 4 to 6)."""

    stanza_namespace = ns.CLIENT
    stream_declaration = _STREAM_PREFIX
    footer = b""

    def make_reader(self, limits: ReaderLimits) -> XmlReader:
        """Return a reader that is never fed: bodies are parsed one by one."""
        return XmlReader(limits)

    def check_root(self, header: StreamHeader) -> None:
        """Accept what was taken from a body."""

    def encode_header(self, _kind: StreamKind, _attributes: Mapping[str, str]) -> bytes:
        """Return nothing: the session's first body says it all."""
        return b""


def _encode_attributes(attributes: Mapping[str, str]) -> str:
    return "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items() if value)
