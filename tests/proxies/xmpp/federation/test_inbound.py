"""Who may send what on a stream that another domain's server opened."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certs.verdict import Reason
from proxies.xmpp.conditions import StanzaErrorCondition
from proxies.xmpp.federation.dialback_streams import KeyConfirmed, KeyRefused
from proxies.xmpp.federation.settings import FederationPolicy, FederationSecurityMode
from tests.proxies.xmpp.federation.ends import EXTERNAL, Inbound, certificate, handshake

CAPULET = certificate("capulet.example")
BELIEVED = handshake(CAPULET)
STRICT = FederationPolicy(
    security_mode=FederationSecurityMode.TLS_REQUIRED, require_client_side_certificates=True
)
CLEAR = FederationPolicy(security_mode=FederationSecurityMode.NO_TLS)


def result(sender: str = "capulet.example", to: str = "lab.example") -> str:
    return f"<db:result from='{sender}' to='{to}'>key</db:result>"


def message(sender: str = "juliet@capulet.example", to: str = "alice@lab.example") -> str:
    return f"<message from='{sender}' to='{to}'/>"


def confirm(inbound: Inbound, number: int = 0) -> str:
    asked = inbound.asked[number]
    asked.answered(KeyConfirmed(asked.pair, asked.stream_id))
    return inbound.flush()


# By certificate


def test_a_domain_that_its_certificate_proves_is_offered_external_and_let_in() -> None:
    inbound = Inbound(STRICT, tls=BELIEVED)
    assert "<mechanism>EXTERNAL</mechanism>" in inbound.opened
    assert "<success" in inbound.log_in()
    inbound.say(message())
    assert inbound.router.routed == [message()]
    assert inbound.ledger.reasons == [Reason.ACCEPTED]


def test_a_certificate_of_another_domain_is_not_authorized_where_one_is_required() -> None:
    inbound = Inbound(STRICT, tls=handshake(certificate("verona.example")))
    assert "EXTERNAL" not in inbound.opened
    assert "<not-authorized" in inbound.opened
    assert inbound.ledger.reasons == [Reason.XMPP_DOMAIN_MISMATCH]


@pytest.mark.parametrize(
    "tls",
    [
        handshake(None),
        handshake(CAPULET, disbelieved=Reason.EXPIRED),
        handshake(certificate("verona.example")),
    ],
    ids=["none", "disbelieved", "another domain's"],
)
def test_what_proves_nothing_leaves_dialback_where_none_is_required(tls) -> None:  # type: ignore[no-untyped-def]
    inbound = Inbound(tls=tls)
    assert "EXTERNAL" not in inbound.opened
    assert "<dialback" in inbound.opened
    assert not inbound.is_over


def test_external_can_be_turned_off() -> None:
    inbound = Inbound(FederationPolicy(enable_sasl_external=False), tls=BELIEVED)
    assert "EXTERNAL" not in inbound.opened


def test_where_certificates_are_required_a_key_alone_is_not_enough() -> None:
    inbound = Inbound(STRICT, tls=BELIEVED)
    inbound.say(result())
    assert [asked.pair.sender_domain for asked in inbound.asked] == ["capulet.example"]
    answer = inbound.say(result("verona.example"))
    assert "type='error'" in answer
    assert "<not-authorized" in answer
    assert len(inbound.asked) == 1, "nobody is called back for a domain that the certificate does not carry"
    assert inbound.ledger.reasons == [Reason.XMPP_DOMAIN_MISMATCH]


def test_where_tls_is_required_dialback_in_the_clear_is_not_looked_at() -> None:
    inbound = Inbound(STRICT)
    assert "<required/>" in inbound.opened
    assert "<not-authorized" in inbound.say(result())
    assert inbound.asked == []
    assert inbound.ledger.reasons == [Reason.SECURITY_MODES_DIFFER]


# By dialback


def test_a_key_that_is_confirmed_lets_the_pair_in_and_no_other() -> None:
    inbound = Inbound(CLEAR)
    inbound.say(result())
    assert confirm(inbound) == (
        "<db:result xmlns:db=\"jabber:server:dialback\" from='lab.example' to='capulet.example' type='valid'/>"
    )
    inbound.say(message())
    assert inbound.router.routed == [message()]
    assert "<invalid-from" in inbound.say(message(to="room@rooms.lab.example"))
    assert inbound.router.routed == [message()]


def test_several_pairs_share_a_stream() -> None:
    inbound = Inbound(CLEAR)
    pairs = [
        ("capulet.example", "lab.example"), ("capulet.example", "rooms.lab.example"),
        ("chat.capulet.example", "lab.example"),
    ]  # fmt: skip
    for number, (sender, to) in enumerate(pairs):
        inbound.say(result(sender, to))
        assert "type='valid'" in confirm(inbound, number)
    for sender, to in pairs:
        inbound.say(message(f"someone@{sender}", f"someone@{to}"))
    assert len(inbound.router.routed) == 3
    assert "<invalid-from" in inbound.say(message("someone@chat.capulet.example", "a@rooms.lab.example"))


def test_a_stanza_in_front_of_the_answer_ends_the_stream() -> None:
    inbound = Inbound(CLEAR)
    inbound.say(result())
    assert "<not-authorized" in inbound.say(message())
    assert confirm(inbound) == ""
    assert inbound.router.routed == []


def test_an_invalid_key_is_answered_and_the_stream_closed() -> None:
    inbound = Inbound(CLEAR)
    inbound.say(result())
    asked = inbound.asked[0]
    asked.answered(KeyRefused(asked.pair, asked.stream_id, None, "not its own"))
    answer = inbound.flush()
    assert "type='invalid'/>" in answer
    assert answer.endswith("</stream:stream>")
    assert inbound.ledger.reasons == [Reason.DIALBACK_FAILED]


def test_a_server_that_cannot_be_asked_is_an_error_and_the_stream_goes_on() -> None:
    inbound = Inbound(CLEAR)
    inbound.say(result())
    asked = inbound.asked[0]
    asked.answered(
        KeyRefused(asked.pair, asked.stream_id, StanzaErrorCondition.REMOTE_SERVER_NOT_FOUND, "nobody there")
    )
    answer = inbound.flush()
    assert "type='error'" in answer
    assert "<remote-server-not-found" in answer
    assert not inbound.is_over


def test_an_answer_that_comes_after_the_end_changes_nothing() -> None:
    inbound = Inbound(CLEAR)
    inbound.say(result())
    inbound.owner.lost("gone")
    assert confirm(inbound) == ""


# Domains and addresses


def test_a_domain_that_is_not_allowed_is_told_so() -> None:
    inbound = Inbound(FederationPolicy(allowed_domains=frozenset({"verona.example"})))
    assert "<policy-violation" in inbound.opened
    assert inbound.ledger.reasons == [Reason.DOMAIN_NOT_ALLOWED]


def test_its_twin_that_is_allowed_is_not_nor_are_its_subdomains() -> None:
    policy = FederationPolicy(allowed_domains=frozenset({"capulet.example"}))
    for sender in ("capulet.example", "rooms.capulet.example"):
        assert not Inbound(policy, sender=sender).is_over
    assert Inbound(policy, sender="not-capulet.example").is_over


def test_a_domain_that_is_not_allowed_cannot_ask_on_the_stream_of_another() -> None:
    policy = FederationPolicy(
        security_mode=FederationSecurityMode.NO_TLS, allowed_domains=frozenset({"capulet.example"})
    )
    inbound = Inbound(policy)
    assert "<policy-violation" in inbound.say(result("verona.example"))
    assert inbound.asked == []
    assert not inbound.is_over


@pytest.mark.parametrize("sender", ["lab.example", "rooms.lab.example", "juliet@capulet.example"])
def test_nobody_opens_a_stream_in_our_name_or_as_a_user(sender: str) -> None:
    inbound = Inbound(sender=sender)
    assert "<invalid-from" in inbound.opened
    assert inbound.ledger.reasons == [Reason.FORGED_SENDER]


def test_nobody_asks_for_a_domain_of_ours_by_dialback() -> None:
    inbound = Inbound(CLEAR)
    assert "<not-authorized" in inbound.say(result("rooms.lab.example"))
    assert inbound.asked == []


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        (message("mallory@verona.example"), "invalid-from"),
        (message("bob@lab.example"), "invalid-from"),
        (message(to="alice@elsewhere.example"), "host-unknown"),
        (message(to="a@b@c"), "improper-addressing"),
        ("<message from='juliet@capulet.example'/>", "improper-addressing"),
        ("<message to='alice@lab.example'/>", "improper-addressing"),
    ],
)
def test_a_stanza_that_is_not_of_the_proven_pair_ends_the_stream(text: str, condition: str) -> None:
    inbound = Inbound(STRICT, tls=BELIEVED)
    inbound.log_in()
    answer = inbound.say(text)
    assert f"<stream:error><{condition} " in answer
    assert inbound.router.routed == []
    assert inbound.ledger.reasons[-1] is Reason.FORGED_SENDER


def test_without_a_router_nobody_is_let_in() -> None:
    assert "<remote-connection-failed" in Inbound(has_router=False).opened


ELEMENTS = [
    result(),
    result("verona.example"),
    result(to="nowhere.example"),
    message(),
    message("mallory@verona.example"),
    "<db:verify from='capulet.example' to='lab.example' id='1'>k</db:verify>",
    "<db:result from='capulet.example' to='lab.example' type='valid'/>",
    "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
    EXTERNAL,
    "<nonsense/>",
    "</stream:stream>",
]


@given(st.lists(st.sampled_from(ELEMENTS), max_size=8))
def test_no_order_of_elements_lets_an_unproven_stanza_through(texts: list[str]) -> None:
    inbound = Inbound(CLEAR)
    for text in texts:
        if not inbound.is_over:
            inbound.say(text)
    assert inbound.router.routed == []
