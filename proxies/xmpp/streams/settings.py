"""What a stream runs on: one class for the entity that opens it, one for the entity that is asked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto

from proxies.xmpp import namespaces as ns
from proxies.xmpp.streams.reader_events import SERVER_STANZAS, ReaderLimits


class Role(Enum):
    """Who opened the stream (RFC 6120 4)."""

    INITIATING = auto()
    RECEIVING = auto()


class StreamKind(StrEnum):
    """Who talks to whom, by the content namespace (RFC 6120 4.8.2, XEP-0114)."""

    CLIENT = ns.CLIENT
    SERVER = ns.SERVER
    COMPONENT = ns.COMPONENT


class TlsOffer(Enum):
    """What the receiving entity offers in the clear (RFC 6120 5.3.1)."""

    NONE = auto()
    OPTIONAL = auto()
    REQUIRED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings:
    """What both entities go by."""

    kind: StreamKind
    "Who talks to whom."

    limits: ReaderLimits = SERVER_STANZAS
    "What an authenticated peer may send."

    maximum_unacknowledged: int = 1000
    "Stanzas that may wait for the peer's acknowledgement (XEP-0198)."

    negotiation_timeout: float = 30
    "Seconds until a stream that carries no stanzas yet is given up."

    close_timeout: float = 5
    "Seconds to wait for the peer's closing tag (RFC 6120 4.4)."

    language: str = "en"
    "The default language of our stanzas."


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivingSettings(StreamSettings):
    """What the receiving entity goes by."""

    domains: frozenset[str]
    "The domains it serves; for components the ones that may attach."

    tls: TlsOffer = TlsOffer.REQUIRED
    "Whether STARTTLS is offered while the stream is in the clear."

    dialback: bool = False
    "Servers: whether dialback is offered (XEP-0220)."

    component_secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    "Components: the secret of each domain (XEP-0114 3)."

    stream_management: bool = True
    "Whether it is offered (XEP-0198)."

    resumption_time: int = 600
    "Seconds for which a broken stream can be resumed; 0 for not at all."

    bound_features: tuple[bytes, ...] = ()
    "Clients: what is offered beside binding, such as entity capabilities, as encoded elements."

    sasl_attempts: int = 3
    "Failed exchanges after which the stream is closed (RFC 6120 6.4.5)."


@dataclass(frozen=True, slots=True, kw_only=True)
class InitiatingSettings(StreamSettings):
    """What the initiating entity goes by."""

    to: str
    "The domain it asks for; a component's own."

    sender: str = ""
    "What it says it is; empty says nothing."

    component_secret: str = field(default="", repr=False)
    "A component's secret (XEP-0114 3)."
