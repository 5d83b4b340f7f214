"""Who is told: those who said so by their capabilities, and may (XEP-0163 section 4, XEP-0115)."""

import pytest

from proxies.xmpp.jid import Jid
from proxies.xmpp.pep.interests import NAME, NODES, PATIENCE
from tests.proxies.xmpp.im.lab import JULIET, NURSE, ROMEO
from tests.proxies.xmpp.pep.pubsub import (
    META,
    NICK,
    PUBSUB,
    PepLab,
    answer,
    available,
    nick,
    options,
    owner,
    publish,
    take_back,
)

EVENT = (
    f"<message from='{ROMEO}' to='{{}}' type='headline'><event xmlns=\"{PUBSUB}#event\">"
    f'<items node="{NICK}"><item id="current"><nick xmlns="{NICK}">Romeo</nick></item></items></event>{{}}</message>'
)
STAMPED = '<delay xmlns="urn:xmpp:delay" stamp="{}"/>'


def told(client_inbox: list[str]) -> list[str]:
    return [each for each in client_inbox if each.startswith("<message")]


def test_those_interested_are_told_the_publisher_s_resources_too() -> None:
    lab = PepLab()
    lab.befriend(ROMEO, JULIET)
    juliet = lab.login_interested(f"{JULIET}/b", NICK)
    deaf = lab.login_interested(f"{JULIET}/deaf", META)
    nurse = lab.login_interested(f"{NURSE}/n", NICK)
    romeo = lab.login_interested(f"{ROMEO}/o", NICK)
    phone = lab.login_interested(f"{ROMEO}/phone", NICK)
    for client in (juliet, deaf, nurse, romeo, phone):
        client.received()
    romeo.send(nick("Romeo"))
    assert juliet.received() == [EVENT.format(f"{JULIET}/b", "")]
    assert told(romeo.received()) == [EVENT.format(f"{ROMEO}/o", "")]
    assert phone.received() == [EVENT.format(f"{ROMEO}/phone", "")]
    assert deaf.received() == []
    assert nurse.received() == []


def test_who_becomes_available_is_told_the_last_item() -> None:
    lab = PepLab()
    lab.befriend(ROMEO, JULIET)
    lab.login(f"{ROMEO}/o").send(nick("Romeo"))
    stamp = lab.clock.now().strftime("%Y-%m-%dT%H:%M:%S")
    juliet = lab.connect(f"{JULIET}/b")
    juliet.send(available(NICK))
    (question,) = [each for each in juliet.received() if "disco#info" in each]
    juliet.send(answer(question, NICK))
    (event,) = told(juliet.received())
    assert event.startswith(EVENT.format(f"{JULIET}/b", "").removesuffix("</message>"))
    assert STAMPED.format(stamp)[:40] in event
    juliet.send("<presence><show>away</show></presence>")
    assert not told(juliet.received())
    again = lab.connect(f"{JULIET}/phone")
    again.send(available(NICK))  # its hash is known: nobody is asked
    received = again.received()
    assert len(told(received)) == 1
    assert not [each for each in received if "disco#info" in each]


def test_a_user_who_is_offline_is_spoken_for() -> None:
    lab = PepLab()
    lab.befriend(ROMEO, JULIET)
    romeo = lab.login(f"{ROMEO}/o")
    romeo.send(nick("Romeo"))
    romeo.leave()
    juliet = lab.connect(f"{JULIET}/b")
    juliet.send(available(NICK))
    (question,) = [each for each in juliet.received() if "disco#info" in each]
    juliet.send(answer(question, NICK))
    assert len(told(juliet.received())) == 1


def test_never_means_never() -> None:
    lab = PepLab()
    lab.befriend(ROMEO, JULIET)
    romeo = lab.login(f"{ROMEO}/o")
    romeo.ask(publish("n", "1", "<a xmlns='b'/>", options(send_last_published_item="never")))
    juliet = lab.login_interested(f"{JULIET}/b", "n")
    assert not told(juliet.received())
    romeo.ask(publish("n", "2", "<a xmlns='b'/>"))
    assert len(told(juliet.received())) == 1


def test_a_contact_of_another_node_is_told_over_the_router() -> None:
    lab = PepLab(ROMEO)
    lab.befriend(ROMEO, JULIET)
    lab.receive(f"<presence type='subscribe' from='{JULIET}' to='{ROMEO}'/>")
    romeo = lab.login(f"{ROMEO}/o")
    romeo.send(f"<presence type='subscribed' to='{JULIET}'/>")
    lab.routed()
    lab.receive(available(NICK).replace("<presence", f"<presence from='{JULIET}/b' to='{ROMEO}'"))
    (question,) = lab.routed()
    assert f"to='{JULIET}/b'" in question
    assert f"from='{ROMEO}'" in question
    lab.receive(answer(question, NICK).replace("<iq", f"<iq from='{JULIET}/b'"))
    romeo.send(nick("Romeo"))
    assert lab.routed() == [EVENT.format(f"{JULIET}/b", "")]
    lab.receive(f"<presence type='unavailable' from='{JULIET}/b' to='{ROMEO}'/>")
    romeo.send(nick("Romeo"))
    assert lab.routed() == []


