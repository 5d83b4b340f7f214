"""The Cisco SIP Proxy over real sockets: two nodes and raw clients."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import trustme

from certs.credential import Credential
from certs.errors import ConfigError
from certs.purposes import TrustStoreName
from certs.verdict import Reason
from proxies.clock import LoopClock
from proxies.sip.proxy.sip_proxy import SipProxy
from proxies.sip.proxy.sip_proxy_settings import (
    PEER_AUTH_LISTENER,
    ClusterNode,
    RouteType,
    SipProxySettings,
    StaticRoute,
)
from proxies.sip.transport.flow import Destination, Transport
from proxies.tls import TrustPolicy
from tests.integration.recording import LabNames, RecordingObserver, until
from tests.integration.sip_clients import RawClient, SipText, connect

# Parallel workers have ranges of their own, because the proxies use the product's real ports.
RANGE = f"127.41.{os.environ.get('PYTEST_XDIST_WORKER', 'gw0')[2:]}"
IMP1, IMP2, CUCM, CLIENTS = (f"{RANGE}.{n}" for n in (1, 2, 3, 9))
NODES = {"imp1": IMP1, "imp2": IMP2}
NAMES = {"imp1.lab.example": IMP1, "imp2.lab.example": IMP2}


@dataclass
class ProxyLab:
    """Two nodes of one cluster: alice and carol at home on imp1, bob on imp2."""

    stack: AsyncExitStack
    authority: trustme.CA = field(default_factory=lambda: trustme.CA(key_type=trustme.KeyType.ECDSA))
    clock: LoopClock = field(default_factory=LoopClock)
    proxies: dict[str, SipProxy] = field(default_factory=dict)
    observers: dict[str, RecordingObserver] = field(default_factory=dict)

    @property
    def anchor(self) -> bytes:
        return self.authority.cert_pem.bytes()

    def credential(self, name: str, address: str, authority: trustme.CA | None = None) -> Credential:
        leaf = (authority or self.authority).issue_cert(
            name, address, common_name=name, key_type=trustme.KeyType.ECDSA
        )
        chain = b"".join(pem.bytes() for pem in leaf.cert_chain_pems)
        return Credential(chain_pem=chain, key_pem=leaf.private_key_pem.bytes())

    def settings(self, node: str, **changes: Any) -> SipProxySettings:
        others = [other for other in NODES if other != node]
        settings = SipProxySettings(
            node=node,
            fqdn=f"{node}.lab.example",
            address=NODES[node],
            domains=frozenset({"lab.example"}),
            credential=self.credential(f"{node}.lab.example", NODES[node]),
            server_auth_credential=self.credential(f"{node}.lab.example", NODES[node]),
            trust=TrustPolicy(certificates=(self.anchor,), trust_store=TrustStoreName.CUP_TRUST),
            incoming_access_list=(f"{RANGE}.0/24",),
            users={"alice": "imp1", "carol": "imp1", "bob": "imp2"},
            cluster_nodes=tuple(
                ClusterNode(name=other, fqdn=f"{other}.lab.example", address=NODES[other]) for other in others
            ),
        )
        return replace(settings, **changes)

    async def start(self, node: str, **changes: Any) -> SipProxy:
        observer = RecordingObserver()
        proxy = SipProxy(
            self.settings(node, **changes), clock=self.clock, resolver=LabNames(NAMES), observer=observer
        )
        await proxy.start()
        self.stack.push_async_callback(proxy.stop)
        self.proxies[node], self.observers[node] = proxy, observer
        return proxy

    async def client(
        self, user: str, node: str = "imp1", transport: str = "TCP", **options: Any
    ) -> RawClient:
        port = options.pop("port", 5061 if transport == "TLS" else 5060)
        client = await connect(
            user, transport, (NODES[node], port), address=CLIENTS, anchor=self.anchor, **options
        )
        self.stack.push_async_callback(client.close)
        return client

    def sent_over(self, node: str, start: bytes) -> set[tuple[str, int]]:
        """Return transport and peer port of what a node sent that starts so."""
        return {
            (connection.transport, connection.peer[1])
            for connection, direction, wire in self.observers[node].messages
            if direction == "sent" and wire.startswith(start)
        }


@pytest.fixture
async def lab() -> AsyncIterator[ProxyLab]:
    async with AsyncExitStack() as stack:
        yield ProxyLab(stack)


async def ask(client: RawClient, method: str, uri: str, **options: Any) -> SipText:
    """Send a request and return its final response."""
    await client.request(method, uri, **options)
    while True:
        response = await client.receive()
        if not response.start.startswith("SIP/2.0 1"):
            return response


# Users of this node.


@pytest.mark.parametrize("transport", ["UDP", "TCP", "TLS"])
async def test_a_message_reaches_the_client_that_registered_and_its_answer_comes_back(
    lab: ProxyLab, transport: str
) -> None:
    await lab.start("imp1")
    alice, carol = await lab.client("alice", transport=transport), await lab.client("carol")
    registered = await alice.register()
    assert registered.start == "SIP/2.0 200 OK"
    assert registered.header("Contact") == f"<{alice.contact}>;expires=600"
    await carol.request(
        "MESSAGE", "sip:alice@lab.example", extra="Content-Type: text/plain\r\n", body="hello"
    )
    request = await alice.receive()
    assert request.start == f"MESSAGE {alice.contact} SIP/2.0"
    assert request.body == "hello"
    await alice.answer(request, "200 OK")
    assert (await carol.receive()).start == "SIP/2.0 200 OK"


async def test_a_user_with_two_clients_is_reached_at_both(lab: ProxyLab) -> None:
    await lab.start("imp1")
    carol = await lab.client("carol")
    clients = [await lab.client("alice", transport=transport) for transport in ("TCP", "UDP")]
    for client in clients:
        await client.register()
    await carol.request("MESSAGE", "sip:alice@lab.example")
    requests = [await client.receive() for client in clients]
    await clients[0].answer(requests[0], "486 Busy Here")
    await clients[1].answer(requests[1], "200 OK")
    assert (await carol.receive()).start == "SIP/2.0 200 OK"


@pytest.mark.parametrize(("user", "status"), [("carol", "480"), ("nobody", "404")])
async def test_users_that_have_not_registered_and_unknown_ones_are_told_apart(
    lab: ProxyLab, user: str, status: str
) -> None:
    await lab.start("imp1")
    response = await ask(await lab.client("alice"), "MESSAGE", f"sip:{user}@lab.example")
    assert response.start.split()[1] == status


async def test_a_registration_ends_with_its_connection(lab: ProxyLab) -> None:
    await lab.start("imp1")
    alice, carol = await lab.client("alice"), await lab.client("carol")
    await alice.register()
    await alice.close()
    await until(lambda: len(lab.observers["imp1"].ends) == 1)
    assert (await ask(carol, "MESSAGE", "sip:alice@lab.example")).start.split()[1] == "480"


async def test_a_registration_lapses(lab: ProxyLab) -> None:
    await lab.start("imp1")
    alice, carol = await lab.client("alice", transport="UDP"), await lab.client("carol")
    await alice.register(expires=60)
    lab.clock.advance(61)
    assert (await ask(carol, "MESSAGE", "sip:alice@lab.example")).start.split()[1] == "480"


async def test_options_to_the_proxy_is_answered_and_other_requests_to_it_are_not_allowed(
    lab: ProxyLab,
) -> None:
    await lab.start("imp1")
    client = await lab.client("alice")
    response = await ask(client, "OPTIONS", "sip:imp1.lab.example")
    assert response.start == "SIP/2.0 200 OK"
    assert "SUBSCRIBE" in response.header("Allow")
    assert (await ask(client, "MESSAGE", f"sip:{IMP1}")).start.split()[1] == "405"


async def test_a_call_passes_with_its_ack_and_bye_over_the_recorded_route(lab: ProxyLab) -> None:
    await lab.start("imp1")
    alice, carol = await lab.client("alice"), await lab.client("carol", transport="UDP")
    await alice.register()
    await carol.request("INVITE", "sip:alice@lab.example", extra=f"Contact: <{carol.contact}>\r\n")
    assert (await carol.receive()).start == "SIP/2.0 100 Trying"
    invite = await alice.receive()
    await alice.answer(invite, "200 OK", extra=f"Contact: <{alice.contact}>\r\n")
    accepted = await carol.receive()
    routes = "".join(f"Route: {route}\r\n" for route in reversed(accepted.all("Record-Route")))
    assert len(accepted.all("Record-Route")) == 2  # the transport changes at the proxy
    await carol.request("ACK", alice.contact, to="sip:alice@lab.example", to_tag="b1", extra=routes)
    ack = await alice.receive()
    assert ack.start == f"ACK {alice.contact} SIP/2.0"
    assert ack.all("Route") == []
    bye_routes = "".join(f"Route: {route}\r\n" for route in invite.all("Record-Route"))
    await alice.request("BYE", carol.contact, to="sip:carol@lab.example", to_tag="c1", extra=bye_routes)
    assert (await carol.receive()).start == f"BYE {carol.contact} SIP/2.0"


# Users of another node.


@pytest.mark.parametrize(("transport", "hop"), [("TLS", ("TLS", 5062)), ("TCP", ("TCP", 5060))])
async def test_a_user_of_another_node_is_reached_over_the_proxy_to_proxy_transport(
    lab: ProxyLab, transport: str, hop: tuple[str, int]
) -> None:
    for node in NODES:
        await lab.start(node, proxy_to_proxy_transport=Transport(transport))
    alice, bob = await lab.client("alice"), await lab.client("bob", "imp2")
    await bob.register()
    for _ in range(2):
        await alice.request("MESSAGE", "sip:bob@lab.example")
        request = await bob.receive()
        assert len(request.all("Via")) == 3
        await bob.answer(request, "200 OK")
        assert (await alice.receive()).start == "SIP/2.0 200 OK"
    assert lab.sent_over("imp1", b"MESSAGE") == {hop}
    dialled = [c for c in lab.observers["imp1"].connections if c.listener == "outgoing"]
    assert len(dialled) == 1  # the connection was used again


async def test_the_other_node_uses_the_connection_back(lab: ProxyLab) -> None:
    for node in NODES:
        await lab.start(node)
    alice, bob = await lab.client("alice"), await lab.client("bob", "imp2")
    await alice.register()
    await bob.register()
    await alice.request("MESSAGE", "sip:bob@lab.example")
    await bob.answer(await bob.receive(), "200 OK")
    await alice.receive()
    await bob.request("MESSAGE", "sip:alice@lab.example")
    await alice.answer(await alice.receive(), "200 OK")
    assert (await bob.receive()).start == "SIP/2.0 200 OK"
    assert [c for c in lab.observers["imp2"].connections if c.listener == "outgoing"] == []


async def test_a_node_that_is_down_gives_503_that_says_so(lab: ProxyLab) -> None:
    await lab.start("imp1")
    response = await ask(await lab.client("alice"), "MESSAGE", "sip:bob@lab.example")
    assert response.start == "SIP/2.0 503 Service Unavailable"
    assert response.header("Retry-After") == "30"
    assert "399 imp1.lab.example" in response.header("Warning")


async def test_a_node_whose_certificate_is_not_trusted_gives_503_that_names_the_reason(
    lab: ProxyLab,
) -> None:
    await lab.start("imp1")
    stranger = trustme.CA(key_type=trustme.KeyType.ECDSA)
    await lab.start("imp2", credential=lab.credential("imp2.lab.example", IMP2, stranger))
    response = await ask(await lab.client("alice"), "MESSAGE", "sip:bob@lab.example")
    assert response.start == "SIP/2.0 503 Service Unavailable"
    assert Reason.INCOMPLETE_CHAIN in response.header("Warning")  # its issuer is nowhere to be found
    assert response.all("Retry-After") == []


async def test_a_node_that_is_not_in_the_others_tls_context_is_refused_there(lab: ProxyLab) -> None:
    await lab.start("imp1")
    policy = replace(lab.settings("imp2").trust, peer_subjects=frozenset({"other.lab.example"}))
    await lab.start("imp2", trust=policy)
    response = await ask(await lab.client("alice"), "MESSAGE", "sip:bob@lab.example")
    assert response.start == "SIP/2.0 503 Service Unavailable"
    assert Reason.SUBJECT_NOT_IN_CONTEXT in lab.observers["imp2"].reasons()


# The incoming access list.


@pytest.mark.parametrize(
    ("entries", "status"),
    [
        ((), "403"),
        (("127.99.0.0/16", "imp2.lab.example"), "403"),
        ((CLIENTS,), "480"),
        ((f"{RANGE}.0/24",), "480"),
        (("client.lab.example",), "480"),
        (("ALL",), "480"),
    ],
)
async def test_only_peers_of_the_access_list_are_served(
    lab: ProxyLab, entries: tuple[str, ...], status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NAMES, "client.lab.example", CLIENTS)
    await lab.start("imp1", incoming_access_list=entries)
    client = await lab.client("alice")
    assert (await ask(client, "MESSAGE", "sip:carol@lab.example")).start.split()[1] == status
    assert (Reason.NOT_IN_ACCESS_LIST in lab.observers["imp1"].reasons()) is (status == "403")


@pytest.mark.parametrize(("port", "status"), [(5061, "403"), (5062, "480")])
async def test_a_peer_that_showed_its_certificate_needs_no_entry(
    lab: ProxyLab, port: int, status: str
) -> None:
    await lab.start("imp1", incoming_access_list=())
    credential = lab.credential("cucm.lab.example", CLIENTS)
    client = await lab.client("alice", transport="TLS", port=port, credential=credential)
    assert (await ask(client, "MESSAGE", "sip:carol@lab.example")).start.split()[1] == status


# Static routes and the presence engine.


async def test_requests_for_lines_and_other_domains_follow_the_static_routes(lab: ProxyLab) -> None:
    cucm = RawClient("cucm", "UDP", (CUCM, 5060))
    socket, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Queue(cucm), local_addr=cucm.local
    )
    lab.stack.callback(socket.close)
    trunk = Destination(transport=Transport.UDP, host=CUCM, port=5060)
    routes = (
        StaticRoute(destination_pattern="1...", next_hop=trunk),
        StaticRoute(destination_pattern=".com.partner.*", route_type=RouteType.DOMAIN, next_hop=trunk),
    )
    await lab.start("imp1", static_routes=routes, presence_engine=trunk)
    alice = await lab.client("alice")
    for method, uri, extra in (
        ("MESSAGE", "sip:1001@lab.example", ""),
        ("MESSAGE", "sip:dave@sip.partner.com", ""),
        ("SUBSCRIBE", "sip:carol@lab.example", "Event: presence\r\n"),
    ):
        await alice.request(method, uri, extra=extra)
        async with asyncio.timeout(5):
            assert (await cucm.datagrams.get()).startswith(f"{method} {uri} SIP/2.0\r\n".encode())
    for uri in ("sip:2001@lab.example", "sip:dave@other.com"):
        assert (await ask(alice, "MESSAGE", uri)).start.split()[1] == "404"


class _Queue(asyncio.DatagramProtocol):
    def __init__(self, client: RawClient) -> None:
        self._client = client

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._client.datagrams.put_nowait(data)


# Start, stop, restart.


async def test_settings_take_effect_with_the_restart(lab: ProxyLab) -> None:
    proxy = await lab.start("imp1", incoming_access_list=())
    assert (await ask(await lab.client("alice"), "OPTIONS", "sip:lab.example")).start.split()[1] == "403"
    assert PEER_AUTH_LISTENER in proxy.addresses
    await proxy.restart(replace(proxy.settings, incoming_access_list=("ALL",)))
    assert (await ask(await lab.client("alice"), "OPTIONS", "sip:lab.example")).start.split()[1] == "200"
    await proxy.stop()
    with pytest.raises(ConnectionRefusedError):
        await lab.client("alice")


def test_settings_that_cannot_work_are_refused(lab: ProxyLab) -> None:
    settings = lab.settings("imp1")
    with pytest.raises(ConfigError, match="UDP is not offered"):
        replace(settings, proxy_to_proxy_transport=Transport.UDP)
    with pytest.raises(ConfigError, match="home node 'imp9'"):
        replace(settings, users={"alice": "imp9"})
