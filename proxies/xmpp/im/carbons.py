"""Message carbons: a user's other clients see what one client says and hears (XEP-0280)."""

from collections.abc import Collection
from typing import Final, Literal

from proxies.xmpp import namespaces as ns
from proxies.xmpp.im.home_node import HomeNode, Resource
from proxies.xmpp.im.iq_table import IqRequest, IqTable
from proxies.xmpp.stanza import Stanza

PRIVATE: Final = (ns.CARBONS, "private")
_NOT_COPIED: Final = frozenset(
    {PRIVATE, (ns.HINTS, "no-copy"), (ns.CARBONS, "sent"), (ns.CARBONS, "received")}
)
_ROOM: Final = (ns.MUC_USER, "x")


class Carbons:
    """Turns copies on and off, and makes them."""

    def __init__(self, node: HomeNode, table: IqTable) -> None:
        self._node = node
        table.register(ns.CARBONS, "enable", self._enable)
        table.register(ns.CARBONS, "disable", self._disable)

    def copy_sent(self, resource: Resource, message: Stanza) -> None:
        """Copy to the others what one resource sends (section 8)."""
        if is_eligible(message):
            _copy("sent", resource.user.carbon_resources, {resource}, message)

    def copy_received(self, recipients: Collection[Resource], message: Stanza) -> None:
        """Copy a message that some of a user's resources got to those that did not (section 7)."""
        # What a room sends to one occupant is no one-to-one message (section 6.1).
        if is_eligible(message) and _ROOM not in message.children:
            for each in recipients:
                _copy("received", each.user.carbon_resources, recipients, message)
                return

    def _enable(self, request: IqRequest) -> Stanza:
        resource = self._node.resources[str(request.sender)]
        if resource not in resource.user.carbon_resources:
            resource.user.carbon_resources += (resource,)
        return request.stanza.reply()

    def _disable(self, request: IqRequest) -> Stanza:
        resource = self._node.resources[str(request.sender)]
        user = resource.user
        user.carbon_resources = tuple(each for each in user.carbon_resources if each is not resource)
        return request.stanza.reply()


def is_eligible(message: Stanza) -> bool:
    """Whether the rules of section 6.1 let a message be copied."""
    kind = message.type
    if kind != "chat" and not (kind == "normal" and message.has_child("", "body")):
        return False
    return _NOT_COPIED.isdisjoint(message.children)


def _copy(
    direction: Literal["sent", "received"],
    resources: Collection[Resource],
    except_for: Collection[Resource],
    message: Stanza,
) -> None:
    others = [each for each in resources if each not in except_for]
    if not others:
        return
    payload = b"<%b xmlns='%b'><forwarded xmlns='%b'>%b</forwarded></%b>" % (
        direction.encode(),
        ns.CARBONS.encode(),
        ns.FORWARD.encode(),
        message.encode(ns.CLIENT),
        direction.encode(),
    )
    for each in others:
        attributes = {"from": each.user.address, "to": each.address, "type": message.type}
        each.session.deliver(Stanza("message", attributes, payload, ((ns.CARBONS, direction),)))
