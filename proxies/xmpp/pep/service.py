"""PEP of a home node: every account is a publish-subscribe service of its own (XEP-0163)."""

from collections.abc import Iterator
from typing import Final
from xml.etree import ElementTree as ET

from certs.clock import Clock
from certs.errors import RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.im.entity_capabilities import Identity
from proxies.xmpp.im.iq_table import IqScope
from proxies.xmpp.im.session_manager import SessionManager
from proxies.xmpp.jid import Jid
from proxies.xmpp.pep.configuration import META_DATA, configuration_form
from proxies.xmpp.pep.interests import Interests
from proxies.xmpp.pep.notifications import Notifier
from proxies.xmpp.pep.requests import PepRequests
from proxies.xmpp.pep.values import PepSettings, PepStore

FEATURES: Final = (
    "access-open",
    "access-presence",
    "access-whitelist",
    "auto-create",
    "auto-subscribe",
    "config-node",
    "config-node-max",
    "create-and-configure",
    "create-nodes",
    "delete-items",
    "delete-nodes",
    "filtered-notifications",
    "item-ids",
    "last-published",
    "member-affiliation",
    "modify-affiliations",
    "multi-items",
    "persistent-items",
    "publish",
    "publish-options",
    "purge-nodes",
    "retract-items",
    "retrieve-affiliations",
    "retrieve-default",
    "retrieve-items",
)
"What of XEP-0060 an account can do (section 10)."


class PepService:
    """Attaches to a session manager: answers for its accounts, and tells those interested."""

    def __init__(self, settings: PepSettings, store: PepStore, clock: Clock, manager: SessionManager) -> None:
        self._store = store
        interests = Interests(manager.send, clock)
        self._notifier = Notifier(manager.node, store, interests)
        requests = PepRequests(settings, store, clock, self._notifier)
        for namespace in (ns.PUBSUB, ns.PUBSUB_OWNER):
            manager.register_iq(namespace, "pubsub", requests.answer, IqScope.ACCOUNT)
        manager.on_presence(interests.take_presence)
        manager.on_account_answer(interests.take_answer)
        discovery = manager.discovery
        discovery.add_account_identity(Identity("pubsub", "pep"))
        for feature in FEATURES:
            discovery.add_account_feature(f"{ns.PUBSUB}#{feature}")
        discovery.account_nodes = self

    # service_discovery.AccountNodes

    def names(self, user: Jid, asker: Jid) -> Iterator[str]:
        """Return the names of the nodes that somebody may see (XEP-0060 section 5.2)."""
        for name, node in self._store.pep_nodes(user).items():
            if self._notifier.may_see(user, node, asker):
                yield name

    def describe(self, user: Jid, name: str, asker: Jid) -> list[ET.Element]:
        """Return what service discovery says of a node (section 5.3).

        Raises RemoteProtocolError (`item-not-found`) where there is none that the asker may see.
        """
        node = self._store.pep_nodes(user).get(name)
        if node is None or not self._notifier.may_see(user, node, asker):
            raise RemoteProtocolError("there is no such node", reply="item-not-found")
        form = configuration_form(node.configuration, type_="result", form_type=META_DATA)
        feature = ET.Element(f"{{{ns.DISCO_INFO}}}feature", {"var": ns.PUBSUB})
        return [Identity("pubsub", "leaf").element(), feature, form]
