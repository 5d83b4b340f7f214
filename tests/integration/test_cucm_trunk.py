"""SIP trunks of CUCM over real TLS: what they carry, whom they refuse, and what their status says."""

from dataclasses import replace

import pytest
import trustme

from certs.verdict import Reason, Side
from proxies.sip.agent.calls import CallState
from proxies.sip.messages.message import Request
from proxies.sip.messages.pidf import parse_pidf, simple_document
from proxies.sip.transport.flow import Transport
from proxies.sip.trunk import cucm_trunk
from proxies.sip.trunk.sip_trunk_profile import DeviceSecurityMode, SipTrunkSecurityProfile
from proxies.sip.trunk.status import ServiceState
from tests.integration.cucm_peers import ADDRESSES, ENCRYPTED, EVERYTHING, PLAIN, CucmLab, Node
from tests.integration.recording import until

OPEN_PLAIN = replace(PLAIN, **EVERYTHING)
OPEN_ENCRYPTED = replace(ENCRYPTED, **EVERYTHING)
AUTHENTICATED = replace(OPEN_ENCRYPTED, device_security_mode=DeviceSecurityMode.AUTHENTICATED)
both_modes = pytest.mark.parametrize("profile", [OPEN_PLAIN, OPEN_ENCRYPTED], ids=["plain", "encrypted"])

FIRST, SECOND = f"sip:1001@{ADDRESSES['cucm1']}", f"sip:2001@{ADDRESSES['cucm2']}"


@pytest.fixture
def lab() -> CucmLab:
    return CucmLab()


def request(node: str, peer: str, method: str, **headers: str) -> Request:
    """Return a request outside any dialog."""
    made = Request(method, f"sip:2001@{ADDRESSES[peer]}")
    made.add_header("Max-Forwards", "70")
    made.add_header("From", f"<sip:1001@{ADDRESSES[node]}>;tag=a")
    made.add_header("To", f"<sip:2001@{ADDRESSES[peer]}>")
    made.add_header("Call-ID", f"{method}@{node}")
    made.add_header("CSeq", f"1 {method}")
    made.add_header("Contact", f"<sip:1001@{ADDRESSES[node]}>")
    for name, value in headers.items():
        made.add_header(name.replace("_", "-"), value)
    made.add_header("Content-Length", "0")
    return made


# What trunks carry.


@both_modes
async def test_a_call_is_made_and_ended(lab: CucmLab, profile: SipTrunkSecurityProfile) -> None:
    async with lab.pair(profile) as (first, second):
        made = await first.call_manager.invite("to cucm2", "1001", SECOND)
        assert made.outcome.status == 200
        assert made.call is not None
        ended = await first.call_manager.hang_up(made.call)
        assert (ended.status, made.call.state) == (200, CallState.ENDED)
        methods = [wire.split(b" ", 1)[0] for _, way, wire in second.observer.messages if way == "received"]
        assert methods == [b"INVITE", b"ACK", b"BYE"]


@both_modes
async def test_calls_go_in_the_other_direction_too(lab: CucmLab, profile: SipTrunkSecurityProfile) -> None:
    async with lab.pair(profile) as (_, second):
        made = await second.call_manager.invite("to cucm1", "2001", FIRST)
        assert made.outcome.accepted
        assert made.call is not None
        assert (await second.call_manager.hang_up(made.call)).accepted


@both_modes
async def test_a_message_is_carried(lab: CucmLab, profile: SipTrunkSecurityProfile) -> None:
    async with lab.pair(profile) as (first, _):
        assert (await first.call_manager.message("to cucm2", "1001", SECOND, "hello")).status == 200


async def test_a_line_that_is_not_there_is_404(lab: CucmLab) -> None:
    async with lab.pair(OPEN_PLAIN) as (first, _):
        target = f"sip:2999@{ADDRESSES['cucm2']}"
        assert (await first.call_manager.message("to cucm2", "1001", target, "hello")).status == 404


@both_modes
async def test_presence_is_published_and_watched(lab: CucmLab, profile: SipTrunkSecurityProfile) -> None:
    async with lab.pair(profile) as (first, _):
        subscription = await first.call_manager.subscribe("to cucm2", "1001", SECOND)
        assert subscription.outcome is not None
        assert subscription.outcome.status == 200
        before = await subscription.next_notification(time_limit=5)
        assert not parse_pidf(before.body).is_open
        published = await first.call_manager.publish(
            "to cucm2", "1001", SECOND, simple_document(SECOND, is_open=True)
        )
        assert published.response is not None
        assert published.response.header("sip-etag")
        after = await subscription.next_notification(time_limit=5)
        assert parse_pidf(after.body).is_open
        assert (await first.call_manager.unsubscribe(subscription)).accepted
        last = await subscription.next_notification(time_limit=5)
        assert last.header("subscription-state") == "terminated;reason=timeout"
        assert subscription.terminated


