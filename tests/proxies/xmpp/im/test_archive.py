"""The message archive (XEP-0313) and its stanza-ids (XEP-0359), on a store that keeps what it is given."""

from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from certs.errors import ConfigError, RemoteProtocolError
from proxies.xmpp.im.archive import ArchiveSettings, MessageArchive
from proxies.xmpp.im.archive_values import (
    ArchivedMessage,
    ArchiveEntry,
    ArchivePage,
    ArchivePreferences,
    ArchiveQuery,
)
from proxies.xmpp.jid import Jid
from tests.proxies.xmpp.im.lab import JULIET, ROMEO, Client, Lab

NOW = 1767225600000000  # 2026-01-01T00:00:00Z in microseconds
CHAT = "<message type='chat' to='juliet@verona.example'><body>hi</body></message>"
NO_PAGE = ArchivePage(messages=(), complete=True, count=0)


@dataclass
class Store:
    entries: list[ArchiveEntry] = field(default_factory=list)
    queries: list[ArchiveQuery] = field(default_factory=list)
    answer: ArchivePage | Exception = NO_PAGE
    is_full: bool = False
    preferences: dict[Jid, ArchivePreferences] = field(default_factory=dict)

    def append(self, entry: ArchiveEntry) -> None:
        self.entries.append(entry)

    async def query(self, owner: Jid, query: ArchiveQuery) -> ArchivePage:
        self.queries.append(query)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def archive_preferences(self, owner: Jid) -> ArchivePreferences:
        return self.preferences.get(owner, ArchivePreferences())

    def set_archive_preferences(self, owner: Jid, preferences: ArchivePreferences) -> None:
        self.preferences[owner] = preferences

    def owners(self) -> list[str]:
        owners = [str(each.owner) for each in self.entries]
        self.entries.clear()
        return owners


def run(coroutine: Coroutine[None, None, None]) -> None:
    with pytest.raises(StopIteration):
        coroutine.send(None)


class ArchiveLab(Lab):
    def __init__(self) -> None:
        super().__init__()
        self.archived = Store()
        MessageArchive(ArchiveSettings(), self.archived, self.store, self.clock, self.manager, run)


def query(payload: str = "") -> str:
    return f"<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2' queryid='a'>{payload}</query></iq>"


def form(**values: str) -> str:
    fields = "".join(f"<field var='{n}'><value>{v}</value></field>" for n, v in values.items())
    return (
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
        f"<value>urn:xmpp:mam:2</value></field>{fields}</x>"
    )


def rsm(payload: str) -> str:
    return f"<set xmlns='http://jabber.org/protocol/rsm'>{payload}</set>"


def test_both_sides_archive_a_chat_and_the_receiver_learns_its_id() -> None:
    lab = ArchiveLab()
    romeo, juliet = lab.login(f"{ROMEO}/a"), lab.login(f"{JULIET}/b")
    romeo.send(CHAT)
    sent, got = lab.archived.entries
    assert (str(sent.owner), str(sent.peer), sent.id) == (ROMEO, JULIET, NOW)
    assert (str(got.owner), str(got.peer), got.id) == (JULIET, f"{ROMEO}/a", NOW + 1)
    assert got.stamp == datetime(2026, 1, 1, tzinfo=UTC)
    assert juliet.received() == [
        "<message type='chat' to='juliet@verona.example' from='romeo@verona.example/a'><body>hi</body>"
        f'<stanza-id xmlns="urn:xmpp:sid:0" by="juliet@verona.example" id="{NOW + 1}"/></message>'
    ]


@pytest.mark.parametrize(
    ("message", "archived"),
    [
        ("<message to='juliet@verona.example'><body>hi</body></message>", True),
        ("<message type='chat' to='juliet@verona.example'><subject>hi</subject></message>", False),
        ("<message type='headline' to='juliet@verona.example'><body>hi</body></message>", False),
        (
            "<message type='chat' to='juliet@verona.example'><body>hi</body>"
            "<no-store xmlns='urn:xmpp:hints'/></message>",
            False,
        ),
        (
            "<message type='chat' to='juliet@verona.example'><subject>hi</subject>"
            "<store xmlns='urn:xmpp:hints'/></message>",
            True,
        ),
    ],
)
def test_conversations_are_archived_and_nothing_else(message: str, archived: bool) -> None:
    lab = ArchiveLab()
    romeo, juliet = lab.login(f"{ROMEO}/a"), lab.login(f"{JULIET}/b")
    romeo.send(message)
    assert lab.archived.owners() == ([ROMEO, JULIET] if archived else [])
    (got,) = juliet.received()
    assert ("stanza-id" in got) == archived


