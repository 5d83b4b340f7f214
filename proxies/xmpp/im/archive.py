"""The users' message archive (XEP-0313): what goes in, with which stanza-id (XEP-0359), and who may look."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from xml.etree import ElementTree as ET

from certs.clock import Clock
from certs.errors import HarnessError, RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.conditions import StanzaErrorCondition
from proxies.xmpp.im.archive_queries import fin_element, parse_archive_query, query_form, result_messages
from proxies.xmpp.im.archive_values import (
    ArchiveDefault,
    ArchiveEntry,
    ArchivePreferences,
    ArchiveQuery,
    ArchiveStore,
)
from proxies.xmpp.im.interfaces import ImStore
from proxies.xmpp.im.iq_table import IqRequest
from proxies.xmpp.im.session_manager import SessionManager
from proxies.xmpp.jid import Jid
from proxies.xmpp.stanza import Stanza, make_stanza

_STANZA_ID: Final = (ns.STANZA_ID, "stanza-id")
_STORE: Final = (ns.HINTS, "store")
_NO_STORE: Final = frozenset({(ns.HINTS, "no-store"), (ns.HINTS, "no-permanent-store")})
_ARCHIVED_TYPES: Final = frozenset({"chat", "normal"})

Start = Callable[[Coroutine[None, None, None]], object]
"Runs a coroutine to its end; the service that owns the archive keeps the task."


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveSettings:
    """The limits of an archive."""

    maximum_page: int = 100
    "Messages in the answer to one query."

    maximum_queries: int = 100
    "Queries that are looked up at a time."

    maximum_preferences: int = 500
    "Addresses in each list of a user's preferences."


class MessageArchive:
    """Archives what the users of a home node send and get, and answers their queries."""

    def __init__(
        self,
        settings: ArchiveSettings,
        store: ArchiveStore,
        rosters: ImStore,
        clock: Clock,
        manager: SessionManager,
        start: Start,
    ) -> None:
        """Attach to a session manager; `start` runs the coroutine that answers a query."""
        self._settings = settings
        self._store = store
        self._rosters = rosters
        self._clock = clock
        self._send = manager.send
        self._start = start
        self._last_id = 0
        self._to_self: tuple[Stanza, Stanza] | None = None
        self._queries = 0
        manager.on_message_delivered(self.archive)
        manager.register_iq(ns.ARCHIVE, "query", self._answer_query)
        manager.register_iq(ns.ARCHIVE, "prefs", self._answer_preferences)
        manager.discovery.add_account_feature(ns.ARCHIVE)
        manager.discovery.add_account_feature(ns.STANZA_ID)

    def archive(self, user: Jid, message: Stanza) -> Stanza:
        """Archive a message if it is to be, and return it with its stanza-id; a session manager's hook.

        Raises RemoteProtocolError (`resource-constraint`) where the store cannot take it now: the sender is
        told, and nothing is delivered that should have been archived and was not.
        """
        if self._to_self is not None:
            sent, stamped = self._to_self
            self._to_self = None
            if sent is message:  # a message to oneself comes here twice and is archived once (5.1.2)
                return stamped
        if _STANZA_ID in message.children:
            message = _without_forged_id(user, message)
        if not _is_worth_keeping(message):
            return message
        sender, to = message.sender or user, message.to or user
        peer = to if sender.bare == user else sender
        if not self._is_wanted(user, peer):
            return message
        if self._store.is_full:
            raise RemoteProtocolError("the archive cannot follow", reply="resource-constraint")
        now = self._clock.now()
        # Microseconds, so that ids go up over a restart too; two of one microsecond are told apart.
        self._last_id = number = max(self._last_id + 1, int(now.timestamp() * 1_000_000))
        self._store.append(ArchiveEntry(user, number, now, peer, message))
        stamped = Stanza(
            message.kind,
            message.attributes,
            message.payload + b'%b%d"/>' % (_stanza_id_start(user), number),
            (*message.children, _STANZA_ID),
            message.declarations,
        )
        if sender.bare == to.bare:
            self._to_self = message, stamped
        return stamped

    def _is_wanted(self, user: Jid, peer: Jid) -> bool:
        preferences = self._store.archive_preferences(user)
        if preferences == _USUAL:
            return True
        for name in (peer, peer.bare):
            if name in preferences.never:
                return False
            if name in preferences.always:
                return True
        match preferences.default:
            case ArchiveDefault.ALWAYS:
                return True
            case ArchiveDefault.NEVER:
                return False
            case ArchiveDefault.ROSTER:
                return peer.bare in self._rosters.roster(user)

    def _answer_query(self, request: IqRequest) -> Stanza | None:
        stanza = request.stanza
        element = request.payload()
        if not request.is_set:
            answer = ET.Element(f"{{{ns.ARCHIVE}}}query")
            answer.append(query_form())
            return stanza.reply(answer)
        assert request.account is not None
        query = parse_archive_query(element, self._settings.maximum_page)
        if self._queries >= self._settings.maximum_queries:
            raise RemoteProtocolError("too many queries at a time", reply="resource-constraint")
        self._queries += 1
        self._start(self._find(request.account, stanza, element.get("queryid", ""), query))
        return None

    async def _find(self, user: Jid, request: Stanza, query_id: str, query: ArchiveQuery) -> None:
        try:
            page = await self._store.query(user, query)
        except RemoteProtocolError as error:
            self._send(request.error(StanzaErrorCondition(error.reply), str(error)))
        except HarnessError:
            # The store has reported what happened; the client learns that there is no answer now.
            self._send(request.error(StanzaErrorCondition.INTERNAL_SERVER_ERROR))
        else:
            for message in result_messages(request, query_id, str(user), page):
                self._send(message)
            self._send(request.reply(fin_element(page)))
        finally:
            self._queries -= 1

    def _answer_preferences(self, request: IqRequest) -> Stanza:
        user = request.account
        assert user is not None
        if request.is_set:
            preferences = _parse_preferences(request.payload(), self._settings.maximum_preferences)
            self._store.set_archive_preferences(user, preferences)
        return request.stanza.reply(_preferences_element(self._store.archive_preferences(user)))


_USUAL: Final = ArchivePreferences()


def _is_worth_keeping(message: Stanza) -> bool:
    """Whether a message is archived (5.1.1), unless it says itself (XEP-0334)."""
    children = message.children
    if message.type not in _ARCHIVED_TYPES or not _NO_STORE.isdisjoint(children):
        return False
    return ("", "body") in children or _STORE in children


def _without_forged_id(user: Jid, message: Stanza) -> Stanza:
    """Return a message without stanza-ids that only the user's own server may give (XEP-0359 section 3.1)."""
    tag = f"{{{ns.STANZA_ID}}}stanza-id"
    own = str(user)
    children = list(message.element())
    kept = [each for each in children if each.tag != tag or each.get("by", "").lower() != own]
    return message if len(kept) == len(children) else make_stanza(message.kind, message.attributes, kept)


