"""When a BOSH session answers which request, and with what (XEP-0124)."""

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certs.errors import LocalProtocolError, RemoteProtocolError
from proxies.xmpp.streams.framed_reader import BoshBody, parse_body
from proxies.xmpp.streams.reader_events import CLIENT_STANZAS
from proxies.xmpp.web.bosh_session import BoshSession, BoshSettings
from proxies.xmpp.web.bosh_state import BoshState
from proxies.xmpp.web.bosh_values import RECOVERABLE

FIRST = "to='lab.example' rid='100' wait='60' hold='1' ver='1.11' xmpp:version='1.0'"
MESSAGE = b"<message xmlns='jabber:client'><body>hi</body></message>"
EMPTY = b"<body xmlns='http://jabber.org/protocol/httpbind'/>"
GONE = b'<body xmlns=\'http://jabber.org/protocol/httpbind\' type="terminate" condition="item-not-found"/>'
OTHER = b'<body xmlns=\'http://jabber.org/protocol/httpbind\' type="terminate" condition="other-request"/>'


def carrying(payload: bytes) -> bytes:
    return b"<body xmlns='http://jabber.org/protocol/httpbind'>%b</body>" % payload


def body(attributes: str, content: bytes = b"") -> BoshBody:
    start = f"<body xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh' {attributes}>"
    return parse_body(start.encode() + content + b"</body>", CLIENT_STANZAS)


class Client:
    """Sends requests named by their rid, and keeps what each was answered."""

    def __init__(self, first: str = FIRST, settings: BoshSettings | None = None) -> None:
        self.now = 0.0
        self.answers: list[tuple[object, bytes]] = []
        self.statuses: list[int] = []
        self.forwarded: list[str] = []
        self.session = BoshSession(
            body(first), "first", sid="s", settings=settings or BoshSettings(), now=self.now
        )
        self.settle()

    def ask(self, rid: int, attributes: str = "", content: bytes = b"", token: object = None) -> None:
        request = body(f"sid='s' rid='{rid}' {attributes}", content)
        self.session.receive_request(request, token or rid, now=self.now)
        self.settle()

    def send(self, element: bytes) -> None:
        self.session.send(element)
        self.settle()

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        due = self.session.next_timer()
        if due is not None and due <= self.now:
            self.session.handle_timer(now=self.now)
        self.settle()

    def settle(self) -> None:
        while (forwarded := self.session.next_body()) is not None:
            self.forwarded.append(forwarded.attributes["rid"])
        while (response := self.session.next_response(now=self.now)) is not None:
            self.answers.append((response.token, response.content))
            self.statuses.append(response.status)

    def take(self) -> list[tuple[object, bytes]]:
        answers, self.answers = self.answers, []
        return answers


def client(first: str = FIRST, settings: BoshSettings | None = None) -> Client:
    made = Client(first, settings)
    made.take()
    return made


def test_the_first_answer_says_what_the_session_is() -> None:
    assert Client().take() == [
        (
            "first",
            b"<body xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh' sid=\"s\" wait=\"60\" "
            b'hold="1" requests="2" inactivity="30" maxpause="120" ver="1.11" xmpp:version="1.0" '
            b'xmpp:restartlogic="true"/>',
        )
    ]


