"""The initiating entity's side of a stream: a router's link, federation, a component, a client (RFC 6120 4 to 7)."""

import hashlib
from xml.etree import ElementTree as ET

from certs.errors import LocalProtocolError, RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.conditions import SaslErrorCondition, StanzaErrorCondition
from proxies.xmpp.conditions import StreamErrorCondition as Condition
from proxies.xmpp.jid import Jid
from proxies.xmpp.sasl.client import SaslClient
from proxies.xmpp.sasl.common import ChannelBindingType, encode_payload, parse_failure, parse_payload
from proxies.xmpp.stanza import Nonza, Stanza, encode_element, make_id, split_name
from proxies.xmpp.streams.events import (
    Authenticated,
    AuthenticationFailed,
    BindRefused,
    Bound,
    FeaturesReceived,
    ManagementFailed,
    Resumed,
    StreamOpened,
    TlsProceeding,
    TlsRefused,
)
from proxies.xmpp.streams.features import StreamFeatures
from proxies.xmpp.streams.framing import StreamFraming
from proxies.xmpp.streams.management import ManagedStanzas, parse_count
from proxies.xmpp.streams.reader_events import StreamHeader
from proxies.xmpp.streams.settings import InitiatingSettings, Role, StreamKind
from proxies.xmpp.streams.state import StreamSignal, StreamState
from proxies.xmpp.streams.stream import XmppStream

_STANZA_CONDITIONS = frozenset(StanzaErrorCondition)


