"""Handshakes over real sockets: what each side sees, and that a bad peer never takes the listener down."""

import asyncio
import resource
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import trustme

from certs.credential import Credential
from certs.verdict import Reason
from proxies.clock import LoopClock
from proxies.tls import PeerRefusedError, TlsServerSettings, TlsVersion, TrustPolicy
from tests.integration.tls_peers import CLIENT, SERVER, WAIT, Lab, issue, listening

VERSIONS = [TlsVersion.TLS_1_2, TlsVersion.TLS_1_3]
both_versions = pytest.mark.parametrize("version", VERSIONS)


@pytest.fixture
def lab() -> Lab:
    return Lab(trustme.CA(key_type=trustme.KeyType.ECDSA), LoopClock())


@pytest.fixture
def settings(lab: Lab) -> TlsServerSettings:
    """A listener with peer authentication that has selected one TLS peer subject."""
    return TlsServerSettings(
        credential=issue(lab.authority, "imp1.example"),
        require_client_certificate=True,
        trust=TrustPolicy(certificates=(lab.anchor,), peer_subjects=frozenset({"cucm1.example"})),
    )


@pytest.fixture
async def running(lab: Lab, settings: TlsServerSettings) -> AsyncIterator[Lab]:
    async with listening(settings, lab):
        yield lab


@pytest.fixture
def good(lab: Lab) -> Credential:
    return issue(lab.authority, "cucm1.example")


@both_versions
async def test_a_selected_subject_is_let_in(running: Lab, good: Credential, version: TlsVersion) -> None:
    verdict, caller = await running.call(running.client(version, good))
    assert (verdict.accepted, verdict.subject) == (True, "imp1.example")
    assert caller is not None
    assert await caller.answer == b"hello"
    seen = await running.server_saw.verdict()
    assert (seen.accepted, seen.reason, seen.subject) == (True, Reason.ACCEPTED, "cucm1.example")
    assert seen.tls_version == version
    assert seen.cipher


async def refusal(lab: Lab, version: TlsVersion, credential: Credential | None) -> str:
    """Return the alert that the refused client got, however late it learnt of it."""
    verdict, caller = await lab.call(lab.client(version, credential))
    if version is TlsVersion.TLS_1_2:
        assert (verdict.accepted, verdict.reason) == (False, Reason.PEER_ALERT)
        return verdict.alert_received
    assert verdict.accepted, "under TLS 1.3 the client believes for a moment that it is in"
    assert caller is not None
    async with asyncio.timeout(WAIT):
        error = await caller.lost
    assert isinstance(error, PeerRefusedError)
    return error.verdict.alert_received


@both_versions
async def test_a_trusted_chain_with_another_subject_is_refused(running: Lab, version: TlsVersion) -> None:
    other = issue(running.authority, "other.example")
    assert await refusal(running, version, other) == "unknown_ca"
    seen = await running.server_saw.verdict()
    assert seen.reason is Reason.SUBJECT_NOT_IN_CONTEXT
    assert seen.subject == "other.example"
    assert seen.alert_sent == "unknown_ca"
    assert seen.tls_version == version


@both_versions
async def test_a_selected_subject_from_an_unknown_issuer_is_refused_for_the_issuer(
    running: Lab, version: TlsVersion
) -> None:
    stranger = issue(trustme.CA(), "cucm1.example")
    assert await refusal(running, version, stranger) == "unknown_ca"
    seen = await running.server_saw.verdict()
    assert seen.reason is Reason.INCOMPLETE_CHAIN
    assert seen.subject == "cucm1.example"


@both_versions
async def test_no_certificate_is_told_from_a_wrong_one(running: Lab, version: TlsVersion) -> None:
    alert = {TlsVersion.TLS_1_2: "handshake_failure", TlsVersion.TLS_1_3: "certificate_required"}
    assert await refusal(running, version, None) == alert[version]
    seen = await running.server_saw.verdict()
    assert (seen.reason, seen.presented_chain) == (Reason.NO_CERTIFICATE, ())


@both_versions
async def test_a_certificate_expires_while_the_listener_runs(
    running: Lab, good: Credential, version: TlsVersion
) -> None:
    verdict, _ = await running.call(running.client(version, good))
    assert verdict.accepted
    running.clock.advance(2000 * 365 * 86400)
    verdict, _ = await running.call(running.client(version, good))
    assert (verdict.reason, verdict.alert_sent) == (Reason.EXPIRED, "certificate_expired")


@both_versions
async def test_the_clients_refusal_of_a_wrong_host_name_reaches_the_listener(
    running: Lab, good: Credential, version: TlsVersion
) -> None:
    verdict, _ = await running.call(replace(running.client(version, good), server_name="imp2.example"))
    assert (verdict.reason, verdict.subject) == (Reason.HOST_NAME_MISMATCH, "imp1.example")
    seen = await running.server_saw.verdict()
    assert (seen.reason, seen.alert_received) == (Reason.PEER_ALERT, verdict.alert_sent)


