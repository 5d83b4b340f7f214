"""Where an IQ goes (RFC 6120 8.2.3, RFC 6121 8.5): to a resource, or to the handler that answers for the server."""

from collections.abc import Callable
from typing import Final

from certs.errors import RemoteProtocolError
from proxies.xmpp.conditions import StanzaErrorCondition
from proxies.xmpp.im.home_node import HomeNode, Resource
from proxies.xmpp.im.iq_table import IqRequest, IqScope, IqTable
from proxies.xmpp.jid import Jid
from proxies.xmpp.stanza import Stanza

IQ_TYPES: Final = frozenset({"get", "set", "result", "error"})


class IqDelivery:
    """Passes IQs to resources and has the table answer the others."""

    def __init__(self, node: HomeNode, table: IqTable) -> None:
        self._node = node
        self._table = table
        self.account_answers: list[Callable[[Stanza], None]] = []
        "Told of answers to what was asked in an account's name."

    def send(self, resource: Resource, iq: Stanza) -> None:
        """Take an IQ from a client; without `to` it is for the client's own account (RFC 6120 10.3.3)."""
        if iq.type not in IQ_TYPES or not iq.id:
            raise RemoteProtocolError("an IQ has an id and one of four types", reply="bad-request")
        if "to" in iq.attributes:
            self._node.send(iq)
        elif iq.is_request:
            self._answer(iq, resource.jid, resource.user.jid)

    def receive(self, iq: Stanza, to: Jid) -> None:
        """Take an IQ for a user of this node, or for one of its domains."""
        if to.localpart and to.resourcepart:
            user = self._node.users.get(to.bare)
            resource = user.resources.get(to.resourcepart) if user is not None else None
            if resource is None:
                self._node.bounce(iq, StanzaErrorCondition.SERVICE_UNAVAILABLE)
            else:
                resource.session.deliver(iq)
        elif iq.is_request and (sender := iq.sender) is not None:
            self._answer(iq, sender, to if to.localpart else None)
        elif to.localpart:
            for hook in self.account_answers:
                hook(iq)

    def _answer(self, iq: Stanza, sender: Jid, account: Jid | None) -> None:
        if account is None:
            scope = IqScope.SERVER
        elif sender.bare == account and str(sender) in self._node.resources:
            scope = IqScope.OWN_ACCOUNT
        else:
            scope = IqScope.OTHER_ACCOUNT
        answer = self._table.answer(IqRequest(stanza=iq, sender=sender, account=account, scope=scope))
        if answer is not None:
            self._node.send(answer)
