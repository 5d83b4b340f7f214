"""What a reader finds in a stream, and how much of it a peer may send (RFC 6120 4.2, 13.12)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from proxies.xmpp.stanza import Nonza, Stanza


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderLimits:
    """What one peer may make us hold (RFC 6120 13.12)."""

    stanza_size: int
    "Bytes of a first-level element, and of the stream header."

    depth: int = 64
    "Elements inside each other, the stanza included."

    attributes: int = 64
    "Attributes of one element."

    children: int = 4096
    "Direct children of one stanza; a roster is one of the long ones."


UNAUTHENTICATED: Final = ReaderLimits(stanza_size=10 * 1024, depth=16, children=64)
"Before a peer has authenticated; Prosody's `unauthed_stanza_size`."

CLIENT_STANZAS: Final = ReaderLimits(stanza_size=256 * 1024)
"What an authenticated client may send; Prosody's `c2s_stanza_size_limit`."

SERVER_STANZAS: Final = ReaderLimits(stanza_size=512 * 1024)
"What another server, a router or a component may send; Prosody's `s2s_stanza_size_limit`."


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamHeader:
    """The start of a stream: its root element's start tag, or `<open/>` (RFC 6120 4.7, RFC 7395 3.3.2)."""

    namespace: str
    "The root element's namespace."

    name: str
    "The root element's local name."

    prefix: str
    "The root element's prefix; empty where it has none."

    attributes: Mapping[str, str]
    "Attributes without a namespace by name; others as `{namespace}name`."

    content_namespace: str
    "The default namespace (RFC 6120 4.8.2); empty where none is declared."

    declarations: Mapping[str, str] = field(default_factory=dict)
    "Declared prefixes: prefix to namespace."


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """The closing tag of the stream, or `<close/>` (RFC 6120 4.4, RFC 7395 3.6)."""


ReaderEvent = StreamHeader | Stanza | Nonza | StreamEnd
"What a stream holds."
