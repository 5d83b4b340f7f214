"""Service discovery of the server and of its users' accounts (XEP-0030, RFC 6121 8.5.2)."""

from collections.abc import Callable, Iterable
from typing import Protocol
from xml.etree import ElementTree as ET

from certs.errors import RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.im.entity_capabilities import Identity, capabilities_element, verification_string
from proxies.xmpp.im.home_node import HomeNode
from proxies.xmpp.im.iq_table import IqRequest, IqScope, IqTable
from proxies.xmpp.jid import Jid
from proxies.xmpp.stanza import Stanza

MESSAGES_OFFLINE = "msgoffline"
"The feature of a server that keeps messages (XEP-0160 section 4)."


class AccountNodes(Protocol):
    """What an account has beside its resources: the nodes of PEP (XEP-0060 sections 5.2 and 5.3)."""

    def names(self, user: Jid, asker: Jid) -> Iterable[str]:
        """Return the names of the nodes that somebody may see."""
        ...

    def describe(self, user: Jid, name: str, asker: Jid) -> list[ET.Element]:
        """Return what is in the answer about a node.

        Raises RemoteProtocolError (`item-not-found`) where there is none that the asker may see.
        """
        ...


class ServiceDiscovery:
    """Says what the server and an account are, can do and hold. What the IQ table answers is a feature."""

    def __init__(self, node: HomeNode, table: IqTable) -> None:
        self._node = node
        self._table = table
        self._server_identities = [Identity("server", "im", node.settings.software_name)]
        self._account_identities = [Identity("account", "registered")]
        self._server_features = {ns.CAPS, MESSAGES_OFFLINE}
        self._account_features: set[str] = set()
        self._items: dict[Jid, str] = {}
        self._more_items: list[Callable[[], Iterable[tuple[str, str]]]] = []
        self.account_nodes: AccountNodes | None = None
        "The nodes of accounts, where there are any."
        table.register(ns.DISCO_INFO, "query", self._info, IqScope.ANY)
        table.register(ns.DISCO_ITEMS, "query", self._items_of, IqScope.ANY)

    def add_account_identity(self, identity: Identity) -> None:
        """Show one more identity of every account, as `pubsub/pep`."""
        self._account_identities.append(identity)

    def add_account_feature(self, feature: str) -> None:
        """Show one more feature of every account."""
        self._account_features.add(feature)

    def add_server_feature(self, feature: str) -> None:
        """Show one more feature of the server."""
        self._server_features.add(feature)

    def add_item(self, jid: Jid, name: str) -> None:
        """Show a component, as the room service, among the server's items."""
        self._items[jid] = name

    def add_items(self, items: Callable[[], Iterable[tuple[str, str]]]) -> None:
        """Show what comes and goes among the server's items; asked for addresses and names at each query."""
        self._more_items.append(items)

    def capabilities(self) -> ET.Element:
        """Return the server's `<c/>`, for its stream features."""
        return capabilities_element(self._node.settings.caps_node, self._ver())

    def _features(self, scope: IqScope) -> list[str]:
        extra = self._server_features if scope is IqScope.SERVER else self._account_features
        # The server also shows what it does for its own users: that is where clients look (XEP-0280, XEP-0191).
        return sorted(extra | self._table.namespaces(IqScope.ANY if scope is IqScope.SERVER else scope))

    def _ver(self) -> str:
        return verification_string(self._server_identities, self._features(IqScope.SERVER))

    def _info(self, request: IqRequest) -> Stanza:
        node = self._check(request)
        is_server = request.account is None
        if node and request.account is not None and self.account_nodes is not None:
            query = _query(ns.DISCO_INFO, node)
            query.extend(self.account_nodes.describe(request.account, node, request.sender))
            return request.stanza.reply(query)
        if node and not (is_server and node == f"{self._node.settings.caps_node}#{self._ver()}"):
            raise RemoteProtocolError("there is no such node", reply="item-not-found")
        query = _query(ns.DISCO_INFO, node)
        identities = self._server_identities if is_server else self._account_identities
        query.extend(identity.element() for identity in identities)
        for feature in self._features(IqScope.SERVER if is_server else IqScope.ACCOUNT):
            ET.SubElement(query, f"{{{ns.DISCO_INFO}}}feature", {"var": feature})
        return request.stanza.reply(query)

    def _items_of(self, request: IqRequest) -> Stanza:
        node = self._check(request)
        if node:
            raise RemoteProtocolError("there is no such node", reply="item-not-found")
        query = _query(ns.DISCO_ITEMS, node)
        if request.account is None:
            items = {str(jid): name for jid, name in self._items.items()}
            for more in self._more_items:
                items.update(more())
        else:
            items = {resource.address: "" for resource in self._node.available(request.account)}
        for jid, name in items.items():
            ET.SubElement(query, f"{{{ns.DISCO_ITEMS}}}item", {"jid": jid} | ({"name": name} if name else {}))
        if request.account is not None and self.account_nodes is not None:
            for name in self.account_nodes.names(request.account, request.sender):
                attributes = {"jid": str(request.account), "node": name}
                ET.SubElement(query, f"{{{ns.DISCO_ITEMS}}}item", attributes)
        return request.stanza.reply(query)

    def _check(self, request: IqRequest) -> str:
        """Return the node that is asked, if the sender may ask (section 8: an account shows who is there)."""
        if request.is_set:
            raise RemoteProtocolError("service discovery only answers questions", reply="bad-request")
        user = request.account
        if user is not None and not self._node.is_subscribed(user, request.sender.bare):
            raise RemoteProtocolError(
                "not for those who may not see the presence", reply="service-unavailable"
            )
        return request.payload().get("node", "")


def _query(namespace: str, node: str) -> ET.Element:
    return ET.Element(f"{{{namespace}}}query", {"node": node} if node else {})
