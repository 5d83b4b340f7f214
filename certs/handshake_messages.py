"""What crosses the wire inside a TLS handshake, decrypted, before OpenSSL acts on it.

The one module that leans on parts of CPython that are not public: `_msg_callback` (in CPython since 3.8) and,
for a clock that was moved, the OpenSSL that the `ssl` module has loaded. Its tests,
`tests/certs/test_handshake_messages.py`, fail loudly when a Python release changes either.
"""

import _ssl
import ctypes
import ssl
import time
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Final, Literal, Protocol

from certs.errors import CertificateError, RemoteProtocolError

MAXIMUM_CHAIN_LENGTH: Final = 16
"Certificates kept of one presented chain; OpenSSL bounds the message's size itself."

_ALERT, _HANDSHAKE = 21, 22  # content types, RFC 8446 5.1
_CLIENT_HELLO, _CERTIFICATE = 1, 11  # handshake types, RFC 8446 4
_TLS_1_3 = 0x0304
_SUPPORTED_GROUPS = 10  # extension types, RFC 8446 4.2

ALERTS: Final[dict[int, str]] = {
    0: "close_notify", 10: "unexpected_message", 20: "bad_record_mac", 22: "record_overflow",
    40: "handshake_failure", 42: "bad_certificate", 43: "unsupported_certificate",
    44: "certificate_revoked", 45: "certificate_expired", 46: "certificate_unknown",
    47: "illegal_parameter", 48: "unknown_ca", 49: "access_denied", 50: "decode_error",
    51: "decrypt_error", 70: "protocol_version", 71: "insufficient_security", 80: "internal_error",
    86: "inappropriate_fallback", 90: "user_canceled", 100: "no_renegotiation",
    109: "missing_extension", 110: "unsupported_extension", 112: "unrecognized_name",
    113: "bad_certificate_status_response", 115: "unknown_psk_identity", 116: "certificate_required",
    120: "no_application_protocol",
}  # fmt: skip
"The alert descriptions of RFC 8446 6, and of RFC 5246 7.2 for TLS 1.2."


class HandshakeWatcher(Protocol):
    """Is told what a handshake shows."""

    def client_hello_received(self, message: bytes) -> None:
        """The peer sent a ClientHello that OpenSSL could read; `parse_client_hello` reads it."""
        ...

    def chain_presented(self, chain: tuple[bytes, ...]) -> ssl.SSLContext | None:
        """The peer sent its Certificate message: DER, end-entity certificate first; () for none.

        The context returned takes the place of the connection's own for the verification that follows.
        """
        ...

    def alert_crossed(self, direction: Literal["read", "write"], name: str) -> None:
        """An alert was sent or received."""
        ...


class WatchedSslObject(ssl.SSLObject):
    """An SSLObject that knows who watches its handshake."""

    watcher: HandshakeWatcher | None = None
    "Who is told; nobody by default."

    tls_version: str = ""
    "The version, known from the peer's Certificate message on, also where the handshake then fails."


def watch_handshakes(ssl_context: ssl.SSLContext) -> None:
    """Make every SSLObject of this context report to its `watcher`."""
    ssl_context.sslobject_class = WatchedSslObject
    # The descriptor below SSLContext's own: that one wraps each call in four enumerations, for every record.
    descriptor = _ssl._SSLContext._msg_callback  # type: ignore[attr-defined]
    descriptor.__set__(ssl_context, _on_message)


def _on_message(
    connection: object,
    direction: Literal["read", "write"],
    version: int,
    content_type: int,
    message_type: int,
    data: bytes,
) -> None:
    if content_type not in (_HANDSHAKE, _ALERT):
        return
    watcher = getattr(connection, "watcher", None)
    if watcher is None or not isinstance(connection, WatchedSslObject):
        return
    if content_type == _ALERT:
        watcher.alert_crossed(direction, ALERTS.get(data[1], f"alert {data[1]}"))
    elif direction == "read" and message_type == _CLIENT_HELLO:
        watcher.client_hello_received(data)
    elif direction == "read" and message_type == _CERTIFICATE:
        tls13 = version == _TLS_1_3
        connection.tls_version = "TLSv1.3" if tls13 else "TLSv1.2"
        # OpenSSL answers a message that cannot be parsed with decode_error by itself.
        try:
            chain = parse_certificate_message(data, tls13=tls13)
        except RemoteProtocolError:
            return
        replacement = watcher.chain_presented(chain)
        if replacement is not None:
            connection.context = replacement


