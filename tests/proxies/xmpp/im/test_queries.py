"""What the server answers itself: ping, version, session, last activity, vCards, and what nobody answers."""

import pytest

from proxies.xmpp.im.iq_table import IqRequest, IqScope
from proxies.xmpp.jid import Jid
from proxies.xmpp.stanza import Stanza
from tests.proxies.xmpp.im.lab import JULIET, ROMEO, Lab

PING = "<iq type='get' id='1'{}><ping xmlns='urn:xmpp:ping'/></iq>"
LAST = "<iq type='get' id='1' to='{}'><query xmlns='jabber:iq:last'/></iq>"
VCARD = "<vCard xmlns='vcard-temp'><FN>Romeo &amp; co</FN></vCard>"


def refused(to: str, type_: str, condition: str) -> str:
    return (
        f"<iq type='error' id='1' to='{ROMEO}/o' from='{to}'><error type=\"{type_}\">"
        f'<{condition} xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>'
    )


def test_ping() -> None:
    romeo = Lab().connect(f"{ROMEO}/o")
    assert romeo.ask(PING.format("")) == f"<iq type='result' id='1' to='{ROMEO}/o'/>"
    for to in ("verona.example", ROMEO, JULIET):
        assert (
            romeo.ask(PING.format(f" to='{to}'")) == f"<iq type='result' id='1' to='{ROMEO}/o' from='{to}'/>"
        )


def test_a_server_elsewhere_pings() -> None:
    lab = Lab()
    lab.receive(PING.format(" from='mantua.example' to='verona.example'"))
    assert lab.routed() == ["<iq type='result' id='1' to='mantua.example' from='verona.example'/>"]


@pytest.mark.parametrize("to", ["", " to='verona.example'"])
def test_the_session_that_old_clients_ask_for(to: str) -> None:
    romeo = Lab().connect(f"{ROMEO}/o")
    session = f"<iq type='set' id='1'{to}><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>"
    assert "type='result'" in romeo.ask(session)


def test_software_version() -> None:
    romeo = Lab().connect(f"{ROMEO}/o")
    assert romeo.ask("<iq type='get' id='1' to='verona.example'><query xmlns='jabber:iq:version'/></iq>") == (
        f"<iq type='result' id='1' to='{ROMEO}/o' from='verona.example'><query xmlns=\"jabber:iq:version\">"
        "<name>Cisco IM and Presence</name><version>9.0.1</version></query></iq>"
    )


@pytest.mark.parametrize("to", ["verona.example", ROMEO, JULIET])
def test_a_request_that_nobody_knows(to: str) -> None:
    romeo = Lab().connect(f"{ROMEO}/o")
    unknown = f"<iq type='get' id='1' to='{to}'><query xmlns='urn:unknown'/></iq>"
    assert romeo.ask(unknown) == refused(to, "cancel", "service-unavailable")


@pytest.mark.parametrize(
    "request_",
    [
        "<iq type='ask' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
        "<iq type='get'><ping xmlns='urn:xmpp:ping'/></iq>",
        "<iq type='get' id='1'/>",
        "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/><ping xmlns='urn:xmpp:ping'/></iq>",
    ],
)
def test_a_request_that_is_none(request_: str) -> None:
    assert "<bad-request " in Lab().connect(f"{ROMEO}/o").ask(request_)


@pytest.mark.parametrize("kind", ["result", "error"])
@pytest.mark.parametrize("to", ["", f" to='{ROMEO}'", " to='verona.example'", f" to='{JULIET}/gone'"])
def test_answers_that_nobody_waits_for_are_dropped(kind: str, to: str) -> None:
    lab = Lab()
    romeo = lab.connect(f"{ROMEO}/o")
    romeo.send(f"<iq type='{kind}' id='1'{to}/>")
    assert (romeo.received(), lab.routed()) == ([], [])


def test_a_request_for_a_resource_goes_there_and_the_answer_comes_back() -> None:
    lab = Lab()
    romeo, juliet = lab.connect(f"{ROMEO}/o"), lab.connect(f"{JULIET}/b")
    romeo.send(PING.format(f" to='{JULIET}/b'"))
    assert juliet.received() == [
        f"<iq type='get' id='1' to='{JULIET}/b' from='{ROMEO}/o'><ping xmlns=\"urn:xmpp:ping\"/></iq>"
    ]
    juliet.send(f"<iq type='result' id='1' to='{ROMEO}/o'/>")
    assert romeo.received() == [f"<iq type='result' id='1' to='{ROMEO}/o' from='{JULIET}/b'/>"]
    assert romeo.ask(PING.format(f" to='{JULIET}/x'")) == refused(
        f"{JULIET}/x", "cancel", "service-unavailable"
    )


