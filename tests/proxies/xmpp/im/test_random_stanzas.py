"""Whatever clients and routers send, the session manager goes on."""

from hypothesis import given, settings
from hypothesis import strategies as st

from proxies.xmpp.im.iq_delivery import IQ_TYPES
from proxies.xmpp.im.message_delivery import MESSAGE_TYPES
from proxies.xmpp.im.subscription_states import SUBSCRIPTION_TYPES
from tests.proxies.xmpp.im.lab import JULIET, ROMEO, Lab, stanza

USERS = [ROMEO, f"{ROMEO}/o", f"{ROMEO}/x", JULIET, f"{JULIET}/b"]
ADDRESSES = st.sampled_from([*USERS, "", "@", "/", "verona.example", "a@b.example/c", "c"])
TYPES = st.sampled_from(
    sorted(IQ_TYPES | MESSAGE_TYPES | SUBSCRIPTION_TYPES | {"probe", "unavailable", "nonsense"})
)
CHILDREN = st.lists(
    st.sampled_from(
        [
            "<body>hi</body>",
            "<priority>-1</priority>",
            "<priority/>",
            "<status/>",
            "<query xmlns='jabber:iq:roster'/>",
            "<query xmlns='jabber:iq:roster' ver='²'/>",
            f"<query xmlns='jabber:iq:roster'><item jid='{JULIET}' subscription='remove'/></query>",
            f"<query xmlns='jabber:iq:roster'><item jid='{JULIET}'/></query>",
            "<query xmlns='jabber:iq:last'/>",
            "<query xmlns='http://jabber.org/protocol/disco#info' node='x'/>",
            "<vCard xmlns='vcard-temp'/>",
            "<enable xmlns='urn:xmpp:carbons:2'/>",
            "<private xmlns='urn:xmpp:carbons:2'/>",
            f"<block xmlns='urn:xmpp:blocking'><item jid='{JULIET}'/></block>",
            "<unblock xmlns='urn:xmpp:blocking'/>",
        ]
    ),
    max_size=2,
).map("".join)


def _write(kind: str, attributes: dict[str, str], payload: str) -> str:
    written = "".join(f" {name}='{value}'" for name, value in attributes.items())
    return f"<{kind}{written}>{payload}</{kind}>"


STANZAS = st.builds(
    _write,
    st.sampled_from(["message", "presence", "iq"]),
    st.fixed_dictionaries(
        {}, optional={"to": ADDRESSES, "type": TYPES, "id": st.just("1"), "from": ADDRESSES}
    ),
    CHILDREN,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("rjx"), STANZAS), max_size=30))
def test_nothing_stops_the_session_manager(sent: list[tuple[str, str]]) -> None:
    lab = Lab()
    lab.befriend(ROMEO, JULIET)
    clients = {"r": lab.login(f"{ROMEO}/o"), "j": lab.login(f"{JULIET}/b")}
    for who, text in sent:
        if who in clients:
            clients[who].send(text)
        else:
            routed = stanza(text)
            lab.manager.receive_routed(routed.with_attributes(to=routed.attributes.get("to", ROMEO)))