@pytest.mark.parametrize(
    ("asked", "offered"),
    [
        (
            "wait='600' hold='9' ver='1.6'",
            'wait="60" hold="2" requests="3" inactivity="30" maxpause="120" ver="1.6"',
        ),
        (
            "wait='20' hold='1' ver='2.0'",
            'wait="20" hold="1" requests="2" inactivity="30" maxpause="120" ver="1.11"',
        ),
        ("wait='20' hold='1'", 'wait="20" hold="1" requests="2" inactivity="30" maxpause="120"'),
        (
            "wait='0' hold='1' ver='1.11'",
            'wait="0" hold="0" requests="2" inactivity="60" maxpause="120" polling="5" ver="1.11"',
        ),
        (
            "ver='1.11' ack='1'",
            'wait="0" hold="0" requests="2" inactivity="60" maxpause="120" polling="5" ver="1.11" ack="7"',
        ),
    ],
)
def test_a_client_gets_no_more_than_is_offered_and_no_more_than_it_asks_for(asked: str, offered: str) -> None:
    [(_, answer)] = Client(f"to='lab.example' rid='7' {asked}").take()
    assert f'sid="s" {offered} xmpp:version' in answer.decode()


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "rid='x'",
        "rid='-1'",
        "rid='9007199254740992'",
        "rid='1' wait='soon'",
        "rid='1' hold='1.5'",
        "rid='1' content='text/html'",
        "rid='1' content='text/xml; charset=latin1'",
        "rid='1' newkey='short'",
    ],
)
def test_a_first_body_that_makes_no_session_is_a_bad_request(wrong: str) -> None:
    with pytest.raises(RemoteProtocolError) as refusal:
        Client(wrong)
    assert refusal.value.reply == "bad-request"


def test_a_request_waits_until_there_is_something_to_send() -> None:
    alice = client()
    alice.ask(101)
    assert alice.take() == []
    alice.send(MESSAGE)
    assert alice.take() == [(101, carrying(MESSAGE))]


def test_what_came_before_the_request_goes_out_with_it_at_once() -> None:
    alice = client()
    alice.send(MESSAGE)
    alice.send(MESSAGE)
    assert alice.take() == []
    alice.ask(101)
    assert alice.take() == [(101, carrying(MESSAGE + MESSAGE))]


def test_a_request_is_answered_with_nothing_when_its_wait_is_over() -> None:
    alice = client()
    alice.ask(101)
    assert alice.session.next_timer() == 60
    alice.pass_time(59.9)
    assert alice.take() == []
    alice.pass_time(0.1)
    assert alice.take() == [(101, EMPTY)]


def test_no_more_requests_wait_than_the_client_allowed() -> None:
    alice = client()
    alice.ask(101)
    alice.ask(102)
    assert alice.take() == [(101, EMPTY)]
    alice.send(MESSAGE)
    assert alice.take() == [(102, carrying(MESSAGE))]


def test_a_long_backlog_goes_out_in_several_answers() -> None:
    alice = client(settings=BoshSettings(response_size=100))
    for _ in range(4):
        alice.send(MESSAGE)
    alice.ask(101)
    alice.ask(102)
    assert alice.take() == [(101, carrying(MESSAGE * 2)), (102, carrying(MESSAGE * 2))]
    assert alice.session.unsent == 0


# Order (XEP-0124 14.2).


def test_requests_are_forwarded_and_answered_in_their_order() -> None:
    alice = client(FIRST.replace("hold='1'", "hold='2'"))
    alice.ask(103)
    alice.ask(102)
    assert alice.forwarded == ["100"]
    alice.ask(101)
    assert alice.forwarded == ["100", "101", "102", "103"]
    assert alice.take() == [(101, EMPTY)]
    alice.send(MESSAGE)
    assert alice.take() == [(102, carrying(MESSAGE))]


@pytest.mark.parametrize("rid", [103, 99, 50])
def test_a_request_outside_the_window_ends_the_session(rid: int) -> None:
    alice = client()
    alice.ask(rid)
    assert alice.take() == [(rid, GONE)]
    assert alice.session.state is BoshState.OVER


def test_a_request_at_the_edge_of_the_window_does_not() -> None:
    alice = client()
    alice.ask(102)
    assert alice.session.state is BoshState.IDLE
    alice.ask(101)
    assert alice.forwarded == ["100", "101", "102"]


def test_one_more_request_is_allowed_to_leave() -> None:
    alice = client()
    alice.ask(103, "type='terminate'")
    assert alice.session.state is not BoshState.OVER
    other = client()
    other.ask(103)
    assert other.session.state is BoshState.OVER


