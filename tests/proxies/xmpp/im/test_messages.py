"""Where messages go (RFC 6121 8.5), as the table of 8.5.4 has it."""

import pytest

from proxies.xmpp.jid import Jid
from proxies.xmpp.stanza import Stanza
from tests.proxies.xmpp.im.lab import JULIET, ROMEO, Lab

UNAVAILABLE = (
    '<error type="cancel"><service-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error>'
)


def message(to: str, kind: str) -> str:
    return f"<message to='{to}' type='{kind}' id='1'><body>hi</body></message>"


def delivered(to: str, kind: str) -> list[str]:
    return [f"<message to='{to}' type='{kind}' id='1' from='{ROMEO}/o'><body>hi</body></message>"]


def refused(to: str) -> list[str]:
    return [f"<message type='error' id='1' to='{ROMEO}/o' from='{to}'>{UNAVAILABLE}</message>"]


KINDS = ["chat", "normal", "headline", "groupchat", "error"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_address_gets_every_type(kind: str) -> None:
    lab = Lab()
    romeo, juliet, other = lab.login(f"{ROMEO}/o"), lab.connect(f"{JULIET}/b"), lab.login(f"{JULIET}/c")
    romeo.send(message(f"{JULIET}/b", kind))
    assert juliet.received() == delivered(f"{JULIET}/b", kind)
    assert (romeo.received(), other.received()) == ([], [])


@pytest.mark.parametrize("kind", ["chat", "normal", "headline"])
def test_a_bare_address_reaches_all_resources_that_can_receive(kind: str) -> None:
    lab = Lab()
    romeo, zero, five = lab.login(f"{ROMEO}/o"), lab.login(f"{JULIET}/0"), lab.login(f"{JULIET}/5", 5)
    negative, silent = lab.login(f"{JULIET}/n", -1), lab.connect(f"{JULIET}/s")
    for each in (zero, five, negative):
        each.received()
    romeo.send(message(JULIET, kind))
    assert zero.received() == five.received() == delivered(JULIET, kind)
    assert negative.received() == silent.received() == []


def test_an_unknown_type_is_normal() -> None:
    lab = Lab()
    romeo, juliet = lab.login(f"{ROMEO}/o"), lab.login(f"{JULIET}/b")
    romeo.send(message(JULIET, "telegram"))
    assert juliet.received() == delivered(JULIET, "telegram")


def test_a_room_message_for_a_bare_address_is_refused() -> None:
    lab = Lab()
    romeo, juliet = lab.login(f"{ROMEO}/o"), lab.login(f"{JULIET}/b")
    romeo.send(message(JULIET, "groupchat"))
    assert (juliet.received(), romeo.received()) == ([], refused(JULIET))


def test_an_error_for_a_bare_address_is_ignored() -> None:
    lab = Lab()
    romeo, juliet = lab.login(f"{ROMEO}/o"), lab.login(f"{JULIET}/b")
    romeo.send(message(JULIET, "error"))
    assert (juliet.received(), romeo.received()) == ([], [])


@pytest.mark.parametrize(
    ("kind", "kept", "comes_back"),
    [
        ("chat", True, False),
        ("normal", True, False),
        ("headline", False, False),
        ("groupchat", False, True),
        ("error", False, False),
    ],
)
def test_a_bare_address_without_a_resource_that_can_receive(kind: str, kept: bool, comes_back: bool) -> None:
    lab = Lab()
    romeo, negative = lab.login(f"{ROMEO}/o"), lab.login(f"{JULIET}/n", -1)
    romeo.send(message(JULIET, kind))
    assert negative.received() == []
    assert bool(lab.store.offline_messages(Jid.parse(JULIET))) is kept
    assert romeo.received() == (refused(JULIET) if comes_back else [])


@pytest.mark.parametrize("kind", ["normal", "headline", "groupchat"])
def test_a_full_address_that_is_gone_refuses(kind: str) -> None:
    lab = Lab()
    romeo, other = lab.login(f"{ROMEO}/o"), lab.login(f"{JULIET}/c")
    romeo.send(message(f"{JULIET}/b", kind))
    assert (other.received(), romeo.received()) == ([], refused(f"{JULIET}/b"))


def test_a_chat_message_for_a_full_address_that_is_gone_goes_to_the_others() -> None:
    lab = Lab()
    romeo, other = lab.login(f"{ROMEO}/o"), lab.login(f"{JULIET}/c")
    romeo.send(message(f"{JULIET}/b", "chat"))
    assert other.received() == delivered(f"{JULIET}/b", "chat")


def test_an_error_for_a_full_address_that_is_gone_is_ignored() -> None:
    lab = Lab()
    romeo, other = lab.login(f"{ROMEO}/o"), lab.login(f"{JULIET}/c")
    romeo.send(message(f"{JULIET}/b", "error"))
    assert (other.received(), romeo.received()) == ([], [])


def test_a_message_without_an_address_is_for_the_own_account() -> None:
    lab = Lab()
    romeo, other = lab.login(f"{ROMEO}/o"), lab.login(f"{ROMEO}/p")
    romeo.received()
    romeo.send("<message type='chat'><body>note</body></message>")
    note = f"<message type='chat' from='{ROMEO}/o' to='{ROMEO}'><body>note</body></message>"
    assert romeo.received() == other.received() == [note]


def test_a_message_for_another_node_is_routed_with_both_addresses() -> None:
    lab = Lab()
    lab.login(f"{ROMEO}/o").send(message("benvolio@mantua.example", "chat"))
    assert lab.routed() == delivered("benvolio@mantua.example", "chat")


def test_the_server_itself_takes_no_messages() -> None:
    romeo = Lab().login(f"{ROMEO}/o")
    assert [romeo.ask(message("verona.example", "chat"))] == refused("verona.example")


def test_the_archive_sees_both_sides_and_adds_its_id() -> None:
    lab = Lab()
    romeo, juliet = lab.login(f"{ROMEO}/o"), lab.login(f"{JULIET}/b")
    seen: list[tuple[str, str]] = []

    def archive(owner: Jid, stanza: Stanza) -> Stanza:
        seen.append((str(owner), stanza.id))
        return stanza.with_attributes(marked="yes")

    lab.manager.on_message_delivered(archive)
    for to in (f"{JULIET}/b", JULIET):
        romeo.send(message(to, "chat"))
    assert seen == [(ROMEO, "1"), (JULIET, "1")] * 2
    assert all(" marked='yes'" in each for each in juliet.received())


def test_the_archive_sees_what_is_kept_for_later() -> None:
    lab = Lab()
    romeo = lab.login(f"{ROMEO}/o")
    seen: list[str] = []

    def archive(owner: Jid, stanza: Stanza) -> Stanza:
        seen.append(str(owner))
        return stanza

    lab.manager.on_message_delivered(archive)
    romeo.send(message(JULIET, "chat"))
    assert seen == [ROMEO, JULIET]
