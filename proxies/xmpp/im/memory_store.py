"""An `ImStore` in memory: what tests use, and what a store that persists its writes builds on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from proxies.xmpp.im.interfaces import LastActivity, OfflineMessage, RosterItem, RosterVersion
from proxies.xmpp.jid import Jid
from proxies.xmpp.stanza import Stanza


@dataclass(slots=True)
class _Account:
    roster: dict[Jid, RosterItem] = field(default_factory=dict)
    version: RosterVersion = field(default_factory=RosterVersion)
    requests: dict[Jid, Stanza] = field(default_factory=dict)
    offline: list[OfflineMessage] = field(default_factory=list)
    blocklist: frozenset[Jid] = frozenset()
    vcard: bytes = b""
    last_activity: LastActivity | None = None


class MemoryImStore:
    """Keeps everything of `ImStore` in dictionaries, for as long as the object lives."""

    def __init__(self) -> None:
        self._accounts: dict[Jid, _Account] = {}

    def _account(self, user: Jid) -> _Account:
        account = self._accounts.get(user)
        if account is None:
            account = self._accounts[user] = _Account()
        return account

    async def aclose(self) -> None:
        """Forget everything."""

    def roster(self, user: Jid) -> Mapping[Jid, RosterItem]:
        """Return the user's contacts by bare address."""
        return self._account(user).roster

    def roster_version(self, user: Jid) -> RosterVersion:
        """Return how often the roster was changed."""
        return self._account(user).version

    def set_roster_item(self, user: Jid, item: RosterItem) -> RosterItem:
        """Store an item under the roster's next version and return it with that."""
        account = self._account(user)
        account.version = replace(account.version, current=account.version.current + 1)
        item = account.roster[item.jid] = replace(item, version=account.version.current)
        return item

    def remove_roster_item(self, user: Jid, contact: Jid) -> int:
        """Remove an item and return the roster's next version."""
        account = self._account(user)
        del account.roster[contact]
        version = account.version.current + 1
        account.version = RosterVersion(current=version, last_removal=version)
        return version

    def subscription_requests(self, user: Jid) -> Mapping[Jid, Stanza]:
        """Return the requests that wait for the user's answer."""
        return self._account(user).requests

    def set_subscription_request(self, user: Jid, contact: Jid, request: Stanza) -> None:
        """Keep a request to subscribe."""
        self._account(user).requests[contact] = request

    def remove_subscription_request(self, user: Jid, contact: Jid) -> None:
        """Forget a request; nothing happens where there is none."""
        self._account(user).requests.pop(contact, None)

    def offline_messages(self, user: Jid) -> Sequence[OfflineMessage]:
        """Return the messages kept for the user, oldest first."""
        return self._account(user).offline

    def add_offline_message(self, user: Jid, message: OfflineMessage) -> None:
        """Keep a message behind the others."""
        self._account(user).offline.append(message)

    def clear_offline_messages(self, user: Jid) -> None:
        """Forget the messages."""
        self._account(user).offline = []

    def blocklist(self, user: Jid) -> frozenset[Jid]:
        """Return whom the user has blocked."""
        return self._account(user).blocklist

    def set_blocklist(self, user: Jid, blocked: frozenset[Jid]) -> None:
        """Replace whom the user has blocked."""
        self._account(user).blocklist = blocked

    def vcard(self, user: Jid) -> bytes:
        """Return the user's `<vCard/>`, empty where there is none."""
        return self._account(user).vcard

    def set_vcard(self, user: Jid, vcard: bytes) -> None:
        """Replace the user's `<vCard/>`."""
        self._account(user).vcard = vcard

    def last_activity(self, user: Jid) -> LastActivity | None:
        """Return when the user was last available."""
        return self._account(user).last_activity

    def set_last_activity(self, user: Jid, activity: LastActivity) -> None:
        """Store when the user was last available."""
        self._account(user).last_activity = activity
