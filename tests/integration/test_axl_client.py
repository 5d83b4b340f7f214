"""The client of AXL against servers that answer something else than what was asked for: each time it says what."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trustme
from aiohttp import web

from certs.verdict import Reason
from harness.evidence.ledger import Ledger
from proxies.clock import LoopClock
from proxies.http.axl.basic import encode_basic, parse_basic
from proxies.http.axl.client import AxlClient, AxlClientSettings, AxlFailed
from proxies.http.axl.names import LAB
from proxies.http.axl.values import AxlAccount, ClusterStamp
from proxies.http.serving import HttpListener
from proxies.http.soap import ENVELOPE, SoapFault, encode_fault
from proxies.observer import ConnectionInfo
from proxies.tls import TlsClientSettings, TlsServerSettings, TrustPolicy
from tests.integration.tls_peers import issue

SERVER, PORT, NAME = "127.9.8.1", 8443, "imp3.lab.example"
ACCOUNT = AxlAccount(user_id="axl", password="geheim: ä")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def describe(local: tuple[str, int], peer: tuple[str, int]) -> ConnectionInfo:
    return ConnectionInfo(
        id=f"axl {local} {peer}",
        node="imp1",
        service="test",
        listener="test",
        transport="TLS",
        local=local,
        peer=peer,
    )


@asynccontextmanager
async def asking(
    handler: Handler, *, patience: float = 5.0, trusted: bool = True
) -> AsyncIterator[tuple[AxlClient, Ledger]]:
    """Serve AXL by a handler, and give a client of it."""
    authority, ledger, clock = trustme.CA(key_type=trustme.KeyType.ECDSA), Ledger(), LoopClock()
    application = web.Application()
    application.router.add_post("/axl/", handler)
    listener = HttpListener(
        application,
        describe=describe,
        clock=clock,
        observer=ledger,
        tls=TlsServerSettings(credential=issue(authority, NAME), require_client_certificate=False),
    )
    await listener.start(SERVER, PORT)
    settings = AxlClientSettings(
        node="imp1",
        peer=NAME,
        address=SERVER,
        port=PORT,
        local_address="127.9.8.2",
        account=ACCOUNT,
        tls=TlsClientSettings(
            trust=TrustPolicy(certificates=(authority.cert_pem.bytes(),) if trusted else ()),
            server_name=NAME,
            check_host_name=True,
        ),
        maximum_nodes=2,
        maximum_users=3,
        timeout=patience,
    )
    try:
        async with AxlClient(settings, describe=describe, clock=clock, observer=ledger) as client:
            yield client, ledger
    finally:
        await listener.close()


def answering(inside: str, *, status: int = 200) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        text = f"<s:Envelope xmlns:s='{ENVELOPE}' xmlns:l='{LAB}'><s:Body>{inside}</s:Body></s:Envelope>"
        return web.Response(body=text.encode(), content_type="text/xml", status=status)

    return answer


def saying(body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=body, status=status, headers=headers)

    return answer


STAMP = (
    "<l:getInterclusterStampResponse><return><cluster>b</cluster><domain>lab.example</domain><stamp>7</stamp>"
    "</return></l:getInterclusterStampResponse>"
)


async def test_the_twin_of_them_all() -> None:
    async with asking(answering(STAMP)) as (client, ledger):
        assert await client.stamp() == ClusterStamp(cluster="b", domain="lab.example", stamp="7")
        assert await client.stamp() == ClusterStamp(cluster="b", domain="lab.example", stamp="7")
        accepted = [entry for entry in ledger.verdicts() if entry.verdict.subject == NAME]
        assert len(accepted) == 1, "one connection served both"


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        (saying(b"hello"), "well-formed XML"),
        (saying(b"<html/>"), "expected a SOAP envelope"),
        (saying(b""), "well-formed XML"),
        (saying(b"x" * (4 * 1024 * 1024 + 1)), "an answer of at most 4194304 bytes"),
        (saying(b"", status=404), "answers 404 Not Found"),
        (saying(b"", status=302, headers={"Location": "https://127.9.8.9/"}), "answers 302 Found"),
        (
            saying(encode_fault(SoapFault("Server", "the database is down")), status=500),
            "the database is down",
        ),
        (answering("<l:otherResponse/>"), "expected the response to getInterclusterStamp, seen"),
        (answering("<l:getInterclusterStampResponse/>"), "expected the response to getInterclusterStamp"),
        (answering(STAMP.replace("<stamp>7</stamp>", "")), "expected <stamp>, seen none"),
        (answering(STAMP + STAMP), "a body with one element, seen 2"),
    ],
)
async def test_an_answer_that_is_none_says_what_it_is(handler: Handler, error: str) -> None:
    async with asking(handler) as (client, _):
        with pytest.raises(AxlFailed, match=error) as caught:
            await client.stamp()
        assert caught.value.verdict is None


async def test_a_server_that_says_nothing_or_hangs_up_is_given_up() -> None:
    async def say_nothing(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async def hang_up(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with asking(say_nothing, patience=0.2) as (client, _):
        with pytest.raises(AxlFailed, match=r"no answer to getInterclusterStamp in 0\.2 s"):
            await client.stamp()
    async with asking(hang_up) as (client, _):
        with pytest.raises(AxlFailed, match="the connection was lost"):
            await client.stamp()


async def test_nodes_and_users_are_bounded_however_many_are_told() -> None:
    node = "<node><fqdn>a</fqdn><number>1</number><routerPort>7400</routerPort><certificate>c</certificate></node>"
    nodes = "<l:listInterclusterNodeResponse><return>{}</return></l:listInterclusterNodeResponse>"
    async with asking(answering(nodes.format(node * 2))) as (client, _):
        assert [each.certificate for each in await client.nodes()] == ["c\n", "c\n"]
    async with asking(answering(nodes.format(node * 3))) as (client, _):
        with pytest.raises(AxlFailed, match="expected at most 2 nodes, seen 3"):
            await client.nodes()
    async with asking(answering(nodes.format(node.replace("7400", "all")))) as (client, _):
        with pytest.raises(AxlFailed, match="a whole number in <routerPort>, seen 'all'"):
            await client.nodes()
    user = "<user><userid>carol</userid><homeNode>imp3.lab.example</homeNode></user>"
    users = "<l:listInterclusterUserResponse><return>{}</return></l:listInterclusterUserResponse>"
    async with asking(answering(users.format(user * 3))) as (client, _):
        assert len(await client.users()) == 3
    # A page that is always full would never end.
    async with asking(answering(users.format(user * 1000))) as (client, _):
        with pytest.raises(AxlFailed, match="expected at most 3 users, seen 1000"):
            await client.users()


async def test_a_server_that_is_not_trusted_gets_no_password() -> None:
    seen: list[str] = []

    async def remember(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization", ""))
        return web.Response(status=401)

    async with asking(remember, trusted=False) as (client, _):
        with pytest.raises(AxlFailed, match="CN=imp3") as caught:
            await client.stamp()
        assert caught.value.verdict is not None
        assert caught.value.verdict.reason is Reason.INCOMPLETE_CHAIN
    assert seen == []
    async with asking(remember) as (client, ledger):
        with pytest.raises(AxlFailed, match="does not know the AXL user 'axl' with this password") as caught:
            await client.stamp()
        assert caught.value.verdict is not None
        assert caught.value.verdict.reason is Reason.BAD_CREDENTIALS
        assert [e.verdict.reason for e in ledger.verdicts()][-1] is Reason.BAD_CREDENTIALS
    assert [parse_basic(value) for value in seen] == [ACCOUNT]


@pytest.mark.parametrize("value", ["", "Basic", "Basic !", "Bearer YTpi", "Basic YWI=", "Basic //8="])
def test_a_header_that_holds_no_login_is_nobody_s(value: str) -> None:
    assert parse_basic(value) == AxlAccount(user_id="", password="")
    assert parse_basic(encode_basic(ACCOUNT).replace("Basic", "basic")) == ACCOUNT
