"""Rosters (RFC 6121 2)."""

import pytest

from proxies.xmpp.jid import Jid
from tests.proxies.xmpp.im.lab import JULIET, ROMEO, ROSTER_GET, Lab

FAR = "benvolio@mantua.example"


def roster_set(item: str, to: str = "") -> str:
    return f"<iq type='set' id='s'{to}><query xmlns='jabber:iq:roster'>{item}</query></iq>"


def roster_get(version: str) -> str:
    return f"<iq type='get' id='r'><query xmlns='jabber:iq:roster' ver='{version}'/></iq>"


def condition(answer: str) -> str:
    return answer.split("><")[2].split(" ")[0]


def test_a_new_roster_is_empty() -> None:
    romeo = Lab().connect(f"{ROMEO}/o")
    assert romeo.ask(ROSTER_GET) == (
        f"<iq type='result' id='r' to='{ROMEO}/o'><query xmlns=\"jabber:iq:roster\"/></iq>"
    )


def test_a_contact_is_pushed_to_interested_resources_and_kept() -> None:
    lab = Lab()
    romeo, other, silent = lab.login(f"{ROMEO}/o"), lab.login(f"{ROMEO}/p"), lab.connect(f"{ROMEO}/s")
    romeo.received()
    romeo.send(roster_set(f"<item jid='{FAR}' name='Ben'><group>Friends</group></item>"))
    item = f'<item jid="{FAR}" subscription="none" name="Ben"><group>Friends</group></item>'
    query = f'<query xmlns="jabber:iq:roster" ver="1">{item}</query>'
    assert romeo.received() == [
        f"<iq type='set' id='made' to='{ROMEO}/o'>{query}</iq>",
        f"<iq type='result' id='s' to='{ROMEO}/o'/>",
    ]
    assert other.received() == [f"<iq type='set' id='made' to='{ROMEO}/p'>{query}</iq>"]
    assert silent.ask(ROSTER_GET) == (
        f"<iq type='result' id='r' to='{ROMEO}/s'><query xmlns=\"jabber:iq:roster\">{item}</query></iq>"
    )


def test_a_change_keeps_the_subscription() -> None:
    lab = Lab()
    lab.befriend(ROMEO, JULIET)
    romeo = lab.login(f"{ROMEO}/o")
    romeo.send(roster_set(f"<item jid='{JULIET}' name='J' subscription='none' ask='subscribe'/>"))
    assert f'<item jid="{JULIET}" subscription="both" name="J"/>' in romeo.received()[0]


def test_removing_a_contact_ends_both_subscriptions() -> None:
    lab = Lab()
    lab.befriend(ROMEO, JULIET)
    romeo, juliet = lab.login(f"{ROMEO}/o"), lab.login(f"{JULIET}/b")
    romeo.received()
    romeo.send(roster_set(f"<item jid='{JULIET}' subscription='remove'/>"))
    version = lab.store.roster_version(Jid.parse(ROMEO)).current
    assert romeo.received() == [
        f"<iq type='set' id='made' to='{ROMEO}/o'><query xmlns=\"jabber:iq:roster\" ver=\"{version}\">"
        f'<item jid="{JULIET}" subscription="remove"/></query></iq>',
        f"<presence type='unavailable' from='{JULIET}/b' to='{ROMEO}'/>",
        f"<iq type='result' id='s' to='{ROMEO}/o'/>",
    ]
    got = juliet.received()
    assert [each for each in got if each.startswith("<presence")] == [
        f"<presence type='unsubscribe' from='{ROMEO}' to='{JULIET}'/>",
        f"<presence type='unsubscribed' from='{ROMEO}' to='{JULIET}'/>",
        f"<presence type='unavailable' from='{ROMEO}/o' to='{JULIET}'/>",
    ]
    assert 'subscription="none"' in got[-2]