@lru_cache(4096)
def _stanza_id_start(user: Jid) -> bytes:
    # A prepared bare address has no character that an attribute would have to escape (RFC 7622 3.3.1).
    return f'<stanza-id xmlns="{ns.STANZA_ID}" by="{user}" id="'.encode()


def _parse_preferences(element: ET.Element, limit: int) -> ArchivePreferences:
    try:
        default = ArchiveDefault(element.get("default", ""))
    except ValueError:
        raise RemoteProtocolError("default is always, never or roster", reply="bad-request") from None
    lists = {}
    for name in ("always", "never"):
        found = element.findall(f"{{{ns.ARCHIVE}}}{name}/{{{ns.ARCHIVE}}}jid")
        if len(found) > limit:
            raise RemoteProtocolError(f"a list may have {limit} addresses", reply="policy-violation")
        lists[name] = frozenset(Jid.parse((each.text or "").strip()) for each in found)
    return ArchivePreferences(default=default, always=lists["always"], never=lists["never"])


def _preferences_element(preferences: ArchivePreferences) -> ET.Element:
    element = ET.Element(f"{{{ns.ARCHIVE}}}prefs", {"default": preferences.default})
    for name, jids in (("always", preferences.always), ("never", preferences.never)):
        parent = ET.SubElement(element, f"{{{ns.ARCHIVE}}}{name}")
        for jid in sorted(map(str, jids)):
            ET.SubElement(parent, f"{{{ns.ARCHIVE}}}jid").text = jid
    return element