class InitiatingStream(XmppStream):
    """A stream that we opened. `FeaturesReceived` says what can be asked for next."""

    role = Role.INITIATING
    waits_for_owner = frozenset({StreamState.SECURING, StreamState.CLOSED})

    def __init__(
        self,
        settings: InitiatingSettings,
        *,
        now: float,
        secure: bool = False,
        framing: StreamFraming | None = None,
    ) -> None:
        """Open the stream; `secure` is for TLS from the first byte."""
        super().__init__(settings, now=now, secure=secure, framing=framing)
        self.features = StreamFeatures()
        "What the receiving entity offered last."
        self.bound: Jid | None = None
        "A client's full address, once a resource is bound."
        self._settings = settings
        self._sasl: SaslClient | None = None
        self._mechanism = ""
        self._bind_id = ""
        self._management: ManagedStanzas | None = None  # what <enable/> or <resume/> asked for
        self._ensure_header()

    def _ensure_header(self) -> None:
        if not self._header_sent:
            version = "" if self.kind is StreamKind.COMPONENT else "1.0"
            self._send_header(self._settings.to, self._settings.sender, version=version)

    def _take_header(self, header: StreamHeader) -> None:
        self._framing.check_root(header)
        if self.id or header.content_namespace != self.kind:
            raise RemoteProtocolError("not the header of our stream", reply=Condition.INVALID_NAMESPACE)
        self.id = header.attributes.get("id", "")
        self._events.append(
            StreamOpened(
                id=self.id,
                to=header.attributes.get("to", ""),
                sender=header.attributes.get("from", ""),
                secure=self.secure,
                language=header.attributes.get(f"{{{ns.XML}}}lang", ""),
            )
        )
        if self.kind is StreamKind.COMPONENT:
            self._move(StreamSignal.OPENED)
            digest = hashlib.sha1(
                f"{self.id}{self._settings.component_secret}".encode(), usedforsecurity=False
            ).hexdigest()
            self._outgoing.append(Nonza("", "handshake", payload=digest.encode()).encode())
        elif "version" not in header.attributes:
            self._take_features(StreamFeatures())  # a server from before there were features

    def _take_features(self, features: StreamFeatures) -> None:
        self._move(StreamSignal.OPENED)
        self.features = features
        self._events.append(FeaturesReceived(features))
        if self._authenticated and self.kind is StreamKind.SERVER:
            self._move(StreamSignal.TRUSTED)

    # what comes before stanzas

    def _take_nonza(self, nonza: Nonza) -> None:
        match (nonza.namespace, nonza.name, self.state):
            case (ns.STREAM, "features", StreamState.OPENING | StreamState.REOPENING):
                self._take_features(StreamFeatures.parse(nonza))
            case (ns.TLS, "proceed", StreamState.TLS_REQUESTED):
                self._refuse_what_is_behind()
                self._move(StreamSignal.TLS_PROCEEDED)
                self._events.append(TlsProceeding())
            case (ns.TLS, "failure", StreamState.TLS_REQUESTED):
                self._events.append(TlsRefused())
                self._finish()
            case (ns.SASL, _, StreamState.AUTHENTICATING):
                self._take_sasl(nonza)
            case (ns.COMPONENT, "handshake", StreamState.NEGOTIATING):
                self.peer_trusted()
                self._events.append(Authenticated("handshake", None))
            case (ns.DIALBACK, _, _) if self.kind is StreamKind.SERVER:
                self._take_dialback(nonza)
            case _:
                raise self._unknown(nonza)

    def start_tls(self) -> None:
        """Ask for TLS; `TlsProceeding` or `TlsRefused` follows (RFC 6120 5.4.2)."""
        self._move(StreamSignal.TLS_REQUESTED)
        self._outgoing.append(Nonza(ns.TLS, "starttls").encode())

    def tls_established(self) -> None:
        """Open the stream anew over TLS (RFC 6120 5.4.3.3)."""
        self._move(StreamSignal.TLS_ESTABLISHED)
        self.secure = True
        self._restart()
        self._ensure_header()

    def authenticate(self, sasl: SaslClient) -> None:
        """Begin SASL; `Authenticated` or `AuthenticationFailed` follows (RFC 6120 6.4.2).

        Raises RemoteProtocolError where nothing that is offered may be used.
        """
        bindings = self.features.channel_bindings or tuple(ChannelBindingType)
        auth = sasl.start(self.features.mechanisms, bindings)
        self._move(StreamSignal.SASL_STARTED)
        self._sasl, self._mechanism = sasl, auth.mechanism
        self._outgoing.append(auth.encode().encode())

    def _take_sasl(self, nonza: Nonza) -> None:
        assert self._sasl is not None
        if nonza.name == "failure":
            self._move(StreamSignal.SASL_FAILED)
            self._events.append(AuthenticationFailed(self._mechanism, parse_failure(nonza)))
            return
        try:
            if nonza.name == "challenge":
                response = self._sasl.respond(parse_payload(nonza.text) or b"")
                self._outgoing.append(Nonza(ns.SASL, "response", payload=encode_payload(response)).encode())
                return
            if nonza.name != "success":
                raise self._unknown(nonza)
            self._sasl.receive_success(parse_payload(nonza.text))
        except RemoteProtocolError as error:
            if error.reply in frozenset(SaslErrorCondition):
                raise RemoteProtocolError(str(error), reply=Condition.NOT_AUTHORIZED) from error
            raise
        self._refuse_what_is_behind()
        self._move(StreamSignal.SASL_SUCCEEDED)
        self._sasl = None
        self._authenticated = True
        self._restart()
        self._ensure_header()
        self._events.append(Authenticated(self._mechanism, None))

    # resource binding (RFC 6120 7)

    def bind(self, resource: str = "") -> None:
        """Ask for a resource, or for one of the server's choice; `Bound` or `BindRefused` follows."""
        self._move(StreamSignal.BIND_REQUESTED)
        self._bind_id = make_id()
        bind = ET.Element(f"{{{ns.BIND}}}bind")
        if resource:
            ET.SubElement(bind, f"{{{ns.BIND}}}resource").text = resource
        request = Stanza("iq", {"type": "set", "id": self._bind_id}, encode_element(bind))
        self._outgoing.append(request.encode(self._framing.stanza_namespace))

    def _take_early_stanza(self, stanza: Stanza) -> None:
        if self.state is not StreamState.BINDING or stanza.kind != "iq" or stanza.id != self._bind_id:
            raise RemoteProtocolError(
                f"<{stanza.kind}/> in {self.state.name}", reply=Condition.POLICY_VIOLATION
            )
        tree = stanza.element()
        jid = tree.findtext(f"{{{ns.BIND}}}bind/{{{ns.BIND}}}jid")
        if stanza.type == "result" and jid:
            self.bound = Jid.parse(jid.strip())
            self._move(StreamSignal.BOUND)
            self._events.append(Bound(self.bound))
        else:
            error = tree.find(f"{{{ns.CLIENT}}}error")
            self._move(StreamSignal.BIND_REFUSED)
            self._events.append(BindRefused(_condition(error if error is not None else tree)))

    # stream management (XEP-0198 3, 5)

    def enable_management(self, *, resumable: bool = True) -> None:
        """Ask for it; `ManagementEnabled` or `ManagementFailed` follows."""
        if self.state is not StreamState.ESTABLISHED or self._management or self.managed:
            raise LocalProtocolError(f"stream management cannot be enabled in {self.state.name}")
        self._management = ManagedStanzas(maximum_unacknowledged=self._settings.maximum_unacknowledged)
        attributes = {"resume": "true"} if resumable else {}
        self._outgoing.append(Nonza(ns.STREAM_MANAGEMENT, "enable", attributes).encode())

    def resume(self, managed: ManagedStanzas) -> None:
        """Ask for a broken stream to go on over this one; `Resumed` or `ManagementFailed` follows."""
        self._move(StreamSignal.RESUME_REQUESTED)
        self._management = managed
        attributes = {"previd": managed.resumption_id, "h": str(managed.handled)}
        self._outgoing.append(Nonza(ns.STREAM_MANAGEMENT, "resume", attributes).encode())

    def send_stanza(self, stanza: Stanza) -> None:
        """Send a stanza; it counts as soon as management was asked for (XEP-0198 3)."""
        super().send_stanza(stanza)
        if self._management is not None:
            self._management.send_stanza(stanza)

    def _take_management(self, nonza: Nonza) -> None:
        asked = self._management
        match nonza.name:
            case "enabled" if asked is not None and self.state is StreamState.ESTABLISHED:
                self._management = None
                if nonza.attributes.get("resume") in ("true", "1"):
                    asked.resumption_id = nonza.attributes.get("id", "")
                    asked.maximum_time = parse_count(nonza.attributes.get("max", "0"))
                self._manage(asked)
            case "resumed" if asked is not None and self.state is StreamState.RESUMING:
                self._management = None
                asked.acknowledge(parse_count(nonza.attributes.get("h")))
                self._events.append(Resumed())
                self._go_on(asked)
            case "failed" if asked is not None:
                self._management = None
                self._refuse_management(asked, nonza)
            case _:
                super()._take_management(nonza)

    def _refuse_management(self, asked: ManagedStanzas, nonza: Nonza) -> None:
        unhandled: tuple[Stanza, ...] = ()
        if self.state is StreamState.RESUMING:
            if "h" in nonza.attributes:
                asked.acknowledge(parse_count(nonza.attributes["h"]))
            unhandled = asked.unacknowledged
            self._move(StreamSignal.RESUME_REFUSED)
            if self.kind is StreamKind.SERVER:
                self._move(StreamSignal.TRUSTED)
        self._events.append(ManagementFailed(_condition(nonza.element()), unhandled))


def _condition(error: ET.Element) -> StanzaErrorCondition:
    for child in error:
        namespace, name = split_name(child.tag)
        if namespace == ns.STANZA_ERRORS and name in _STANZA_CONDITIONS:
            return StanzaErrorCondition(name)
    return StanzaErrorCondition.UNDEFINED_CONDITION
