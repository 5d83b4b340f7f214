"""The web connection manager's paths, as raw clients and browsers see them."""

import asyncio
import json
import re
import ssl

import aiohttp
import pytest
from aiohttp import WSCloseCode, WSMsgType

from certs.verdict import Reason
from harness.evidence.ledger import Closed, Ledger, MessageSeen, Opened
from proxies.xmpp.stanza import Stanza
from proxies.xmpp.streams.reader_events import CLIENT_STANZAS
from proxies.xmpp.web.cross_origin import CrossOriginPolicy
from proxies.xmpp.web.http_binding import WebLimits
from tests.integration.web_peers import (
    AUTH,
    BASE,
    CLOSE,
    OPEN,
    SERVER,
    TLS,
    BoshClient,
    Served,
    log_in,
    message,
    serve,
    texts,
)

APP = "https://app.example"
WEBSOCKET = f"{BASE}/websocket"
END = {"type": "terminate"}


def limits(**changes: float) -> WebLimits:
    return WebLimits(stanzas=CLIENT_STANZAS, **changes)  # type: ignore[arg-type]


# BOSH.


async def test_a_message_comes_back_in_the_answer_or_in_one_that_waited() -> None:
    async with serve() as served, aiohttp.ClientSession() as http:
        alice = BoshClient(http)
        await alice.log_in()
        assert texts(await alice.ask(message("at once"))) == ["at once"]
        waiting = asyncio.ensure_future(alice.ask())
        await _until_held(served.ledger)
        served.router.sessions[0].deliver(_stanza("later"))
        assert texts(await waiting) == ["later"]
        assert (await alice.ask(attributes="type='terminate'")).attrib == END
        assert len(served.router.closed) == 1


async def test_an_answer_that_was_lost_is_sent_again() -> None:
    async with serve(), aiohttp.ClientSession() as http:
        alice = BoshClient(http)
        await alice.log_in()
        body = alice.body(message("once"))
        first, again = await alice.post(body), await alice.post(body)
        assert texts(first) == texts(again) == ["once"]
        assert texts(await alice.ask(message("twice"))) == ["twice"], "the first was not handled twice"


async def test_a_request_whose_connection_breaks_loses_nothing() -> None:
    async with serve() as served, aiohttp.ClientSession() as http:
        alice = BoshClient(http)
        await alice.log_in()
        body = alice.body()
        waiting = asyncio.ensure_future(alice.post(body))
        await _until_held(served.ledger)
        waiting.cancel()
        await asyncio.wait([waiting])
        await served.ledger.wait_for(lambda entry: isinstance(entry, Closed))
        served.router.sessions[0].deliver(_stanza("meanwhile"))
        assert texts(await alice.post(body)) == []
        assert texts(await alice.ask()) == ["meanwhile"]


async def test_a_client_that_stays_away_is_logged_out() -> None:
    async with serve() as served, aiohttp.ClientSession() as http:
        alice = BoshClient(http)
        await alice.log_in()
        served.clock.advance(31)
        answer = await alice.ask()
        assert answer.attrib == END | {"condition": "item-not-found"}
        assert len(served.router.closed) == 1


@pytest.mark.parametrize(
    ("body", "condition", "text"),
    [
        ("nothing of the kind", "bad-request", "syntax error"),
        ("<message/>", "bad-request", "<message/> is no body"),
        (
            "<body xmlns='http://jabber.org/protocol/httpbind' rid='x' to='lab.example'/>",
            "bad-request",
            "rid='x'",
        ),
        ("<!DOCTYPE a><body/>", "bad-request", "document type"),
        ("<body xmlns='http://jabber.org/protocol/httpbind' rid='1' sid='guess'/>", "item-not-found", ""),
    ],
)
async def test_a_body_that_cannot_be_taken_says_why(body: str, condition: str, text: str) -> None:
    async with serve() as served, aiohttp.ClientSession() as http:
        answer = await BoshClient(http).post(body)
        assert answer.attrib == END | {"condition": condition}
        assert text in "".join(answer.itertext())
        assert body in _seen(served.ledger)