async def test_an_old_protocol_version_is_refused(running: Lab, good: Credential) -> None:
    old = replace(running.client(TlsVersion.TLS_1_1, good), security_level=0)
    verdict, _ = await running.call(old)
    assert verdict.alert_received == "protocol_version"
    assert (await running.server_saw.verdict()).reason is Reason.PROTOCOL_VERSION


async def test_no_shared_cipher_is_told_from_no_certificate(
    lab: Lab, settings: TlsServerSettings, good: Credential
) -> None:
    async with listening(replace(settings, ciphers="ECDHE+CHACHA20"), lab):
        client = replace(lab.client(TlsVersion.TLS_1_2, good), ciphers="ECDHE+AESGCM")
        verdict, _ = await lab.call(client)
        assert verdict.alert_received == "handshake_failure"
        assert (await lab.server_saw.verdict()).reason is Reason.NO_SHARED_CIPHER


async def test_plain_text_on_a_tls_port_gets_an_alert(running: Lab) -> None:
    reader, writer = await asyncio.open_connection(*running.address)
    writer.write(b"OPTIONS sip:imp1.example SIP/2.0\r\n\r\n")
    async with asyncio.timeout(WAIT):
        assert await reader.read() == bytes.fromhex("1503030002020a")  # alert, fatal, unexpected_message
    writer.close()
    seen = await running.server_saw.verdict()
    assert seen.reason is Reason.PLAIN_TEXT
    assert "OPTIONS" in seen.detail


async def test_a_peer_that_leaves_without_a_word_closed_early(running: Lab) -> None:
    _, writer = await asyncio.open_connection(*running.address)
    writer.close()
    assert (await running.server_saw.verdict()).reason is Reason.CLOSED_EARLY


async def test_a_silent_peer_is_ended_by_the_limit(running: Lab) -> None:
    reader, writer = await asyncio.open_connection(*running.address)
    await running.server_saw.connection()
    running.clock.advance(10.0)
    async with asyncio.timeout(WAIT):
        assert await reader.read() == b""
    writer.close()
    assert (await running.server_saw.verdict()).reason is Reason.HANDSHAKE_TIMEOUT


async def test_a_peer_that_stops_in_the_middle_is_ended_by_the_limit(running: Lab) -> None:
    reader, writer = await asyncio.open_connection(*running.address)
    writer.write(bytes.fromhex("16030100ff0100"))
    await running.server_saw.connection()
    await asyncio.sleep(0.01)  # the bytes come after the connection
    running.clock.advance(10.0)
    async with asyncio.timeout(WAIT):
        await reader.read()
    writer.close()
    seen = await running.server_saw.verdict()
    assert seen.reason is Reason.HANDSHAKE_TIMEOUT
    assert "middle" in seen.detail


async def test_a_thousand_idle_half_open_connections_leave_the_listener_answering(
    running: Lab, good: Credential
) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    idle = [await asyncio.open_connection(*running.address) for _ in range(1000)]
    try:
        verdict, caller = await running.call(running.client(TlsVersion.TLS_1_3, good))
        assert verdict.accepted
        assert caller is not None
        async with asyncio.timeout(WAIT):
            assert await caller.answer == b"hello"
    finally:
        for _, writer in idle:
            writer.transport.abort()


async def test_past_the_limit_of_handshakes_the_oldest_makes_room(
    lab: Lab, settings: TlsServerSettings, good: Credential
) -> None:
    async with listening(replace(settings, maximum_handshakes=1), lab):
        reader, writer = await asyncio.open_connection(*lab.address)
        verdict, _ = await lab.call(lab.client(TlsVersion.TLS_1_2, good))
        assert verdict.accepted
        assert await reader.read() == b""
        writer.close()
        assert lab.server_saw.verdicts[0].reason is Reason.TOO_MANY_HANDSHAKES


async def test_a_large_message_arrives_whole(running: Lab, good: Credential) -> None:
    _, caller = await running.call(running.client(TlsVersion.TLS_1_3, good))
    assert caller is not None
    large = bytes(range(256)) * 8192
    caller.connection.write(large)
    async with asyncio.timeout(WAIT):
        while len(caller.received) < len(large) + 5:
            await asyncio.sleep(0.001)
    assert bytes(caller.received) == b"hello" + large


async def test_nobody_listening_is_a_verdict(running: Lab, good: Credential) -> None:
    assert running.listener is not None
    await running.listener.close()
    verdict, caller = await running.call(running.client(TlsVersion.TLS_1_3, good))
    assert (verdict.reason, caller) == (Reason.UNREACHABLE, None)
    assert "refused" in verdict.detail


async def test_the_dialler_comes_from_the_nodes_own_address(running: Lab, good: Credential) -> None:
    _, caller = await running.call(running.client(TlsVersion.TLS_1_3, good))
    assert caller is not None
    assert caller.connection.connection.local[0] == CLIENT
    assert caller.connection.connection.peer[0] == SERVER
