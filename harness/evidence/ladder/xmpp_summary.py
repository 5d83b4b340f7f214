"""XMPP streams in a few words, element by element, from the chunks in which they crossed."""

import re
from dataclasses import dataclass
from typing import Final

from certs.errors import RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.stanza import Nonza, Stanza
from proxies.xmpp.streams.reader_events import ReaderEvent, ReaderLimits, StreamEnd, StreamHeader
from proxies.xmpp.streams.xml_reader import XmlReader

LIMITS: Final = ReaderLimits(stanza_size=1024 * 1024)
LONGEST_BODY: Final = 40
"Characters of a message's text in a label."

_NEW_STREAM: Final = re.compile(r"<\?xml|(?<!\?>)<(?:[\w.-]+:)?stream[\s>]")
_BOSH: Final = re.compile(r"<body\b([^>]*?)(?:/>|>(.*)</body>)", re.DOTALL)
_TERMINATE: Final = re.compile(r"type=[\"']terminate[\"']")
_HEADER: Final = (
    b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
)


@dataclass(frozen=True, slots=True)
class XmppElement:
    """One element of a stream."""

    label: str
    "What it is."

    text: str
    "Itself."

    refuses: bool = False
    "Whether it is an error or a failure."


class StreamSummary:
    """Follows one direction of a connection through restarts of its stream."""

    def __init__(self) -> None:
        self._reader: XmlReader | None = None

    def take(self, text: str) -> list[XmppElement]:
        """Return the elements that a chunk completes; one for the chunk as a whole where it cannot be read."""
        if (bosh := _BOSH.match(text)) is not None:
            return _summarise_bosh(text, bosh[1], bosh[2] or "")
        if text.startswith(("<open", "<close")):
            self._reader = None
            name = "open" if text.startswith("<open") else "close"
            return [XmppElement(f"WebSocket {name}", text)]
        found: list[XmppElement] = []
        for piece in _split_streams(text):
            if _NEW_STREAM.match(piece):
                self._reader = XmlReader(LIMITS)
            elif self._reader is None:
                self._reader = _reader_inside()
            found.extend(self._read(piece))
        if len(found) == 1:
            return [XmppElement(found[0].label, text, found[0].refuses)]
        return found

    def _read(self, piece: str) -> list[XmppElement]:
        assert self._reader is not None
        self._reader.receive_data(piece.encode())
        found: list[XmppElement] = []
        try:
            while (event := self._reader.next_event()) is not None:
                found.append(_summarise(event, piece))
        except RemoteProtocolError as error:
            self._reader = None
            found.append(XmppElement(f"{len(piece)} characters that are no XMPP: {error}", piece))
        return found


def _split_streams(text: str) -> list[str]:
    places = [match.start() for match in _NEW_STREAM.finditer(text) if match.start()]
    return [text[begin:end] for begin, end in zip([0, *places], [*places, len(text)], strict=True)]


def _reader_inside() -> XmlReader:
    """Return a reader that has seen a stream's header: for frames, and where the beginning was not kept."""
    reader = XmlReader(LIMITS)
    reader.receive_data(_HEADER)
    reader.next_event()
    return reader


def _summarise_bosh(text: str, attributes: str, inside: str) -> list[XmppElement]:
    if not inside.strip():
        return [XmppElement("BOSH terminate" if _TERMINATE.search(attributes) else "BOSH empty body", text)]
    summary = StreamSummary()
    return [XmppElement(f"BOSH {one.label}", one.text, one.refuses) for one in summary.take(inside)]


def _summarise(event: ReaderEvent, piece: str) -> XmppElement:
    match event:
        case StreamHeader():
            to, sender = event.attributes.get("to"), event.attributes.get("from")
            between = f" to {to}" if to else f" from {sender}" if sender else ""
            return XmppElement(f"stream{between}", piece)
        case StreamEnd():
            return XmppElement("end of stream", piece)
        case Stanza():
            return XmppElement(
                _stanza(event), event.encode().decode("utf-8", "replace"), event.type == "error"
            )
        case Nonza():
            label, refuses = _nonza(event)
            return XmppElement(label, event.encode().decode("utf-8", "replace"), refuses)


def _stanza(stanza: Stanza) -> str:
    words: list[str] = [stanza.kind]
    if stanza.kind != "message" or stanza.type != "normal":
        words.append(stanza.type)
    children = [name for _, name in stanza.children]
    if stanza.type == "error":
        words.append(_condition(stanza))
    elif "body" in children:
        body = stanza.element().findtext(f"{{{ns.CLIENT}}}body") or ""
        words.append(f"“{body[:LONGEST_BODY]}{'…' if len(body) > LONGEST_BODY else ''}”")
    elif stanza.kind == "presence":
        show = stanza.element().findtext(f"{{{ns.CLIENT}}}show")
        words.append(show or "")
    elif stanza.children:
        namespace, name = stanza.children[0]
        words.append(f"{name} {_short(namespace)}".strip())
    to = stanza.attributes.get("to")
    if to:
        words.append(f"to {to}")
    return " ".join(filter(None, words))


def _condition(stanza: Stanza) -> str:
    for child in stanza.element().iter():
        namespace, _, name = child.tag[1:].partition("}")
        if namespace == ns.STANZA_ERRORS and name != "text":
            return name
    return ""


def _nonza(nonza: Nonza) -> tuple[str, bool]:
    children = ", ".join(name for _, name in nonza.children if name != "text")
    match nonza.namespace, nonza.name:
        case ns.STREAM, "features":
            return f"features: {children or 'none'}", False
        case ns.STREAM, "error":
            return f"stream error: {children}", True
        case ns.SASL, "failure":
            return f"SASL failure: {children}", True
        case ns.SASL, "auth":
            return f"SASL auth {nonza.attributes.get('mechanism', '')}".rstrip(), False
        case ns.SASL, name:
            return f"SASL {name}", False
        case ns.TLS, "failure":
            return "STARTTLS failure", True
        case ns.TLS, name:
            return f"STARTTLS {name}" if name == "proceed" else "STARTTLS", False
        case ns.STREAM_MANAGEMENT, name:
            count = nonza.attributes.get("h")
            return f"acknowledgement {name}{f' h={count}' if count else ''}", name == "failed"
        case ns.DIALBACK, name:
            kind = nonza.attributes.get("type", "")
            return f"dialback {name} {kind}".rstrip(), kind in ("invalid", "error")
        case namespace, name:
            return f"{name} {_short(namespace)}".rstrip(), False


def _short(namespace: str) -> str:
    """Return the telling end of a namespace: `disco#info`, `roster`, `xmpp-bind`."""
    end = namespace.rpartition("/")[2]
    parts = end.split(":")
    return ":".join(parts[-2:]) if parts[-1].isdigit() and len(parts) > 1 else parts[-1]
