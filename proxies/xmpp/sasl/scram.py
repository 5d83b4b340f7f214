"""The typed border to scramp: SCRAM with and without channel binding (RFC 5802, RFC 7677), one exchange each."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Protocol, SupportsBytes

from scramp import ScramClient, ScramException, ScramMechanism  # type: ignore[import-untyped]

from certs.errors import ConfigError, RemoteProtocolError
from proxies.xmpp.conditions import SaslErrorCondition
from proxies.xmpp.sasl.common import ChannelBindings, ChannelBindingType, SaslMechanism
from proxies.xmpp.sasl.scram_keys import ScramKeys

# What RFC 5802 7 calls the error, and what XMPP calls it. Any other is a malformed request.
_CONDITIONS: Final[Mapping[str, SaslErrorCondition]] = MappingProxyType(
    {
        "invalid-proof": SaslErrorCondition.NOT_AUTHORIZED,
        "channel-bindings-dont-match": SaslErrorCondition.NOT_AUTHORIZED,
        "server-does-support-channel-binding": SaslErrorCondition.NOT_AUTHORIZED,
    }
)


class _ChannelBinding(Protocol):
    """What scramp makes of a channel binding."""

    data: SupportsBytes


class _Server(Protocol):
    """What we use of scramp's server."""

    gs2_header: object

    def set_client_first(self, client_first: str) -> None: ...
    def get_server_first(self) -> str: ...
    def set_client_final(self, client_final: str) -> None: ...
    def get_server_final(self) -> str: ...


class _Client(Protocol):
    """What we use of scramp's client."""

    def get_client_first(self) -> str: ...
    def set_server_first(self, message: str) -> None: ...
    def get_client_final(self) -> str: ...
    def set_server_final(self, message: str) -> None: ...


class _Gs2Header:
    """A header with an authorization identity, which scramp refuses: it stands in for scramp's own."""

    def __init__(self, header: str) -> None:
        self._header = header.encode()

    def make_cbind_input(self, channel_binding: _ChannelBinding | None) -> bytes:
        """Return what the client's `c=` must say (RFC 5802 7)."""
        if channel_binding is None or self._header[:1] != b"p":
            return self._header
        return self._header + bytes(channel_binding.data)


class ScramServerExchange:
    """The server's end of one SCRAM exchange. Both methods raise RemoteProtocolError with a SASL condition."""

    def __init__(
        self,
        mechanism: SaslMechanism,
        find_keys: Callable[[str], ScramKeys],
        channel_bindings: ChannelBindings,
        *,
        nonce: str | None = None,
    ) -> None:
        self._mechanism = mechanism
        self._find_keys = find_keys
        self._channel_bindings = channel_bindings
        self._nonce = nonce
        self._server: _Server | None = None
        self.authorization_id = ""
        "What the client asked to act as; empty for itself."

    def receive_first(self, data: bytes) -> bytes:
        """Take the client's first message, return the server's."""
        flag, authorization_id, bare = _split_first(_text(data))
        self.authorization_id = _unescape(authorization_id)
        try:
            self._server = self._make_server(flag)
            self._server.set_client_first(f"{flag},,{bare}")
            if authorization_id:
                self._server.gs2_header = _Gs2Header(f"{flag},{authorization_id},")
            return self._server.get_server_first().encode()
        except ScramException as error:
            if error.server_error is not None and error.server_error.value == "no-resources":
                raise error.__cause__ from None  # what `find_keys` raised, wrapped by scramp
            raise _refusal(error) from None

    def receive_final(self, data: bytes) -> bytes:
        """Take the client's final message, return the server's; the client has shown who it is."""
        assert self._server is not None
        try:
            self._server.set_client_final(_text(data))
            return self._server.get_server_final().encode()
        except ScramException as error:
            raise _refusal(error) from None

    def _make_server(self, flag: str) -> _Server:
        server: _Server = ScramMechanism(self._mechanism.value).make_server(
            self._auth_info, channel_binding=self._channel_binding(flag), s_nonce=self._nonce
        )
        return server

    def _channel_binding(self, flag: str) -> tuple[str, bytes] | None:
        """Return the channel binding that the client names, else the one that shows a `y` to be a downgrade."""
        if flag[:2] != "p=":
            return next(((kind.value, data) for kind, data in self._channel_bindings.items()), None)
        if not self._mechanism.binds_channel:
            raise _malformed(f"{self._mechanism} has no channel binding (RFC 5802 6)")
        for kind, data in self._channel_bindings.items():
            if kind == flag[2:]:
                return kind.value, data
        raise _malformed(f"channel binding {flag[2:42]!r} is not offered")

    def _auth_info(self, name: str) -> tuple[bytes, bytes, bytes, int]:
        keys = self._find_keys(name)
        return keys.salt, keys.stored_key, keys.server_key, keys.iterations


class ScramClientExchange:
    """The client's end of one SCRAM exchange. Its methods raise RemoteProtocolError where the server is false."""

    def __init__(
        self,
        mechanism: SaslMechanism,
        username: str,
        password: str,
        channel_binding: tuple[ChannelBindingType, bytes] | None,
        *,
        nonce: str | None = None,
    ) -> None:
        """Begin. A channel binding with a mechanism that binds none tells the server we could have (`y`)."""
        binding = (channel_binding[0].value, channel_binding[1]) if channel_binding is not None else None
        try:
            self._client: _Client = ScramClient([mechanism.value], username, password, binding, nonce)
        except ScramException as error:
            raise ConfigError(f"SASLprep does not allow the user name or the password: {error}") from None

    def first(self) -> bytes:
        """Return the client's first message."""
        return self._client.get_client_first().encode()

    def receive_first(self, data: bytes) -> bytes:
        """Take the server's first message, return the client's final one."""
        try:
            self._client.set_server_first(_text(data))
            return self._client.get_client_final().encode()
        except ScramException as error:
            raise _refusal(error) from None

    def receive_final(self, data: bytes) -> None:
        """Take the server's final message; the server has shown that it knows the user's keys."""
        try:
            self._client.set_server_final(_text(data))
        except ScramException as error:
            raise _refusal(error) from None


def _split_first(message: str) -> tuple[str, str, str]:
    flag, *rest = message.split(",", 2)
    if len(rest) != 2:
        raise _malformed("a client's first SCRAM message begins with its GS2 header")
    return flag, rest[0], rest[1]


def _unescape(authorization_id: str) -> str:
    """Return the name in `a=`, in which `=2C` and `=3D` stand for comma and equals sign (RFC 5802 5.1)."""
    if not authorization_id:
        return ""
    key, name = authorization_id[:2], authorization_id[2:]
    if key != "a=" or not name or "=" in name.replace("=2C", "").replace("=3D", ""):
        raise _malformed("an authorization identity in SCRAM is a=name")
    return name.replace("=2C", ",").replace("=3D", "=")


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise _malformed("a SCRAM message is UTF-8") from None


def _malformed(what: str) -> RemoteProtocolError:
    return RemoteProtocolError(what, reply=SaslErrorCondition.MALFORMED_REQUEST)


def _refusal(error: ScramException) -> RemoteProtocolError:
    name = error.server_error.value if error.server_error is not None else ""
    return RemoteProtocolError(
        f"SCRAM: {error}", reply=_CONDITIONS.get(name, SaslErrorCondition.MALFORMED_REQUEST)
    )