def parse_certificate_message(message: bytes, *, tls13: bool) -> tuple[bytes, ...]:
    """Return the DER certificates of a Certificate message (RFC 8446 4.4.2, RFC 5246 7.4.2).

    Raises RemoteProtocolError where lengths do not add up.
    """
    body = message[4:]
    if tls13:
        _, body = _take(body, length_bytes=1)  # certificate_request_context
    entries, rest = _take(body, length_bytes=3)
    if rest:
        raise RemoteProtocolError("bytes behind the certificate list", reply="decode_error")
    chain: list[bytes] = []
    while entries and len(chain) < MAXIMUM_CHAIN_LENGTH:
        certificate, entries = _take(entries, length_bytes=3)
        if tls13:
            _, entries = _take(entries, length_bytes=2)  # extensions
        chain.append(certificate)
    return tuple(chain)


def parse_client_hello(message: bytes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the numbers of the cipher suites and of the groups that a ClientHello offers (RFC 8446 4.1.2, 4.2.7).

    Raises RemoteProtocolError where lengths do not add up.
    """
    body = message[4 + 2 + 32 :]  # behind the message's head: legacy_version, random
    _, body = _take(body, length_bytes=1)  # legacy_session_id
    suites, body = _take(body, length_bytes=2)
    _, body = _take(body, length_bytes=1)  # legacy_compression_methods
    groups = b""
    extensions = _take(body, length_bytes=2)[0] if body else b""
    while extensions:
        number = int.from_bytes(extensions[:2], "big")
        content, extensions = _take(extensions[2:], length_bytes=2)
        if number == _SUPPORTED_GROUPS:
            groups, _ = _take(content, length_bytes=2)
    return _numbers(suites), _numbers(groups)


def _numbers(data: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(data[place : place + 2], "big") for place in range(0, len(data) - 1, 2))


def _take(data: bytes, *, length_bytes: int) -> tuple[bytes, bytes]:
    end = length_bytes + int.from_bytes(data[:length_bytes], "big")
    if len(data) < length_bytes or len(data) < end:
        raise RemoteProtocolError("a handshake message is shorter than it says", reply="decode_error")
    return data[length_bytes:end], data[end:]


@cache
def _set_time_function() -> Callable[[ssl.SSLContext, int], None] | None:
    """Find the OpenSSL that `ssl` has loaded and its way to set the time; None where it is linked in."""
    library_path: str | None = getattr(_ssl, "__file__", None)
    if library_path is None:
        return None
    try:
        library = ctypes.CDLL(library_path)
        get_param, set_time = library.SSL_CTX_get0_param, library.X509_VERIFY_PARAM_set_time
    except (OSError, AttributeError):
        return None
    get_param.restype, get_param.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    set_time.restype, set_time.argtypes = None, [ctypes.c_void_p, ctypes.c_long]

    def set_verification_time(ssl_context: ssl.SSLContext, seconds: int) -> None:
        # The first field of CPython's PySSLContext, behind the object's head, is its SSL_CTX pointer.
        ssl_ctx = ctypes.c_void_p.from_address(id(ssl_context) + object.__basicsize__).value
        set_time(get_param(ssl_ctx), seconds)

    return set_verification_time


def set_verification_time(ssl_context: ssl.SSLContext, moment: datetime) -> None:
    """Judge validity dates of handshakes that start from now on as if it were `moment`.

    Raises CertificateError where `moment` is not the machine's time and this Python's ssl cannot be told so.
    """
    function = _set_time_function()
    if function is not None:
        function(ssl_context, int(moment.timestamp()))
    elif abs(moment.timestamp() - time.time()) > 1:
        raise CertificateError(
            "this Python has OpenSSL linked in, so certificates cannot be judged at another time than now; "
            "use a Python whose ssl module loads the system's libssl"
        )
