"""Managing the roster (RFC 6121 2): get with versions, set, remove."""

from dataclasses import replace
from xml.etree import ElementTree as ET

from certs.errors import RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.im import roster_changes
from proxies.xmpp.im.home_node import HomeNode
from proxies.xmpp.im.interfaces import RosterItem
from proxies.xmpp.im.iq_table import IqRequest, IqScope, IqTable
from proxies.xmpp.im.subscriptions import SubscriptionHandler
from proxies.xmpp.jid import Jid
from proxies.xmpp.stanza import Stanza


class RosterHandler:
    """Answers roster requests."""

    def __init__(self, node: HomeNode, table: IqTable, subscriptions: SubscriptionHandler) -> None:
        self._node = node
        self._subscriptions = subscriptions
        table.register(ns.ROSTER, "query", self._answer, IqScope.ACCOUNT)

    def _answer(self, request: IqRequest) -> Stanza | None:
        if request.scope is not IqScope.OWN_ACCOUNT:  # 2.1.5, 2.3.3
            raise RemoteProtocolError("only the user may see and change a roster", reply="forbidden")
        if request.is_set:
            return self._set(request)
        return self._get(request)

    def _get(self, request: IqRequest) -> Stanza | None:
        user = request.sender.bare
        resource = self._node.resources[str(request.sender)]
        resource.wants_roster = True
        roster = self._node.store.roster(user)
        version = self._node.store.roster_version(user)
        known = request.payload().get("ver")
        if known is not None and known.isdecimal() and version.last_removal <= int(known) <= version.current:
            # 2.6.3: an empty result, then what changed since, oldest change first.
            resource.session.deliver(request.stanza.reply())
            changed = [item for item in roster.values() if item.version > int(known)]
            for item in sorted(changed, key=lambda item: item.version):
                roster_changes.push(resource, roster_changes.item_element(item), item.version)
            return None
        query = ET.Element(f"{{{ns.ROSTER}}}query")
        if known is not None:
            query.set("ver", str(version.current))
        query.extend(roster_changes.item_element(item) for item in roster.values())
        return request.stanza.reply(query)

    def _set(self, request: IqRequest) -> Stanza:
        user = request.sender.bare
        element = _only_item(request.payload())
        contact = Jid.parse(element.get("jid", "")).bare
        if element.get("subscription") == "remove":
            if contact not in self._node.store.roster(user):
                raise RemoteProtocolError(f"{contact} is not in the roster", reply="item-not-found")
            self._subscriptions.cancel(user, contact)
            return request.stanza.reply()
        roster = self._node.store.roster(user)
        old = roster.get(contact)
        if old is None and len(roster) >= self._node.settings.maximum_roster_items:
            raise RemoteProtocolError("the roster is full", reply="resource-constraint")
        name, groups = self._name_and_groups(element)
        item = replace(old or RosterItem(jid=contact), name=name, groups=groups)
        roster_changes.set_item(self._node, user, item)
        return request.stanza.reply()

    def _name_and_groups(self, element: ET.Element) -> tuple[str, tuple[str, ...]]:
        """Return what the user may choose, within the bounds of 2.3.3."""
        settings = self._node.settings
        name = element.get("name", "")
        groups = tuple(group.text or "" for group in element.iterfind(f"{{{ns.ROSTER}}}group"))
        if len(set(groups)) != len(groups):
            raise RemoteProtocolError("a group is there twice", reply="bad-request")
        if len(groups) > settings.maximum_roster_groups or "" in groups:
            raise RemoteProtocolError("too many groups, or one without a name", reply="not-acceptable")
        if max(map(len, (name, *groups))) > settings.maximum_roster_name:
            raise RemoteProtocolError("a name is too long", reply="not-acceptable")
        return name, groups


def _only_item(query: ET.Element) -> ET.Element:
    items = query.findall(f"{{{ns.ROSTER}}}item")
    if len(items) != 1 or not items[0].get("jid"):
        raise RemoteProtocolError("a roster set has one item, with a jid", reply="bad-request")
    return items[0]
