"""One arrow for what both ends saw, one row for what both ends judged, lanes with names."""

from certs.verdict import Reason, Side
from harness.evidence.ladder.building import build_ladder
from harness.evidence.ladder.model import Kind, Ladder, Mood
from harness.evidence.ladder.xmpp_summary import StreamSummary
from proxies.observer import Direction
from tests.harness.evidence.ladder.exchanges import OK, OPTIONS, Exchange, accepted, refused


def arrows(ladder: Ladder, *kinds: Kind) -> list[tuple[str, str, str]]:
    return [(row.source, row.target, row.label) for row in ladder.rows if row.kind in kinds]


def test_a_message_that_both_ends_saw_is_one_arrow() -> None:
    exchange = Exchange()
    imp1, imp2 = exchange.pair()
    exchange.send(imp1, imp2, OPTIONS)
    exchange.send(imp2, imp1, OK)
    ladder = build_ladder(exchange.events)
    assert arrows(ladder, Kind.SIP) == [
        ("imp1", "imp2", "OPTIONS (CSeq 7) sip:imp2.lab.example"),
        ("imp2", "imp1", "200 OK (CSeq 7 OPTIONS)"),
    ]
    assert ladder.rows[1].connections == ("imp1 b 2", "imp2 a 1")
    assert "OPTIONS sip:imp2.lab.example SIP/2.0" in ladder.rows[1].details


def test_a_message_that_did_not_arrive_says_so() -> None:
    exchange = Exchange()
    imp1, imp2 = exchange.pair()
    exchange.send(imp1, imp2, OPTIONS)
    exchange.ledger.message(imp1, Direction.SENT, OPTIONS)
    first, second = (row for row in build_ladder(exchange.events).rows if row.kind is Kind.SIP)
    assert first.mood is Mood.NEUTRAL
    assert second.mood is Mood.REFUSED
    assert second.label.endswith("not received")


def test_an_end_that_nobody_observed_is_a_lane_by_its_address() -> None:
    exchange = Exchange()
    peer = exchange.open("imp1 a 1", ("127.20.0.11", 5060), ("127.0.0.1", 40000), listener="TCP Listener")
    exchange.ledger.message(peer, Direction.RECEIVED, OPTIONS)
    assert arrows(build_ladder(exchange.events), Kind.SIP)[0][:2] == ("127.0.0.1", "imp1")


def test_an_xmpp_client_is_a_lane_by_its_address_of_xmpp() -> None:
    exchange = Exchange()
    client = exchange.open(
        "imp1 cm 1", ("127.20.0.11", 5222), ("127.0.0.1", 40000),
        listener="XMPP Client Listener", service="Cisco XCP Connection Manager",
    )  # fmt: skip
    exchange.ledger.message(client, Direction.RECEIVED, b"<presence/>")
    bound = b"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>al@lab.example/x</jid></bind>"
    exchange.ledger.message(client, Direction.SENT, b"<iq type='result' id='1'>" + bound + b"</iq>")
    assert arrows(build_ladder(exchange.events), Kind.XMPP)[0] == ("al@lab.example", "imp1", "presence")


def test_a_handshake_that_both_ends_accepted_is_one_row() -> None:
    exchange = Exchange()
    imp1, imp2 = exchange.pair(transport="TLS")
    exchange.ledger.judged(imp1, accepted(Side.CLIENT))
    exchange.ledger.judged(imp2, accepted(Side.SERVER))
    (row,) = (row for row in build_ladder(exchange.events).rows if row.kind is Kind.TLS)
    assert (row.source, row.target, row.label, row.mood) == (
        "imp1",
        "imp2",
        "TLSv1.3 handshake",
        Mood.ACCEPTED,
    )


def test_a_refusal_goes_from_who_refused_whoever_was_heard_first() -> None:
    for first_is_refuser in (True, False):
        exchange = Exchange()
        imp1, imp2 = exchange.pair(transport="TLS")
        verdicts = [
            (imp1, refused(Reason.EXPIRED, Side.CLIENT, sent="certificate_expired")),
            (imp2, refused(Reason.PEER_ALERT, Side.SERVER, received="certificate_expired")),
        ]
        for connection, verdict in verdicts if first_is_refuser else verdicts[::-1]:
            exchange.ledger.judged(connection, verdict)
        (row,) = (row for row in build_ladder(exchange.events).rows if row.kind is Kind.TLS)
        assert (row.source, row.target) == ("imp1", "imp2")
        assert row.label == "TLSv1.3 refused: expired (certificate_expired)"
        assert "remedy: the remedy" in row.details