@pytest.mark.parametrize(
    ("attributes", "condition"),
    [
        ("to='nowhere.example' xmpp:version='1.0'", "host-unknown"),
        ("xmpp:version='1.0'", "improper-addressing"),
        ("to='lab.example'", "remote-stream-error"),
    ],
)
async def test_a_stream_that_cannot_be_opened_says_why(attributes: str, condition: str) -> None:
    async with serve() as served, aiohttp.ClientSession() as http:
        answer = await BoshClient(http).post(
            f"<body xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh' rid='1' ver='1.11' "
            f"{attributes}/>"
        )
        assert answer.attrib == END | {"condition": condition}
        assert answer[0].tag == "{http://etherx.jabber.org/streams}error"
        assert not served.router.sessions


async def test_a_stanza_before_the_login_ends_the_session() -> None:
    async with serve(), aiohttp.ClientSession() as http:
        alice = BoshClient(http)
        await alice.open()
        answer = await alice.ask(message("too early"))
        assert answer.attrib == END | {"condition": "remote-stream-error"}
        assert answer[0][0].tag == "{urn:ietf:params:xml:ns:xmpp-streams}not-authorized"


async def test_what_is_too_large_is_refused() -> None:
    async with serve(limits=limits(body_size=100_000)), aiohttp.ClientSession() as http:
        alice = BoshClient(http)
        answer = await alice.ask("x" * 20_000)
        assert answer.attrib == END | {"condition": "bad-request"}, "before a login little is allowed"
        await alice.open()
        answer = await alice.ask(message("x" * 20_000))
        assert answer.attrib == END | {"condition": "policy-violation"}, "in a session neither"
        assert (await alice.ask()).attrib == END | {"condition": "item-not-found"}
        alice.sid = ""
        await alice.log_in()
        assert texts(await alice.ask(message("x" * 90_000))) == ["x" * 90_000]
        async with http.post(f"{BASE}/httpbinding", data=alice.body(message("x" * 110_000))) as response:
            assert response.status == 413
            assert await response.text() == "a body may have 100000 bytes\n"


async def test_no_more_sessions_than_allowed() -> None:
    async with serve(limits=limits(maximum_sessions=1)), aiohttp.ClientSession() as http:
        alice, other = BoshClient(http), BoshClient(http)
        await alice.log_in()
        assert (await other.ask()).attrib == END | {"condition": "internal-server-error"}
        with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
            await http.ws_connect(WEBSOCKET, protocols=("xmpp",))
        await alice.ask(attributes="type='terminate'")
        await other.log_in()


async def test_a_client_that_sends_too_fast_waits() -> None:
    async with serve(limits=limits(bytes_per_second=10, burst=1)) as served, aiohttp.ClientSession() as http:
        opening = asyncio.ensure_future(BoshClient(http).open())
        assert await served.ledger.wait_for(lambda entry: isinstance(entry, MessageSeen))
        done, _ = await asyncio.wait([opening], timeout=0.05)
        assert not done
        served.clock.advance(25)
        await asyncio.wait_for(opening, 5)


async def test_a_service_that_stops_tells_those_who_wait() -> None:
    async with aiohttp.ClientSession() as http:
        async with serve() as served:
            alice = BoshClient(http)
            await alice.log_in()
            waiting = asyncio.ensure_future(alice.ask())
            socket = await http.ws_connect(WEBSOCKET, protocols=("xmpp",))
            await log_in(socket)
            await _until_held(served.ledger)
        assert (await waiting).attrib == END | {"condition": "system-shutdown"}
        assert "<system-shutdown" in await socket.receive_str()
        assert await socket.receive_str() == CLOSE
        assert (await socket.receive()).type is WSMsgType.CLOSE
        await socket.close()


# WebSocket (RFC 7395).