def test_when_one_request_ends_the_session_the_others_are_told_so() -> None:
    alice = client()
    alice.ask(101)
    alice.ask(500)
    assert alice.take() == [(500, GONE), (101, OTHER)]
    assert alice.session.state is BoshState.OVER
    early = client()
    early.ask(102)
    early.ask(500)
    assert early.take() == [(500, GONE), (102, OTHER)]


def test_a_client_without_a_version_gets_http_errors() -> None:
    alice = client("to='lab.example' rid='100' wait='60' hold='1'")
    alice.ask(500)
    assert alice.statuses[-1] == 404
    assert client().statuses == [200]


# Broken connections (XEP-0124 14.3).


def test_a_repeated_request_gets_the_same_answer() -> None:
    alice = client()
    alice.send(MESSAGE)
    alice.ask(101, content=MESSAGE)
    first = alice.take()
    alice.ask(101, content=MESSAGE, token="again")
    assert alice.take() == [("again", first[0][1])]
    assert alice.forwarded == ["100", "101"]


def test_an_answer_that_is_not_kept_any_more_ends_the_session() -> None:
    alice = client()
    for rid in (101, 102, 103, 104):
        alice.ask(rid)
    alice.take()
    alice.ask(102, token="again")
    alice.ask(101, token="too late")
    assert [token for token, _ in alice.take()] == ["again", "too late", 104]
    assert alice.session.state is BoshState.OVER


def test_a_request_that_waits_can_be_repeated_over_another_connection() -> None:
    alice = client()
    alice.ask(101)
    alice.ask(101, token="again")
    assert alice.take() == [(101, RECOVERABLE)]
    alice.send(MESSAGE)
    assert alice.take() == [("again", carrying(MESSAGE))]


def test_a_request_ahead_of_its_turn_can_be_repeated_too() -> None:
    alice = client()
    alice.ask(102)
    alice.ask(102, token="again")
    assert alice.take() == [(102, RECOVERABLE)]
    alice.ask(101)
    assert alice.forwarded == ["100", "101", "102"]


def test_what_went_to_a_broken_connection_is_sent_again() -> None:
    alice = client()
    alice.ask(101)
    alice.session.request_lost(101, now=alice.now)
    alice.send(MESSAGE)
    assert alice.take() == []
    alice.ask(101, token="again")
    assert alice.take() == [("again", EMPTY)]
    alice.ask(102)
    assert alice.take() == [(102, carrying(MESSAGE))]


def test_a_broken_connection_starts_the_inactivity_time() -> None:
    alice = client()
    alice.ask(101)
    alice.session.request_lost(101, now=alice.now)
    assert alice.session.next_timer() == 30
    alice.pass_time(30)
    assert alice.session.state is BoshState.OVER


# Inactivity and pauses (XEP-0124 10).


def test_a_client_that_stays_away_is_gone() -> None:
    alice = client()
    alice.pass_time(29.9)
    assert alice.session.state is BoshState.IDLE
    alice.pass_time(0.1)
    assert alice.session.state is BoshState.OVER
    alice.ask(101)
    assert alice.take() == [(101, GONE)]


def test_a_client_that_waits_is_not_gone() -> None:
    alice = client()
    alice.ask(101)
    alice.pass_time(45)
    assert alice.session.state is BoshState.HOLDING


def test_a_pause_lets_a_client_stay_away_longer() -> None:
    alice = client()
    alice.ask(101)
    alice.ask(102, "pause='120'")
    assert alice.take() == [(101, EMPTY), (102, EMPTY)]
    alice.send(MESSAGE)
    alice.pass_time(119)
    alice.ask(103)
    assert alice.take() == [(103, carrying(MESSAGE))]
    alice.pass_time(30)
    assert alice.session.state is BoshState.OVER


def test_the_answer_to_a_pause_carries_nothing_although_something_waits() -> None:
    alice = client()
    alice.session.send(MESSAGE)
    alice.ask(101, "pause='60'")
    assert alice.take() == [(101, EMPTY)]


