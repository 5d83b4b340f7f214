"""One end of a TLS connection without a socket: bytes in, events out, and a verdict on the handshake."""

import ssl
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final, Literal, cast

from certs.catalogue import explain
from certs.clock import Clock
from certs.errors import CertificateError, LocalProtocolError, RemoteProtocolError
from certs.fips.approved import why_not_approved
from certs.fips.mode import in_fips_mode
from certs.handshake_messages import WatchedSslObject, parse_client_hello, set_verification_time
from certs.presented import parse_presented
from certs.verdict import PresentedCertificate, Reason, Side, Verdict
from proxies.tls.contexts import HandshakeContext
from proxies.tls.events import (
    DataReceived,
    HandshakeCompleted,
    HandshakeFailed,
    PeerClosed,
    PeerRefused,
    TlsEvent,
)
from proxies.tls.judging import Handshake, describe, reason_of, why_disbelieved

_READ_SIZE: Final = 256 * 1024
_FIRST_BYTES: Final = 16
_NO_PROOF: Final = (
    "A peer whose certificate is not trusted is let in here, and has to prove otherwise who it is."
)
_UNEXPECTED_MESSAGE: Final = bytes((21, 3, 3, 0, 2, 2, 10))


class TlsCore:
    """A handshake that ends in a verdict, then a way to encrypt and decrypt (RFC 8446, RFC 5246).

    `receive_data`, then `next_event` until it gives None, then `data_to_send`. After a HandshakeFailed what
    is to send holds our alert.
    """

    def __init__(self, context: HandshakeContext, *, clock: Clock) -> None:
        self._context = context
        self._clock = clock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._handshake = Handshake(side=context.side, asks_for_certificate=context.asks_for_certificate)
        self._state: Literal["handshake", "open", "closed"] = "handshake"
        self._chain: tuple[PresentedCertificate, ...] = ()
        self._disbelieved: Reason | None = None
        self._events: deque[TlsEvent] = deque()
        if context.believing is None:  # else OpenSSL would look at dates after all
            set_verification_time(context.ssl_context, clock.now())
        made = context.ssl_context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=context.side is Side.SERVER,
            server_hostname=context.server_name,
        )
        self._ssl = cast(WatchedSslObject, made)
        self._ssl.watcher = self
        if context.side is Side.CLIENT:
            self._shake_hands()

    # What the handshake shows (certs.handshake_messages.HandshakeWatcher).

    def client_hello_received(self, message: bytes) -> None:
        """Take down that the peer speaks TLS, and in FIPS mode what it offers."""
        self._handshake.hello_received = True
        if in_fips_mode():
            with suppress(RemoteProtocolError):
                self._handshake.offered = parse_client_hello(message)

    def chain_presented(self, chain: tuple[bytes, ...]) -> ssl.SSLContext | None:
        """Keep the chain; hand over to the refusing context where the subject is not selected (G19)."""
        if self._state != "handshake":
            return None
        self._handshake.presented = chain
        self._chain = tuple(parse_presented(der) for der in chain)
        if self._context.believing is not None and chain:
            return self._weigh(self._context.believing, chain)
        if self._context.asks_for_certificate and in_fips_mode():
            self._handshake.not_approved = next(filter(None, map(why_not_approved, self._chain)), "")
            if self._handshake.not_approved:
                return self._context.refusing_context
        selected = self._context.trust.peer_subjects
        if not self._context.asks_for_certificate or not chain or selected is None:
            return None
        if self._chain[0].common_name in selected:
            return None
        self._handshake.subject_refused = True
        return self._context.refusing_context

    def _weigh(
        self, believing: Callable[[bytes], ssl.SSLContext], chain: tuple[bytes, ...]
    ) -> ssl.SSLContext | None:
        """Let a chain in that proves nothing, and keep why it does not; any other is for OpenSSL to verify."""
        trusted = self._context.trust.certificates
        self._disbelieved = why_disbelieved(self._chain, trusted, self._clock.now())
        if self._disbelieved is None:
            return None
        try:
            return believing(chain[0])
        except CertificateError:
            return None

    def alert_crossed(self, direction: Literal["read", "write"], name: str) -> None:
        """Keep the alert that ends the connection; close_notify is no refusal."""
        if name == "close_notify":
            return
        if direction == "read":
            self._handshake.alert_received = name
        else:
            self._handshake.alert_sent = name

    # The seam.

    @property
    def is_open(self) -> bool:
        """Whether the handshake is done and the connection not closed."""
        return self._state == "open"

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the peer."""
        if not self._handshake.first_bytes:
            self._handshake.first_bytes = data[:_FIRST_BYTES]
        self._incoming.write(data)

    def receive_eof(self) -> None:
        """The peer will send no more bytes."""
        # Bytes that came before the end are judged first; OpenSSL may still find a refusal in them.
        self._shake_hands()
        self._fail(Reason.CLOSED_EARLY)
        self._incoming.write_eof()

    def end_handshake(self, reason: Reason) -> None:
        """Give the handshake up for a reason that lies outside TLS: its time or its place was used up."""
        self._fail(reason)

    def next_event(self) -> TlsEvent | None:
        """Return the next thing that happened, or None until more bytes arrive."""
        if self._events:
            return self._events.popleft()
        if self._state == "handshake":
            self._shake_hands()
        elif self._state == "open":
            self._read()
        return self._events.popleft() if self._events else None

    def send_data(self, data: bytes) -> None:
        """Encrypt application data.

        Raises LocalProtocolError before the handshake is done and after the connection was closed.
        """
        if self._state != "open":
            raise LocalProtocolError(f"no data can be sent in the state {self._state}")
        self._ssl.write(data)

    def close(self) -> None:
        """Say close_notify (RFC 8446 6.1)."""
        if self._state == "open":
            self._state = "closed"
            with suppress(ssl.SSLError):
                self._ssl.unwrap()

    def data_to_send(self) -> bytes:
        """Return and forget the bytes for the peer."""
        return self._outgoing.read()

    # Inside.

    def _shake_hands(self) -> None:
        if self._state != "handshake":
            return
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLCertVerificationError as error:
            self._handshake.verify_code = error.verify_code
            self._fail(None)
            return
        except ssl.SSLError:
            self._fail(None)
            return
        self._state = "open"
        if self._handshake.presented is None:
            self._take_chain_of_resumed_session()
        self._events.append(HandshakeCompleted(self._verdict(Reason.ACCEPTED)))

    def _take_chain_of_resumed_session(self) -> None:
        # A session resumed by its id (RFC 5246 7.3) shows no certificate again; this context judged it.
        certificate = self._ssl.getpeercert(binary_form=True)
        if certificate is not None:
            self._chain = (parse_presented(certificate),)

    def _fail(self, ended_by: Reason | None) -> None:
        if self._state != "handshake":
            return
        self._state = "closed"
        self._handshake.ended_by = ended_by
        reason = reason_of(self._handshake, self._chain, self._context.trust.certificates, self._clock.now())
        if reason is Reason.PLAIN_TEXT:
            self._answer_plain_text()
        self._events.append(HandshakeFailed(self._verdict(reason)))

    def _answer_plain_text(self) -> None:
        # OpenSSL says nothing here; RFC 8446 5 asks for unexpected_message. No keys yet: it goes in the clear.
        self._outgoing.read()
        self._outgoing.write(_UNEXPECTED_MESSAGE)
        self._handshake.alert_sent = "unexpected_message"

    def _read(self) -> None:
        try:
            data = self._ssl.read(_READ_SIZE)
        except ssl.SSLWantReadError:
            return
        except ssl.SSLZeroReturnError:
            self._events.append(PeerClosed(clean=True))
            self._state = "closed"
            return
        except ssl.SSLEOFError:
            self._events.append(PeerClosed(clean=False))
            self._state = "closed"
            return
        except ssl.SSLError:
            self._state = "closed"
            if self._handshake.alert_received:
                self._events.append(PeerRefused(self._verdict(Reason.PEER_ALERT)))
            else:
                self._events.append(PeerClosed(clean=False))
            return
        if data:
            self._events.append(DataReceived(data))
        else:
            self._state = "closed"
            self._events.append(PeerClosed(clean=True))

    def _verdict(self, reason: Reason) -> Verdict:
        trust = self._context.trust
        chain = self._chain
        explanation = explain(
            reason,
            trust_store=trust.trust_store,
            tls_context=trust.tls_context,
            services=trust.services,
            node=trust.node,
            subject=chain[0].common_name if chain else "",
            trust_clause=trust.clause,
            trust_is_live=trust.is_live,
        )
        detail = describe(self._handshake, reason, chain, self._context.server_name or "")
        if self._disbelieved is not None and reason is Reason.ACCEPTED:
            why = describe(self._handshake, self._disbelieved, chain, "")
            detail = f"the certificate proves nothing here ({self._disbelieved}): {why}"
            explanation = replace(explanation, rule=_NO_PROOF)
        cipher = self._ssl.cipher()
        return Verdict(
            accepted=reason is Reason.ACCEPTED,
            reason=reason,
            side=self._context.side,
            presented_chain=chain,
            rule=explanation.rule,
            clause=explanation.clause,
            remedy=explanation.remedy,
            detail=detail,
            alert_sent=self._handshake.alert_sent,
            alert_received=self._handshake.alert_received,
            verify_code=self._handshake.verify_code,
            tls_version=self._ssl.version() or self._ssl.tls_version,
            cipher=cipher[0] if cipher else "",
            disbelieved=self._disbelieved,
        )
