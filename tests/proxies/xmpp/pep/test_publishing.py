"""Publishing, taking back and reading, with the errors of XEP-0060 sections 6.5, 7 and 8."""

import re

import pytest

from proxies.xmpp.jid import Jid
from tests.proxies.xmpp.im.lab import JULIET, NURSE, ROMEO
from tests.proxies.xmpp.pep.pubsub import (
    DATA,
    NICK,
    PUBSUB,
    PepLab,
    items,
    nick,
    options,
    owner,
    publish,
    take_back,
)

BOOKMARKS = "urn:xmpp:bookmarks:1"
PRIVATE = options(
    persist_items="true", max_items="max", send_last_published_item="never", access_model="whitelist"
)
CONFERENCE = f"<conference xmlns='{BOOKMARKS}' name='Balcony'/>"


def condition(answer: str) -> tuple[str, ...]:
    """The conditions in an error stanza: the stanza's and the application's."""
    assert "type='error'" in answer, answer
    pattern = r'<([a-z-]+) xmlns="(?:urn:ietf:params:xml:ns:xmpp-stanzas|[^"]*#errors)"'
    return tuple(each for each in re.findall(pattern, answer) if each != "text")


def test_a_published_item_is_there_for_the_user() -> None:
    lab = PepLab()
    romeo = lab.connect(f"{ROMEO}/o")
    assert romeo.ask(nick("Romeo")) == (
        f"<iq type='result' id='p' to='{ROMEO}/o'><pubsub xmlns=\"{PUBSUB}\"><publish node=\"{NICK}\">"
        '<item id="current"/></publish></pubsub></iq>'
    )
    assert romeo.ask(items(NICK)) == (
        f"<iq type='result' id='i' to='{ROMEO}/o' from='{ROMEO}'><pubsub xmlns=\"{PUBSUB}\">"
        f'<items node="{NICK}"><item id="current"><nick xmlns="{NICK}">Romeo</nick></item></items></pubsub></iq>'
    )


def test_a_node_keeps_the_newest_item_unless_it_is_told_to_keep_more() -> None:
    lab = PepLab()
    romeo = lab.connect(f"{ROMEO}/o")
    for number in "123":
        romeo.ask(publish(DATA, number, "<data xmlns='urn:xmpp:avatar:data'/>"))
        romeo.ask(publish(BOOKMARKS, f"room{number}@rooms.example", CONFERENCE, PRIVATE))
    assert re.findall('item id="([^"]*)"', romeo.ask(items(DATA))) == ["3"]
    assert re.findall('item id="([^"]*)"', romeo.ask(items(BOOKMARKS))) == [
        f"room{number}@rooms.example" for number in "123"
    ]
    assert re.findall('item id="([^"]*)"', romeo.ask(items(BOOKMARKS, max_items="2"))) == [
        "room2@rooms.example",
        "room3@rooms.example",
    ]
    one = romeo.ask(items(BOOKMARKS, inside="<item id='room2@rooms.example'/>"))
    assert re.findall('item id="([^"]*)"', one) == ["room2@rooms.example"]


