"""User agents through a real SIP proxy and presence engine, over every transport."""

from collections.abc import AsyncIterator

import pytest

from proxies.sip.agent.calls import CallState
from proxies.sip.messages.pidf import parse_pidf, simple_document
from proxies.sip.transport.flow import Transport
from tests.integration.sip_node import SipNode
from tests.integration.tls_peers import issue

ALICE, BOB = "sip:alice@lab.example", "sip:bob@lab.example"
each_transport = pytest.mark.parametrize("transport", Transport)


@pytest.fixture
async def node() -> AsyncIterator[SipNode]:
    node = SipNode()
    async with node.running():
        yield node


@each_transport
async def test_a_message_reaches_a_registered_user(node: SipNode, transport: Transport) -> None:
    async with node.agent("alice", transport) as alice, node.agent("bob", transport) as bob:
        assert (await bob.register()).status == 200
        assert (await alice.message(BOB, "hello")).status == 200
        assert (await bob.next_request()).body == b"hello"


@each_transport
async def test_a_message_to_who_has_not_registered_is_480(node: SipNode, transport: Transport) -> None:
    async with node.agent("alice", transport) as alice:
        assert (await alice.message(BOB, "hello")).status == 480


async def test_a_message_to_nobody_is_404(node: SipNode) -> None:
    async with node.agent("alice", Transport.TCP) as alice:
        assert (await alice.message("sip:eve@lab.example", "hello")).status == 404


async def test_after_unregistering_a_user_is_unreachable(node: SipNode) -> None:
    async with node.agent("alice", Transport.TCP) as alice, node.agent("bob", Transport.TCP) as bob:
        await bob.register()
        assert (await alice.message(BOB, "hello")).status == 200
        await bob.register(expires=0)
        assert (await alice.message(BOB, "hello")).status == 480


@each_transport
async def test_a_call_is_answered_and_ended(node: SipNode, transport: Transport) -> None:
    async with node.agent("alice", transport) as alice, node.agent("bob", transport) as bob:
        await bob.register()
        await alice.register()
        outcome, call = await alice.invite(BOB)
        assert outcome.status == 200
        assert call is not None
        assert (await alice.hang_up(call)).status == 200
        assert call.state is CallState.ENDED
        assert [(await bob.next_request()).method for _ in range(2)] == ["INVITE", "BYE"]


@each_transport
async def test_a_watcher_hears_what_is_published(node: SipNode, transport: Transport) -> None:
    async with node.agent("alice", transport) as alice, node.agent("bob", transport) as bob:
        await bob.register()
        subscription = await bob.subscribe(ALICE)
        assert subscription.outcome is not None
        assert subscription.outcome.status == 200
        first = await subscription.next_notification(time_limit=3.0)
        assert not parse_pidf(first.body).is_open
        published = await alice.publish(simple_document(ALICE, is_open=True))
        assert published.status == 200
        second = await subscription.next_notification(time_limit=3.0)
        assert parse_pidf(second.body).is_open
        assert (await bob.unsubscribe(subscription)).status == 200
        last = await subscription.next_notification(time_limit=3.0)
        assert last.required("subscription-state").startswith("terminated")


async def test_a_peer_outside_the_access_list_is_refused_over_tcp_and_let_in_by_its_certificate() -> None:
    node = SipNode()
    async with node.running(access_list=()):
        async with node.agent("alice", Transport.TCP) as alice:
            assert (await alice.register()).status == 403
        async with node.agent("alice", Transport.TLS) as alice:
            assert (await alice.register()).status == 200


async def test_a_subject_that_is_not_selected_cannot_register(node: SipNode) -> None:
    other = issue(node.authority, "other.lab.example")
    async with node.agent("alice", Transport.TLS, credential=other) as alice:
        refused = await alice.register()
        assert refused.status == 503
        assert refused.verdict is not None
        assert refused.verdict.alert_received == "unknown_ca"
    async with node.agent("alice", Transport.TLS) as alice:
        assert (await alice.register()).status == 200


async def test_the_presence_engine_takes_tls_from_trusted_peers_and_tcp_from_its_own_node_only(
    node: SipNode,
) -> None:
    async with node.agent("alice", Transport.TCP, port=5080) as alice:
        assert (await alice.publish(simple_document(ALICE, is_open=True))).status == 403
    async with node.agent("alice", Transport.TLS, port=5081) as alice:
        assert (await alice.publish(simple_document(ALICE, is_open=True))).status == 200