def test_a_pause_that_is_too_long_is_refused() -> None:
    alice = client()
    alice.ask(101, "pause='121'")
    [(_, answer)] = alice.take()
    assert b'condition="policy-violation"' in answer
    assert b"a pause of 121 s; 120 are allowed" in answer
    assert alice.session.state is BoshState.OVER


# Polling (XEP-0124 12).


def polling() -> Client:
    return client("to='lab.example' rid='100' ver='1.11'")


def test_a_client_that_polls_is_answered_at_once() -> None:
    alice = polling()
    alice.ask(101)
    assert alice.take() == [(101, EMPTY)]


def test_a_client_that_polls_too_often_is_refused() -> None:
    alice = polling()
    alice.ask(101)
    alice.pass_time(4.9)
    alice.ask(102)
    assert b'condition="policy-violation"' in alice.take()[1][1]
    patient = polling()
    patient.ask(101)
    patient.pass_time(5)
    patient.ask(102)
    assert patient.take() == [(101, EMPTY), (102, EMPTY)]


def test_a_client_that_polls_may_ask_again_after_an_answer_with_something_in_it() -> None:
    alice = polling()
    alice.send(MESSAGE)
    alice.ask(101)
    alice.ask(102)
    assert alice.take() == [(101, carrying(MESSAGE)), (102, EMPTY)]


def test_sending_and_restarting_is_no_polling() -> None:
    alice = polling()
    alice.ask(101)
    alice.ask(102, content=MESSAGE)
    alice.ask(103, "xmpp:restart='true'")
    alice.ask(104, content=MESSAGE)
    assert [answer for _, answer in alice.take()] == [EMPTY] * 4


# The end (XEP-0124 13).


def test_a_session_that_ends_tells_the_oldest_request_why() -> None:
    alice = client(FIRST.replace("hold='1'", "hold='2'"))
    alice.ask(101)
    alice.ask(102)
    alice.session.send(b"<last/>")
    alice.session.terminate()
    alice.settle()
    end = b"<body xmlns='http://jabber.org/protocol/httpbind' type=\"terminate\">%b</body>"
    assert alice.take() == [(101, end % b"<last/>"), (102, end.replace(b">%b</body>", b"/>"))]
    with pytest.raises(LocalProtocolError):
        alice.session.send(MESSAGE)


# Acknowledgements (XEP-0124 9) and keys (15).


def test_a_client_that_asks_for_it_learns_which_requests_came() -> None:
    alice = client(FIRST + " ack='1'")
    alice.ask(101)
    alice.ask(102)
    assert alice.take() == [(101, EMPTY.replace(b"/>", b' ack="102"/>'))]
    alice.send(MESSAGE)
    assert alice.take() == [(102, carrying(MESSAGE))], "its own number says it"


def keys(seed: str, number: int) -> list[str]:
    made = [seed]
    for _ in range(number):
        made.append(hashlib.sha1(made[-1].encode()).hexdigest())
    return made[:0:-1]


def test_requests_whose_keys_follow_are_taken() -> None:
    old, new = keys("one", 3), keys("two", 3)
    alice = client(FIRST + f" newkey='{old[0]}'")
    alice.ask(101, f"key='{old[1]}'")
    alice.ask(102, f"key='{old[2]}' newkey='{new[0]}'")
    alice.ask(103, f"key='{new[1]}'")
    assert alice.forwarded == ["100", "101", "102", "103"]


@pytest.mark.parametrize("attributes", ["", f"key='{'0' * 40}'", f"newkey='{'0' * 40}'"])
def test_a_request_whose_key_does_not_follow_ends_the_session(attributes: str) -> None:
    alice = client(FIRST + f" newkey='{keys('one', 3)[0]}'")
    alice.ask(101, attributes)
    assert alice.take() == [(101, GONE)]
    assert alice.forwarded == ["100"]


