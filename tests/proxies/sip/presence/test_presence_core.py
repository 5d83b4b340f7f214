"""Publications and watchers, at times that are told."""

import itertools

import pytest

from certs.errors import RemoteProtocolError
from proxies.sip.messages.pidf import simple_document
from proxies.sip.presence.presence_core import NotifyNeeded, PresenceCore, PresenceLimits, SubscriptionState

ALICE = "sip:alice@example.com"
OPEN, CLOSED = simple_document(ALICE, is_open=True), simple_document(ALICE, is_open=False)


@pytest.fixture
def core() -> PresenceCore:
    tags = (f"etag{n}" for n in itertools.count(1))
    return PresenceCore(make_etag=lambda: next(tags))


def events(core: PresenceCore) -> list[NotifyNeeded]:
    return list(iter(core.next_event, None))


def test_a_watcher_hears_at_once_and_at_every_change(core: PresenceCore) -> None:
    assert core.subscribe("watcher", ALICE, expires=600, now=0.0) == 600
    (first,) = events(core)
    assert (first.state, first.expires, first.document.is_open) == (SubscriptionState.ACTIVE, 600, False)
    core.publish(ALICE, OPEN, if_match=None, expires=300, now=10.0)
    (second,) = events(core)
    assert (second.expires, second.document.is_open) == (590, True)


def test_a_watcher_of_somebody_else_hears_nothing(core: PresenceCore) -> None:
    core.subscribe("watcher", "sip:bob@example.com", expires=600, now=0.0)
    events(core)
    core.publish(ALICE, OPEN, if_match=None, expires=300, now=10.0)
    assert events(core) == []


def test_a_refresh_keeps_the_document_and_changes_the_tag(core: PresenceCore) -> None:
    assert core.publish(ALICE, OPEN, if_match=None, expires=300, now=0.0) == ("etag1", 300)
    assert core.publish(ALICE, None, if_match="etag1", expires=300, now=200.0) == ("etag2", 300)
    core.subscribe("watcher", ALICE, expires=600, now=400.0)
    assert events(core)[0].document.is_open


def test_an_old_tag_is_refused_with_412(core: PresenceCore) -> None:
    core.publish(ALICE, OPEN, if_match=None, expires=300, now=0.0)
    core.publish(ALICE, CLOSED, if_match="etag1", expires=300, now=1.0)
    with pytest.raises(RemoteProtocolError) as refused:
        core.publish(ALICE, OPEN, if_match="etag1", expires=300, now=2.0)
    assert refused.value.reply == "412"


def test_somebody_elses_tag_is_refused_with_412(core: PresenceCore) -> None:
    core.publish(ALICE, OPEN, if_match=None, expires=300, now=0.0)
    with pytest.raises(RemoteProtocolError) as refused:
        core.publish("sip:bob@example.com", OPEN, if_match="etag1", expires=300, now=2.0)
    assert refused.value.reply == "412"


def test_an_initial_publication_without_a_document_is_refused(core: PresenceCore) -> None:
    with pytest.raises(RemoteProtocolError) as refused:
        core.publish(ALICE, None, if_match=None, expires=300, now=0.0)
    assert refused.value.reply == "400"


@pytest.mark.parametrize("seconds", [1, 59])
def test_too_short_a_time_is_refused_with_423(core: PresenceCore, seconds: int) -> None:
    with pytest.raises(RemoteProtocolError) as refused:
        core.publish(ALICE, OPEN, if_match=None, expires=seconds, now=0.0)
    assert refused.value.reply == "423"
    core.publish(ALICE, OPEN, if_match=None, expires=60, now=0.0)


def test_removing_a_publication_closes_the_presentity(core: PresenceCore) -> None:
    core.publish(ALICE, OPEN, if_match=None, expires=300, now=0.0)
    core.subscribe("watcher", ALICE, expires=600, now=0.0)
    core.publish(ALICE, None, if_match="etag1", expires=0, now=1.0)
    assert [e.document.is_open for e in events(core)] == [True, False]


def test_a_publication_lapses_and_its_watchers_hear(core: PresenceCore) -> None:
    core.publish(ALICE, OPEN, if_match=None, expires=300, now=0.0)
    core.subscribe("watcher", ALICE, expires=600, now=0.0)
    events(core)
    assert core.next_timer() == 300.0
    core.handle_timer(now=300.0)
    assert [e.document.is_open for e in events(core)] == [False]


def test_a_subscription_lapses_with_a_last_notify(core: PresenceCore) -> None:
    core.subscribe("watcher", ALICE, expires=600, now=0.0)
    events(core)
    core.handle_timer(now=600.0)
    (last,) = events(core)
    assert (last.state, last.reason) == (SubscriptionState.TERMINATED, "timeout")
    assert core.next_timer() is None


def test_unsubscribing_gives_the_state_once_more(core: PresenceCore) -> None:
    core.subscribe("watcher", ALICE, expires=0, now=0.0)
    (only,) = events(core)
    assert only.state is SubscriptionState.TERMINATED


def test_a_server_that_stops_tells_its_watchers_to_come_back(core: PresenceCore) -> None:
    core.subscribe("watcher", ALICE, expires=600, now=0.0)
    events(core)
    core.stop(now=1.0)
    assert events(core)[0].reason == "deactivated"


def test_what_is_kept_is_bounded() -> None:
    core = PresenceCore(limits=PresenceLimits(maximum_publications=1, maximum_subscriptions=1))
    core.publish(ALICE, OPEN, if_match=None, expires=300, now=0.0)
    core.subscribe("a", ALICE, expires=600, now=0.0)
    with pytest.raises(RemoteProtocolError) as full:
        core.publish(ALICE, OPEN, if_match=None, expires=300, now=0.0)
    assert full.value.reply == "503"
    with pytest.raises(RemoteProtocolError) as full:
        core.subscribe("b", ALICE, expires=600, now=0.0)
    assert full.value.reply == "503"