async def test_too_short_a_subscription_is_told_the_shortest(lab: CucmLab) -> None:
    async with lab.pair(OPEN_PLAIN) as (first, _):
        subscription = await first.call_manager.subscribe("to cucm2", "1001", SECOND, expires=5)
        assert subscription.outcome is not None
        assert subscription.outcome.response is not None
        assert subscription.outcome.status == 423
        assert subscription.outcome.response.header("min-expires") == "60"


async def test_a_refresh_that_is_refused_leaves_the_subscription(lab: CucmLab) -> None:
    async with lab.pair(OPEN_PLAIN) as (first, _):
        subscription = await first.call_manager.subscribe("to cucm2", "1001", SECOND)
        await subscription.next_notification(time_limit=5)
        assert subscription.dialog is not None
        refresh = subscription.dialog.make_request("SUBSCRIBE")
        refresh.add_header("Event", "presence")
        refresh.add_header("Expires", "5")
        assert (await first.call_manager.send("to cucm2", refresh)).status == 423
        assert (await first.call_manager.unsubscribe(subscription)).status == 200


async def test_a_subscription_that_lapses_is_ended_by_a_notification(lab: CucmLab) -> None:
    async with lab.pair(OPEN_PLAIN) as (first, _):
        subscription = await first.call_manager.subscribe("to cucm2", "1001", SECOND, expires=60)
        await subscription.next_notification(time_limit=5)
        lab.clock.advance(60)
        last = await subscription.next_notification(time_limit=5)
        assert last.header("subscription-state") == "terminated;reason=timeout"
        assert (await first.call_manager.unsubscribe(subscription)).status == 481


async def test_another_event_package_is_489(lab: CucmLab) -> None:
    async with lab.pair(OPEN_PLAIN) as (first, _):
        outcome = await first.call_manager.send(
            "to cucm2", request("cucm1", "cucm2", "SUBSCRIBE", Event="dialog")
        )
        assert outcome.status == 489
        assert outcome.response is not None
        assert outcome.response.header("allow-events") == "presence"


async def test_an_unknown_method_is_405(lab: CucmLab) -> None:
    async with lab.pair(OPEN_PLAIN) as (first, _):
        outcome = await first.call_manager.send("to cucm2", request("cucm1", "cucm2", "INFO"))
        assert outcome.status == 405


# Features that a profile lets in, each with its twin.


@pytest.mark.parametrize(
    ("method", "headers", "box", "allowed"),
    [
        ("SUBSCRIBE", {"Event": "presence"}, "accept_presence_subscription", 200),
        ("REFER", {"Refer_To": "<sip:1002@example.com>"}, "accept_out_of_dialog_refer", 603),
        (
            "NOTIFY",
            {"Event": "presence", "Subscription_State": "active"},
            "accept_unsolicited_notification",
            200,
        ),
        ("INVITE", {"Replaces": "x;to-tag=1;from-tag=2"}, "accept_replaces_header", 481),
    ],
)
async def test_a_request_needs_its_check_box(
    lab: CucmLab, method: str, headers: dict[str, str], box: str, allowed: int
) -> None:
    closed = replace(OPEN_PLAIN, **{box: False})  # type: ignore[arg-type]
    for profile, status in ((closed, 403), (OPEN_PLAIN, allowed)):
        async with lab.pair(profile) as (first, second):
            outcome = await first.call_manager.send("to cucm2", request("cucm1", "cucm2", method, **headers))
            assert outcome.status == status
            refused = [v for v in second.observer.verdicts if v.reason is Reason.FEATURE_NOT_ALLOWED]
            assert len(refused) == (1 if status == 403 else 0)


# Whom trunks refuse, each with the good case as twin.


async def refused(first: Node, second: Node, reason: Reason) -> str:
    """Send a message that the second node must refuse by 403; return what it saw."""
    outcome = await first.call_manager.message("to cucm2", "1001", SECOND, "hello")
    assert outcome.status == 403
    assert outcome.response is not None
    assert str(reason) in (outcome.response.header("warning") or "")
    await until(lambda: bool(second.observer.ends))
    verdict = next(v for v in second.observer.verdicts if v.reason is reason)
    assert not verdict.accepted
    assert verdict.clause == "G12"
    assert verdict.remedy
    return verdict.detail


