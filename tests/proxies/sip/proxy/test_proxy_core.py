"""The stateful proxy, request by request (RFC 3261 16)."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certs.errors import RemoteProtocolError
from proxies.sip.messages.message import Request, Response, parse_head
from proxies.sip.proxy.proxy_core import ProxyCore, RouteNeeded, Target
from proxies.sip.transactions.events import Outgoing
from proxies.sip.transport.flow import Destination, Transport
from tests.proxies.sip.proxy.manual_proxy import (
    BOB,
    CAROL,
    SETTINGS,
    ManualProxy,
    request_in,
    response_in,
    to_both,
)
from tests.proxies.sip.wire import answer, make_flow, make_request


def statuses(sent: list[Outgoing]) -> list[int]:
    return [response_in(outgoing).status for outgoing in sent]


def lines(sent: list[Outgoing]) -> list[str]:
    return [outgoing.wire.split(b"\r\n")[0].decode() for outgoing in sent]


def start_invite(proxy: ManualProxy) -> list[Request]:
    """Hand an INVITE in; return its copies."""
    trying, *copies = proxy.receive(make_request("INVITE"))
    assert response_in(trying).status == 100
    return [request_in(copy) for copy in copies]


# What changes in a request, and what does not.


def test_a_forwarded_request_is_written_out_in_full() -> None:
    proxy = ManualProxy()
    request = make_request(extra="s: kept as it came\nX-Folded: one\n two\n")
    request.body = b"hello"
    [outgoing] = proxy.receive(request)
    via, rest = outgoing.wire.split(b"\r\n", 2)[1:]
    assert outgoing.destination is BOB
    assert via.startswith(b"Via: SIP/2.0/TCP 127.0.0.1:5060;branch=z9hG4bK")
    assert via.endswith(b";rport")
    assert outgoing.wire.startswith(b"MESSAGE sip:bob@127.0.0.3 SIP/2.0\r\n")
    assert rest == (
        b"Via: SIP/2.0/UDP 127.0.0.2;branch=z9hG4bK1\r\n"
        b"Max-Forwards: 69\r\n"
        b"From: Alice <sip:alice@example.com>;tag=a1\r\n"
        b"To: <sip:bob@example.com>\r\n"
        b"Call-ID: call-1\r\n"
        b"CSeq: 1 MESSAGE\r\n"
        b"s: kept as it came\r\n"
        b"X-Folded: one\r\n two\r\n"
        b"Content-Length: 0\r\n"
        b"\r\n"
        b"hello"
    )


def test_a_response_goes_back_without_our_via_and_otherwise_as_it_came() -> None:
    proxy = ManualProxy()
    [outgoing] = proxy.receive(make_request())
    response = answer(request_in(outgoing), 202)
    response.reason_phrase = "Taken Along"
    [back] = proxy.receive(response)
    assert back.destination is proxy.flow
    assert back.wire == (
        b"SIP/2.0 202 Taken Along\r\n"
        b"Via: SIP/2.0/UDP 127.0.0.2;branch=z9hG4bK1\r\n"
        b"From: Alice <sip:alice@example.com>;tag=a1\r\n"
        b"To: <sip:bob@example.com>;tag=b1\r\n"
        b"Call-ID: call-1\r\n"
        b"CSeq: 1 MESSAGE\r\n"
        b"Content-Length: 0\r\n"
        b"\r\n"
    )
    proxy.wait(40)
    assert len(proxy.layer) == 0


def test_a_request_without_max_forwards_gets_70() -> None:
    request = make_request()
    request.remove_header("Max-Forwards")
    [outgoing] = ManualProxy().receive(request)
    assert request_in(outgoing).header("max-forwards") == "70"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"Max-Forwards": "0"}, 483),
        ({"Max-Forwards": "many"}, 400),
        ({"Proxy-Require": "x-unknown"}, 420),
        ({"Route": "not a uri"}, 400),
    ],
)
def test_a_request_that_must_not_be_forwarded_is_refused(change: dict[str, str], status: int) -> None:
    request = make_request()
    for name, value in change.items():
        request.set_header(name, value)
    assert statuses(ManualProxy().receive(request)) == [status]


def test_max_forwards_of_one_is_still_forwarded() -> None:
    request = make_request()
    request.set_header("Max-Forwards", "1")
    [outgoing] = ManualProxy().receive(request)
    assert request_in(outgoing).header("max-forwards") == "0"


@pytest.mark.parametrize(
    ("uri", "status"), [("tel:+1", 416), ("nothing", 400), ("sip:", 400), ("sip:a:99999", 400)]
)
def test_a_request_uri_that_cannot_be_routed_is_refused(uri: str, status: int) -> None:
    assert statuses(ManualProxy().receive(make_request(uri=uri))) == [status]


def test_another_version_is_refused_with_505() -> None:
    request = make_request()
    request.version = "SIP/3.0"
    assert statuses(ManualProxy().receive(request)) == [505]


def test_an_unknown_extension_is_named_in_the_refusal() -> None:
    request = make_request()
    request.set_header("Proxy-Require", "x-unknown")
    [outgoing] = ManualProxy().receive(request)
    assert response_in(outgoing).header("unsupported") == "x-unknown"


def test_a_loop_is_refused_with_482_and_a_spiral_is_not() -> None:
    proxy = ManualProxy(lambda core, needed: [Target(uri=needed.request.uri, destination=BOB)])
    [first] = proxy.receive(make_request())
    looped = request_in(first)
    looped.insert_header("Via", "SIP/2.0/TCP 127.0.0.9;branch=z9hG4bKelse")
    assert statuses(proxy.receive(looped)) == [482]
    spiral = request_in(first)
    spiral.insert_header("Via", "SIP/2.0/TCP 127.0.0.9;branch=z9hG4bKelse2")
    spiral.uri = "sip:carol@example.com"
    [forwarded] = proxy.receive(spiral)
    assert request_in(forwarded).uri == "sip:carol@example.com"


# Route and Record-Route.


@pytest.mark.parametrize(
    "routes",
    [
        "Route: <sip:127.0.0.1:5060;lr>\n",
        "Route: <sip:127.0.0.1;lr>\n",
        "Route: <sip:imp1.example.com:5062;transport=tls;lr>, <sip:127.0.0.1:5060;lr>\n",
    ],
)
def test_our_own_route_values_are_taken_away(routes: str) -> None:
    seen: list[RouteNeeded] = []

    def router(core: ProxyCore, needed: RouteNeeded) -> list[Target]:
        seen.append(needed)
        return [Target(uri=needed.request.uri, destination=BOB)]

    [outgoing] = ManualProxy(router).receive(make_request(extra=routes))
    assert request_in(outgoing).header("route") is None
    assert seen[0].context.next_hop == "sip:bob@example.com"


def test_a_heap_of_our_route_values_is_not_worked_through() -> None:
    routes = "Route: " + ", ".join(["<sip:127.0.0.1;lr>"] * 5) + "\n"
    [outgoing] = ManualProxy().receive(make_request(extra=routes))
    assert (request_in(outgoing).header("route") or "").count("127.0.0.1") == 3


def test_a_route_of_another_stays_and_is_the_next_hop() -> None:
    seen: list[str] = []

    def router(core: ProxyCore, needed: RouteNeeded) -> list[Target]:
        seen.append(needed.context.next_hop)
        return [Target(uri=needed.request.uri, destination=BOB)]

    routes = "Route: <sip:127.0.0.1;lr>, <sip:imp2.example.com;lr>\n"
    [outgoing] = ManualProxy(router).receive(make_request(extra=routes))
    assert seen == ["sip:imp2.example.com;lr"]
    assert request_in(outgoing).header("route") == "<sip:imp2.example.com;lr>"
    assert request_in(outgoing).uri == "sip:bob@example.com"


def test_a_strict_router_before_us_is_understood() -> None:
    extra = "Route: <sip:p2.example.com;lr>, <sip:bob@127.0.0.3>\n"
    proxy = ManualProxy(lambda core, needed: [Target(uri=needed.request.uri, destination=BOB)])
    [outgoing] = proxy.receive(make_request(uri="sip:127.0.0.1:5060;lr", extra=extra))
    assert request_in(outgoing).uri == "sip:bob@127.0.0.3"
    assert request_in(outgoing).header("route") == "<sip:p2.example.com;lr>"


def test_a_strict_router_behind_us_gets_itself_as_request_uri() -> None:
    proxy = ManualProxy(lambda core, needed: [Target(uri=needed.request.uri, destination=BOB)])
    [outgoing] = proxy.receive(make_request(extra="Route: <sip:old.example.com>\n"))
    assert request_in(outgoing).uri == "sip:old.example.com"
    assert request_in(outgoing).header("route") == "<sip:bob@example.com>"


def test_a_dialog_is_recorded_once_where_both_sides_are_alike() -> None:
    [copy] = start_invite(ManualProxy())
    assert list(copy.headers("record-route")) == ["<sip:127.0.0.1:5060;transport=tcp;lr>"]


def test_a_dialog_is_recorded_twice_where_the_transport_changes() -> None:
    proxy = ManualProxy()
    _, copy = proxy.receive(make_request("INVITE"), make_flow(Transport.UDP))
    assert list(request_in(copy).headers("record-route")) == [
        "<sip:127.0.0.1:5060;transport=tcp;lr>",
        "<sip:127.0.0.1:5060;lr>",
    ]


def test_a_client_of_the_server_authenticated_port_is_sent_back_there() -> None:
    proxy = ManualProxy()
    flow = make_flow(Transport.TLS, local=("127.0.0.1", 5061))
    _, copy = proxy.receive(make_request("INVITE"), flow)
    assert list(request_in(copy).headers("record-route"))[1] == "<sip:127.0.0.1:5061;transport=tls;lr>"


def test_over_tls_the_via_offers_the_connection_for_the_other_direction() -> None:
    peer = Destination(transport=Transport.TLS, host="127.0.0.5", port=5062)
    proxy = ManualProxy(lambda core, needed: [Target(uri="sip:bob@example.com", destination=peer)])
    [outgoing] = proxy.receive(make_request())
    via = request_in(outgoing).required("via")
    assert via.startswith("SIP/2.0/TLS 127.0.0.1:5062;")
    assert via.endswith(";rport;alias")


# Responses.


def test_100_is_sent_for_invite_and_absorbed_from_below() -> None:
    proxy = ManualProxy()
    [copy] = start_invite(proxy)
    assert proxy.receive(answer(copy, 100)) == []
    assert statuses(proxy.receive(answer(copy, 180))) == [180]


def test_every_2xx_of_an_invite_goes_up() -> None:
    proxy = ManualProxy(to_both)
    first, second = start_invite(proxy)
    proxy.receive(answer(first, 180))
    proxy.receive(answer(second, 180))
    sent = proxy.receive(answer(first, 200))
    assert lines(sent) == ["SIP/2.0 200 OK", "CANCEL sip:bob@127.0.0.4 SIP/2.0"]
    assert statuses(proxy.receive(answer(first, 200))) == [200]
    assert statuses(proxy.receive(answer(second, 200, to_tag="c1"))) == [200]


def test_the_best_response_waits_for_all_targets() -> None:
    proxy = ManualProxy(to_both)
    first, second = start_invite(proxy)
    assert lines(proxy.receive(answer(first, 486))) == ["ACK sip:bob@127.0.0.3 SIP/2.0"]
    sent = proxy.receive(answer(second, 302))
    assert lines(sent) == ["ACK sip:bob@127.0.0.4 SIP/2.0", "SIP/2.0 302 Moved Temporarily"]


@pytest.mark.parametrize(
    ("one", "other", "best"),
    [(404, 500, 404), (404, 401, 401), (408, 480, 480), (500, 302, 302), (503, 486, 486), (486, 404, 486)],
)
def test_the_lowest_class_and_the_most_helpful_response_is_best(one: int, other: int, best: int) -> None:
    proxy = ManualProxy(to_both)
    first, second = (request_in(outgoing) for outgoing in proxy.receive(make_request()))
    assert proxy.receive(answer(first, one)) == []
    assert statuses(proxy.receive(answer(second, other))) == [best]


def test_a_6xx_wins_and_ends_the_other_targets() -> None:
    proxy = ManualProxy(to_both)
    first, second = start_invite(proxy)
    proxy.receive(answer(second, 180))
    sent = proxy.receive(answer(first, 603))
    assert lines(sent)[1:] == ["CANCEL sip:bob@127.0.0.4 SIP/2.0"]
    assert lines(proxy.receive(answer(second, 487)))[-1] == "SIP/2.0 603 Decline"


def test_challenges_of_all_targets_go_up_together() -> None:
    proxy = ManualProxy(to_both)
    first, second = (request_in(outgoing) for outgoing in proxy.receive(make_request()))
    for copy, realm in ((first, "one"), (second, "two")):
        response = answer(copy, 401)
        response.add_header("WWW-Authenticate", f'Digest realm="{realm}"')
        sent = proxy.receive(response)
    assert list(response_in(sent[0]).headers("www-authenticate")) == [
        'Digest realm="one"',
        'Digest realm="two"',
    ]


def test_a_503_from_below_goes_up_as_500() -> None:
    proxy = ManualProxy()
    [outgoing] = proxy.receive(make_request())
    response = answer(request_in(outgoing), 503)
    response.add_header("Warning", '399 imp2 "why"')
    [back] = proxy.receive(response)
    assert response_in(back).status == 500
    assert response_in(back).header("warning") == '399 imp2 "why"'


def test_an_unreachable_target_gives_503_that_says_why_and_when_to_come_back() -> None:
    proxy = ManualProxy()
    [outgoing] = proxy.receive(make_request())
    [back] = proxy.fail(outgoing, 'no route to "127.0.0.3"')
    response = response_in(back)
    assert response.status == 503
    assert response.header("warning") == '399 imp1.example.com "no route to \\"127.0.0.3\\""'
    assert response.header("retry-after") == "30"


def test_no_target_at_all_gives_480() -> None:
    assert statuses(ManualProxy(lambda core, needed: []).receive(make_request())) == [480]


def test_the_router_may_answer_by_itself() -> None:
    def router(core: ProxyCore, needed: RouteNeeded) -> Response:
        return core.refuse(needed.context, 404)

    [back] = ManualProxy(router).receive(make_request())
    assert response_in(back).status == 404
    assert ";tag=" in response_in(back).required("to")


def test_an_invite_that_nobody_answers_gets_408() -> None:
    proxy = ManualProxy()
    start_invite(proxy)
    assert 408 in statuses(proxy.wait(33))


def test_another_request_that_nobody_answers_gets_nothing_and_is_forgotten() -> None:
    proxy = ManualProxy()
    proxy.receive(make_request())
    assert proxy.wait(33) == []
    assert len(proxy.layer) == 0


# CANCEL, ACK, Timer C.


def test_a_cancel_is_answered_and_passed_on_once_the_target_has_answered_provisionally() -> None:
    proxy = ManualProxy()
    [copy] = start_invite(proxy)
    assert lines(proxy.receive(make_request("CANCEL"))) == ["SIP/2.0 200 OK"]
    sent = proxy.receive(answer(copy, 180))
    assert lines(sent) == ["SIP/2.0 180 Ringing", "CANCEL sip:bob@127.0.0.3 SIP/2.0"] or lines(sent) == [
        "CANCEL sip:bob@127.0.0.3 SIP/2.0",
        "SIP/2.0 180 Ringing",
    ]
    cancel = next(request_in(outgoing) for outgoing in sent if outgoing.wire.startswith(b"CANCEL"))
    assert cancel.header("via") == copy.header("via")
    assert cancel.header("cseq") == "1 CANCEL"
    assert proxy.receive(answer(cancel, 200)) == []
    assert lines(proxy.receive(answer(copy, 487))) == [
        "ACK sip:bob@127.0.0.3 SIP/2.0",
        "SIP/2.0 487 Request Terminated",
    ]


def test_a_cancel_of_nothing_gets_481() -> None:
    assert statuses(ManualProxy().receive(make_request("CANCEL"))) == [481]


def test_a_cancelled_target_that_stays_silent_is_given_up() -> None:
    proxy = ManualProxy()
    [copy] = start_invite(proxy)
    proxy.receive(answer(copy, 180))
    proxy.receive(make_request("CANCEL"))
    assert "SIP/2.0 408 Request Timeout" in lines(proxy.wait(33))


def test_the_ack_of_a_2xx_is_forwarded_without_a_transaction_and_always_alike() -> None:
    proxy = ManualProxy()
    [copy] = start_invite(proxy)
    proxy.receive(answer(copy, 200))
    before = len(proxy.layer)
    [first] = proxy.receive(make_request("ACK", branch="z9hG4bK2", to_tag="b1"))
    [again] = proxy.receive(make_request("ACK", branch="z9hG4bK2", to_tag="b1"))
    assert first.wire == again.wire
    assert first.transaction is None
    assert request_in(first).header("max-forwards") == "69"
    assert len(proxy.layer) == before


def test_an_ack_that_cannot_be_routed_is_dropped() -> None:
    proxy = ManualProxy(lambda core, needed: core.refuse(needed.context, 404))
    assert proxy.receive(make_request("ACK", to_tag="b1")) == []
    assert ManualProxy().receive(make_request("ACK", uri="tel:+1", to_tag="b1")) == []


def test_timer_c_cancels_an_invite_that_rings_too_long_and_each_180_sets_it_anew() -> None:
    proxy = ManualProxy()
    [copy] = start_invite(proxy)
    proxy.receive(answer(copy, 180))
    assert proxy.wait(180) == []
    proxy.receive(answer(copy, 180))
    assert proxy.wait(180) == []
    assert lines(proxy.wait(2)) == ["CANCEL sip:bob@127.0.0.3 SIP/2.0"]
    assert lines(proxy.receive(answer(copy, 487)))[-1] == "SIP/2.0 487 Request Terminated"


# Bounds.


def test_a_fork_has_a_bound() -> None:
    def router(core: ProxyCore, needed: RouteNeeded) -> list[Target]:
        return [Target(uri=f"sip:bob@127.0.0.{n}", destination=CAROL) for n in range(1, 9)]

    proxy = ManualProxy(router, replace(SETTINGS, maximum_targets=3))
    copies = proxy.receive(make_request())
    assert [request_in(copy).header("max-breadth") for copy in copies] == ["20", "20", "20"]


@pytest.mark.parametrize(("breadth", "status"), [("1", 440), ("0", 440)])
def test_a_fork_that_max_breadth_forbids_is_refused(breadth: str, status: int) -> None:
    request = make_request(extra=f"Max-Breadth: {breadth}\n")
    assert statuses(ManualProxy(to_both).receive(request)) == [status]


def test_a_fork_that_max_breadth_allows_goes_out() -> None:
    copies = ManualProxy(to_both).receive(make_request(extra="Max-Breadth: 2\n"))
    assert [request_in(copy).header("max-breadth") for copy in copies] == ["1", "1"]


# Anything at all.


@given(data=st.binary(max_size=200), cut=st.integers(0, 400), invite=st.booleans())
@settings(max_examples=200, deadline=None)
def test_random_bytes_in_a_request_are_forwarded_or_refused(data: bytes, cut: int, invite: bool) -> None:
    routes = "Route: <sip:127.0.0.1:5060;lr>, <sip:imp2.example.com>\n"
    head = make_request("INVITE" if invite else "MESSAGE", extra=routes).encode()[:-4]
    try:
        message = parse_head(head[:cut] + data + head[cut + len(data) :])
    except RemoteProtocolError:
        return
    proxy = ManualProxy(to_both)
    proxy.receive(message)
    proxy.wait(400)
    assert len(proxy.layer) == 0