def test_under_tls_1_3_the_client_s_belief_and_the_server_s_refusal_are_two_rows() -> None:
    exchange = Exchange()
    imp1, imp2 = exchange.pair(transport="TLS")
    exchange.ledger.judged(imp1, accepted(Side.CLIENT))
    exchange.ledger.judged(imp2, refused(Reason.NO_CERTIFICATE, Side.SERVER, sent="certificate_required"))
    exchange.ledger.judged(imp1, refused(Reason.PEER_ALERT, Side.CLIENT, received="certificate_required"))
    assert arrows(build_ladder(exchange.events), Kind.TLS) == [
        ("imp1", "imp2", "TLSv1.3 handshake"),
        ("imp2", "imp1", "TLSv1.3 refused: no certificate (certificate_required)"),
    ]


def test_a_connection_that_nobody_accepted_names_the_peer() -> None:
    exchange = Exchange()
    connection = exchange.open("imp1 a 1", ("127.20.0.11", 0), ("127.20.0.99", 5061))
    exchange.ledger.judged(connection, refused(Reason.UNREACHABLE, Side.CLIENT))
    events = [event for event in exchange.events if event["event"] == "judged"]
    assert arrows(build_ladder(events), Kind.TLS) == [("imp1", "127.20.0.99", "cannot connect: ")]


def test_lanes_that_talk_stand_side_by_side() -> None:
    exchange = Exchange()
    imp1, imp2 = exchange.pair()
    alice = exchange.open("alice ua 3", ("127.20.0.200", 4000), ("127.20.0.11", 5060))
    here = exchange.open("imp1 p 4", ("127.20.0.11", 5060), ("127.20.0.200", 4000), listener="TCP Listener")
    for _ in range(2):
        exchange.send(alice, here, OPTIONS)
        exchange.send(imp1, imp2, OPTIONS)
    assert build_ladder(exchange.events).lanes in (("alice", "imp1", "imp2"), ("imp2", "imp1", "alice"))


def labels(summary: StreamSummary, text: str) -> list[str]:
    return [element.label for element in summary.take(text)]


def test_a_stream_is_followed_through_its_restart() -> None:
    summary = StreamSummary()
    header = (
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
        "xmlns:stream='http://etherx.jabber.org/streams' from='lab.example'>"
    )
    assert labels(
        summary,
        f"{header}<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>",
    ) == [
        "stream from lab.example",
        "features: starttls",
    ]
    assert labels(summary, header) == ["stream from lab.example"]
    assert labels(summary, "<message to='a@b' type='chat'><bo") == []
    assert labels(
        summary, "dy>hello</body></message><iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>"
    ) == [
        "message chat “hello” to a@b",
        "iq get query roster",
    ]
    assert labels(summary, "</stream:stream>") == ["end of stream"]


def test_what_is_no_xmpp_is_shown_all_the_same() -> None:
    (element,) = StreamSummary().take("\x00\x01")
    assert "no XMPP" in element.label
    summary = StreamSummary()
    assert labels(summary, "<a></b>")[0].startswith("7 characters that are no XMPP")
    assert labels(summary, "<presence/>") == ["presence"]


def test_bosh_bodies_and_websocket_frames() -> None:
    summary = StreamSummary()
    assert labels(summary, "<body xmlns='http://jabber.org/protocol/httpbind' type='terminate'/>") == [
        "BOSH terminate"
    ]
    body = "<body xmlns='http://jabber.org/protocol/httpbind'><presence xmlns='jabber:client'/></body>"
    assert labels(summary, body) == ["BOSH presence"]
    assert labels(summary, "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='lab.example'/>") == [
        "WebSocket open"
    ]
    failure = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>"
    assert [(e.label, e.refuses) for e in summary.take(failure)] == [("SASL failure: not-authorized", True)]
