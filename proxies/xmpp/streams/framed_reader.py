"""Streams whose elements come one by one: in WebSocket messages (RFC 7395) and in BOSH bodies (XEP-0124)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from certs.errors import RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.conditions import StreamErrorCondition as Condition
from proxies.xmpp.stanza import Nonza, Stanza
from proxies.xmpp.streams.reader_events import ReaderEvent, ReaderLimits, StreamEnd, StreamHeader
from proxies.xmpp.streams.xml_reader import XmlReader

_DECLARATION: Final = re.compile(rb"\s*<\?xml\s[^>]*\?>")


class FramedReader(XmlReader):
    """Reads the text messages of one WebSocket; each is one whole element (RFC 7395 3.3)."""

    def __init__(self, limits: ReaderLimits) -> None:
        super().__init__(limits, content_namespace=ns.CLIENT)
        super().receive_data(b"<frames>")  # one parser for all messages: to it they are one stream
        self._events.clear()

    def receive_data(self, data: bytes) -> None:
        """Take one message."""
        if self._over or not data.strip():
            return
        before = len(self._events)
        super().receive_data(_DECLARATION.sub(b"", data, count=1) if b"<?xml" in data[:64] else data)
        if self._depth != 1 or self._buffer or len(self._events) != before + 1 or self._error is not None:
            while len(self._events) > before:
                self._events.pop()
            error = RemoteProtocolError("a message must be one element", reply=Condition.BAD_FORMAT)
            self._stop(self._error or error)
            return
        event = self._events[-1]
        if isinstance(event, Nonza) and event.namespace == ns.FRAMING:
            self._events[-1] = self._framing(event)

    def _framing(self, event: Nonza) -> ReaderEvent:
        if event.name == "open":
            return _header(event.namespace, event.name, event.attributes)
        if event.name == "close":
            self._stop(None)
            return StreamEnd()
        return event


@dataclass(frozen=True, slots=True)
class BoshBody:
    """A `<body/>` wrapper (XEP-0124 4)."""

    attributes: Mapping[str, str]
    "Attributes without a namespace by name; others, as those of XEP-0206, as `{namespace}name`."

    elements: tuple[Stanza | Nonza, ...]
    "What it carries."

    def events(self) -> Iterator[ReaderEvent]:
        """Give what it means for the stream in it: a first body and a restart open the stream (XEP-0206)."""
        restart = self.attributes.get(f"{{{ns.XBOSH}}}restart") in ("true", "1")
        if restart or "sid" not in self.attributes:
            version = self.attributes.get(f"{{{ns.XBOSH}}}version", "1.0" if restart else "")
            attributes = {
                name: value
                for name, value in self.attributes.items()
                if name in ("to", "from", f"{{{ns.XML}}}lang")
            }
            yield _header(ns.HTTP_BIND, "body", attributes | ({"version": version} if version else {}))
        yield from self.elements
        if self.attributes.get("type") == "terminate":
            yield StreamEnd()


class _BodyReader(XmlReader):
    """Reads one whole document, and knows where it ends."""

    _closing_tag = 0

    def what_is_behind(self, data: bytes) -> bytes:
        """Return what lies behind the document in the same data."""
        rest = data.lstrip()[self._closing_tag :]
        is_empty = self._root_tag.endswith(b"/>")  # then expat is past its one tag already
        return rest.strip() if is_empty else rest.partition(b">")[2].strip()

    def _end_element(self, name: str) -> None:
        if self._depth == 1:
            self._closing_tag = self._parser.CurrentByteIndex
        super()._end_element(name)


def parse_body(data: bytes, limits: ReaderLimits) -> BoshBody:
    """Return the body that an HTTP request carries.

    Raises RemoteProtocolError where it is none; XEP-0124 17 asks for `bad-request` then.
    """
    reader = _BodyReader(limits, content_namespace=ns.CLIENT)
    reader.receive_data(data)
    reader.receive_eof()
    events: list[ReaderEvent] = []
    while (event := reader.next_event()) is not None:
        events.append(event)
    if len(events) < 2 or not isinstance(header := events[0], StreamHeader) or events[-1] != StreamEnd():
        raise RemoteProtocolError("not a whole document", reply=Condition.NOT_WELL_FORMED)
    if reader.what_is_behind(data):
        raise RemoteProtocolError("something is behind the body", reply=Condition.NOT_WELL_FORMED)
    if (header.namespace, header.name) != (ns.HTTP_BIND, "body"):
        raise RemoteProtocolError(f"<{header.name}/> is no body", reply=Condition.INVALID_NAMESPACE)
    elements = tuple(event for event in events if isinstance(event, Stanza | Nonza))
    return BoshBody(header.attributes, elements)


def _header(namespace: str, name: str, attributes: Mapping[str, str]) -> StreamHeader:
    return StreamHeader(
        namespace=namespace, name=name, prefix="", attributes=attributes, content_namespace=ns.CLIENT
    )
