"""Presence (RFC 6121 4)."""

import pytest

from proxies.xmpp.jid import Jid
from proxies.xmpp.stanza import Stanza
from tests.proxies.xmpp.im.lab import JULIET, NURSE, ROMEO, Client, Lab

FAR = "benvolio@mantua.example"
ROOM = "balcony@rooms.verona.example/romeo"


def far_friend(lab: Lab) -> None:
    """Give Romeo a contact elsewhere, subscribed both ways."""
    client = lab.connect(f"{ROMEO}/befriending")
    client.send(f"<presence type='subscribe' to='{FAR}'/>")
    lab.receive(f"<presence type='subscribed' from='{FAR}' to='{ROMEO}'/>")
    lab.receive(f"<presence type='subscribe' from='{FAR}' to='{ROMEO}'/>")
    client.send(f"<presence type='subscribed' to='{FAR}'/>")
    client.leave()
    lab.routed()


def test_initial_presence_goes_to_oneself_and_subscribers_and_probes_contacts() -> None:
    lab = Lab()
    far_friend(lab)
    romeo = lab.connect(f"{ROMEO}/o")
    romeo.send("<presence><show>dnd</show></presence>")
    assert romeo.received() == [f"<presence from='{ROMEO}/o' to='{ROMEO}'><show>dnd</show></presence>"]
    assert lab.routed() == [
        f"<presence from='{ROMEO}/o' to='{FAR}'><show>dnd</show></presence>",
        f"<presence type='probe' from='{ROMEO}/o' to='{FAR}'/>",
    ]


def test_later_presence_probes_nobody() -> None:
    lab = Lab()
    far_friend(lab)
    romeo = lab.login(f"{ROMEO}/o")
    lab.routed()
    romeo.send("<presence><show>away</show></presence>")
    assert lab.routed() == [f"<presence from='{ROMEO}/o' to='{FAR}'><show>away</show></presence>"]


def test_two_friends_of_one_node_see_each_other_come() -> None:
    lab = Lab()
    lab.befriend(ROMEO, JULIET)
    romeo, juliet = lab.login(f"{ROMEO}/o", 2), lab.connect(f"{JULIET}/b")
    juliet.send("<presence/>")
    assert juliet.received() == [
        f"<presence from='{JULIET}/b' to='{JULIET}'/>",
        f"<presence from='{ROMEO}/o' to='{JULIET}/b'><priority>2</priority></presence>",
    ]
    assert romeo.received() == [f"<presence from='{JULIET}/b' to='{ROMEO}'/>"]
    assert lab.routed() == []


def test_a_new_resource_sees_the_others_and_they_see_it() -> None:
    lab = Lab()
    first, second = lab.login(f"{ROMEO}/o", 1), lab.connect(f"{ROMEO}/p")
    second.send("<presence/>")
    mine = f"<presence from='{ROMEO}/p' to='{ROMEO}'/>"
    assert first.received() == [mine]
    assert second.received() == [
        mine,
        f"<presence from='{ROMEO}/o' to='{ROMEO}/p'><priority>1</priority></presence>",
    ]


def test_unavailable_presence_goes_to_all_that_saw_the_resource() -> None:
    lab = Lab()
    far_friend(lab)
    romeo, other = lab.login(f"{ROMEO}/o"), lab.login(f"{ROMEO}/p")
    romeo.send(f"<presence to='{ROOM}'/>")
    lab.routed(), romeo.received(), other.received()
    romeo.send("<presence type='unavailable'><status>bye</status></presence>")
    gone = f"<presence type='unavailable' from='{ROMEO}/o' to='{{}}'><status>bye</status></presence>"
    assert lab.routed() == [gone.format(FAR), gone.format(ROOM)]
    assert romeo.received() == other.received() == [gone.format(ROMEO)]


def test_a_session_that_breaks_says_so_for_its_resource_once() -> None:
    lab = Lab()
    far_friend(lab)
    romeo, other = lab.login(f"{ROMEO}/o"), lab.login(f"{ROMEO}/p")
    romeo.send(f"<presence to='{ROOM}'/>")
    lab.routed(), romeo.received(), other.received()
    romeo.leave()
    gone = f"<presence type='unavailable' from='{ROMEO}/o' to='{{}}'/>"
    assert lab.routed() == [gone.format(FAR), gone.format(ROOM)]
    assert (romeo.received(), other.received()) == ([], [gone.format(ROMEO)])
    romeo.leave()
    assert lab.routed() == []


def test_a_session_that_was_never_available_ends_in_silence() -> None:
    lab = Lab()
    far_friend(lab)
    lab.connect(f"{ROMEO}/o").leave()
    assert lab.routed() == []


