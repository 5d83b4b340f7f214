"""Requests to an account's nodes: publish, retract, items, and how nodes are made and configured (XEP-0060)."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final
from xml.etree import ElementTree as ET

from certs.clock import Clock
from certs.errors import RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.conditions import StanzaErrorCondition
from proxies.xmpp.data_forms import find_form
from proxies.xmpp.im.iq_table import IqRequest, IqScope
from proxies.xmpp.jid import Jid
from proxies.xmpp.pep.configuration import (
    PUBLISH_OPTIONS,
    check_preconditions,
    configuration_form,
    parse_configuration,
)
from proxies.xmpp.pep.errors import PubsubError, unsupported
from proxies.xmpp.pep.notifications import Notifier
from proxies.xmpp.pep.values import (
    AccessModel,
    NodeConfiguration,
    PepNode,
    PepSettings,
    PepStore,
    PublishedItem,
)
from proxies.xmpp.stanza import Stanza, encode_element, make_id, split_name

_P: Final = f"{{{ns.PUBSUB}}}"
_O: Final = f"{{{ns.PUBSUB_OWNER}}}"
_TRUE: Final = frozenset({"1", "true"})

Handler = Callable[[IqRequest, Jid, ET.Element, ET.Element], Stanza]
"Answers one kind of request: the request, the account, the element that says what, and its parent."


class PepRequests:
    """Answers what comes for an account in the namespaces of publish-subscribe."""

    def __init__(self, settings: PepSettings, store: PepStore, clock: Clock, notifier: Notifier) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._notifier = notifier
        self._handlers: Mapping[tuple[bool, str], Handler] = {
            (True, f"{_P}publish"): self._publish,
            (True, f"{_P}retract"): self._retract,
            (False, f"{_P}items"): self._get_items,
            (True, f"{_P}create"): self._create,
            (False, f"{_O}default"): self._get_default,
            (False, f"{_O}configure"): self._get_configuration,
            (True, f"{_O}configure"): self._configure,
            (True, f"{_O}delete"): self._delete,
            (True, f"{_O}purge"): self._purge,
            (False, f"{_O}affiliations"): self._get_affiliations,
            (True, f"{_O}affiliations"): self._set_affiliations,
        }

    def answer(self, request: IqRequest) -> Stanza:
        """Answer a request; errors say by their own condition what is wrong (section 12)."""
        assert request.account is not None
        parent = request.payload()
        try:
            element = next(iter(parent), None)
            if element is None:
                raise RemoteProtocolError("what to do is missing", reply="bad-request")
            handler = self._handlers.get((request.is_set, element.tag))
            if handler is None:
                raise unsupported(split_name(element.tag)[1][:40])
            if handler not in (self._get_items,) and request.scope is not IqScope.OWN_ACCOUNT:
                raise RemoteProtocolError("only the user may do this", reply="forbidden")
            return handler(request, request.account, element, parent)
        except PubsubError as error:
            condition = StanzaErrorCondition(error.reply)
            return request.stanza.error(condition, str(error), type_=error.type, application=error.element())

    # Items

    def _publish(self, request: IqRequest, user: Jid, element: ET.Element, parent: ET.Element) -> Stanza:
        """Publish an item, into a node that is made where there is none (section 7.1, XEP-0163 section 3)."""
        name = self._name(element)
        item, payload = self._item(element)
        node = self._store.pep_nodes(user).get(name)
        options = self._publish_options(parent)
        if node is None:
            base = NodeConfiguration()
            if options is not None:
                base = parse_configuration(options, base, self._settings.maximum_items, PUBLISH_OPTIONS)
            node = PepNode(name=name, configuration=base)
            self._check_room(user, len(payload))
            self._make(user, node)
        else:
            if options is not None:
                check_preconditions(options, node, self._settings.maximum_items)
            replaced = self._store.pep_items(user, name).get(item)
            self._check_room(user, len(payload) - (len(replaced.payload) if replaced else 0))
        published = PublishedItem(id=item, payload=payload, published=self._clock.now())
        if node.configuration.persist_items:
            self._store.put_pep_item(user, name, published)
            self._cut(user, node)
        self._notifier.item_published(user, node, published)
        answer = ET.Element(f"{_P}pubsub")
        ET.SubElement(ET.SubElement(answer, f"{_P}publish", {"node": name}), f"{_P}item", {"id": item})
        return request.stanza.reply(answer)

    def _item(self, element: ET.Element) -> tuple[str, bytes]:
        items = element.findall(f"{_P}item")
        if len(items) != 1:
            raise PubsubError("publish one item at a time", reply="bad-request", condition="item-required")
        (item,) = items
        if len(item) != 1:
            condition = "invalid-payload" if len(item) else "payload-required"
            raise PubsubError("an item has one element in it", reply="bad-request", condition=condition)
        payload = encode_element(item[0], ns.PUBSUB)
        if split_name(item[0].tag)[0] in ("", ns.PUBSUB):
            raise PubsubError(
                "what is published has a namespace of its own",
                reply="bad-request",
                condition="invalid-payload",
            )
        if len(payload) > self._settings.maximum_payload:
            raise PubsubError(
                f"an item may have {self._settings.maximum_payload} octets",
                reply="not-acceptable",
                condition="payload-too-big",
            )
        id_ = item.get("id") or make_id()
        self._check_length(id_)
        return id_, payload

    @staticmethod
    def _publish_options(parent: ET.Element) -> ET.Element | None:
        options = parent.find(f"{_P}publish-options")
        return find_form(options) if options is not None else None

    def _check_room(self, user: Jid, more: int) -> None:
        stored = sum(
            len(item.payload)
            for name in self._store.pep_nodes(user)
            for item in self._store.pep_items(user, name).values()
        )
        if stored + more > self._settings.maximum_stored:
            raise RemoteProtocolError(
                f"all items of a user may have {self._settings.maximum_stored} octets",
                reply="resource-constraint",
            )

    def _cut(self, user: Jid, node: PepNode) -> None:
        """Let the oldest items go where there are too many."""
        items = self._store.pep_items(user, node.name)
        for each in list(items)[: max(0, len(items) - node.configuration.max_items)]:
            self._store.remove_pep_item(user, node.name, each)

    def _retract(self, request: IqRequest, user: Jid, element: ET.Element, _: ET.Element) -> Stanza:
        """Take an item back (section 7.2)."""
        node = self._node(user, element)
        item = element.find(f"{_P}item")
        id_ = item.get("id", "") if item is not None else ""
        if not id_:
            raise PubsubError(
                "which item to take back is missing", reply="bad-request", condition="item-required"
            )
        if id_ not in self._store.pep_items(user, node.name):
            raise RemoteProtocolError("there is no such item", reply="item-not-found")
        self._store.remove_pep_item(user, node.name, id_)
        if node.configuration.notify_retract or element.get("notify") in _TRUE:
            self._notifier.items_retracted(user, node, [id_])
        return request.stanza.reply()

    def _get_items(self, request: IqRequest, user: Jid, element: ET.Element, _: ET.Element) -> Stanza:
        """Return a node's items, or those that are asked for by id (section 6.5)."""
        node = self._node(user, element)
        if not self._notifier.may_see(user, node, request.sender):
            raise _closed(node)
        items = self._store.pep_items(user, node.name)
        wanted = [each.get("id", "") for each in element.findall(f"{_P}item")]
        if wanted:
            found = [items[each] for each in wanted if each in items]
            if not found:
                raise RemoteProtocolError("there are no such items", reply="item-not-found")
        else:
            found = list(items.values())
            limit = element.get("max_items")
            if limit is not None:
                if not (limit.isascii() and limit.isdecimal() and len(limit) <= 6):
                    raise RemoteProtocolError(f"{limit[:20]!r} is no number of items", reply="bad-request")
                found = found[-int(limit) :] if int(limit) else []
        answer = ET.Element(f"{_P}pubsub")
        into = ET.SubElement(answer, f"{_P}items", {"node": node.name})
        for each in found:
            ET.SubElement(into, f"{_P}item", {"id": each.id}).append(ET.fromstring(each.payload))  # noqa: S314
        return request.stanza.reply(answer)

    # Nodes

    def _create(self, request: IqRequest, user: Jid, element: ET.Element, parent: ET.Element) -> Stanza:
        """Make a node, configured as the form beside says (section 8.1)."""
        name = self._name(element)
        if name in self._store.pep_nodes(user):
            raise RemoteProtocolError("there is such a node already", reply="conflict")
        configure = parent.find(f"{_P}configure")
        form = find_form(configure) if configure is not None else None
        configuration = NodeConfiguration()
        if form is not None:
            configuration = parse_configuration(form, configuration, self._settings.maximum_items)
        self._make(user, PepNode(name=name, configuration=configuration))
        return request.stanza.reply()

    def _make(self, user: Jid, node: PepNode) -> None:
        if len(self._store.pep_nodes(user)) >= self._settings.maximum_nodes:
            raise PubsubError(
                f"a user may have {self._settings.maximum_nodes} nodes",
                reply="conflict",
                condition="max-nodes-exceeded",
            )
        self._store.set_pep_node(user, node)

    def _get_default(self, request: IqRequest, _user: Jid, _element: ET.Element, _: ET.Element) -> Stanza:
        answer = ET.Element(f"{_O}pubsub")
        ET.SubElement(answer, f"{_O}default").append(configuration_form(NodeConfiguration()))
        return request.stanza.reply(answer)

    def _get_configuration(self, request: IqRequest, user: Jid, element: ET.Element, _: ET.Element) -> Stanza:
        node = self._node(user, element)
        answer = ET.Element(f"{_O}pubsub")
        into = ET.SubElement(answer, f"{_O}configure", {"node": node.name})
        into.append(configuration_form(node.configuration))
        return request.stanza.reply(answer)

    def _configure(self, request: IqRequest, user: Jid, element: ET.Element, _: ET.Element) -> Stanza:
        """Change how a node behaves (section 8.2)."""
        node = self._node(user, element)
        form = find_form(element)
        if form is None:
            raise RemoteProtocolError("the form is missing", reply="bad-request")
        if form.get("type") != "cancel":
            limit = self._settings.maximum_items
            changed = replace(node, configuration=parse_configuration(form, node.configuration, limit))
            self._store.set_pep_node(user, changed)
            if changed.configuration.persist_items:
                self._cut(user, changed)
            else:
                for each in list(self._store.pep_items(user, node.name)):
                    self._store.remove_pep_item(user, node.name, each)
        return request.stanza.reply()

    def _delete(self, request: IqRequest, user: Jid, element: ET.Element, _: ET.Element) -> Stanza:
        node = self._node(user, element)
        self._store.remove_pep_node(user, node.name)
        self._notifier.node_deleted(user, node)
        return request.stanza.reply()

    def _purge(self, request: IqRequest, user: Jid, element: ET.Element, _: ET.Element) -> Stanza:
        node = self._node(user, element)
        for each in list(self._store.pep_items(user, node.name)):
            self._store.remove_pep_item(user, node.name, each)
        self._notifier.node_purged(user, node)
        return request.stanza.reply()

    def _get_affiliations(self, request: IqRequest, user: Jid, element: ET.Element, _: ET.Element) -> Stanza:
        """Return who belongs to a node (section 8.9.1): its owner, and its whitelist as members."""
        node = self._node(user, element)
        answer = ET.Element(f"{_O}pubsub")
        into = ET.SubElement(answer, f"{_O}affiliations", {"node": node.name})
        for jid, affiliation in [
            (str(user), "owner"),
            *((each, "member") for each in sorted(map(str, node.members))),
        ]:
            ET.SubElement(into, f"{_O}affiliation", {"jid": jid, "affiliation": affiliation})
        return request.stanza.reply(answer)

    def _set_affiliations(self, request: IqRequest, user: Jid, element: ET.Element, _: ET.Element) -> Stanza:
        """Let addresses into a node's whitelist, or out of it (section 8.9.2)."""
        node = self._node(user, element)
        members = set(node.members)
        for each in element.findall(f"{_O}affiliation"):
            jid, affiliation = Jid.parse(each.get("jid", "")).bare, each.get("affiliation", "")
            if affiliation not in ("member", "none") or jid == user:
                raise RemoteProtocolError("an address is made member, or none", reply="not-acceptable")
            (members.add if affiliation == "member" else members.discard)(jid)
        if len(members) > self._settings.maximum_members:
            text = f"a node may have {self._settings.maximum_members} members"
            raise RemoteProtocolError(text, reply="resource-constraint")
        self._store.set_pep_node(user, replace(node, members=frozenset(members)))
        return request.stanza.reply()

    # What they share

    def _name(self, element: ET.Element) -> str:
        name = element.get("node", "")
        if not name:
            raise PubsubError("the node's name is missing", reply="bad-request", condition="nodeid-required")
        self._check_length(name)
        return name

    def _check_length(self, text: str) -> None:
        if len(text.encode()) > self._settings.maximum_name:
            limit = self._settings.maximum_name
            raise RemoteProtocolError(f"a name may have {limit} octets", reply="not-acceptable")

    def _node(self, user: Jid, element: ET.Element) -> PepNode:
        node = self._store.pep_nodes(user).get(self._name(element))
        if node is None:
            raise RemoteProtocolError("there is no such node", reply="item-not-found")
        return node


def _closed(node: PepNode) -> PubsubError:
    """Return why somebody may not see a node (section 6.5.9)."""
    if node.configuration.access_model is AccessModel.WHITELIST:
        return PubsubError("you are not on the whitelist", reply="not-allowed", condition="closed-node")
    return PubsubError(
        "not for those who may not see the presence",
        reply="not-authorized",
        condition="presence-subscription-required",
    )
