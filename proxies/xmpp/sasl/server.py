"""The receiving entity's end of SASL (RFC 6120 6): PLAIN, SCRAM with and without channel binding, EXTERNAL."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from certs.errors import HarnessError, LocalProtocolError, RemoteProtocolError
from proxies.xmpp.conditions import SaslErrorCondition
from proxies.xmpp.jid import Jid
from proxies.xmpp.sasl.common import (
    MAXIMUM_PAYLOAD,
    NO_CHANNEL_BINDING,
    ChannelBindings,
    SaslChallenge,
    SaslFailure,
    SaslMechanism,
    SaslStep,
    SaslSuccess,
    parse_payload,
)
from proxies.xmpp.sasl.scram import ScramServerExchange
from proxies.xmpp.sasl.scram_keys import ScramKeys, UserCredentials, decoy_credentials, verify_password
from proxies.xmpp.stanza import Nonza

FindCredentials = Callable[[str], UserCredentials | None]
"""Returns the credentials of an account by its localpart, None where there is none.

A HarnessError that it raises becomes temporary-auth-failure.
"""

_DECOY_SECRET: Final = secrets.token_bytes(32)
_UNEXPLAINED: Final = frozenset(
    {SaslErrorCondition.NOT_AUTHORIZED, SaslErrorCondition.TEMPORARY_AUTH_FAILURE}
)  # the details are not for who may be guessing credentials
_CREDENTIALS: Final = "the user name or the password is wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class SaslServerSettings:
    """What a server accepts."""

    mechanisms: tuple[SaslMechanism, ...] = tuple(SaslMechanism)
    "What may be offered, in the order of the offer; the connection decides which of these can be."

    plain_in_the_clear: bool = False
    "Whether PLAIN is taken without TLS: what client secure mode off means (G21)."


class _Exchange(Protocol):
    """One mechanism at work. `receive` raises RemoteProtocolError with a SASL condition."""

    def receive(self, data: bytes) -> SaslChallenge | SaslSuccess: ...


class SaslServer:
    """Authenticates the peer of one stream; after a failure the peer may begin again."""

    def __init__(
        self,
        settings: SaslServerSettings,
        *,
        domain: str,
        find_credentials: FindCredentials | None = None,
        encrypted: bool = False,
        channel_bindings: ChannelBindings = NO_CHANNEL_BINDING,
        certificate_identities: Sequence[Jid] = (),
    ) -> None:
        """Serve a domain.

        Without `find_credentials` no password counts: a server's stream. `certificate_identities` are the
        addresses that the peer may take by the certificate that TLS accepted: the XMPP addresses of a
        client's, the stream's `from` domain where a server's speaks for it; empty where there is none.
        """
        self._settings = settings
        self._encrypted = encrypted
        self._channel_bindings = channel_bindings
        self._identities = tuple(certificate_identities)
        self._has_passwords = find_credentials is not None
        self._accounts = _Accounts(domain, find_credentials or _nobody)
        self._exchange: _Exchange | None = None
        self._succeeded = False

    def mechanisms(self) -> tuple[SaslMechanism, ...]:
        """Return what may be offered on this connection."""
        return tuple(m for m in self._settings.mechanisms if self._can_offer(m))

    def start(self, mechanism: str, initial: bytes | None) -> SaslStep:
        """Take an `<auth/>`; `initial` is None where it brings no initial response."""
        if self._succeeded:
            raise LocalProtocolError(
                "this stream is authenticated; SASL begins on a new one (RFC 6120 6.4.6)"
            )
        if self._exchange is not None:
            return self._fail(_malformed("<auth/> in the middle of a negotiation"))
        try:
            self._exchange = self._begin(mechanism)
        except RemoteProtocolError as error:
            return self._fail(error)
        return SaslChallenge(b"") if initial is None else self.respond(initial)

    def respond(self, data: bytes) -> SaslStep:
        """Take a `<response/>`."""
        if self._exchange is None:
            return self._fail(_malformed("<response/> without <auth/>"))
        try:
            if len(data) > MAXIMUM_PAYLOAD:
                raise _malformed(f"a SASL message may have {MAXIMUM_PAYLOAD} octets")
            step = self._exchange.receive(data)
        except RemoteProtocolError as error:
            return self._fail(error)
        if isinstance(step, SaslSuccess):
            self._exchange, self._succeeded = None, True
        return step

    def abort(self) -> SaslFailure:
        """Take an `<abort/>` (RFC 6120 6.4.5)."""
        return self._fail(RemoteProtocolError("the peer gave up", reply=SaslErrorCondition.ABORTED))

    def receive_nonza(self, nonza: Nonza) -> SaslStep:
        """Take any element of the SASL namespace as it came from the stream."""
        try:
            match nonza.name:
                case "auth":
                    return self.start(nonza.attributes.get("mechanism", ""), parse_payload(nonza.text))
                case "response":
                    return self.respond(parse_payload(nonza.text) or b"")
                case "abort":
                    return self.abort()
                case _:
                    raise _malformed(f"<{nonza.name}/> is not for a server")
        except RemoteProtocolError as error:
            return self._fail(error)

    def _fail(self, error: RemoteProtocolError) -> SaslFailure:
        self._exchange = None
        condition = SaslErrorCondition(error.reply)
        text = "" if condition in _UNEXPLAINED else str(error)
        return SaslFailure(condition, text, detail=str(error))

    def _can_offer(self, mechanism: SaslMechanism) -> bool:
        if mechanism is SaslMechanism.EXTERNAL:
            return bool(self._identities)
        if mechanism is SaslMechanism.PLAIN:
            return self._has_passwords and (self._encrypted or self._settings.plain_in_the_clear)
        return self._has_passwords and (bool(self._channel_bindings) or not mechanism.binds_channel)

    def _begin(self, name: str) -> _Exchange:
        try:
            mechanism = SaslMechanism(name)
        except ValueError:
            raise RemoteProtocolError(
                f"mechanism {name[:40]!r} is not offered", reply=SaslErrorCondition.INVALID_MECHANISM
            ) from None
        if mechanism not in self._settings.mechanisms:
            raise RemoteProtocolError(
                f"{mechanism} is not accepted here", reply=SaslErrorCondition.MECHANISM_TOO_WEAK
            )
        if not self._can_offer(mechanism):
            if mechanism is SaslMechanism.PLAIN and self._has_passwords:
                raise RemoteProtocolError(
                    "PLAIN is accepted only under TLS", reply=SaslErrorCondition.ENCRYPTION_REQUIRED
                )
            raise RemoteProtocolError(
                f"{mechanism} is not offered on this connection", reply=SaslErrorCondition.INVALID_MECHANISM
            )
        if mechanism is SaslMechanism.EXTERNAL:
            return _External(self._accounts, self._identities)
        if mechanism is SaslMechanism.PLAIN:
            return _Plain(self._accounts)
        # A client that saw no -PLUS is betrayed only where one was offered (RFC 5802 6).
        binds = any(offered.binds_channel for offered in self.mechanisms())
        return _Scram(mechanism, self._accounts, self._channel_bindings if binds else NO_CHANNEL_BINDING)


class _Accounts:
    """The accounts of one domain, as the mechanisms ask for them."""

    def __init__(self, domain: str, find_credentials: FindCredentials) -> None:
        self._domain = domain
        self._find_credentials = find_credentials

    def credentials(self, name: str) -> tuple[str, UserCredentials]:
        """Return the prepared localpart and the credentials of a user name.

        Who does not exist has credentials that nothing matches, and costs the same work.
        """
        try:
            localpart = Jid.parse(f"{name}@{self._domain}").localpart if "/" not in name else ""
        except RemoteProtocolError:
            localpart = ""
        found = self.find(localpart) if localpart else None
        decoy = decoy_credentials(localpart or name, _DECOY_SECRET)
        return localpart or name, found or decoy

    def find(self, localpart: str) -> UserCredentials | None:
        """Return an account's credentials, or None."""
        try:
            return self._find_credentials(localpart)
        except HarnessError as error:
            raise RemoteProtocolError(
                f"accounts cannot be read now: {error}", reply=SaslErrorCondition.TEMPORARY_AUTH_FAILURE
            ) from error

    def authorize(
        self, mechanism: SaslMechanism, localpart: str, enabled: bool, wanted: str, data: bytes = b""
    ) -> SaslSuccess:
        """Return the success of an authenticated account that wants to act as `wanted`; empty is itself."""
        if not enabled:
            raise RemoteProtocolError(
                f"the account {localpart} is disabled", reply=SaslErrorCondition.ACCOUNT_DISABLED
            )
        own = Jid(localpart, self._domain)
        if wanted and _parse_identity(wanted) != own:
            raise RemoteProtocolError(
                f"{own} may not act as {wanted[:200]!r}", reply=SaslErrorCondition.INVALID_AUTHZID
            )
        return SaslSuccess(mechanism, localpart, own, data)


