"""Presence subscriptions (RFC 6121 3), one exchange each."""

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxies.xmpp.im.interfaces import RosterItem
from proxies.xmpp.im.subscription_states import INBOUND, OUTBOUND, SUBSCRIPTION_TYPES, SubscriptionState
from proxies.xmpp.jid import Jid
from proxies.xmpp.stanza import Stanza
from tests.proxies.xmpp.im.lab import JULIET, ROMEO, Lab

FAR = "benvolio@mantua.example"


def push(to: str, version: int, item: str) -> str:
    return (
        f"<iq type='set' id='made' to='{to}'>"
        f'<query xmlns="jabber:iq:roster" ver="{version}"><item jid="{FAR}" {item}/></query></iq>'
    )


def roster_item(lab: Lab, user: str, contact: str) -> RosterItem | None:
    return lab.store.roster(Jid.parse(user)).get(Jid.parse(contact))


def test_a_request_goes_out_from_the_bare_address_and_is_pushed() -> None:
    lab = Lab()
    romeo = lab.login(f"{ROMEO}/o")
    romeo.send(f"<presence type='subscribe' to='{FAR}/home' id='s'><status>hi</status></presence>")
    assert romeo.received() == [push(f"{ROMEO}/o", 1, 'subscription="none" ask="subscribe"')]
    assert lab.routed() == [
        f"<presence type='subscribe' to='{FAR}' id='s' from='{ROMEO}'><status>hi</status></presence>"
    ]


def test_an_approval_is_delivered_then_pushed() -> None:
    lab = Lab()
    romeo = lab.login(f"{ROMEO}/o")
    romeo.send(f"<presence type='subscribe' to='{FAR}'/>")
    romeo.received()
    lab.receive(f"<presence type='subscribed' from='{FAR}' to='{ROMEO}'/>")
    assert romeo.received() == [
        f"<presence type='subscribed' from='{FAR}' to='{ROMEO}'/>",
        push(f"{ROMEO}/o", 2, 'subscription="to"'),
    ]


def test_an_approval_that_nobody_asked_for_is_dropped() -> None:
    lab = Lab()
    romeo = lab.login(f"{ROMEO}/o")
    lab.receive(f"<presence type='subscribed' from='{FAR}' to='{ROMEO}'/>")
    assert romeo.received() == []
    assert roster_item(lab, ROMEO, FAR) is None


def test_a_refusal_takes_the_request_back() -> None:
    lab = Lab()
    romeo = lab.login(f"{ROMEO}/o")
    romeo.send(f"<presence type='subscribe' to='{FAR}'/>")
    romeo.received()
    lab.receive(f"<presence type='unsubscribed' from='{FAR}' to='{ROMEO}'/>")
    assert romeo.received() == [
        f"<presence type='unsubscribed' from='{FAR}' to='{ROMEO}'/>",
        push(f"{ROMEO}/o", 2, 'subscription="none"'),
    ]


def test_a_request_is_shown_now_and_at_each_login_until_it_is_answered() -> None:
    lab = Lab()
    romeo, silent = lab.login(f"{ROMEO}/o"), lab.connect(f"{ROMEO}/s")
    request = f"<presence type='subscribe' from='{FAR}' to='{ROMEO}' id='s'><status>hi</status></presence>"
    lab.receive(request)
    assert (romeo.received(), silent.received()) == ([request], [])
    lab.receive(request)
    assert romeo.received() == []  # it waits already
    silent.send("<presence/>")
    assert request in silent.received()
    romeo.send(f"<presence type='unsubscribed' to='{FAR}'/>")
    assert lab.routed() == [f"<presence type='unsubscribed' to='{FAR}' from='{ROMEO}'/>"]
    late = lab.connect(f"{ROMEO}/l")
    late.send("<presence/>")
    assert request not in late.received()


def test_approving_sends_the_presence_of_each_resource() -> None:
    lab = Lab()
    romeo = lab.login(f"{ROMEO}/o", 3)
    lab.receive(f"<presence type='subscribe' from='{FAR}' to='{ROMEO}'/>")
    romeo.received()
    romeo.send(f"<presence type='subscribed' to='{FAR}'/>")
    assert lab.routed() == [
        f"<presence type='subscribed' to='{FAR}' from='{ROMEO}'/>",
        f"<presence from='{ROMEO}/o' to='{FAR}'><priority>3</priority></presence>",
    ]
    assert romeo.received() == [push(f"{ROMEO}/o", 1, 'subscription="from"')]