def test_a_handler_may_answer_later() -> None:
    lab = Lab()
    romeo = lab.connect(f"{ROMEO}/o")
    waiting: list[Stanza] = []

    def later(request: IqRequest) -> None:
        waiting.append(request.stanza)

    lab.manager.register_iq("urn:later", "query", later)
    romeo.send("<iq type='get' id='1'><query xmlns='urn:later'/></iq>")
    assert romeo.received() == []
    lab.manager.send(waiting[0].reply())
    assert romeo.received() == [f"<iq type='result' id='1' to='{ROMEO}/o'/>"]


@pytest.mark.parametrize(
    ("scope", "to", "answered"),
    [
        (IqScope.OWN_ACCOUNT, ROMEO, True),
        (IqScope.OWN_ACCOUNT, JULIET, False),
        (IqScope.OWN_ACCOUNT, "verona.example", False),
        (IqScope.ACCOUNT, JULIET, True),
        (IqScope.SERVER, "verona.example", True),
        (IqScope.SERVER, ROMEO, False),
    ],
)
def test_a_handler_answers_within_its_scope(scope: IqScope, to: str, answered: bool) -> None:
    lab = Lab()
    lab.manager.register_iq("urn:x", "query", lambda request: request.stanza.reply(), scope)
    answer = lab.connect(f"{ROMEO}/o").ask(f"<iq type='get' id='1' to='{to}'><query xmlns='urn:x'/></iq>")
    assert ("type='result'" in answer) is answered


def test_last_activity_of_a_friend_who_is_here_and_who_is_gone() -> None:
    lab = Lab()
    lab.befriend(ROMEO, JULIET)
    romeo, juliet = lab.connect(f"{ROMEO}/o"), lab.login(f"{JULIET}/b")
    answer = f"<iq type='result' id='1' to='{ROMEO}/o' from='{JULIET}'>"
    assert romeo.ask(LAST.format(JULIET)) == f'{answer}<query xmlns="jabber:iq:last" seconds="0"/></iq>'
    juliet.send("<presence type='unavailable'><status>to bed</status></presence>")
    lab.clock.advance(903)
    assert romeo.ask(LAST.format(JULIET)) == (
        f'{answer}<query xmlns="jabber:iq:last" seconds="903">to bed</query></iq>'
    )


def test_last_activity_is_not_for_strangers() -> None:
    lab = Lab()
    romeo, _ = lab.connect(f"{ROMEO}/o"), lab.login(f"{JULIET}/b")
    assert "<forbidden " in romeo.ask(LAST.format(JULIET))


def test_last_activity_of_somebody_who_never_was_here() -> None:
    lab = Lab()
    assert "<item-not-found " in lab.connect(f"{ROMEO}/o").ask(LAST.format(ROMEO))


def test_uptime_of_the_server() -> None:
    lab = Lab()
    lab.clock.advance(61.5)
    assert 'seconds="61"' in lab.connect(f"{ROMEO}/o").ask(LAST.format("verona.example"))


def test_a_vcard_is_kept_and_anybody_may_read_it() -> None:
    lab = Lab()
    romeo, juliet = lab.connect(f"{ROMEO}/o"), lab.connect(f"{JULIET}/b")
    assert romeo.ask(f"<iq type='set' id='1'>{VCARD}</iq>") == f"<iq type='result' id='1' to='{ROMEO}/o'/>"
    assert juliet.ask(f"<iq type='get' id='1' to='{ROMEO}'><vCard xmlns='vcard-temp'/></iq>") == (
        f"<iq type='result' id='1' to='{JULIET}/b' from='{ROMEO}'>"
        '<vCard xmlns="vcard-temp"><FN>Romeo &amp; co</FN></vCard></iq>'
    )


def test_a_user_without_a_vcard_has_an_empty_one() -> None:
    assert Lab().connect(f"{ROMEO}/o").ask("<iq type='get' id='1'><vCard xmlns='vcard-temp'/></iq>") == (
        f"<iq type='result' id='1' to='{ROMEO}/o'><vCard xmlns=\"vcard-temp\"/></iq>"
    )


def test_nobody_writes_another_users_vcard() -> None:
    lab = Lab()
    assert "<forbidden " in lab.connect(f"{ROMEO}/o").ask(f"<iq type='set' id='1' to='{JULIET}'>{VCARD}</iq>")
    assert lab.store.vcard(Jid.parse(JULIET)) == b""


@pytest.mark.parametrize(("limit", "refused"), [(10, True), (100, False)])
def test_a_vcard_is_bounded(limit: int, refused: bool) -> None:
    answer = Lab(maximum_vcard=limit).connect(f"{ROMEO}/o").ask(f"<iq type='set' id='1'>{VCARD}</iq>")
    assert ("<policy-violation " in answer) is refused