async def test_a_websocket_client_logs_in_and_leaves() -> None:
    async with serve() as served, aiohttp.ClientSession() as http:
        async with http.ws_connect(WEBSOCKET, protocols=("xmpp",)) as socket:
            assert socket.protocol == "xmpp"
            await log_in(socket)
            await socket.send_str(message("hi"))
            assert "<body>hi</body>" in await socket.receive_str()
            await socket.send_str(CLOSE)
            assert await socket.receive_str() == CLOSE
            assert (await socket.receive()).type is WSMsgType.CLOSE
        assert len(served.router.closed) == 1


@pytest.mark.parametrize("offered", [(), ("chat",)])
async def test_a_websocket_without_the_subprotocol_is_refused(offered: tuple[str, ...]) -> None:
    async with serve() as served, aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError, match="400"):
            await http.ws_connect(WEBSOCKET, protocols=offered)
        assert "expected a WebSocket with the subprotocol 'xmpp'" in _seen(served.ledger)


async def test_a_binary_message_is_refused() -> None:
    async with serve() as served, aiohttp.ClientSession() as http:
        async with http.ws_connect(WEBSOCKET, protocols=("xmpp",)) as socket:
            await log_in(socket)
            await socket.send_bytes(b"<presence/>")
            closed = await _last(socket)
        assert closed == WSCloseCode.UNSUPPORTED_DATA
        assert len(served.router.closed) == 1


@pytest.mark.parametrize(
    ("sent", "error"),
    [("<a", "bad-format"), (OPEN + OPEN, "bad-format"), (f"<x>{'y' * 20_000}</x>", "policy-violation")],
)
async def test_a_message_that_is_no_element_is_told_so(sent: str, error: str) -> None:
    async with (
        serve(),
        aiohttp.ClientSession() as http,
        http.ws_connect(WEBSOCKET, protocols=("xmpp",)) as socket,
    ):
        await socket.send_str(OPEN)
        await socket.receive_str()
        await socket.receive_str()
        await socket.send_str(sent)
        assert f"<{error} " in await socket.receive_str()
        assert await socket.receive_str() == CLOSE