def test_what_is_taken_back_is_gone() -> None:
    lab = PepLab()
    romeo = lab.connect(f"{ROMEO}/o")
    romeo.ask(nick("Romeo"))
    retract = take_back(NICK, "current")
    assert "type='result'" in romeo.ask(retract)
    assert "<item " not in romeo.ask(items(NICK))
    assert condition(romeo.ask(retract)) == ("item-not-found",)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (publish("", "1", "<a xmlns='b'/>"), ("bad-request", "nodeid-required")),
        (publish("n", "1", ""), ("bad-request", "payload-required")),
        (publish("n", "1", "<a xmlns='b'/><a xmlns='b'/>"), ("bad-request", "invalid-payload")),
        (
            f"<iq type='set' id='p'><pubsub xmlns='{PUBSUB}'><publish node='n'/></pubsub></iq>",
            ("bad-request", "item-required"),
        ),
        (
            publish("n", "1", f"<a xmlns='b'>{'x' * 400}</a>"),
            ("not-acceptable", "payload-too-big"),
        ),
        (publish("n" * 1024, "1", "<a xmlns='b'/>"), ("not-acceptable",)),
        (f"<iq type='set' id='p'><pubsub xmlns='{PUBSUB}'/></iq>", ("bad-request",)),
        (
            f"<iq type='set' id='p'><pubsub xmlns='{PUBSUB}'><subscribe node='n' jid='{ROMEO}'/></pubsub></iq>",
            ("feature-not-implemented", "unsupported"),
        ),
        (
            publish("n", "1", "<a xmlns='b'/>", options(access_model="authorize")),
            ("not-acceptable", "unsupported-access-model"),
        ),
        (publish("n", "1", "<a xmlns='b'/>", options(max_items="0")), ("bad-request",)),
        (publish("n", "1", "<a xmlns='b'/>", options(nonsense="1")), ("not-acceptable",)),
        (items("nowhere"), ("item-not-found",)),
        (owner("<configure node='nowhere'/>", "get"), ("item-not-found",)),
        (owner("<delete node='nowhere'/>"), ("item-not-found",)),
    ],
)
def test_a_request_that_cannot_be_says_why(request_: str, expected: tuple[str, ...]) -> None:
    lab = PepLab(maximum_payload=300)
    romeo = lab.connect(f"{ROMEO}/o")
    assert condition(romeo.ask(request_)) == expected
    assert not lab.pep.pep_nodes(Jid.parse(ROMEO))


def test_only_the_user_publishes() -> None:
    lab = PepLab()
    lab.befriend(ROMEO, JULIET)
    juliet = lab.login(f"{JULIET}/b")
    forged = nick("Montague").replace("id='p'", f"id='p' to='{ROMEO}'")
    assert condition(juliet.ask(forged)) == ("forbidden",)
    assert condition(juliet.ask(owner("<delete node='n'/>").replace("id='o'", f"id='o' to='{ROMEO}'"))) == (
        "forbidden",
    )


def test_options_that_the_node_does_not_meet_stop_the_publishing() -> None:
    lab = PepLab()
    romeo = lab.connect(f"{ROMEO}/o")
    romeo.ask(publish(BOOKMARKS, "a@b", CONFERENCE))
    refused = romeo.ask(publish(BOOKMARKS, "c@d", CONFERENCE, PRIVATE))
    assert condition(refused) == ("conflict", "precondition-not-met")
    assert list(lab.pep.pep_items(Jid.parse(ROMEO), BOOKMARKS)) == ["a@b"]
    assert "type='result'" in romeo.ask(
        publish(BOOKMARKS, "c@d", CONFERENCE, options(access_model="presence"))
    )


@pytest.mark.parametrize(
    ("access", "friend", "stranger"),
    [
        ("presence", (), ("not-authorized", "presence-subscription-required")),
        ("whitelist", ("not-allowed", "closed-node"), ("not-allowed", "closed-node")),
        ("open", (), ()),
    ],
)
def test_an_access_model_says_who_reads(
    access: str, friend: tuple[str, ...], stranger: tuple[str, ...]
) -> None:
    lab = PepLab()
    lab.befriend(ROMEO, JULIET)
    romeo, juliet, nurse = (lab.login(f"{each}/x") for each in (ROMEO, JULIET, NURSE))
    romeo.ask(publish("n", "1", "<a xmlns='b'/>", options(access_model=access)))
    for client, expected in ((romeo, ()), (juliet, friend), (nurse, stranger)):
        answer = client.ask(items("n"))
        assert condition(answer) == expected if expected else '<item id="1"><a xmlns="b"/></item>' in answer