def test_a_message_for_somebody_absent_is_archived_and_keeps_its_id() -> None:
    lab = ArchiveLab()
    romeo = lab.login(f"{ROMEO}/a")
    romeo.send(CHAT)
    assert lab.archived.owners() == [ROMEO, JULIET]
    juliet = lab.connect(f"{JULIET}/b")
    juliet.send("<presence/>")
    assert f'id="{NOW + 1}"' in juliet.received()[-1]


def test_a_message_to_oneself_is_archived_once() -> None:
    lab = ArchiveLab()
    romeo = lab.login(f"{ROMEO}/a")
    for _ in range(2):
        romeo.send("<message type='chat' to='romeo@verona.example'><body>milk</body></message>")
    assert lab.archived.owners() == [ROMEO, ROMEO]
    assert [f'id="{NOW + n}"' in got for n, got in enumerate(romeo.received())] == [True, True]


def test_a_stanza_id_in_the_users_name_is_only_the_servers_to_give() -> None:
    lab = ArchiveLab()
    romeo, juliet = lab.login(f"{ROMEO}/a"), lab.login(f"{JULIET}/b")
    ids = "".join(
        f"<stanza-id xmlns='urn:xmpp:sid:0' by='{by}' id='x'/>"
        for by in (JULIET, "JULIET@verona.example", "room@conference.verona.example")
    )
    romeo.send(f"<message type='chat' to='{JULIET}'><body>hi</body>{ids}</message>")
    (got,) = juliet.received()
    assert got.count("<stanza-id") == 2
    assert "room@conference.verona.example" in got
    assert 'id="x"' in got
    romeo.send(f"<message type='headline' to='{JULIET}'><body>hi</body>{ids}</message>")
    assert juliet.received()[0].count("<stanza-id") == 1


def test_a_message_that_cannot_be_archived_is_given_back() -> None:
    lab = ArchiveLab()
    romeo, juliet = lab.login(f"{ROMEO}/a"), lab.login(f"{JULIET}/b")
    lab.archived.is_full = True
    romeo.send(CHAT)
    assert "resource-constraint" in romeo.received()[0]
    assert juliet.received() == []
    lab.archived.is_full = False
    romeo.send(CHAT)
    assert len(juliet.received()) == 1


def test_a_page_comes_as_messages_and_an_end() -> None:
    lab = ArchiveLab()
    romeo = lab.login(f"{ROMEO}/a")
    wire = b"<message xmlns='jabber:client' type='chat'><body>hi</body></message>"
    found = ArchivedMessage(17, datetime(2026, 1, 1, 12, 30, 0, 250000, tzinfo=UTC), wire)
    lab.archived.answer = ArchivePage(messages=(found,), complete=False, count=9)
    romeo.send(query(form(**{"with": JULIET, "start": "2026-01-01T00:00:00Z"}) + rsm("<max>1</max>")))
    assert romeo.received() == [
        "<message to='romeo@verona.example/a' from='romeo@verona.example'>"
        '<result xmlns="urn:xmpp:mam:2" id="17" queryid="a"><forwarded xmlns="urn:xmpp:forward:0">'
        '<delay xmlns="urn:xmpp:delay" stamp="2026-01-01T12:30:00.250Z"/>'
        "<message xmlns='jabber:client' type='chat'><body>hi</body></message></forwarded></result></message>",
        "<iq type='result' id='q' to='romeo@verona.example/a'><fin xmlns=\"urn:xmpp:mam:2\">"
        '<set xmlns="http://jabber.org/protocol/rsm"><first>17</first><last>17</last><count>9</count></set>'
        "</fin></iq>",
    ]
    assert lab.archived.queries == [
        ArchiveQuery(maximum=1, peer=Jid.parse(JULIET), start=datetime(2026, 1, 1, tzinfo=UTC))
    ]
    assert lab.archived.entries == []


@pytest.mark.parametrize(
    ("asked", "understood"),
    [
        ("", ArchiveQuery(maximum=50)),
        (rsm("<max>1000000</max>"), ArchiveQuery(maximum=100)),
        (rsm("<before/>"), ArchiveQuery(maximum=50, backwards=True)),
        (rsm("<before>7</before>"), ArchiveQuery(maximum=50, before=7, backwards=True)),
        (rsm("<max>5</max><after>7</after>"), ArchiveQuery(maximum=5, after=7)),
    ],
)
def test_pages_are_asked_for_as_result_set_management_says(asked: str, understood: ArchiveQuery) -> None:
    lab = ArchiveLab()
    answer = lab.login(f"{ROMEO}/a").ask(query(asked))
    assert 'complete="true"' in answer
    assert lab.archived.queries == [understood]


