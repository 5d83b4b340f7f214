"""The receiving entity's side of a stream: checks, offers, and lets in (RFC 6120 4 to 7)."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from typing import Final, assert_never, cast
from xml.etree import ElementTree as ET

from certs.errors import LocalProtocolError, RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.conditions import SaslErrorCondition, StanzaErrorCondition
from proxies.xmpp.conditions import StreamErrorCondition as Condition
from proxies.xmpp.jid import Jid
from proxies.xmpp.sasl.common import SaslChallenge, SaslFailure, SaslStep, SaslSuccess, encode_step
from proxies.xmpp.sasl.server import SaslServer
from proxies.xmpp.stanza import Nonza, Stanza, encode_element
from proxies.xmpp.streams.events import (
    Authenticated,
    AuthenticationFailed,
    BindRequested,
    ResumeRequested,
    StreamOpened,
    TlsProceeding,
)
from proxies.xmpp.streams.features import StreamFeatures
from proxies.xmpp.streams.framing import StreamFraming
from proxies.xmpp.streams.management import ManagedStanzas, make_resumption_id, parse_count
from proxies.xmpp.streams.reader_events import StreamHeader
from proxies.xmpp.streams.settings import ReceivingSettings, Role, StreamKind, TlsOffer
from proxies.xmpp.streams.state import StreamSignal, StreamState
from proxies.xmpp.streams.stream import XmppStream

_VERSION: Final = re.compile(r"([0-9]{1,4})\.[0-9]{1,4}").fullmatch
_TRUE: Final = ("true", "1")

MakeSasl = Callable[[StreamOpened], SaslServer]
"Makes what judges the peer, once it is known whom it asks for, who it says it is and whether TLS is there."


class ReceivingStream(XmppStream):
    """A stream that a client, server or component opened to us."""

    role = Role.RECEIVING
    waits_for_owner = frozenset(
        {StreamState.SECURING, StreamState.BINDING, StreamState.RESUMING, StreamState.CLOSED}
    )

    def __init__(
        self,
        settings: ReceivingSettings,
        *,
        now: float,
        make_sasl: MakeSasl | None = None,
        secure: bool = False,
        channel_bindings: tuple[str, ...] = (),
        framing: StreamFraming | None = None,
    ) -> None:
        """`secure` is for TLS from the first byte; without `make_sasl` no mechanism is offered."""
        super().__init__(settings, now=now, secure=secure, framing=framing)
        self.domain = ""
        "The domain of ours that the peer asked for."
        self.peer: Jid | None = None
        "Who the peer is: an account's bare address, or a domain; None until it has proved it."
        self.bound: Jid | None = None
        "A client's full address, once a resource is bound."
        self._settings = settings
        self._make_sasl = make_sasl
        self._sasl: SaslServer | None = None
        self._mechanism = ""
        self._failed_attempts = 0
        self._channel_bindings = channel_bindings
        self._opened: StreamOpened | None = None
        self._bind_id = ""
        self._bound_text = ""
        self._resume: ResumeRequested | None = None

    # opening

    def _take_header(self, header: StreamHeader) -> None:
        if self.state not in (StreamState.OPENING, StreamState.REOPENING):
            raise RemoteProtocolError("a second stream header", reply=Condition.BAD_FORMAT)
        self._framing.check_root(header)
        if header.content_namespace != self.kind:
            raise RemoteProtocolError(
                f"the content namespace is {header.content_namespace!r} instead of {self.kind!r}",
                reply=Condition.INVALID_NAMESPACE,
            )
        to = header.attributes.get("to")
        if to is None and header.namespace == ns.HTTP_BIND and self._authenticated:
            to = self.domain  # a restart need not say it again (XEP-0206 5)
        self.domain = self._check_to(to)
        version = self._check_version(header.attributes.get("version"))
        sender = self._check_sender(header.attributes.get("from", ""))
        self.id = secrets.token_hex(10)
        self._opened = StreamOpened(
            id=self.id,
            to=self.domain,
            sender=sender,
            secure=self.secure,
            language=header.attributes.get(f"{{{ns.XML}}}lang", ""),
        )
        self._send_header(sender, self.domain, version=version)
        self._move(StreamSignal.OPENED)
        self._events.append(self._opened)
        if version:
            self._send_stream_element("features", self._features().encode())
        if self._authenticated and self.kind is StreamKind.SERVER:
            self._move(StreamSignal.TRUSTED)

    def _check_to(self, to: str | None) -> str:
        if not to:
            raise RemoteProtocolError("the header names no domain", reply=Condition.IMPROPER_ADDRESSING)
        try:
            jid = Jid.parse(to)
        except RemoteProtocolError as error:
            raise RemoteProtocolError(str(error), reply=Condition.IMPROPER_ADDRESSING) from None
        if jid.localpart or jid.resourcepart or jid.domainpart not in self._settings.domains:
            raise RemoteProtocolError(f"{to[:200]!r} is not served here", reply=Condition.HOST_UNKNOWN)
        return jid.domainpart

    def _check_version(self, text: str | None) -> str:
        """Return the version to answer with: none for components, and for servers from before there was one."""
        if self.kind is StreamKind.COMPONENT:
            return ""
        if text is None and self.kind is StreamKind.SERVER and self._settings.dialback:
            return ""
        match = _VERSION(text or "")
        if match is None or int(match[1]) < 1:
            raise RemoteProtocolError(
                f"version {text!r} instead of '1.0'", reply=Condition.UNSUPPORTED_VERSION
            )
        return "1.0"

    def _check_sender(self, text: str) -> str:
        try:
            sender = Jid.parse(text) if text else None
        except RemoteProtocolError as error:
            raise RemoteProtocolError(str(error), reply=Condition.INVALID_FROM) from None
        if sender is not None and self.peer is not None and sender.bare != self.peer:
            raise RemoteProtocolError(
                f"the stream of {self.peer} is opened anew by {sender}", reply=Condition.INVALID_FROM
            )
        return str(sender or "")

    def _features(self) -> StreamFeatures:
        if self._authenticated:
            client = self.kind is StreamKind.CLIENT
            return StreamFeatures(
                bind=client,
                session=client,
                stream_management=self._settings.stream_management,
                others=self._settings.bound_features,
            )
        offers_tls = not self.secure and self._settings.tls is not TlsOffer.NONE
        if self._must_secure:
            return StreamFeatures(starttls=True, tls_required=True)
        assert self._opened is not None
        self._sasl = self._make_sasl(self._opened) if self._make_sasl else None
        mechanisms = tuple(self._sasl.mechanisms()) if self._sasl else ()
        return StreamFeatures(
            starttls=offers_tls,
            mechanisms=mechanisms,
            channel_bindings=self._channel_bindings if any(m.endswith("-PLUS") for m in mechanisms) else (),
            dialback=self._settings.dialback,
        )

    @property
    def _must_secure(self) -> bool:
        return not self.secure and self._settings.tls is TlsOffer.REQUIRED

    def _ensure_header(self) -> None:
        if not self._header_sent:
            self.id = self.id or secrets.token_hex(10)
            version = "" if self.kind is StreamKind.COMPONENT else "1.0"
            self._send_header("", self.domain or min(self._settings.domains, default=""), version=version)

    # before stanzas

    def _take_nonza(self, nonza: Nonza) -> None:
        match nonza:
            case Nonza(namespace=ns.TLS, name="starttls") if self.state is StreamState.NEGOTIATING:
                self._start_tls()
            case Nonza(namespace=ns.SASL):
                self._take_sasl(nonza)
            case Nonza(namespace=ns.COMPONENT, name="handshake") if (
                self.kind is StreamKind.COMPONENT and self.state is StreamState.NEGOTIATING
            ):
                self._check_handshake(nonza)
            case Nonza(namespace=ns.DIALBACK) if self.kind is StreamKind.SERVER:
                if self._must_secure or not self._settings.dialback:
                    raise RemoteProtocolError("dialback is not offered", reply=Condition.NOT_AUTHORIZED)
                self._take_dialback(nonza)
            case _:
                raise self._unknown(nonza)

    def _start_tls(self) -> None:
        if self.secure or self._settings.tls is TlsOffer.NONE:
            self._outgoing.append(Nonza(ns.TLS, "failure").encode())
            self._finish()
            return
        self._refuse_what_is_behind()
        self._outgoing.append(Nonza(ns.TLS, "proceed").encode())
        self._move(StreamSignal.TLS_REQUESTED)
        self._move(StreamSignal.TLS_PROCEEDED)
        self._events.append(TlsProceeding())

    def tls_established(self, *, channel_bindings: tuple[str, ...] = ()) -> None:
        """Go on over TLS; the peer opens the stream anew (RFC 6120 5.4.3.3)."""
        self._move(StreamSignal.TLS_ESTABLISHED)
        self.secure = True
        self._channel_bindings = channel_bindings
        self._restart()

    def _check_handshake(self, nonza: Nonza) -> None:
        """Compare the digest of stream id and secret (XEP-0114 3)."""
        secret = self._settings.component_secrets.get(self.domain)
        expected = hashlib.sha1(f"{self.id}{secret}".encode(), usedforsecurity=False).hexdigest()
        if secret is None or not hmac.compare_digest(expected.encode(), nonza.text.lower().encode()):
            failure = SaslFailure(SaslErrorCondition.NOT_AUTHORIZED, detail="the handshake does not match")
            self._events.append(AuthenticationFailed("handshake", failure))
            self.fail(Condition.NOT_AUTHORIZED, f"the handshake of {self.domain} does not match its secret")
            return
        self._outgoing.append(Nonza("", "handshake").encode())
        self.peer = Jid.parse(self.domain)
        self.peer_trusted()
        self._events.append(Authenticated("handshake", self.peer))

    # SASL (RFC 6120 6.4)

    def _take_sasl(self, nonza: Nonza) -> None:
        if nonza.name == "auth" and self.state is StreamState.NEGOTIATING:
            self._mechanism = nonza.attributes.get("mechanism", "")[:40]
            self._move(StreamSignal.SASL_STARTED)
        elif self.state is not StreamState.AUTHENTICATING:
            raise self._unknown(nonza)
        if self._sasl is not None:
            self._take_step(self._sasl.receive_nonza(nonza))
        elif self._must_secure:
            self._take_step(SaslFailure(SaslErrorCondition.ENCRYPTION_REQUIRED))
        else:
            self._take_step(SaslFailure(SaslErrorCondition.INVALID_MECHANISM))

    def _take_step(self, step: SaslStep) -> None:
        match step:
            case SaslChallenge():
                self._outgoing.append(encode_step(step).encode())
            case SaslSuccess():
                self._refuse_what_is_behind()
                self._outgoing.append(encode_step(step).encode())
                self.peer = step.authorization_id
                self._authenticated = True
                self._sasl = None
                self._move(StreamSignal.SASL_SUCCEEDED)
                self._restart()
                self._events.append(Authenticated(self._mechanism, self.peer))
            case SaslFailure():
                self._outgoing.append(encode_step(step).encode())
                self._move(StreamSignal.SASL_FAILED)
                self._events.append(AuthenticationFailed(self._mechanism, step))
                self._failed_attempts += 1
                if self._failed_attempts >= self._settings.sasl_attempts:
                    self.fail(Condition.POLICY_VIOLATION, "too many failed attempts to authenticate")
            case _:
                assert_never(step)

    # resource binding (RFC 6120 7)

    def _take_early_stanza(self, stanza: Stanza) -> None:
        if self.state is not StreamState.AUTHENTICATED:
            raise RemoteProtocolError("a stanza before authentication", reply=Condition.NOT_AUTHORIZED)
        if stanza.kind != "iq" or not stanza.has_child(ns.BIND, "bind"):
            raise RemoteProtocolError("a stanza before a resource is bound", reply=Condition.NOT_AUTHORIZED)
        if stanza.type != "set" or not stanza.id:
            self._outgoing.append(self._encode(stanza.error(StanzaErrorCondition.BAD_REQUEST)))
            return
        self._bind_id = stanza.id
        resource = stanza.element().findtext(f"{{{ns.BIND}}}bind/{{{ns.BIND}}}resource") or ""
        self._move(StreamSignal.BIND_REQUESTED)
        self._events.append(BindRequested(resource.strip()))

    def bind(self, jid: Jid) -> None:
        """Give the client its full address."""
        self._move(StreamSignal.BOUND)
        self._set_bound(jid)
        bind = ET.Element(f"{{{ns.BIND}}}bind")
        ET.SubElement(bind, f"{{{ns.BIND}}}jid").text = str(jid)
        result = Stanza("iq", {"type": "result", "id": self._bind_id}, encode_element(bind))
        self._outgoing.append(self._encode(result))

    def _set_bound(self, jid: Jid) -> None:
        self.bound = jid
        self._bound_text = str(jid)

    def refuse_bind(self, condition: StanzaErrorCondition, text: str = "") -> None:
        """Refuse the resource: `conflict`, `resource-constraint`, `not-allowed` (RFC 6120 7.6.2, 7.7.2)."""
        self._move(StreamSignal.BIND_REFUSED)
        request = Stanza("iq", {"id": self._bind_id})
        self._outgoing.append(self._encode(request.error(condition, text)))

    def _encode(self, stanza: Stanza) -> bytes:
        return stanza.encode(self._framing.stanza_namespace)

    def _admit(self, stanza: Stanza) -> bool:
        if self.bound is None:
            return super()._admit(stanza)
        sender = stanza.attributes.get("from")
        if sender is not None and sender != self._bound_text and not self._is_ours(sender):
            raise RemoteProtocolError(f"{self.bound} sends as {sender[:200]!r}", reply=Condition.INVALID_FROM)
        # RFC 6120 8.1.2.1; the reader made this dictionary for the one stanza, so nobody else sees it change
        cast(dict[str, str], stanza.attributes)["from"] = self._bound_text
        if stanza.kind == "iq" and stanza.has_child(ns.SESSION, "session"):
            self._outgoing.append(self._encode(stanza.reply()))
            return False
        return True

    def _is_ours(self, sender: str) -> bool:
        assert self.bound is not None
        try:
            return Jid.parse(sender) in (self.bound, self.bound.bare)
        except RemoteProtocolError:
            return False

    # stream management (XEP-0198 3, 5)

    def _take_management(self, nonza: Nonza) -> None:
        offered = self._authenticated and self._settings.stream_management
        match nonza.name:
            case "enable":
                if not offered:
                    self._refuse_management(StanzaErrorCondition.FEATURE_NOT_IMPLEMENTED)
                elif self.state is not StreamState.ESTABLISHED or self.managed is not None:
                    self._refuse_management(StanzaErrorCondition.UNEXPECTED_REQUEST)
                else:
                    self._enable_management(nonza)
            case "resume":
                if not offered or self._settings.resumption_time <= 0:
                    self._refuse_management(StanzaErrorCondition.FEATURE_NOT_IMPLEMENTED)
                elif self.managed is not None or self.bound is not None:
                    self._refuse_management(StanzaErrorCondition.UNEXPECTED_REQUEST)
                else:
                    handled = parse_count(nonza.attributes.get("h"))
                    self._move(StreamSignal.RESUME_REQUESTED)
                    self._resume = ResumeRequested(nonza.attributes.get("previd", ""), handled)
                    self._events.append(self._resume)
            case _:
                super()._take_management(nonza)

    def _enable_management(self, nonza: Nonza) -> None:
        attributes = {}
        resumption_id, maximum_time = "", 0
        if nonza.attributes.get("resume") in _TRUE and self._settings.resumption_time > 0:
            resumption_id = make_resumption_id()
            maximum_time = self._settings.resumption_time
            if "max" in nonza.attributes:
                maximum_time = min(maximum_time, parse_count(nonza.attributes["max"]))
            attributes = {"id": resumption_id, "resume": "true", "max": str(maximum_time)}
        self._outgoing.append(Nonza(ns.STREAM_MANAGEMENT, "enabled", attributes).encode())
        self._manage(
            ManagedStanzas(
                maximum_unacknowledged=self._settings.maximum_unacknowledged,
                resumption_id=resumption_id,
                maximum_time=maximum_time,
            )
        )

    def resume(self, managed: ManagedStanzas, jid: Jid | None = None) -> None:
        """Let the stream go on where it broke; `jid` is the client's full address.

        Raises RemoteProtocolError where the client acknowledges what it was not sent; the stream is over then.
        """
        if self._resume is None:
            raise LocalProtocolError("no resumption was asked for")
        request, self._resume = self._resume, None
        try:
            managed.acknowledge(request.handled)
        except RemoteProtocolError as error:
            self._fail_by(error)
            raise
        if jid is not None:
            self._set_bound(jid)
        attributes = {"previd": request.previous_id, "h": str(managed.handled)}
        self._outgoing.append(Nonza(ns.STREAM_MANAGEMENT, "resumed", attributes).encode())
        self._go_on(managed)

    def refuse_resume(self, *, handled: int | None = None) -> None:
        """Say that there is no such stream, and how many stanzas it handled where that is still known."""
        self._move(StreamSignal.RESUME_REFUSED)
        self._resume = None
        self._refuse_management(StanzaErrorCondition.ITEM_NOT_FOUND, handled)
        if self.kind is StreamKind.SERVER:
            self._move(StreamSignal.TRUSTED)

    def _refuse_management(self, condition: StanzaErrorCondition, handled: int | None = None) -> None:
        attributes = {} if handled is None else {"h": str(handled)}
        payload = encode_element(ET.Element(f"{{{ns.STANZA_ERRORS}}}{condition}"))
        self._outgoing.append(Nonza(ns.STREAM_MANAGEMENT, "failed", attributes, payload).encode())
