"""The initiating entity's end of SASL (RFC 6120 6): chooses the best mechanism offered and distrusts the server."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto

from certs.errors import RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.conditions import SaslErrorCondition
from proxies.xmpp.sasl.common import (
    NO_CHANNEL_BINDING,
    ChannelBindings,
    ChannelBindingType,
    SaslMechanism,
    encode_payload,
)
from proxies.xmpp.sasl.scram import ScramClientExchange
from proxies.xmpp.stanza import Nonza


@dataclass(frozen=True, slots=True, kw_only=True)
class SaslClientSettings:
    """Who logs in, and how."""

    username: str = ""
    "The account's localpart; empty where only a certificate speaks."

    password: str = field(default="", repr=False)
    "The password."

    authorization_id: str = ""
    "The address to act as, sent with EXTERNAL; empty lets the server take it from the certificate."

    mechanisms: tuple[SaslMechanism, ...] = tuple(SaslMechanism)
    "What may be used, the preferred first. A shorter list is how a client refuses a downgrade."

    plain_in_the_clear: bool = False
    "Whether the password may be shown to who reads along, without TLS."


@dataclass(frozen=True, slots=True)
class SaslAuth:
    """What to begin with."""

    mechanism: SaslMechanism
    "The chosen mechanism."

    initial: bytes | None = field(repr=False)
    "The initial response."

    def encode(self) -> Nonza:
        """Return the `<auth/>` element (RFC 6120 6.4.2)."""
        return Nonza(ns.SASL, "auth", {"mechanism": self.mechanism.value}, encode_payload(self.initial))


class _State(Enum):
    """How far SCRAM has come; the other mechanisms begin at the end, for they show nothing of the server."""

    FIRST_SENT = auto()
    FINAL_SENT = auto()
    DONE = auto()


class SaslClient:
    """Authenticates us to the server of one stream."""

    def __init__(
        self,
        settings: SaslClientSettings,
        *,
        encrypted: bool = False,
        channel_bindings: ChannelBindings = NO_CHANNEL_BINDING,
        has_certificate: bool = False,
    ) -> None:
        """Prepare for a connection; `has_certificate` says that TLS has shown one of ours."""
        self._settings = settings
        self._encrypted = encrypted
        self._channel_bindings = channel_bindings
        self._has_certificate = has_certificate
        self._scram: ScramClientExchange | None = None
        self._state = _State.DONE

    def start(
        self, offered: Iterable[str], offered_bindings: Iterable[str] = tuple(ChannelBindingType)
    ) -> SaslAuth:
        """Choose among the mechanisms of the stream features and return what to send.

        `offered_bindings` are the types of XEP-0440; without that feature any is tried. Raises
        RemoteProtocolError (`invalid-mechanism`) where nothing that is offered may be used.
        """
        offered = frozenset(offered)
        types = frozenset(offered_bindings)
        binding = next(((kind, data) for kind, data in self._channel_bindings.items() if kind in types), None)
        for mechanism in self._settings.mechanisms:
            if mechanism in offered and self._can_use(mechanism, has_binding=binding is not None):
                break
        else:
            raise RemoteProtocolError(
                f"the server offers {', '.join(sorted(offered)) or 'no mechanism'}; we may use "
                f"{', '.join(self._settings.mechanisms)}{'' if self._encrypted else ', without TLS'}",
                reply=SaslErrorCondition.INVALID_MECHANISM,
            )
        if mechanism is SaslMechanism.EXTERNAL:
            return SaslAuth(mechanism, self._settings.authorization_id.encode())
        if mechanism is SaslMechanism.PLAIN:
            return SaslAuth(mechanism, f"\0{self._settings.username}\0{self._settings.password}".encode())
        if not mechanism.binds_channel and any(name.endswith("-PLUS") for name in offered):
            binding = None  # flag "n": the server could bind, we choose not to (RFC 5802 6)
        self._scram = ScramClientExchange(
            mechanism, self._settings.username, self._settings.password, binding
        )
        self._state = _State.FIRST_SENT
        return SaslAuth(mechanism, self._scram.first())

    def respond(self, challenge: bytes) -> bytes:
        """Answer a `<challenge/>`.

        Raises RemoteProtocolError where the challenge is false or not expected; send `<abort/>` then.
        """
        if self._scram is not None and self._state is _State.FIRST_SENT:
            self._state = _State.FINAL_SENT
            return self._scram.receive_first(challenge)
        if self._scram is not None and self._state is _State.FINAL_SENT:
            # The server sends its signature before the success rather than in it (RFC 6120 6.4.6).
            self._scram.receive_final(challenge)
            self._state = _State.DONE
            return b""
        raise RemoteProtocolError(
            "a challenge that the mechanism does not know", reply=SaslErrorCondition.MALFORMED_REQUEST
        )

    def receive_success(self, data: bytes | None) -> None:
        """Take a `<success/>`.

        Raises RemoteProtocolError where SCRAM's server signature is missing or wrong: the server does not
        know the user's keys, and the stream must be closed (RFC 5802 5).
        """
        if self._scram is None or self._state is _State.DONE:
            return
        if self._state is _State.FIRST_SENT or not data:
            raise RemoteProtocolError(
                "success without the server's signature", reply=SaslErrorCondition.NOT_AUTHORIZED
            )
        self._scram.receive_final(data)
        self._state = _State.DONE

    def _can_use(self, mechanism: SaslMechanism, *, has_binding: bool) -> bool:
        if mechanism is SaslMechanism.EXTERNAL:
            return self._has_certificate
        if not self._settings.username:
            return False
        if mechanism is SaslMechanism.PLAIN:
            return self._encrypted or self._settings.plain_in_the_clear
        return has_binding or not mechanism.binds_channel