def test_taking_an_approval_back_makes_the_user_unavailable() -> None:
    lab = Lab()
    romeo = lab.login(f"{ROMEO}/o")
    lab.receive(f"<presence type='subscribe' from='{FAR}' to='{ROMEO}'/>")
    romeo.send(f"<presence type='subscribed' to='{FAR}'/>")
    lab.routed(), romeo.received()
    romeo.send(f"<presence type='unsubscribed' to='{FAR}'/>")
    assert lab.routed() == [
        f"<presence type='unsubscribed' to='{FAR}' from='{ROMEO}'/>",
        f"<presence type='unavailable' from='{ROMEO}/o' to='{FAR}'/>",
    ]
    assert romeo.received() == [push(f"{ROMEO}/o", 2, 'subscription="none"')]


def test_a_contact_that_unsubscribes_sees_the_user_go() -> None:
    lab = Lab()
    romeo = lab.login(f"{ROMEO}/o")
    lab.receive(f"<presence type='subscribe' from='{FAR}' to='{ROMEO}'/>")
    romeo.send(f"<presence type='subscribed' to='{FAR}'/>")
    lab.routed(), romeo.received()
    lab.receive(f"<presence type='unsubscribe' from='{FAR}' to='{ROMEO}'/>")
    assert romeo.received() == [
        f"<presence type='unsubscribe' from='{FAR}' to='{ROMEO}'/>",
        push(f"{ROMEO}/o", 2, 'subscription="none"'),
    ]
    assert lab.routed() == [f"<presence type='unavailable' from='{ROMEO}/o' to='{FAR}'/>"]


def test_a_pre_approved_contact_is_let_in_at_once() -> None:
    lab = Lab()
    romeo = lab.login(f"{ROMEO}/o")
    romeo.send(f"<presence type='subscribed' to='{FAR}'/>")
    assert romeo.received() == [push(f"{ROMEO}/o", 1, 'subscription="none" approved="true"')]
    assert lab.routed() == []
    lab.receive(f"<presence type='subscribe' from='{FAR}' to='{ROMEO}'/>")
    assert romeo.received() == [push(f"{ROMEO}/o", 2, 'subscription="from" approved="true"')]
    assert lab.routed() == [
        f"<presence type='subscribed' from='{ROMEO}' to='{FAR}'/>",
        f"<presence from='{ROMEO}/o' to='{FAR}'/>",
    ]


def test_a_pre_approval_taken_back_lets_nobody_in() -> None:
    lab = Lab()
    romeo = lab.login(f"{ROMEO}/o")
    romeo.send(f"<presence type='subscribed' to='{FAR}'/>")
    romeo.send(f"<presence type='unsubscribed' to='{FAR}'/>")
    romeo.received()
    lab.receive(f"<presence type='subscribe' from='{FAR}' to='{ROMEO}'/>")
    assert romeo.received() == [f"<presence type='subscribe' from='{FAR}' to='{ROMEO}'/>"]
    assert lab.routed() == []


def test_a_contact_that_asks_again_is_answered_by_the_server() -> None:
    lab = Lab()
    lab.befriend(ROMEO, JULIET)
    romeo, juliet = lab.login(f"{ROMEO}/o"), lab.login(f"{JULIET}/b")
    romeo.received()
    juliet.send(f"<presence type='subscribe' to='{ROMEO}'/>")
    assert romeo.received() == []
    assert juliet.received() == [f"<presence from='{ROMEO}/o' to='{JULIET}'/>"]


def test_nobody_subscribes_to_oneself() -> None:
    romeo = Lab().login(f"{ROMEO}/o")
    romeo.send(f"<presence type='subscribe' to='{ROMEO}'/>")
    (answer,) = romeo.received()
    assert "<not-allowed " in answer


@pytest.mark.parametrize(("limit", "kept"), [(1, False), (2, True)])
def test_requests_that_wait_are_bounded(limit: int, kept: bool) -> None:
    lab = Lab(maximum_subscription_requests=limit)
    lab.receive(f"<presence type='subscribe' from='first@mantua.example' to='{ROMEO}'/>")
    lab.receive(f"<presence type='subscribe' from='{FAR}' to='{ROMEO}'/>")
    assert (Jid.parse(FAR) in lab.store.subscription_requests(Jid.parse(ROMEO))) is kept


@pytest.mark.parametrize(("limit", "refused"), [(1, True), (2, False)])
def test_a_request_for_a_full_roster_is_refused(limit: int, refused: bool) -> None:
    lab = Lab(maximum_roster_items=limit)
    romeo = lab.login(f"{ROMEO}/o")
    romeo.send("<presence type='subscribe' to='first@mantua.example'/>")
    romeo.received()
    romeo.send(f"<presence type='subscribe' to='{FAR}'/>")
    assert ("<resource-constraint" in romeo.received()[0]) is refused