def test_a_wrong_key_ahead_of_its_turn_is_found_when_its_turn_comes() -> None:
    old = keys("one", 4)
    alice = client(FIRST + f" newkey='{old[0]}'")
    alice.ask(102, f"key='{'0' * 40}'")
    alice.ask(101, f"key='{old[1]}'")
    assert alice.take() == [(102, GONE), (101, OTHER)]


def test_a_request_whose_predecessor_never_comes_is_told_when_the_session_expires() -> None:
    alice = client()
    alice.ask(102)
    alice.pass_time(29)
    assert alice.take() == []
    alice.pass_time(1)
    assert alice.take() == [(102, GONE)]


# Whatever comes.

_ATTRIBUTES = st.sampled_from(
    ["", "pause='10'", "pause='x'", "type='terminate'", "xmpp:restart='true'", "key='k'"]
)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(98, 106), _ATTRIBUTES),
        st.tuples(st.just("send"), st.just(0), st.just("")),
        st.tuples(st.just("lose"), st.integers(0, 20), st.just("")),
        st.tuples(st.just("time"), st.integers(0, 40), st.just("")),
        st.tuples(st.just("end"), st.just(0), st.just("")),
    ),
    max_size=30,
)


@given(
    _STEPS,
    st.sampled_from([FIRST, FIRST.replace("hold='1'", "hold='2'"), FIRST.replace("hold='1'", "hold='0'")]),
)
def test_every_request_is_answered_once_and_bodies_keep_their_order(
    steps: list[tuple[str, int, str]], first: str
) -> None:
    alice = Client(first)
    asked: list[object] = ["first"]
    lost: set[object] = set()
    for number, (what, value, attributes) in enumerate(steps):
        match what:
            case "ask":
                asked.append(f"step {number}")
                alice.ask(value, attributes, token=asked[-1])
            case "send" if alice.session.state not in (BoshState.ENDING, BoshState.OVER):
                alice.send(MESSAGE)
            case "lose" if asked:
                token = asked[value % len(asked)]
                if token not in {answered for answered, _ in alice.answers}:
                    lost.add(token)
                    alice.session.request_lost(token, now=alice.now)
                    alice.settle()
            case "time":
                alice.pass_time(value)
            case "end":
                alice.session.terminate()
                alice.settle()
    alice.session.terminate()
    alice.settle()
    answered = [token for token, _ in alice.answers]
    assert len(answered) == len(set(answered))
    assert set(asked) == set(answered) | lost
    assert alice.forwarded == [str(rid) for rid in range(100, 100 + len(alice.forwarded))]
    assert alice.session.state is BoshState.OVER
    assert alice.session.next_timer() is None
    for _, answer in alice.answers:
        parse_body(re.sub(rb"<stream:[^>]*>", b"", answer), CLIENT_STANZAS)


_WHOLE = b"<body xmlns='http://jabber.org/protocol/httpbind' sid='s' rid='101'>" + MESSAGE + b"</body>"


@pytest.mark.parametrize("end", range(1, len(_WHOLE)))
def test_a_body_that_is_cut_anywhere_is_none(end: int) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_body(_WHOLE[:end], CLIENT_STANZAS)


_EMPTY_BODY = b"<body xmlns='http://jabber.org/protocol/httpbind' sid='s' rid='101'/>"


@pytest.mark.parametrize("whole", [_WHOLE, _EMPTY_BODY])
@pytest.mark.parametrize("behind", [_WHOLE, _EMPTY_BODY, b"x", b"</body>", b"<!-- -->"])
def test_a_request_is_one_body_and_nothing_behind_it(whole: bytes, behind: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_body(whole + behind, CLIENT_STANZAS)
    for around in (b"%b", b" \n%b\n", b"<?xml version='1.0' encoding='utf-8'?>\n%b"):
        assert parse_body(around % whole, CLIENT_STANZAS).attributes["rid"] == "101"