async def test_the_good_case(lab: CucmLab) -> None:
    async with lab.pair(ENCRYPTED) as (first, second):
        assert (await first.call_manager.message("to cucm2", "1001", SECOND, "hello")).status == 200
        assert [v.reason for v in second.observer.verdicts] == [Reason.ACCEPTED, Reason.ACCEPTED]
        assert second.observer.verdicts[1].subject == "cucm1.example"


async def test_a_trusted_subject_that_is_in_no_profile(lab: CucmLab) -> None:
    other = replace(ENCRYPTED, x509_subject_names=frozenset({"imp9.example"}))
    async with lab.pair(ENCRYPTED, security_profiles=(other,)) as (first, second):
        detail = await refused(first, second, Reason.SUBJECT_NOT_IN_PROFILE)
        assert detail == "presented 'cucm1.example', the profiles on port 5061 have imp9.example"


async def test_no_security_profile(lab: CucmLab) -> None:
    async with lab.pair(ENCRYPTED, security_profiles=()) as (first, second):
        detail = await refused(first, second, Reason.NO_SECURITY_PROFILE)
        assert detail == "SIP trunk 'to cucm1' names the profile 'secure', which is not there"


async def test_no_trunk(lab: CucmLab) -> None:
    async with lab.pair(ENCRYPTED, trunks=()) as (first, second):
        detail = await refused(first, second, Reason.NO_TRUNK)
        assert detail == "'cucm1.example' is in profile 'secure', which no trunk uses"


async def test_no_trunk_over_plain_tcp(lab: CucmLab) -> None:
    async with lab.pair(PLAIN, trunks=()) as (first, second):
        await refused(first, second, Reason.NO_TRUNK)


async def test_the_wrong_transport(lab: CucmLab) -> None:
    secure = lab.settings("cucm2", "cucm1", ENCRYPTED)
    async with (
        lab.run(lab.settings("cucm1", "cucm2", PLAIN)) as first,
        lab.run(secure) as second,
    ):
        detail = await refused(first, second, Reason.TRANSPORT_NOT_ALLOWED)
        assert detail == "TCP to port 5060, profile 'secure' takes TLS on 5061"


async def test_an_issuer_that_is_not_in_callmanager_trust(lab: CucmLab) -> None:
    stranger = trustme.CA(key_type=trustme.KeyType.ECDSA).cert_pem.bytes()
    async with lab.pair(ENCRYPTED, trusted_certificates=(stranger,)) as (first, second):
        outcome = await first.call_manager.message("to cucm2", "1001", SECOND, "hello")
        assert (outcome.status, outcome.response) == (503, None)
        assert outcome.verdict is not None
        assert outcome.verdict.reason is Reason.PEER_ALERT
        await until(lambda: bool(second.observer.verdicts))
        assert second.observer.verdicts[0].reason in (Reason.UNTRUSTED_ISSUER, Reason.INCOMPLETE_CHAIN)
        assert "Callmanager-trust" in second.observer.verdicts[0].remedy


async def test_a_request_through_a_trunk_without_a_profile_is_not_sent(lab: CucmLab) -> None:
    settings = lab.settings("cucm1", "cucm2", ENCRYPTED, security_profiles=())
    async with lab.run(settings) as first:
        outcome = await first.call_manager.message("to cucm2", "1001", SECOND, "hello")
        assert outcome.verdict is not None
        assert outcome.verdict.reason is Reason.NO_SECURITY_PROFILE
        assert first.observer.messages == []


# Device security mode Authenticated.


@pytest.mark.parametrize("key_type", [trustme.KeyType.ECDSA, trustme.KeyType.RSA])
async def test_authenticated_is_integrity_without_encryption(lab: CucmLab, key_type: trustme.KeyType) -> None:
    own = lab.credential("cucm2.example", key_type=key_type)
    async with lab.pair(AUTHENTICATED, credential=own) as (first, second):
        assert (await first.call_manager.message("to cucm2", "1001", SECOND, "hello")).status == 200
        handshake = second.observer.verdicts[0]
        assert handshake.tls_version == "TLSv1.2"
        assert "NULL" in handshake.cipher


