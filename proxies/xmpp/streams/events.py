"""What happens on a stream, as its owner learns it; everything else the stream settles itself."""

from dataclasses import dataclass, field

from proxies.xmpp.conditions import StanzaErrorCondition, StreamErrorCondition
from proxies.xmpp.jid import Jid
from proxies.xmpp.sasl.common import SaslFailure
from proxies.xmpp.stanza import Nonza, Stanza
from proxies.xmpp.streams.features import StreamFeatures
from proxies.xmpp.streams.management import ManagedStanzas


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOpened:
    """The peer's stream header was accepted (RFC 6120 4.2); comes anew after each restart."""

    id: str
    "The stream's id, made by the receiving entity."

    to: str
    "The domain that is asked for; on the initiating side the peer's `to`, which may be empty."

    sender: str
    "What the peer says it is, unproven; empty where it says nothing."

    secure: bool
    "Whether TLS protects the stream."

    language: str = ""
    "The default language of the peer's stanzas; empty where it names none."


@dataclass(frozen=True, slots=True)
class FeaturesReceived:
    """Initiating side: what the receiving entity offers now (RFC 6120 4.3.2)."""

    features: StreamFeatures
    "The offer."


@dataclass(frozen=True, slots=True)
class TlsProceeding:
    """Both sides go over to TLS: send what is to be sent, make the handshake, call `tls_established`."""


@dataclass(frozen=True, slots=True)
class TlsRefused:
    """STARTTLS was asked for and refused; the stream is over (RFC 6120 5.4.2.2)."""


@dataclass(frozen=True, slots=True)
class Authenticated:
    """The peer proved who it is, or we did (RFC 6120 6.4.6, XEP-0114 3)."""

    mechanism: str
    "The SASL mechanism; `handshake` for a component."

    identity: Jid | None
    "Whom the peer acts for: an account's bare address or a domain; None on the initiating side."


@dataclass(frozen=True, slots=True)
class AuthenticationFailed:
    """An exchange failed; the stream goes on until its attempts are used up (RFC 6120 6.4.5)."""

    mechanism: str
    "The mechanism that was tried; `handshake` for a component."

    failure: SaslFailure
    "Why."


@dataclass(frozen=True, slots=True)
class BindRequested:
    """Receiving side: the client wants a resource; answer with `bind` or `refuse_bind` (RFC 6120 7)."""

    resource: str
    "The one it would like; empty where the server is to choose."


@dataclass(frozen=True, slots=True)
class Bound:
    """Initiating side: the server bound a resource (RFC 6120 7.6, 7.7)."""

    jid: Jid
    "Our full address."


@dataclass(frozen=True, slots=True)
class BindRefused:
    """Initiating side: no resource was bound; another may be tried."""

    condition: StanzaErrorCondition
    "Why."


@dataclass(frozen=True, slots=True)
class ManagementEnabled:
    """Stream management holds from now on (XEP-0198 3)."""

    managed: ManagedStanzas
    "What survives the stream; keep it where it can be resumed."


@dataclass(frozen=True, slots=True)
class ResumeRequested:
    """Receiving side: answer with `resume` or `refuse_resume` (XEP-0198 5)."""

    previous_id: str
    "The stream that is to go on."

    handled: int
    "How many of our stanzas the client has handled."


@dataclass(frozen=True, slots=True)
class Resumed:
    """Initiating side: the stream goes on where it broke; what was lost is sent again."""


@dataclass(frozen=True, slots=True)
class ManagementFailed:
    """Initiating side: enabling or resumption was refused (XEP-0198 3, 5)."""

    condition: StanzaErrorCondition
    "Why."

    unhandled: tuple[Stanza, ...] = field(default=(), repr=False)
    "For a refused resumption, the stanzas that the peer has not handled."


@dataclass(frozen=True, slots=True)
class StreamErrorReceived:
    """The peer ended the stream with an error (RFC 6120 4.9)."""

    condition: StreamErrorCondition
    "Why; `undefined-condition` where it names none that RFC 6120 knows."

    text: str = ""
    "The same for people."

    other_host: str = ""
    "For `see-other-host`: where to go."

    application: tuple[str, str] | None = None
    "Namespace and name of a condition of the application's own."


@dataclass(frozen=True, slots=True)
class StreamFailed:
    """We ended the stream with an error, because of a timer or on the owner's order."""

    condition: StreamErrorCondition
    "Why."

    text: str = ""
    "The same for people."


@dataclass(frozen=True, slots=True)
class StreamClosed:
    """The peer closed the stream (RFC 6120 4.4)."""

    clean: bool
    "Whether by its closing tag, or just by closing the connection."


StreamEvent = (
    StreamOpened
    | FeaturesReceived
    | TlsProceeding
    | TlsRefused
    | Authenticated
    | AuthenticationFailed
    | BindRequested
    | Bound
    | BindRefused
    | ManagementEnabled
    | ResumeRequested
    | Resumed
    | ManagementFailed
    | StreamErrorReceived
    | StreamFailed
    | StreamClosed
    | Stanza
    | Nonza
)
"All that `next_event` gives. A Nonza is one that the stream does not settle itself: dialback (XEP-0220)."
