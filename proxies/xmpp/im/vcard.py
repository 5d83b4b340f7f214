"""Users' vCards, kept as they came (XEP-0054)."""

from dataclasses import replace
from typing import Final

from certs.errors import RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.im.home_node import HomeNode
from proxies.xmpp.im.iq_table import IqRequest, IqScope, IqTable
from proxies.xmpp.stanza import Stanza, encode_element

_EMPTY: Final = f'<vCard xmlns="{ns.VCARD}"/>'.encode()


class VcardHandler:
    """Answers vCard requests: anybody may read, the user may write."""

    def __init__(self, node: HomeNode, table: IqTable) -> None:
        self._node = node
        table.register(ns.VCARD, "vCard", self._answer, IqScope.ACCOUNT)

    def _answer(self, request: IqRequest) -> Stanza:
        user = request.account
        assert user is not None
        if not request.is_set:
            vcard = self._node.store.vcard(user) or _EMPTY
            return replace(request.stanza.reply(), payload=vcard, children=((ns.VCARD, "vCard"),))
        if request.scope is not IqScope.OWN_ACCOUNT:
            raise RemoteProtocolError("only the user may change a vCard", reply="forbidden")
        vcard = encode_element(request.payload())
        if len(vcard) > self._node.settings.maximum_vcard:
            raise RemoteProtocolError("the vCard is too large", reply="policy-violation")
        self._node.store.set_vcard(user, vcard)
        return request.stanza.reply()