@pytest.mark.parametrize(
    ("item", "refused"),
    [
        (f"<item jid='{FAR}'/>", None),
        ("", "bad-request"),
        ("<item/>", "bad-request"),
        (f"<item jid='{FAR}'/><item jid='x@mantua.example'/>", "bad-request"),
        (f"<item jid='{FAR}'><group>a</group><group>b</group></item>", None),
        (f"<item jid='{FAR}'><group>a</group><group>a</group></item>", "bad-request"),
        (f"<item jid='{FAR}'><group/></item>", "not-acceptable"),
        (f"<item jid='{FAR}' name='{'n' * 1023}'/>", None),
        (f"<item jid='{FAR}' name='{'n' * 1024}'/>", "not-acceptable"),
        (f"<item jid='{FAR}'><group>{'g' * 1024}</group></item>", "not-acceptable"),
        ("<item jid='@x'/>", "jid-malformed"),
        (f"<item jid='{FAR}' subscription='remove'/>", "item-not-found"),
    ],
)
def test_what_a_roster_set_may_hold(item: str, refused: str | None) -> None:
    romeo = Lab().connect(f"{ROMEO}/o")
    answer = romeo.ask(roster_set(item))
    if refused is None:
        assert answer == f"<iq type='result' id='s' to='{ROMEO}/o'/>"
    else:
        assert condition(answer) == refused


@pytest.mark.parametrize(("limit", "refused"), [(2, False), (1, True)])
def test_a_roster_is_bounded(limit: int, refused: bool) -> None:
    romeo = Lab(maximum_roster_items=limit).connect(f"{ROMEO}/o")
    romeo.ask(roster_set(f"<item jid='{FAR}'/>"))
    assert "type='result'" in romeo.ask(roster_set(f"<item jid='{FAR}' name='changed'/>"))
    assert ("<resource-constraint" in romeo.ask(roster_set("<item jid='x@mantua.example'/>"))) is refused


def test_nobody_else_sees_or_changes_a_roster() -> None:
    lab = Lab()
    romeo = lab.connect(f"{ROMEO}/o")
    for request in (
        ROSTER_GET.replace("<iq", f"<iq to='{JULIET}'"),
        roster_set(f"<item jid='{FAR}'/>", f" to='{JULIET}'"),
    ):
        assert condition(romeo.ask(request)) == "forbidden"
    assert not lab.store.roster(Jid.parse(JULIET))


def test_somebody_who_claims_the_address_from_elsewhere_is_not_the_user() -> None:
    lab = Lab()
    lab.receive(ROSTER_GET.replace("<iq", f"<iq to='{ROMEO}' from='{ROMEO}/elsewhere'"))
    assert lab.routed() == []


def test_a_client_that_knows_the_version_gets_the_changes_only() -> None:
    lab = Lab()
    first = lab.connect(f"{ROMEO}/o")
    for name in ("a", "b", "c"):
        first.ask(roster_set(f"<item jid='{name}@mantua.example'/>"))
    first.ask(roster_set("<item jid='a@mantua.example' name='A'/>"))
    second = lab.connect(f"{ROMEO}/p")
    second.send(roster_get("2"))
    result, *pushes = second.received()
    assert result == f"<iq type='result' id='r' to='{ROMEO}/p'/>"
    assert [each.split("ver=")[1].split("/>")[0] for each in pushes] == [
        '"3"><item jid="c@mantua.example" subscription="none"',
        '"4"><item jid="a@mantua.example" subscription="none" name="A"',
    ]
    assert second.ask(roster_get("4")) == f"<iq type='result' id='r' to='{ROMEO}/p'/>"


@pytest.mark.parametrize("known", ["", "1", "99", "x"])
def test_a_version_that_does_not_help_gets_the_whole_roster(known: str) -> None:
    """1 is older than a removal, which items do not tell of."""
    lab = Lab()
    romeo = lab.connect(f"{ROMEO}/o")
    romeo.ask(roster_set(f"<item jid='{FAR}'/>"))
    romeo.ask(roster_set(f"<item jid='{FAR}' subscription='remove'/>"))
    assert romeo.ask(roster_get(known)) == (
        f"<iq type='result' id='r' to='{ROMEO}/o'><query xmlns=\"jabber:iq:roster\" ver=\"2\"/></iq>"
    )