def test_a_whitelist_lets_in_whom_it_names() -> None:
    lab = PepLab()
    romeo, juliet = lab.login(f"{ROMEO}/o"), lab.login(f"{JULIET}/b")
    romeo.ask(publish("n", "1", "<a xmlns='b'/>", PRIVATE))
    member = f"<affiliations node='n'><affiliation jid='{JULIET}' affiliation='member'/></affiliations>"
    assert "type='result'" in romeo.ask(owner(member))
    assert f'jid="{JULIET}" affiliation="member"' in romeo.ask(owner("<affiliations node='n'/>", "get"))
    assert '<item id="1">' in juliet.ask(items("n"))
    romeo.ask(owner(member.replace("'member'", "'none'")))
    assert condition(juliet.ask(items("n"))) == ("not-allowed", "closed-node")


def test_a_node_is_made_configured_purged_and_deleted() -> None:
    lab = PepLab()
    romeo = lab.connect(f"{ROMEO}/o")
    create = f"<iq type='set' id='c'><pubsub xmlns='{PUBSUB}'><create node='n'/></pubsub></iq>"
    assert "type='result'" in romeo.ask(create)
    assert condition(romeo.ask(create)) == ("conflict",)
    form = (
        "<configure node='n'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
        "<value>http://jabber.org/protocol/pubsub#node_config</value></field>"
        "<field var='pubsub#max_items'><value>2</value></field></x></configure>"
    )
    assert "type='result'" in romeo.ask(owner(form))
    shown = romeo.ask(owner("<configure node='n'/>", "get"))
    assert '<field var="pubsub#max_items" type="text-single"><value>2</value></field>' in shown
    for number in "123":
        romeo.ask(publish("n", number, "<a xmlns='b'/>"))
    assert re.findall('item id="([^"]*)"', romeo.ask(items("n"))) == ["2", "3"]
    romeo.ask(owner("<purge node='n'/>"))
    assert "<item " not in romeo.ask(items("n"))
    romeo.ask(owner("<delete node='n'/>"))
    assert condition(romeo.ask(items("n"))) == ("item-not-found",)


def test_nodes_items_and_octets_are_bounded() -> None:
    lab = PepLab(maximum_nodes=2, maximum_items=3, maximum_stored=200)
    romeo = lab.connect(f"{ROMEO}/o")
    for number in "12345":
        romeo.ask(publish("a", number, "<a xmlns='b'/>", options(max_items="max")))
    assert re.findall('item id="([^"]*)"', romeo.ask(items("a"))) == ["3", "4", "5"]
    large = publish("b", "1", f"<a xmlns='b'>{'x' * 150}</a>")
    assert condition(romeo.ask(large)) == ("resource-constraint",)
    romeo.ask(publish("b", "1", "<a xmlns='b'/>"))
    assert condition(romeo.ask(publish("c", "1", "<a xmlns='b'/>"))) == ("conflict", "max-nodes-exceeded")


def test_service_discovery_shows_pep_and_the_nodes_that_one_may_see() -> None:
    lab = PepLab()
    lab.befriend(ROMEO, JULIET)
    romeo, juliet = lab.connect(f"{ROMEO}/o"), lab.connect(f"{JULIET}/b")
    romeo.ask(nick("Romeo"))
    romeo.ask(publish(BOOKMARKS, "a@b", CONFERENCE, PRIVATE))
    info = "<iq type='get' id='d' to='{}'><query xmlns='http://jabber.org/protocol/disco#{}'{}/></iq>"
    about = juliet.ask(info.format(ROMEO, "info", ""))
    assert '<identity category="pubsub" type="pep"/>' in about
    assert 'var="http://jabber.org/protocol/pubsub#publish-options"' in about
    assert re.findall('node="([^"]*)"', juliet.ask(info.format(ROMEO, "items", ""))) == [NICK]
    assert re.findall('node="([^"]*)"', romeo.ask(info.format(ROMEO, "items", ""))) == [NICK, BOOKMARKS]
    leaf = juliet.ask(info.format(ROMEO, "info", f" node='{NICK}'"))
    assert '<identity category="pubsub" type="leaf"/>' in leaf
    assert condition(juliet.ask(info.format(ROMEO, "info", f" node='{BOOKMARKS}'"))) == ("item-not-found",)
