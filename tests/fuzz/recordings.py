"""What peers really send: the recorded exchanges of the tests, and what else the mutations are made of."""

from typing import Final

from proxies.xmpp.streams.settings import StreamKind
from tests.proxies.xmpp.im.lab import JULIET, ROMEO
from tests.proxies.xmpp.pep.pubsub import available, items, nick, owner, publish, take_back
from tests.proxies.xmpp.pep.pubsub import options as publish_options
from tests.proxies.xmpp.streams.recorded import BOSH_BODIES, EXCHANGES, SERVER_ANSWERS, WEBSOCKET

STREAMS: Final = EXCHANGES
INITIATED: Final[list[tuple[StreamKind, tuple[bytes, ...]]]] = SERVER_ANSWERS
__all__ = ["BOSH_BODIES", "DICTIONARY", "INITIATED", "NAMES", "STANZAS", "STREAMS", "VALUES", "WEBSOCKET"]

DICTIONARY: Final = [
    b"<stream:stream",
    b"</stream:stream>",
    b"<stream:error>",
    b"<?xml version='1.0'?>",
    b"<?xml version='1.1' encoding='UTF-16'?>",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
    b"<![CDATA[",
    b"]]>",
    b"<!-- -->",
    b"<?pi?>",
    b"&lol;",
    b"&#0;",
    b"&#x10FFFF;",
    b"&amp;",
    b" xmlns=''",
    b" xmlns='jabber:client'",
    b" xmlns:a='b'",
    b" a='1' a='2'",
    b" to='lab.example'",
    b" from='alice@lab.example'",
    b" version='1.0'",
    b" id='1'",
    b"<iq type='get' id='1'>",
    b"<message>",
    b"<presence/>",
    b"<a>",
    b"</a>",
    b"<r xmlns='urn:xmpp:sm:3'/>",
    b"<a xmlns='urn:xmpp:sm:3' h='1'/>",
    b"<enable xmlns='urn:xmpp:sm:3'/>",
    b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
    b"<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
    b"<db:result from='a' to='b'>",
    b" ",
    b"\n",
    b"\xef\xbb\xbf",
]
"Words that streams are made of."

VALUES: Final = [
    "",
    ROMEO,
    JULIET,
    f"{ROMEO}/o",
    f"{ROMEO}/nowhere",
    "verona.example",
    "@",
    "/",
    "a@b@c/d",
    "x" * 1100,
    "get",
    "set",
    "result",
    "error",
    "subscribe",
    "unsubscribed",
    "probe",
    "unavailable",
    "groupchat",
    "headline",
    "submit",
    "cancel",
    "remove",
    "both",
    "owner",
    "none",
    "member",
    "max",
    "-1",
    "0",
    "99999999999999999999",
    "true",
    "²",
    "\u202e",
    "http://jabber.org/protocol/nick",
    "current",
    "2026-01-01T00:00:00Z",
    "2026-13-99T99:99:99Z",
]
"Values of attributes and texts."

NAMES: Final = [
    "body",
    "subject",
    "priority",
    "{jabber:iq:roster}query",
    "{jabber:iq:roster}item",
    "{vcard-temp}vCard",
    "{jabber:x:data}x",
    "{jabber:x:data}field",
    "{jabber:x:data}value",
    "{urn:xmpp:blocking}item",
    "{urn:xmpp:mam:2}query",
    "{http://jabber.org/protocol/rsm}set",
    "{http://jabber.org/protocol/muc}x",
    "{http://jabber.org/protocol/muc#admin}item",
    "{http://jabber.org/protocol/muc#owner}destroy",
    "{http://jabber.org/protocol/pubsub}item",
    "{http://jabber.org/protocol/pubsub}publish",
    "{http://jabber.org/protocol/pubsub#owner}configure",
    "{http://jabber.org/protocol/caps}c",
    "{urn:xmpp:carbons:2}enable",
    "{urn:xmpp:carbons:2}private",
    "{jabber:client}message",
]
"Names of elements."

_ROSTER = "jabber:iq:roster"
_MUC = "http://jabber.org/protocol/muc"

STANZAS: Final = [
    "<message type='chat' to='juliet@verona.example'><body>hi</body></message>",
    "<message type='groupchat'><body>hi</body></message>",
    "<message type='groupchat'><subject>hi</subject></message>",
    "<presence><priority>1</priority><status>here</status></presence>",
    "<presence type='subscribe' to='juliet@verona.example'/>",
    "<presence type='unsubscribed' to='romeo@verona.example'/>",
    "<presence type='unavailable'/>",
    f"<presence><x xmlns='{_MUC}'><history maxstanzas='3'/><password>x</password></x></presence>",
    "<iq type='get' id='1'><query xmlns='jabber:iq:roster' ver='1'/></iq>",
    f"<iq type='set' id='1'><query xmlns='{_ROSTER}'><item jid='{JULIET}'><group>g</group></item></query></iq>",
    f"<iq type='set' id='1'><query xmlns='{_ROSTER}'><item jid='{JULIET}' subscription='remove'/></query></iq>",
    "<iq type='get' id='1' to='verona.example'><query xmlns='http://jabber.org/protocol/disco#info' node='x'/></iq>",
    "<iq type='get' id='1' to='romeo@verona.example'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>",
    "<iq type='get' id='1' to='juliet@verona.example'><vCard xmlns='vcard-temp'/></iq>",
    "<iq type='set' id='1'><vCard xmlns='vcard-temp'><FN>R</FN></vCard></iq>",
    "<iq type='get' id='1' to='juliet@verona.example'><query xmlns='jabber:iq:last'/></iq>",
    f"<iq type='set' id='1'><block xmlns='urn:xmpp:blocking'><item jid='{JULIET}'/></block></iq>",
    "<iq type='set' id='1'><unblock xmlns='urn:xmpp:blocking'/></iq>",
    "<iq type='set' id='1'><enable xmlns='urn:xmpp:carbons:2'/></iq>",
    "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
    "<iq type='get' id='1'><query xmlns='jabber:iq:version'/></iq>",
    f"<iq type='get' id='1'><query xmlns='{_MUC}#admin'><item affiliation='owner'/></query></iq>",
    f"<iq type='set' id='1'><query xmlns='{_MUC}#admin'><item nick='a' role='none'/></query></iq>",
    f"<iq type='set' id='1'><query xmlns='{_MUC}#owner'><x xmlns='jabber:x:data' type='submit'>"
    f"<field var='FORM_TYPE'><value>{_MUC}#roomconfig</value></field><field var='muc#roomconfig_maxusers'>"
    "<value>10</value></field></x></query></iq>",
    f"<iq type='set' id='1'><query xmlns='{_MUC}#owner'><destroy jid='a@b'/></query></iq>",
    available("http://jabber.org/protocol/nick"),
    nick("Romeo"),
    publish("n", "1", "<a xmlns='b'/>", publish_options(access_model="whitelist", max_items="max")),
    take_back("n", "1"),
    items("n"),
    owner("<configure node='n'><x xmlns='jabber:x:data' type='submit'/></configure>"),
    owner(
        "<affiliations node='n'><affiliation jid='juliet@verona.example' affiliation='member'/></affiliations>"
    ),
    owner("<delete node='n'/>"),
    owner("<purge node='n'/>"),
    "<iq type='result' id='1' to='romeo@verona.example'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
]
"Stanzas of every feature."
