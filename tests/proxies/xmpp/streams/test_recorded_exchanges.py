"""What peers sent is understood however the network cut it (RFC 6120 4 to 7, XEP-0114, XEP-0198, XEP-0220)."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxies.xmpp.stanza import Stanza
from proxies.xmpp.streams.events import ManagementEnabled, StreamClosed, StreamEvent, StreamOpened
from proxies.xmpp.streams.settings import StreamKind
from proxies.xmpp.streams.state import StreamState
from tests.proxies.xmpp.streams.exchange import (
    CLOSE,
    Initiator,
    Owner,
    initiate,
)
from tests.proxies.xmpp.streams.recorded import EXCHANGES, SERVER_ANSWERS, Exchange, filled

EACH = pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda each: each.name)


def play(exchange: Exchange, cut: tuple[int, int] | None = None, size: int = 0) -> Owner:
    """Feed all phases; one of them cut in two at a place, or all in pieces of a size."""
    stream = exchange.open()
    owner = Owner(stream, exchange.managed())
    for number, phase in enumerate(exchange.phases):
        data = phase if isinstance(phase, bytes) else phase(stream)
        if cut is not None and cut[0] == number:
            owner.feed(data[: cut[1]])
            owner.feed(data[cut[1] :])
        else:
            owner.feed(data, size)
    return owner


def told(owner: Owner) -> list[StreamEvent | type]:
    """Return the events without what is random in them."""
    return [
        replace(event, id="")
        if isinstance(event, StreamOpened)
        else ManagementEnabled
        if isinstance(event, ManagementEnabled)
        else event
        for event in owner.events
    ]


@EACH
def test_an_exchange_ends_well(exchange: Exchange) -> None:
    owner = play(exchange)
    assert not owner.error
    assert owner.events[-1] == StreamClosed(clean=True)
    assert any(isinstance(event, Stanza) for event in owner.events)
    assert owner.stream.state is StreamState.CLOSED
    assert owner.sent.endswith(CLOSE)


@EACH
def test_an_exchange_may_be_cut_at_every_byte(exchange: Exchange) -> None:
    expected = told(play(exchange))
    stream = exchange.open()
    for number, phase in enumerate(exchange.phases):
        length = len(phase if isinstance(phase, bytes) else phase(stream))
        for place in range(1, length):
            assert told(play(exchange, (number, place))) == expected, (number, place)
    assert told(play(exchange, size=1)) == expected


def listen(
    kind: StreamKind, answers: tuple[bytes, ...], cut: tuple[int, int] | None = None, size: int = 0
) -> Owner:
    """Open a stream to a server that answers this."""
    owner = Initiator(initiate(kind, sender="" if kind is StreamKind.CLIENT else "imp1.lab.example"))
    owner.pull()
    for number, recorded in enumerate(answers):
        answer = filled(recorded, owner.sent)
        if cut is not None and cut[0] == number:
            owner.feed(answer[: cut[1]])
            owner.feed(answer[cut[1] :])
        else:
            owner.feed(answer, size)
    return owner


ANSWERS = pytest.mark.parametrize(("kind", "answers"), SERVER_ANSWERS, ids=["client", "server", "component"])


@ANSWERS
def test_what_a_server_answers_may_be_cut_at_every_byte(kind: StreamKind, answers: tuple[bytes, ...]) -> None:
    whole = listen(kind, answers)
    assert not whole.error
    assert any(isinstance(event, Stanza) for event in whole.events)
    assert whole.stream.state is StreamState.CLOSED
    for number, answer in enumerate(answers):
        for place in range(1, len(answer)):
            assert told(listen(kind, answers, (number, place))) == told(whole), (number, place)
    assert told(listen(kind, answers, size=1)) == told(whole)


@EACH
def test_who_does_not_wait_for_a_restart_is_refused(exchange: Exchange) -> None:
    for number, (phase, behind) in enumerate(zip(exchange.phases, exchange.phases[1:], strict=False)):
        if not isinstance(behind, bytes):
            continue
        assert isinstance(phase, bytes)
        phases = (*exchange.phases[:number], phase + behind.removeprefix(b"<?xml version='1.0'?>"))
        owner = play(replace(exchange, phases=phases))
        assert owner.error == "policy-violation"
        assert b"proceed" not in owner.sent[-400:]
        assert b"success" not in owner.sent[-400:]


def test_a_client_sees_this() -> None:
    owner = play(EXCHANGES[0])
    header = (
        b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
        b'id="..." from="lab.example" version="1.0" xml:lang="en">'
    )
    assert re.sub(rb"(?<= id=)['\"][^'\"]{20,}['\"]", b'"..."', owner.sent) == (
        header + b'<stream:features><starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls"><required/></starttls>'
        b"</stream:features>"
        b'<proceed xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>'
        + header
        + b'<stream:features><mechanisms xmlns="urn:ietf:params:xml:ns:xmpp-sasl">'
        b"<mechanism>SCRAM-SHA-256</mechanism><mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism>"
        b"</mechanisms></stream:features>"
        b'<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>'
        + header
        + b'<stream:features><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/>'
        b'<session xmlns="urn:ietf:params:xml:ns:xmpp-session"><optional/></session>'
        b'<sm xmlns="urn:xmpp:sm:3"/></stream:features>'
        b"<iq type='result' id='b1'><bind xmlns=\"urn:ietf:params:xml:ns:xmpp-bind\">"
        b"<jid>alice@lab.example/desk</jid></bind></iq>"
        b"<enabled xmlns=\"urn:xmpp:sm:3\" id=\"...\" resume='true' max='600'/>"
        b"<a xmlns=\"urn:xmpp:sm:3\" h='1'/>"
        b"</stream:stream>"
    )


def test_a_resumed_stream_repeats_what_was_not_handled() -> None:
    owner = play(EXCHANGES[1])
    assert owner.sent.endswith(
        b"<resumed xmlns=\"urn:xmpp:sm:3\" previd='r1' h='0'/><message id='2'/>"
        b"<a xmlns=\"urn:xmpp:sm:3\" h='1'/></stream:stream>"
    )


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_damaged_exchange_gives_events_or_a_protocol_error(data: st.DataObject) -> None:
    exchange = data.draw(st.sampled_from(EXCHANGES))
    number = data.draw(st.integers(0, len(exchange.phases) - 1))
    phase = exchange.phases[number]
    if not isinstance(phase, bytes):
        return
    wire = bytearray(phase)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(wire)))
        end = at + data.draw(st.integers(0, 12))
        wire[at:end] = data.draw(
            st.sampled_from([b"", b"<", b">", b"'", b"&", b"/", b" ", b"\xff"]) | st.binary(max_size=9)
        )
    owner = Owner(exchange.open(), exchange.managed())
    for each in (*exchange.phases[:number], bytes(wire)):
        assert isinstance(each, bytes)
        if owner.stream.state is not StreamState.CLOSED:
            owner.feed(each)
    owner.stream.receive_eof()
    owner.pull()
    assert owner.stream.state is StreamState.CLOSED