@pytest.mark.parametrize("table", [OUTBOUND, INBOUND])
def test_the_tables_name_changes_only(
    table: dict[tuple[str, SubscriptionState], SubscriptionState],
) -> None:
    for (kind, state), new_state in table.items():
        assert kind in SUBSCRIPTION_TYPES
        assert state is not new_state


def test_what_one_side_takes_back_the_other_forgets() -> None:
    """The tables of appendix A agree with each other: each side's arrow has its mirror on the other."""
    for (kind, mine), mine_then in OUTBOUND.items():
        theirs = _mirror(mine)
        assert INBOUND.get((kind, theirs), theirs) is _mirror(mine_then), (kind, mine)


def _mirror(state: SubscriptionState) -> SubscriptionState:
    """The contact's state that fits a user's."""
    subscription = {"to": "from", "from": "to"}.get(state.subscription, str(state.subscription))
    return next(
        each
        for each in SubscriptionState
        if (str(each.subscription), each.pending_out, each.pending_in)
        == (subscription, state.pending_in, state.pending_out)
    )


ACTIONS = st.tuples(
    st.booleans(),
    st.sampled_from([*sorted(SUBSCRIPTION_TYPES), "remove", "rename", "login", "logout"]),
)


class _TwoNodes:
    """Two nodes with one user each; stanzas between them wait in one queue, as on a stream."""

    def __init__(self) -> None:
        self.queue: deque[Stanza] = deque()
        self.labs = {user: Lab(user, route=self.queue.append) for user in (ROMEO, JULIET)}

    def act(self, user: str, contact: str, action: str) -> None:
        lab = self.labs[user]
        client = lab.connect(f"{user}/o")
        client.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
        if action in SUBSCRIPTION_TYPES:
            client.send(f"<presence type='{action}' to='{contact}'/>")
        elif action in ("remove", "rename"):
            what = "subscription='remove'" if action == "remove" else "name='x'"
            item = f"<item jid='{contact}' {what}/>"
            client.send(f"<iq type='set' id='s'><query xmlns='jabber:iq:roster'>{item}</query></iq>")
        elif action == "login":
            client.send("<presence/>")
        else:
            client.leave()

    def settle(self) -> None:
        for _ in range(500):
            if not self.queue:
                return
            stanza = self.queue.popleft()
            to = stanza.to
            assert to is not None
            self.labs[str(to.bare)].manager.receive_routed(stanza)
        raise AssertionError("the servers never stop talking")

    def state(self, user: str, contact: str) -> SubscriptionState:
        lab = self.labs[user]
        item = roster_item(lab, user, contact) or RosterItem(jid=Jid.parse(contact))
        pending_in = Jid.parse(contact) in lab.store.subscription_requests(Jid.parse(user))
        return SubscriptionState((item.subscription, item.ask, pending_in))


@settings(max_examples=200, deadline=None)
@given(st.lists(ACTIONS, max_size=25))
def test_two_users_states_always_fit_each_other(actions: list[tuple[bool, str]]) -> None:
    nodes = _TwoNodes()
    for first, action in actions:
        nodes.act(*((ROMEO, JULIET) if first else (JULIET, ROMEO)), action)
        nodes.settle()
        assert nodes.state(ROMEO, JULIET) is _mirror(nodes.state(JULIET, ROMEO))


@settings(max_examples=200, deadline=None)
@given(st.lists(ACTIONS, max_size=25))
def test_stanzas_that_cross_on_the_way_leave_no_difference(actions: list[tuple[bool, str]]) -> None:
    nodes = _TwoNodes()
    for first, action in actions:
        nodes.act(*((ROMEO, JULIET) if first else (JULIET, ROMEO)), action)
    nodes.settle()
    assert nodes.state(ROMEO, JULIET) is _mirror(nodes.state(JULIET, ROMEO))


@settings(max_examples=100, deadline=None)
@given(st.lists(ACTIONS, max_size=25))
def test_one_node_and_two_nodes_agree(actions: list[tuple[bool, str]]) -> None:
    """A contact at home on the same node is treated as one elsewhere."""
    nodes, one = _TwoNodes(), _TwoNodes()
    shared = Lab(ROMEO, JULIET)
    one.labs = {ROMEO: shared, JULIET: shared}
    for first, action in actions:
        user, contact = (ROMEO, JULIET) if first else (JULIET, ROMEO)
        nodes.act(user, contact, action)
        nodes.settle()
        one.act(user, contact, action)
        for each, other in ((ROMEO, JULIET), (JULIET, ROMEO)):
            assert nodes.state(each, other) is one.state(each, other)