class _Plain:
    """User name and password in one message (RFC 4616)."""

    def __init__(self, accounts: _Accounts) -> None:
        self._accounts = accounts

    def receive(self, data: bytes) -> SaslSuccess:
        parts = _text(data).split("\0")
        if len(parts) != 3 or not parts[1] or not parts[2]:
            raise _malformed("PLAIN is [authzid] NUL authcid NUL password (RFC 4616 2)")
        wanted, name, password = parts
        localpart, credentials = self._accounts.credentials(name)
        if not verify_password(credentials, password):
            raise _not_authorized(f"{_CREDENTIALS}: {localpart[:200]!r}")
        return self._accounts.authorize(SaslMechanism.PLAIN, localpart, credentials.enabled, wanted)


class _Scram:
    """Two rounds that show both ends to know the password (RFC 5802 3)."""

    def __init__(
        self, mechanism: SaslMechanism, accounts: _Accounts, channel_bindings: ChannelBindings
    ) -> None:
        self._mechanism = mechanism
        self._accounts = accounts
        self._exchange = ScramServerExchange(mechanism, self._find_keys, channel_bindings)
        self._localpart = ""
        self._enabled = True
        self._is_first = True

    def receive(self, data: bytes) -> SaslChallenge | SaslSuccess:
        if self._is_first:
            self._is_first = False
            return SaslChallenge(self._exchange.receive_first(data))
        try:
            final = self._exchange.receive_final(data)
        except RemoteProtocolError as error:
            if error.reply != SaslErrorCondition.NOT_AUTHORIZED:
                raise
            raise _not_authorized(f"{error} ({self._localpart[:200]!r})") from None
        return self._accounts.authorize(
            self._mechanism, self._localpart, self._enabled, self._exchange.authorization_id, final
        )

    def _find_keys(self, name: str) -> ScramKeys:
        self._localpart, credentials = self._accounts.credentials(name)
        self._enabled = credentials.enabled
        is_sha_1 = self._mechanism in (SaslMechanism.SCRAM_SHA_1, SaslMechanism.SCRAM_SHA_1_PLUS)
        return credentials.scram_sha_1 if is_sha_1 else credentials.scram_sha_256