async def test_a_stream_goes_on_over_another_websocket() -> None:
    async with serve() as served, aiohttp.ClientSession() as http:
        async with aiohttp.ClientSession() as breaks:
            socket = await breaks.ws_connect(WEBSOCKET, protocols=("xmpp",))
            await log_in(socket)
            await socket.send_str("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
            enabled = await socket.receive_str()
            await socket.send_str(message("not acknowledged"))
            assert "not acknowledged" in await socket.receive_str()
        assert await served.ledger.wait_for(lambda entry: isinstance(entry, Closed))
        previous = re.search(r" id='([^']+)'", enabled)
        assert previous is not None
        served.router.sessions[0].deliver(_stanza("meanwhile"))
        async with http.ws_connect(WEBSOCKET, protocols=("xmpp",)) as socket:
            await log_in(socket, bind=False)
            await socket.send_str(f"<resume xmlns='urn:xmpp:sm:3' previd='{previous[1]}' h='0'/>")
            assert "h='1'" in await socket.receive_str()
            assert "not acknowledged" in await socket.receive_str()
            assert "meanwhile" in await socket.receive_str()
        assert len(served.router.sessions) == 1


async def test_bosh_offers_no_stream_management_and_websocket_does() -> None:
    async with serve(), aiohttp.ClientSession() as http:
        alice = BoshClient(http)
        await alice.open()
        await alice.ask(AUTH)
        features = await alice.ask(attributes="xmpp:restart='true'")
        assert features[0].find("{urn:xmpp:sm:3}sm") is None
        async with http.ws_connect(WEBSOCKET, protocols=("xmpp",)) as socket:
            await log_in(socket)


# Logins and the evidence.


async def test_a_login_in_the_clear_is_warned_of_and_a_wrong_one_refused() -> None:
    async with serve() as served, aiohttp.ClientSession() as http:
        alice = BoshClient(http)
        await alice.open()
        await alice.ask(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGFsaWNlAG5v</auth>"
        )
        await alice.ask(AUTH)
        wrong, right = (judged.verdict for judged in served.ledger.verdicts())
        assert wrong.reason is Reason.BAD_CREDENTIALS
        assert (right.accepted, right.clause) == (True, "G23")
        assert right.rule.startswith("Web client secure mode is off")
        assert "Web Client to IM/P Service Secure Mode" in right.remedy


async def test_neither_passwords_nor_session_ids_are_in_the_evidence() -> None:
    async with serve() as served, aiohttp.ClientSession() as http:
        alice = BoshClient(http)
        await alice.log_in()
        async with http.ws_connect(WEBSOCKET, protocols=("xmpp",)) as socket:
            await log_in(socket)
        seen = _seen(served.ledger)
        assert seen.count("mechanism='PLAIN'>***</auth>") == 2
        assert alice.sid not in seen
        assert alice.sid[:6] in seen


async def test_a_verdict_stands_on_the_connection_that_the_login_came_over() -> None:
    async with serve() as served, aiohttp.ClientSession() as one, aiohttp.ClientSession() as two:
        alice, same = BoshClient(one), BoshClient(two)
        await alice.open()
        same.sid, same.rid = alice.sid, alice.rid
        await same.ask(AUTH)
        (judged,) = served.ledger.verdicts()
        opened = [entry.connection.id for entry in served.ledger.entries() if isinstance(entry, Opened)]
        assert judged.connection.id == opened[1] != opened[0]


# Secure mode: TLS with a client's certificate.


async def test_secure_mode_asks_for_a_certificate_and_opens_no_plain_port() -> None:
    async with serve(secure_mode=True) as served:
        async with showing(served, "web.example") as http:
            alice = BoshClient(http, f"https://{SERVER}:{TLS}/httpbinding")
            created = await alice.open()
            offered = [each.text for each in created.iter("{urn:ietf:params:xml:ns:xmpp-sasl}mechanism")]
            assert offered[:2] == ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"]
            await alice.ask(AUTH)
            with pytest.raises(aiohttp.ClientConnectionError):
                await http.get(BASE)
        handshake, login = (judged.verdict for judged in served.ledger.verdicts())
        assert (handshake.subject, login.rule) == ("web.example", "A client logs in over TLS.")


def showing(served: Served, name: str) -> aiohttp.ClientSession:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    served.authority.configure_trust(context)
    served.authority.issue_cert(name, common_name=name).configure_cert(context)
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))


async def test_a_session_belongs_to_the_certificate_that_began_it() -> None:
    url = f"https://{SERVER}:{TLS}/httpbinding"
    async with (
        serve(secure_mode=True) as served,
        showing(served, "one") as one,
        showing(served, "two") as two,
    ):
        alice, other = BoshClient(one, url), BoshClient(two, url)
        await alice.log_in()
        other.sid, other.rid = alice.sid, alice.rid
        gone = END | {"condition": "item-not-found"}
        assert (await other.ask(message("stolen"))).attrib == gone
        assert (await other.post(f"<body xmlns='x' sid='{alice.sid}'>not a body")).attrib[
            "type"
        ] == "terminate"
        assert texts(await alice.ask(message("hers"))) == ["hers"]


# Slow clients.


async def test_a_websocket_client_that_reads_nothing_is_given_up() -> None:
    async with serve() as served, aiohttp.ClientSession() as http:
        socket = await http.ws_connect(WEBSOCKET, protocols=("xmpp",), max_msg_size=0)
        await log_in(socket)
        (session,) = served.router.sessions
        # Nobody receives; the kernel and aiohttp's client take some, and 8 MiB may wait.
        for _ in range(400):
            session.deliver(_stanza("x" * 200_000))
            await asyncio.sleep(0)
            if served.router.closed:
                break
        await served.ledger.wait_for(lambda entry: isinstance(entry, Closed))
        assert served.router.closed == [session]
        await socket.close()


