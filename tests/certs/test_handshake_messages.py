"""The unofficial parts of CPython that TLS verdicts rest on; fails when a release changes them."""

import ssl
from datetime import UTC, datetime
from typing import Literal

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from certs.errors import RemoteProtocolError
from certs.handshake_messages import (
    WatchedSslObject,
    parse_certificate_message,
    set_verification_time,
    watch_handshakes,
)

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class Watcher:
    def __init__(self, replacement: ssl.SSLContext | None = None) -> None:
        self.replacement = replacement
        self.hello = False
        self.chain: tuple[bytes, ...] | None = None
        self.alerts: list[tuple[str, str]] = []

    def client_hello_received(self, message: bytes) -> None:
        self.hello = True

    def chain_presented(self, chain: tuple[bytes, ...]) -> ssl.SSLContext | None:
        self.chain = chain
        return self.replacement

    def alert_crossed(self, direction: Literal["read", "write"], name: str) -> None:
        self.alerts.append((direction, name))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def client_certificate(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("client.example")


@pytest.fixture(scope="module")
def server_certificate(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("server.example")


@pytest.fixture
def server_context(authority: trustme.CA, server_certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    server_certificate.configure_cert(context)
    watch_handshakes(context)
    return context


def shake_hands(
    server_context: ssl.SSLContext,
    watcher: Watcher,
    version: ssl.TLSVersion,
    authority: trustme.CA,
    certificate: trustme.LeafCert | None,
) -> tuple[ssl.SSLError | None, ssl.SSLError | None]:
    """Run one handshake in memory and return each side's error, server first."""
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.minimum_version = client_context.maximum_version = version
    authority.configure_trust(client_context)
    if certificate is not None:
        certificate.configure_cert(client_context)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    assert isinstance(server, WatchedSslObject)
    server.watcher = watcher
    client = client_context.wrap_bio(to_client, to_server, server_hostname="server.example")
    errors: dict[ssl.SSLObject, ssl.SSLError] = {}
    for _ in range(4):
        for side in (client, server):
            if side in errors:
                continue
            try:
                side.do_handshake()
                side.read(1)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                errors[side] = error
    return errors.get(server), errors.get(client)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_accepted_chain_is_seen(
    version: ssl.TLSVersion,
    server_context: ssl.SSLContext,
    authority: trustme.CA,
    client_certificate: trustme.LeafCert,
) -> None:
    watcher = Watcher()
    assert shake_hands(server_context, watcher, version, authority, client_certificate) == (None, None)
    assert watcher.hello
    assert watcher.chain is not None
    leaf = ssl.DER_cert_to_PEM_cert(watcher.chain[0])
    assert leaf.strip().encode() == client_certificate.cert_chain_pems[0].bytes().strip()


@pytest.mark.parametrize("version", VERSIONS)
def test_no_certificate_is_an_empty_chain(
    version: ssl.TLSVersion, server_context: ssl.SSLContext, authority: trustme.CA
) -> None:
    watcher = Watcher()
    server_error, client_error = shake_hands(server_context, watcher, version, authority, None)
    assert server_error is not None
    assert client_error is not None
    assert watcher.chain == ()


@pytest.mark.parametrize("version", VERSIONS)
def test_another_context_taken_on_inside_the_handshake_refuses_with_an_alert(
    version: ssl.TLSVersion,
    server_context: ssl.SSLContext,
    authority: trustme.CA,
    client_certificate: trustme.LeafCert,
) -> None:
    refusing = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    refusing.verify_mode = ssl.CERT_REQUIRED
    watch_handshakes(refusing)
    watcher = Watcher(refusing)
    server_error, client_error = shake_hands(server_context, watcher, version, authority, client_certificate)
    assert isinstance(server_error, ssl.SSLCertVerificationError)
    assert client_error is not None
    assert watcher.alerts == [("write", "unknown_ca")]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("moment", "code"), [(datetime(1999, 1, 1, tzinfo=UTC), 9), (datetime(3500, 1, 1, tzinfo=UTC), 10)]
)
def test_validity_is_judged_at_the_time_that_was_set(
    moment: datetime,
    code: int,
    version: ssl.TLSVersion,
    server_context: ssl.SSLContext,
    authority: trustme.CA,
    client_certificate: trustme.LeafCert,
) -> None:
    set_verification_time(server_context, moment)
    server_error, _ = shake_hands(server_context, Watcher(), version, authority, client_certificate)
    assert isinstance(server_error, ssl.SSLCertVerificationError)
    assert server_error.verify_code == code


@given(st.binary(max_size=200), st.booleans())
def test_random_certificate_messages_give_a_chain_or_a_protocol_error(data: bytes, tls13: bool) -> None:
    try:
        chain = parse_certificate_message(data, tls13=tls13)
    except RemoteProtocolError:
        return
    assert sum(map(len, chain)) <= len(data)