async def test_encrypted_never_meets_a_null_cipher(lab: CucmLab) -> None:
    async with (
        lab.run(lab.settings("cucm1", "cucm2", AUTHENTICATED)) as first,
        lab.run(lab.settings("cucm2", "cucm1", ENCRYPTED)) as second,
    ):
        outcome = await first.call_manager.message("to cucm2", "1001", SECOND, "hello")
        assert outcome.response is None
        await until(lambda: bool(second.observer.verdicts))
        assert second.observer.verdicts[0].reason is Reason.NO_SHARED_CIPHER


async def test_without_a_null_cipher_authenticated_says_so(
    lab: CucmLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cucm_trunk, "null_cipher_available", lambda: False)
    async with lab.pair(AUTHENTICATED) as (first, _):
        status = await first.call_manager.ping("to cucm2")
        assert status.state is ServiceState.OUT_OF_SERVICE
        assert status.verdict is not None
        assert status.verdict.reason is Reason.NULL_CIPHER_UNAVAILABLE
        assert first.observer.connections == []


# Trunk status.


@both_modes
async def test_a_pinged_trunk_is_in_service(lab: CucmLab, profile: SipTrunkSecurityProfile) -> None:
    async with lab.pair(profile) as (first, _):
        assert first.call_manager.statuses["to cucm2"].state is ServiceState.UNKNOWN
        assert (await first.call_manager.ping("to cucm2")).state is ServiceState.IN_SERVICE


async def test_a_trunk_to_nobody_is_out_of_service_and_says_why(lab: CucmLab) -> None:
    async with lab.run(lab.settings("cucm1", "cucm2", ENCRYPTED)) as first:
        status = await first.call_manager.ping("to cucm2")
        assert status.state is ServiceState.OUT_OF_SERVICE
        assert status.verdict is not None
        assert status.verdict.reason is Reason.UNREACHABLE


async def test_the_status_says_that_the_peer_refused(lab: CucmLab) -> None:
    stranger = trustme.CA(key_type=trustme.KeyType.ECDSA).cert_pem.bytes()
    async with lab.pair(ENCRYPTED, trusted_certificates=(stranger,)) as (first, _):
        status = await first.call_manager.ping("to cucm2")
        assert status.state is ServiceState.OUT_OF_SERVICE
        assert status.reason == "the peer refused us: unknown_ca"
        assert status.verdict is not None
        assert status.verdict.alert_received == "unknown_ca"


async def test_the_status_says_that_we_refused(lab: CucmLab) -> None:
    stranger = trustme.CA(key_type=trustme.KeyType.ECDSA).cert_pem.bytes()
    settings = lab.settings("cucm1", "cucm2", ENCRYPTED, trusted_certificates=(stranger,))
    async with (
        lab.run(settings) as first,
        lab.run(lab.settings("cucm2", "cucm1", ENCRYPTED)),
    ):
        status = await first.call_manager.ping("to cucm2")
        assert status.verdict is not None
        assert (status.verdict.side, status.verdict.alert_sent) == (Side.CLIENT, "unknown_ca")
        assert status.verdict.reason in (Reason.UNTRUSTED_ISSUER, Reason.INCOMPLETE_CHAIN)
        assert str(status.verdict.reason) in status.reason


async def test_trunks_are_pinged_at_the_interval(lab: CucmLab) -> None:
    settings = lab.settings("cucm1", "cucm2", PLAIN, options_ping_interval=60.0)
    async with lab.run(settings) as first:
        down = lambda: first.call_manager.statuses["to cucm2"].state is ServiceState.OUT_OF_SERVICE  # noqa: E731
        await until(down)
        since = first.call_manager.statuses["to cucm2"].since
        lab.clock.advance(60)
        await until(lambda: len(first.observer.verdicts) == 2)
        assert first.call_manager.statuses["to cucm2"].since == since
        async with lab.run(lab.settings("cucm2", "cucm1", PLAIN)):
            lab.clock.advance(60)
            await until(lambda: not down())
        assert first.call_manager.statuses["to cucm2"].state is ServiceState.IN_SERVICE
        assert first.call_manager.statuses["to cucm2"].since > since


async def test_a_udp_trunk_carries_requests(lab: CucmLab) -> None:
    profile = replace(OPEN_PLAIN, outgoing_transport_type=Transport.UDP)
    async with lab.pair(profile) as (first, second):
        made = await first.call_manager.invite("to cucm2", "1001", SECOND)
        assert made.call is not None
        assert (await first.call_manager.hang_up(made.call)).accepted
        assert {connection.transport for connection, _, _ in second.observer.messages} == {"UDP"}