async def test_a_bosh_client_that_fetches_nothing_is_given_up() -> None:
    async with serve() as served, aiohttp.ClientSession() as http:
        alice = BoshClient(http)
        await alice.log_in()
        (session,) = served.router.sessions
        for _ in range(41):
            session.deliver(_stanza("x" * 200_000))
        assert len(texts(await alice.ask())) == 3, "a response has little more than 512 KiB"
        for _ in range(10):
            session.deliver(_stanza("x" * 200_000))
        assert (await alice.ask()).attrib == END | {"condition": "item-not-found"}
        assert served.router.closed == [session]


# Browsers.


async def test_a_browser_learns_which_pages_may_ask() -> None:
    policy = CrossOriginPolicy(allowed_origins=frozenset({APP}))
    async with serve(cross_origin=policy), aiohttp.ClientSession() as http:
        alice = BoshClient(http)
        for origin, status in ((APP, 200), ("https://evil.example", 403)):
            headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            async with http.options(f"{BASE}/httpbinding", headers=headers) as response:
                assert response.status == (204 if status == 200 else 403)
                assert (response.headers.get("Access-Control-Allow-Origin") == origin) is (status == 200)
            async with http.post(f"{BASE}/httpbinding", data=alice.body(), headers=headers) as response:
                assert response.status == status
                assert (response.headers.get("Access-Control-Allow-Origin") == origin) is (status == 200)
        async with http.ws_connect(WEBSOCKET, protocols=("xmpp",), origin=APP):
            pass
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await http.ws_connect(WEBSOCKET, protocols=("xmpp",), origin="https://evil.example")


async def test_by_default_every_page_may_ask_without_credentials() -> None:
    async with serve(), aiohttp.ClientSession() as http:
        headers = {"Origin": APP}
        async with http.post(
            f"{BASE}/httpbinding", data=BoshClient(http).body(), headers=headers
        ) as response:
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            assert "Access-Control-Allow-Credentials" not in response.headers
            assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_service_says_where_it_is_and_what_else_is_not_there() -> None:
    async with serve(), aiohttp.ClientSession() as http:
        async with http.get(f"{BASE}/.well-known/host-meta.json") as response:
            links = {link["rel"]: link["href"] for link in json.loads(await response.text())["links"]}
            assert links["urn:xmpp:alt-connections:websocket"] == "ws://imp1.lab.example:7335/websocket"
            assert response.headers["Access-Control-Allow-Origin"] == "*"
        async with http.get(f"{BASE}/.well-known/host-meta") as response:
            assert response.content_type == "application/xrd+xml"
        async with http.get(f"{BASE}/httpbinding") as response:
            assert response.status == 405
        async with http.get(f"{BASE}/else") as response:
            assert response.status == 404
            assert "expected POST /httpbinding (BOSH), a WebSocket on /websocket" in await response.text()


async def test_a_body_that_drips_is_given_up() -> None:
    async with serve(limits=limits(request_timeout=0.2)):
        reader, writer = await asyncio.open_connection(SERVER, 7335)
        writer.write(b"POST /httpbinding HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n<body")
        assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 408")
        writer.close()


def _stanza(text: str) -> Stanza:
    return Stanza("message", {"from": "bob@lab.example"}, f"<body>{text}</body>".encode(), (("", "body"),))


async def _until_held(ledger: Ledger) -> None:
    """Return once the last body that came in has been taken: it waits for its answer then."""
    seen = await ledger.wait_for(
        lambda entry: isinstance(entry, MessageSeen) and re.search(rb"rid='\d+' ></body>", entry.wire)
    )
    assert seen is not None


async def _last(socket: aiohttp.ClientWebSocketResponse) -> int:
    while (received := await socket.receive()).type is WSMsgType.TEXT:
        pass
    return int(received.data)


def _seen(ledger: Ledger) -> str:
    return "\n".join(e.wire.decode() for e in ledger.entries() if isinstance(e, MessageSeen))
