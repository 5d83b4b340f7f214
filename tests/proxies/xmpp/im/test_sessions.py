"""Sessions and the `from` of what they send (RFC 6120 7.7.2.2, 8.1.2.1)."""

import pytest

from proxies.xmpp.conditions import StreamErrorCondition
from tests.proxies.xmpp.im.lab import JULIET, ROMEO, Lab

MESSAGE = "<message to='juliet@verona.example/b' type='chat'{}><body>hi</body></message>"


@pytest.mark.parametrize(
    "sender", ["", f" from='{ROMEO}'", f" from='{ROMEO}/o'", " from='ROMEO@verona.example/o'"]
)
def test_the_server_writes_the_full_address_of_the_client(sender: str) -> None:
    lab = Lab()
    romeo, juliet = lab.login(f"{ROMEO}/o"), lab.login(f"{JULIET}/b")
    romeo.send(MESSAGE.format(sender))
    (message,) = juliet.received()
    assert "from='romeo@verona.example/o'" in message
    assert romeo.closed is None


@pytest.mark.parametrize("sender", [JULIET, f"{ROMEO}/other", "@", "verona.example"])
def test_a_client_cannot_call_itself_something_else(sender: str) -> None:
    lab = Lab()
    romeo, juliet = lab.login(f"{ROMEO}/o"), lab.login(f"{JULIET}/b")
    romeo.send(MESSAGE.format(f" from='{sender}'"))
    assert juliet.received() == []
    assert romeo.closed == (StreamErrorCondition.INVALID_FROM, "this stream is for romeo@verona.example/o")


def test_a_resource_bound_again_takes_the_place_of_the_old_session() -> None:
    lab = Lab()
    old = lab.login(f"{ROMEO}/o")
    new = lab.login(f"{ROMEO}/o")
    assert old.closed == (StreamErrorCondition.CONFLICT, "the resource was bound again")
    old.leave()  # the connection manager reports the end that it was asked for
    new.send("<message to='romeo@verona.example/o' id='1' type='chat'/>")
    assert new.received() == [
        "<message to='romeo@verona.example/o' id='1' type='chat' from='romeo@verona.example/o'/>"
    ]


def test_what_a_closed_session_still_sends_goes_nowhere() -> None:
    lab = Lab()
    romeo, juliet = lab.login(f"{ROMEO}/o"), lab.login(f"{JULIET}/b")
    romeo.leave()
    romeo.send(MESSAGE.format(""))
    assert juliet.received() == []


def test_sessions_of_a_user_are_bounded() -> None:
    lab = Lab(maximum_sessions=2)
    first, second, third = (lab.connect(f"{ROMEO}/{number}") for number in range(3))
    assert (first.closed, second.closed) == (None, None)
    assert third.closed == (StreamErrorCondition.RESOURCE_CONSTRAINT, "too many sessions of one user")


def test_a_malformed_address_comes_back_as_an_error() -> None:
    romeo = Lab().login(f"{ROMEO}/o")
    romeo.send("<message to='@verona.example' id='1' type='chat'><body>hi</body></message>")
    assert romeo.received() == [
        "<message type='error' id='1' to='romeo@verona.example/o' from='@verona.example'>"
        '<error type="modify"><jid-malformed xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/>'
        '<text xmlns="urn:ietf:params:xml:ns:xmpp-stanzas">'
        "'@verona.example' is not an address: the localpart is empty</text></error></message>"
    ]


def test_an_error_for_a_malformed_address_is_not_answered() -> None:
    romeo = Lab().login(f"{ROMEO}/o")
    romeo.send("<message to='@verona.example' id='1' type='error'/>")
    assert romeo.received() == []


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (
            "<message to='tybalt@verona.example' from='a@b.example' id='1'/>",
            "<message type='error' id='1' to='a@b.example' from='tybalt@verona.example'>"
            '<error type="cancel"><service-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error>'
            "</message>",
        ),
        (
            "<presence type='subscribe' to='tybalt@verona.example' from='a@b.example'/>",
            "<presence type='unsubscribed' from='tybalt@verona.example' to='a@b.example'/>",
        ),
        (
            "<presence type='probe' to='tybalt@verona.example' from='a@b.example/x'/>",
            "<presence type='unsubscribed' from='tybalt@verona.example' to='a@b.example'/>",
        ),
    ],
)
def test_who_has_no_home_here_is_unknown(sent: str, answered: str) -> None:
    lab = Lab()
    lab.receive(sent)
    assert lab.routed() == [answered]


def test_presence_for_who_has_no_home_here_is_ignored() -> None:
    lab = Lab()
    lab.receive("<presence to='tybalt@verona.example' from='a@b.example/x'/>")
    assert lab.routed() == []