class _External:
    """The certificate that TLS accepted says who it is (RFC 4422 A, XEP-0178)."""

    def __init__(self, accounts: _Accounts, identities: Sequence[Jid]) -> None:
        self._accounts = accounts
        self._identities = identities

    def receive(self, data: bytes) -> SaslSuccess:
        identity = self._choose(_text(data))
        if not identity.localpart:
            return SaslSuccess(SaslMechanism.EXTERNAL, str(identity), identity)
        credentials = self._accounts.find(identity.localpart)
        if credentials is None:
            raise _not_authorized(f"{identity} in the certificate is no account here")
        return self._accounts.authorize(
            SaslMechanism.EXTERNAL, identity.localpart, credentials.enabled, str(identity)
        )

    def _choose(self, wanted: str) -> Jid:
        named = ", ".join(map(str, self._identities))
        if not wanted and len(self._identities) == 1:
            return self._identities[0]
        if not wanted:
            raise RemoteProtocolError(
                f"the certificate carries several addresses: name one of {named} (XEP-0178)",
                reply=SaslErrorCondition.INVALID_AUTHZID,
            )
        identity = _parse_identity(wanted)
        if identity not in self._identities:
            raise RemoteProtocolError(
                f"{identity} is not in the certificate, which carries {named}",
                reply=SaslErrorCondition.INVALID_AUTHZID,
            )
        return identity


def _nobody(localpart: str) -> None:
    """Find no account: a stream between servers."""


def _parse_identity(text: str) -> Jid:
    try:
        return Jid.parse(text)
    except RemoteProtocolError as error:
        raise RemoteProtocolError(str(error), reply=SaslErrorCondition.INVALID_AUTHZID) from None


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise _malformed("a SASL message is UTF-8") from None


def _malformed(what: str) -> RemoteProtocolError:
    return RemoteProtocolError(what, reply=SaslErrorCondition.MALFORMED_REQUEST)


def _not_authorized(what: str) -> RemoteProtocolError:
    return RemoteProtocolError(what, reply=SaslErrorCondition.NOT_AUTHORIZED)
