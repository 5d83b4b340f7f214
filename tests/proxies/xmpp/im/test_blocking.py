"""Blocking (XEP-0191)."""

import pytest

from proxies.xmpp.im.blocklist import is_blocked
from proxies.xmpp.jid import Jid
from tests.proxies.xmpp.im.lab import JULIET, ROMEO, Lab

GET = "<iq type='get' id='g'><blocklist xmlns='urn:xmpp:blocking'/></iq>"
HELLO = "<message to='{}' type='chat' id='1'><body>hi</body></message>"


def change(name: str, *addresses: str) -> str:
    items = "".join(f"<item jid='{address}'/>" for address in addresses)
    return f"<iq type='set' id='b'><{name} xmlns='urn:xmpp:blocking'>{items}</{name}></iq>"


def test_the_list_is_kept_and_pushed_to_those_who_asked_for_it() -> None:
    lab = Lab()
    romeo, other, silent = (lab.connect(f"{ROMEO}/{each}") for each in "ops")
    for each in (romeo, other):
        assert each.ask(GET) == (
            f"<iq type='result' id='g' to='{each.jid}'><blocklist xmlns=\"urn:xmpp:blocking\"/></iq>"
        )
    romeo.send(change("block", JULIET))
    block = f'<block xmlns="urn:xmpp:blocking"><item jid="{JULIET}"/></block>'
    assert romeo.received() == [
        f"<iq type='set' id='made' to='{ROMEO}/o'>{block}</iq>",
        f"<iq type='result' id='b' to='{ROMEO}/o'/>",
    ]
    assert (len(other.received()), silent.received()) == (1, [])
    assert silent.ask(GET) == (
        f"<iq type='result' id='g' to='{ROMEO}/s'>"
        f'<blocklist xmlns="urn:xmpp:blocking"><item jid="{JULIET}"/></blocklist></iq>'
    )


def test_a_blocked_sender_believes_that_nobody_is_there() -> None:
    lab = Lab()
    romeo, juliet = lab.login(f"{ROMEO}/o"), lab.login(f"{JULIET}/b")
    romeo.ask(change("block", JULIET))
    for to in (ROMEO, f"{ROMEO}/o"):
        juliet.send(HELLO.format(to))
        juliet.send(f"<iq type='get' id='1' to='{to}'><ping xmlns='urn:xmpp:ping'/></iq>")
        juliet.send(f"<presence to='{to}'/>")
        juliet.send(f"<presence type='subscribe' to='{to}'/>")
    assert romeo.received() == []
    assert ["<service-unavailable" in each for each in juliet.received() if "type='set'" not in each] == [
        True
    ] * 4
    romeo.ask(change("unblock", JULIET))
    juliet.send(HELLO.format(ROMEO))
    assert len(romeo.received()) == 1


def test_a_user_who_is_away_blocks_too() -> None:
    lab = Lab()
    romeo, juliet = lab.login(f"{ROMEO}/o"), lab.login(f"{JULIET}/b")
    romeo.ask(change("block", JULIET))
    romeo.leave()
    assert "<service-unavailable" in juliet.ask(HELLO.format(ROMEO))
    assert not lab.store.offline_messages(Jid.parse(ROMEO))


def test_a_user_cannot_write_to_whom_the_user_has_blocked() -> None:
    lab = Lab()
    romeo, juliet = lab.login(f"{ROMEO}/o"), lab.login(f"{JULIET}/b")
    romeo.ask(change("block", JULIET))
    assert romeo.ask(HELLO.format(f"{JULIET}/b")) == (
        f"<message type='error' id='1' to='{ROMEO}/o' from='{JULIET}/b'><error type=\"cancel\">"
        '<not-acceptable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/>'
        '<blocked xmlns="urn:xmpp:blocking:errors"/></error></message>'
    )
    assert juliet.received() == []


def test_blocking_the_own_domain_does_not_block_the_server_or_oneself() -> None:
    lab = Lab()
    romeo, juliet = lab.login(f"{ROMEO}/o"), lab.login(f"{JULIET}/b")
    romeo.ask(change("block", "verona.example"))
    ping = "<iq type='get' id='1' to='{}'><ping xmlns='urn:xmpp:ping'/></iq>"
    for to in ("verona.example", ROMEO):
        assert romeo.ask(ping.format(to)) == f"<iq type='result' id='1' to='{ROMEO}/o' from='{to}'/>"
    assert "<service-unavailable" in juliet.ask(HELLO.format(ROMEO))


def test_a_friend_sees_the_user_go_when_blocked_and_come_when_unblocked() -> None:
    lab = Lab()
    lab.befriend(ROMEO, JULIET)
    romeo, juliet = lab.login(f"{ROMEO}/o"), lab.login(f"{JULIET}/b")
    romeo.send(change("block", JULIET))
    assert juliet.received() == [f"<presence type='unavailable' from='{ROMEO}/o' to='{JULIET}'/>"]
    romeo.send("<presence><show>away</show></presence>")
    assert juliet.received() == []
    romeo.send(change("unblock"))
    assert juliet.received() == [f"<presence from='{ROMEO}/o' to='{JULIET}'><show>away</show></presence>"]


@pytest.mark.parametrize(
    ("request_", "condition"),
    [
        (change("block"), "bad-request"),
        (change("block", "@"), "jid-malformed"),
        (change("block", "a.example"), None),
    ],
)
def test_what_a_block_request_must_hold(request_: str, condition: str | None) -> None:
    answer = Lab().connect(f"{ROMEO}/o").ask(request_)
    assert (f"<{condition} " in answer) if condition else ("type='result'" in answer)


@pytest.mark.parametrize(("limit", "refused"), [(1, True), (2, False)])
def test_the_list_is_bounded(limit: int, refused: bool) -> None:
    answer = Lab(maximum_blocked=limit).connect(f"{ROMEO}/o").ask(change("block", "a.example", "b.example"))
    assert ("<resource-constraint" in answer) is refused


@pytest.mark.parametrize(
    ("blocked", "other", "matches"),
    [
        ("a@x.example/1", "a@x.example/1", True),
        ("a@x.example/1", "a@x.example/2", False),
        ("a@x.example/1", "a@x.example", False),
        ("a@x.example", "a@x.example/1", True),
        ("a@x.example", "b@x.example/1", False),
        ("x.example/1", "a@x.example/1", True),
        ("x.example/1", "a@x.example/2", False),
        ("x.example", "a@x.example/2", True),
        ("x.example", "a@y.x.example", False),
    ],
)
def test_matching_goes_from_the_whole_address_to_the_domain(blocked: str, other: str, matches: bool) -> None:
    assert is_blocked(frozenset({Jid.parse(blocked)}), Jid.parse(other)) is matches
