"""When a user was last there, and how long the server has been (XEP-0012)."""

from xml.etree import ElementTree as ET

from certs.errors import RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.im.home_node import HomeNode
from proxies.xmpp.im.iq_table import IqRequest, IqScope, IqTable
from proxies.xmpp.stanza import Stanza


class LastActivityHandler:
    """Answers last activity requests for accounts and for the server."""

    def __init__(self, node: HomeNode, table: IqTable) -> None:
        self._node = node
        self._started = node.clock.monotonic()
        table.register(ns.LAST, "query", self._answer, IqScope.ANY)

    def _answer(self, request: IqRequest) -> Stanza:
        if request.is_set:
            raise RemoteProtocolError("last activity cannot be set", reply="bad-request")
        query = ET.Element(f"{{{ns.LAST}}}query")
        user = request.account
        if user is None:  # section 5: uptime
            query.set("seconds", str(int(self._node.clock.monotonic() - self._started)))
            return request.stanza.reply(query)
        if not self._node.is_subscribed(user, request.sender.bare):  # section 4
            raise RemoteProtocolError("only those who see the presence may ask", reply="forbidden")
        if self._node.available(user):
            query.set("seconds", "0")
            return request.stanza.reply(query)
        activity = self._node.store.last_activity(user)
        if activity is None:
            raise RemoteProtocolError(f"{user} has never been available", reply="item-not-found")
        query.set("seconds", str(max(0, int((self._node.clock.now() - activity.at).total_seconds()))))
        query.text = activity.status
        return request.stanza.reply(query)
