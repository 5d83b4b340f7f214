"""Service discovery and entity capabilities (XEP-0030, XEP-0115)."""

import re

import pytest

from proxies.xmpp.im.entity_capabilities import Identity, verification_string
from proxies.xmpp.im.iq_table import IqScope
from proxies.xmpp.jid import Jid
from tests.proxies.xmpp.im.lab import JULIET, ROMEO, Lab

INFO = "<iq type='get' id='1' to='{}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
ITEMS = "<iq type='get' id='1' to='{}'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>"


def test_the_example_of_the_capabilities_document() -> None:
    """XEP-0115 section 5.2."""
    assert (
        verification_string(
            [Identity("client", "pc", "Exodus 0.9.1")],
            [
                "http://jabber.org/protocol/disco#info",
                "http://jabber.org/protocol/disco#items",
                "http://jabber.org/protocol/muc",
                "http://jabber.org/protocol/caps",
            ],
        )
        == "QgayPKawpkPSDYmwT/WM94uAlu0="
    )


def test_what_the_server_is_and_can_do() -> None:
    answer = Lab().connect(f"{ROMEO}/o").ask(INFO.format("verona.example"))
    assert '<identity category="server" type="im" name="Cisco IM and Presence"/>' in answer
    assert re.findall('var="([^"]*)"', answer) == [
        "http://jabber.org/protocol/caps",
        "http://jabber.org/protocol/disco#info",
        "http://jabber.org/protocol/disco#items",
        "jabber:iq:last",
        "jabber:iq:roster",
        "jabber:iq:version",
        "msgoffline",
        "urn:ietf:params:xml:ns:xmpp-session",
        "urn:xmpp:blocking",
        "urn:xmpp:carbons:2",
        "urn:xmpp:ping",
        "vcard-temp",
    ]


def test_the_capabilities_in_the_stream_features_name_this_answer() -> None:
    lab = Lab()
    caps, versions, pre_approval = lab.manager.stream_features()
    assert caps.tag == "{http://jabber.org/protocol/caps}c"
    assert versions.tag == "{urn:xmpp:features:rosterver}ver"
    assert pre_approval.tag == "{urn:xmpp:features:pre-approval}sub"
    romeo = lab.connect(f"{ROMEO}/o")
    features = re.findall('var="([^"]*)"', romeo.ask(INFO.format("verona.example")))
    ver = verification_string([Identity("server", "im", "Cisco IM and Presence")], features)
    assert caps.attrib == {"hash": "sha-1", "node": "urn:x-imp-harness:router", "ver": ver}
    of_node = INFO.format("verona.example").replace("info'", f"info' node='urn:x-imp-harness:router#{ver}'")
    assert f'node="urn:x-imp-harness:router#{ver}"' in romeo.ask(of_node)
    assert "<item-not-found " in romeo.ask(of_node.replace("router#", "router#x"))


def test_an_account_shows_what_others_added() -> None:
    lab = Lab()
    lab.manager.discovery.add_account_identity(Identity("pubsub", "pep"))
    lab.manager.discovery.add_account_feature("urn:added")
    lab.manager.register_iq("urn:answered", "query", lambda request: request.stanza.reply(), IqScope.ACCOUNT)
    answer = lab.connect(f"{ROMEO}/o").ask(INFO.format(ROMEO))
    assert (
        '<identity category="account" type="registered"/><identity category="pubsub" type="pep"/>' in answer
    )
    assert {"urn:added", "urn:answered"} <= set(re.findall('var="([^"]*)"', answer))


@pytest.mark.parametrize("request_", [INFO, ITEMS])
def test_an_account_answers_those_who_see_its_presence_only(request_: str) -> None:
    lab = Lab()
    romeo = lab.connect(f"{ROMEO}/o")
    assert "<service-unavailable " in romeo.ask(request_.format(JULIET))
    lab.befriend(ROMEO, JULIET)
    assert "type='result'" in romeo.ask(request_.format(JULIET))


def test_the_servers_items_are_its_components() -> None:
    lab = Lab()
    lab.manager.discovery.add_item(Jid.parse("rooms.verona.example"), "Rooms")
    lab.manager.discovery.add_server_feature("urn:added")
    romeo = lab.connect(f"{ROMEO}/o")
    assert '<item jid="rooms.verona.example" name="Rooms"/>' in romeo.ask(ITEMS.format("verona.example"))
    assert 'var="urn:added"' in romeo.ask(INFO.format("verona.example"))


def test_an_accounts_items_are_its_available_resources() -> None:
    lab = Lab()
    lab.login(f"{ROMEO}/p")
    romeo = lab.connect(f"{ROMEO}/o")
    assert re.findall('jid="([^"]*)"', romeo.ask(ITEMS.format(ROMEO))) == [f"{ROMEO}/p"]


def test_discovery_cannot_be_set() -> None:
    romeo = Lab().connect(f"{ROMEO}/o")
    assert "<bad-request " in romeo.ask(INFO.format("verona.example").replace("'get'", "'set'"))