@pytest.mark.parametrize("end", ["unsubscribed", "block"])
def test_who_is_cut_off_is_not_told(end: str) -> None:
    lab = PepLab()
    lab.befriend(ROMEO, JULIET)
    juliet = lab.login_interested(f"{JULIET}/b", NICK)
    romeo = lab.login(f"{ROMEO}/o")
    romeo.send(nick("Romeo"))
    assert told(juliet.received())
    if end == "block":
        romeo.send(
            f"<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='{JULIET}'/></block></iq>"
        )
    else:
        romeo.send(f"<presence type='unsubscribed' to='{JULIET}'/>")
    romeo.send(nick("Montague"))
    assert not told(juliet.received())


def test_what_is_taken_back_and_deleted_is_told() -> None:
    lab = PepLab()
    lab.befriend(ROMEO, JULIET)
    juliet, romeo = lab.login_interested(f"{JULIET}/b", NICK), lab.login(f"{ROMEO}/o")
    romeo.send(nick("Romeo"))
    juliet.received()
    romeo.send(take_back(NICK, "current"))
    romeo.send(owner(f"<purge node='{NICK}'/>"))
    romeo.send(owner(f"<delete node='{NICK}'/>"))
    start = f"<message from='{ROMEO}' to='{JULIET}/b' type='headline'><event xmlns=\"{PUBSUB}#event\">"
    assert juliet.received() == [
        f'{start}<items node="{NICK}"><retract id="current"/></items></event></message>',
        f'{start}<purge node="{NICK}"/></event></message>',
        f'{start}<delete node="{NICK}"/></event></message>',
    ]


def test_a_forged_hash_speaks_for_its_sender_alone() -> None:
    lab = PepLab()
    lab.befriend(ROMEO, JULIET)
    romeo = lab.login(f"{ROMEO}/o")
    juliet = lab.connect(f"{JULIET}/b")
    juliet.send(available(META))
    (question,) = [each for each in juliet.received() if "disco#info" in each]
    juliet.send(answer(question, NICK))  # not what the hash was made of
    honest = lab.connect(f"{JULIET}/honest")
    honest.send(available(META))
    (question,) = [each for each in honest.received() if "disco#info" in each]
    honest.send(answer(question, META))
    juliet.received()
    romeo.send(nick("Romeo"))
    assert told(juliet.received())
    assert not told(honest.received())


def test_who_does_not_answer_is_asked_again_and_holds_nobody_up_for_ever() -> None:
    lab = PepLab()
    lab.befriend(ROMEO, JULIET)
    silent, other = lab.connect(f"{JULIET}/silent"), lab.connect(f"{JULIET}/b")
    silent.send(available(NICK))
    other.send(available(NICK))
    assert not [each for each in other.received() if "disco#info" in each]
    lab.clock.advance(PATIENCE + 1)
    other.send(available(NICK))
    (question,) = [each for each in other.received() if "disco#info" in each]
    other.send(answer(question, NICK))
    romeo = lab.login(f"{ROMEO}/o")
    for client in (silent, other):
        client.received()
    romeo.send(nick("Romeo"))
    assert told(silent.received())
    assert told(other.received())


def test_a_presence_without_capabilities_wants_nothing() -> None:
    lab = PepLab()
    lab.befriend(ROMEO, JULIET)
    juliet, romeo = lab.login(f"{JULIET}/b"), lab.login(f"{ROMEO}/o")
    juliet.received()
    romeo.send(nick("Romeo"))
    assert not told(juliet.received())
    assert lab.pep.pep_items(Jid.parse(ROMEO), NICK)


def test_what_is_remembered_of_an_entity_is_bounded() -> None:
    lab = PepLab()
    many = [f"urn:example:{number}" for number in range(NODES + 50)]
    romeo = lab.login_interested(f"{ROMEO}/o", "x" * (NAME + 1), *many)
    told_of = 0
    for node in (many[0], many[NODES - 1], many[NODES + 1], "x" * (NAME + 1)):
        romeo.received()
        romeo.send(publish(node, "1", "<a xmlns='b'/>"))
        told_of += len(told(romeo.received()))
    assert told_of == 2


def test_a_large_presence_is_read_too() -> None:
    lab = PepLab()
    romeo = lab.connect(f"{ROMEO}/o")
    romeo.send(available(NICK).replace("</presence>", f"<status>{'x' * 9000}</status></presence>"))
    (question,) = [each for each in romeo.received() if "disco#info" in each]
    romeo.send(answer(question, NICK))
    romeo.send(nick("Romeo"))
    assert told(romeo.received())
