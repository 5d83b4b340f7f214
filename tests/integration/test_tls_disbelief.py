"""Ends that ask for a certificate and go on without belief: what federation with dialback needs."""

from dataclasses import replace
from datetime import timedelta

import pytest
import trustme

from certs.credential import Credential
from certs.issuing import CertificateSpec, KeyAlgorithm, issue_self_signed, make_key
from certs.verdict import Reason
from proxies.clock import LoopClock
from proxies.tls import TlsServerSettings, TlsVersion, TrustPolicy
from tests.integration.tls_peers import CLIENT, Lab, issue, listening

both_versions = pytest.mark.parametrize("version", [TlsVersion.TLS_1_2, TlsVersion.TLS_1_3])


@pytest.fixture
def lab() -> Lab:
    return Lab(trustme.CA(key_type=trustme.KeyType.ECDSA), LoopClock())


def asking(lab: Lab, *, require: bool = False) -> TlsServerSettings:
    return TlsServerSettings(
        credential=issue(lab.authority, "imp1.example"),
        require_client_certificate=require,
        request_client_certificate=True,
        trust=TrustPolicy(certificates=(lab.anchor,)),
    )


def self_signed(lab: Lab, *, expired: bool = False) -> Credential:
    spec = CertificateSpec.for_node("stranger.example", CLIENT, now=lab.clock.now())
    if expired:
        late = lab.clock.now() - timedelta(days=1)
        spec = replace(spec, not_before=late - timedelta(days=30), not_after=late)
    return issue_self_signed(spec, make_key(KeyAlgorithm.EC_P256))


@both_versions
@pytest.mark.parametrize("expired", [False, True])
async def test_a_certificate_that_nobody_trusts_proves_nothing_and_the_connection_goes_on(
    lab: Lab, version: TlsVersion, expired: bool
) -> None:
    async with listening(asking(lab), lab):
        verdict, caller = await lab.call(lab.client(version, self_signed(lab, expired=expired)))
        assert verdict.accepted
        assert caller is not None
        assert await caller.answer == b"hello"
        seen = await lab.server_saw.verdict()
    assert (seen.accepted, seen.disbelieved) == (True, Reason.UNTRUSTED_ISSUER)
    assert seen.subject == "stranger.example"
    assert seen.tls_version == version
    assert "proves nothing here (untrusted issuer)" in seen.detail
    assert "has to prove otherwise" in seen.rule


@both_versions
async def test_its_twin_that_is_trusted_is_believed(lab: Lab, version: TlsVersion) -> None:
    async with listening(asking(lab), lab):
        await lab.call(lab.client(version, issue(lab.authority, "friend.example")))
        seen = await lab.server_saw.verdict()
    assert (seen.accepted, seen.disbelieved, seen.subject) == (True, None, "friend.example")


@both_versions
async def test_who_shows_none_is_let_in_too(lab: Lab, version: TlsVersion) -> None:
    async with listening(asking(lab), lab):
        await lab.call(lab.client(version, None))
        seen = await lab.server_saw.verdict()
    assert (seen.accepted, seen.disbelieved, seen.presented_chain) == (True, None, ())


@both_versions
async def test_a_trusted_certificate_out_of_date_proves_nothing(lab: Lab, version: TlsVersion) -> None:
    late = self_signed(lab, expired=True)
    settings = replace(asking(lab), trust=TrustPolicy(certificates=(late.chain_pem,)))
    async with listening(settings, lab):
        await lab.call(lab.client(version, late))
        seen = await lab.server_saw.verdict()
    assert (seen.accepted, seen.disbelieved) == (True, Reason.EXPIRED)


@both_versions
async def test_where_one_is_required_the_same_certificate_is_refused(lab: Lab, version: TlsVersion) -> None:
    async with listening(asking(lab, require=True), lab):
        await lab.call(lab.client(version, self_signed(lab)))
        seen = await lab.server_saw.verdict()
    assert (seen.accepted, seen.reason, seen.alert_sent) == (False, Reason.UNTRUSTED_ISSUER, "unknown_ca")


@both_versions
@pytest.mark.parametrize("expired", [False, True])
async def test_a_dialler_goes_on_too_where_it_is_told_to(
    lab: Lab, version: TlsVersion, expired: bool
) -> None:
    settings = replace(asking(lab), credential=self_signed(lab, expired=expired))
    strict = replace(lab.client(version, None), check_host_name=False)
    async with listening(settings, lab):
        verdict, _ = await lab.call(strict)
        assert verdict.reason is Reason.UNTRUSTED_ISSUER
        mine = issue(lab.authority, "friend.example")
        verdict, caller = await lab.call(replace(strict, believe_anyway=True, credential=mine))
        assert (verdict.accepted, verdict.disbelieved) == (True, Reason.UNTRUSTED_ISSUER)
        assert caller is not None
        assert await caller.answer == b"hello"
        seen = await lab.server_saw.verdict(1)
    assert (seen.subject, seen.disbelieved) == ("friend.example", None)


@both_versions
async def test_the_clock_of_the_lab_decides_what_is_out_of_date(lab: Lab, version: TlsVersion) -> None:
    friend = self_signed(lab)
    settings = replace(asking(lab), trust=TrustPolicy(certificates=(friend.chain_pem,)))
    async with listening(settings, lab):
        await lab.call(replace(lab.client(version, friend), verify=False))
        before = await lab.server_saw.verdict(0)
        lab.clock.advance(timedelta(days=6 * 365).total_seconds())
        await lab.call(replace(lab.client(version, friend), verify=False))
        after = await lab.server_saw.verdict(1)
    assert (before.disbelieved, after.disbelieved) == (None, Reason.EXPIRED)