@pytest.mark.parametrize(
    ("asked", "condition"),
    [
        (form(thread="x"), "feature-not-implemented"),
        (form(start="yesterday"), "bad-request"),
        (form(**{"with": "@"}), "jid-malformed"),
        (rsm("<max>-1</max>"), "bad-request"),
        (rsm("<index>3</index>"), "feature-not-implemented"),
        (rsm("<after>x</after>"), "item-not-found"),
        (rsm("<after>1</after><before>2</before>"), "bad-request"),
    ],
)
def test_a_query_that_cannot_be_answered_is_refused(asked: str, condition: str) -> None:
    lab = ArchiveLab()
    assert condition in lab.login(f"{ROMEO}/a").ask(query(asked))
    assert lab.archived.queries == []


@pytest.mark.parametrize(
    ("failure", "condition"),
    [
        (RemoteProtocolError("no such message", reply="item-not-found"), "item-not-found"),
        (ConfigError("database is gone"), "internal-server-error"),
    ],
)
def test_a_failed_query_is_answered(failure: Exception, condition: str) -> None:
    lab = ArchiveLab()
    lab.archived.answer = failure
    answer = lab.login(f"{ROMEO}/a").ask(query())
    assert condition in answer
    assert "database" not in answer


def test_nobody_reads_anothers_archive() -> None:
    lab = ArchiveLab()
    romeo = lab.login(f"{ROMEO}/a")
    assert "service-unavailable" in romeo.ask(query().replace("<iq", f"<iq to='{JULIET}'"))
    assert lab.archived.queries == []


def test_the_form_says_what_can_be_looked_for() -> None:
    answer = (
        ArchiveLab().login(f"{ROMEO}/a").ask("<iq type='get' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>")
    )
    assert [f'var="{name}"' in answer for name in ("with", "start", "end")] == [True] * 3


# Preferences


def prefer(client: Client, default: str, *, always: str = "", never: str = "") -> str:
    lists = "".join(
        f"<{name}><jid>{jid}</jid></{name}>" for name, jid in (("always", always), ("never", never)) if jid
    )
    return client.ask(
        f"<iq type='set' id='p'><prefs xmlns='urn:xmpp:mam:2' default='{default}'>{lists}</prefs></iq>"
    )


def test_preferences_are_kept_and_shown() -> None:
    romeo = ArchiveLab().login(f"{ROMEO}/a")
    expected = (
        "<iq type='result' id='p' to='romeo@verona.example/a'>"
        '<prefs xmlns="urn:xmpp:mam:2" default="roster"><always><jid>juliet@verona.example</jid></always>'
        "<never/></prefs></iq>"
    )
    assert prefer(romeo, "roster", always=JULIET) == expected
    assert romeo.ask("<iq type='get' id='p'><prefs xmlns='urn:xmpp:mam:2'/></iq>") == expected


@pytest.mark.parametrize(
    ("default", "lists", "archived"),
    [
        ("always", {}, True),
        ("never", {}, False),
        ("roster", {}, False),
        ("never", {"always": JULIET}, True),
        ("always", {"never": JULIET}, False),
        ("always", {"never": JULIET, "always": JULIET}, False),
    ],
)
def test_users_decide_what_is_archived(default: str, lists: dict[str, str], archived: bool) -> None:
    lab = ArchiveLab()
    romeo = lab.login(f"{ROMEO}/a")
    prefer(romeo, default, **lists)
    romeo.send(CHAT)
    assert (ROMEO in lab.archived.owners()) == archived


def test_the_roster_decides_where_the_user_says_so() -> None:
    lab = ArchiveLab()
    lab.befriend(ROMEO, JULIET)
    romeo = lab.login(f"{ROMEO}/a")
    prefer(romeo, "roster")
    romeo.send(CHAT)
    assert ROMEO in lab.archived.owners()


@pytest.mark.parametrize(("default", "jid"), [("sometimes", JULIET), ("always", "@")])
def test_preferences_that_make_no_sense_are_refused(default: str, jid: str) -> None:
    lab = ArchiveLab()
    assert "type='error'" in prefer(lab.login(f"{ROMEO}/a"), default, always=jid)
    assert lab.archived.preferences == {}