def test_directed_presence_ends_with_directed_unavailable() -> None:
    lab = Lab()
    romeo = lab.connect(f"{ROMEO}/o")
    romeo.send(f"<presence to='{ROOM}'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
    romeo.send(f"<presence to='{ROOM}' type='unavailable'/>")
    assert lab.routed() == [
        f"<presence to='{ROOM}' from='{ROMEO}/o'><x xmlns=\"http://jabber.org/protocol/muc\"/></presence>",
        f"<presence to='{ROOM}' type='unavailable' from='{ROMEO}/o'/>",
    ]
    romeo.leave()
    assert lab.routed() == []


def test_directed_presence_to_a_friend_of_the_same_node() -> None:
    lab = Lab()
    romeo, juliet = lab.connect(f"{ROMEO}/o"), lab.login(f"{JULIET}/b")
    romeo.send(f"<presence to='{JULIET}'/>")
    romeo.leave()
    assert juliet.received() == [
        f"<presence to='{JULIET}' from='{ROMEO}/o'/>",
        f"<presence type='unavailable' from='{ROMEO}/o' to='{JULIET}'/>",
    ]


@pytest.mark.parametrize(("limit", "refused"), [(1, True), (2, False)])
def test_directed_presences_are_bounded(limit: int, refused: bool) -> None:
    lab = Lab(maximum_directed_presences=limit)
    romeo = lab.connect(f"{ROMEO}/o")
    for to in ("a@mantua.example", "b@mantua.example"):
        romeo.send(f"<presence to='{to}'/>")
    assert ["<resource-constraint" in each for each in romeo.received()] == [True] * refused


def test_an_entity_that_cannot_be_reached_is_not_told_of_the_end() -> None:
    lab = Lab()
    romeo = lab.connect(f"{ROMEO}/o")
    romeo.send(f"<presence to='{ROOM}'/>")
    lab.routed()
    error = f"<presence type='error' from='{ROOM}' to='{ROMEO}/o'><error type='cancel'/></presence>"
    lab.receive(error)
    assert romeo.received() == [error.replace("type='cancel'", 'type="cancel"')]
    romeo.leave()
    assert lab.routed() == []


@pytest.mark.parametrize(
    ("to", "reached"), [(ROMEO, ["o", "p"]), (f"{ROMEO}/p", ["p"]), (f"{ROMEO}/s", ["s"]), (f"{ROMEO}/x", [])]
)
@pytest.mark.parametrize("kind", ["", " type='unavailable'", " type='error'"])
def test_whom_a_contacts_presence_reaches(to: str, reached: list[str], kind: str) -> None:
    lab = Lab()
    clients: list[Client] = [lab.login(f"{ROMEO}/o"), lab.login(f"{ROMEO}/p", -1), lab.connect(f"{ROMEO}/s")]
    for each in clients:
        each.received()
    presence = f"<presence{kind} from='{FAR}/home' to='{to}'/>"
    lab.receive(presence)
    assert [each.jid.resourcepart for each in clients if each.received() == [presence]] == reached


def test_a_probe_of_a_subscriber_gets_the_last_presence_of_each_resource() -> None:
    lab = Lab()
    far_friend(lab)
    lab.login(f"{ROMEO}/o", 1), lab.login(f"{ROMEO}/p", 2), lab.connect(f"{ROMEO}/s")
    lab.routed()
    lab.receive(f"<presence type='probe' from='{FAR}/home' to='{ROMEO}'/>")
    assert lab.routed() == [
        f"<presence from='{ROMEO}/o' to='{FAR}/home'><priority>1</priority></presence>",
        f"<presence from='{ROMEO}/p' to='{FAR}/home'><priority>2</priority></presence>",
    ]
    lab.receive(f"<presence type='probe' from='{FAR}' to='{ROMEO}/p'/>")
    assert lab.routed() == [f"<presence from='{ROMEO}/p' to='{FAR}'><priority>2</priority></presence>"]


def test_a_probe_finds_nobody_there() -> None:
    lab = Lab()
    far_friend(lab)
    lab.receive(f"<presence type='probe' from='{FAR}/home' to='{ROMEO}'/>")
    assert lab.routed() == [f"<presence type='unavailable' from='{ROMEO}' to='{FAR}/home'/>"]


def test_a_probe_of_somebody_else_is_told_that_there_is_no_subscription() -> None:
    lab = Lab()
    lab.login(f"{ROMEO}/o")
    lab.receive(f"<presence type='probe' from='{FAR}/home' to='{ROMEO}'/>")
    assert lab.routed() == [f"<presence type='unsubscribed' from='{ROMEO}' to='{FAR}'/>"]


def test_a_probe_mends_a_subscription_that_one_side_has_lost() -> None:
    lab = Lab()
    lab.befriend(ROMEO, JULIET)
    lab.store.remove_roster_item(Jid.parse(JULIET), Jid.parse(ROMEO))
    lab.login(f"{ROMEO}/o")
    item = lab.store.roster(Jid.parse(ROMEO))[Jid.parse(JULIET)]
    assert str(item.subscription) == "from"


@pytest.mark.parametrize(
    ("priority", "accepted"),
    [("-128", True), ("127", True), ("128", False), ("-129", False), ("high", False)],
)
def test_priorities_have_a_range(priority: str, accepted: bool) -> None:
    romeo = Lab().connect(f"{ROMEO}/o")
    romeo.send(f"<presence id='1'><priority>{priority}</priority></presence>")
    (answer,) = romeo.received()
    assert ("<bad-request" not in answer) is accepted


@pytest.mark.parametrize("kind", ["subscribe", "probe", "error", "invisible"])
def test_a_type_that_needs_an_address_is_refused_without_one(kind: str) -> None:
    lab = Lab()
    romeo = lab.connect(f"{ROMEO}/o")
    romeo.send(f"<presence type='{kind}'/>")
    assert len(romeo.received()) == (0 if kind == "error" else 1)
    assert lab.routed() == []


def test_the_hook_sees_own_and_others_presence() -> None:
    lab = Lab()
    lab.befriend(ROMEO, NURSE)
    seen: list[tuple[str, str, str]] = []

    def hook(user: Jid, resource: Jid, presence: Stanza) -> None:
        seen.append((str(user), str(resource), presence.type))

    lab.manager.on_presence(hook)
    romeo = lab.login(f"{ROMEO}/o")
    lab.login(f"{NURSE}/n")
    romeo.leave()
    assert seen == [
        (NURSE, f"{ROMEO}/o", ""),
        (ROMEO, f"{ROMEO}/o", ""),
        (ROMEO, f"{NURSE}/n", ""),
        (NURSE, f"{ROMEO}/o", ""),
        (NURSE, f"{NURSE}/n", ""),
        (NURSE, f"{ROMEO}/o", "unavailable"),
        (ROMEO, f"{ROMEO}/o", "unavailable"),
    ]
