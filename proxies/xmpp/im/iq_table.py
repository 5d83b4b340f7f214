"""Which handler answers an IQ that the server itself must answer (RFC 6120 8.2.3, RFC 6121 8.5.2)."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Flag, auto
from xml.etree import ElementTree as ET

from certs.errors import RemoteProtocolError
from proxies.xmpp.conditions import StanzaErrorCondition
from proxies.xmpp.jid import Jid
from proxies.xmpp.stanza import Stanza


class IqScope(Flag):
    """To whom a request is addressed, seen from its sender."""

    OWN_ACCOUNT = auto()
    "A connected resource's own bare address, or no address at all (RFC 6120 10.3.3)."
    OTHER_ACCOUNT = auto()
    "The bare address of a user of this home node."
    SERVER = auto()
    "The domain itself."
    ACCOUNT = OWN_ACCOUNT | OTHER_ACCOUNT
    ANY = ACCOUNT | SERVER


@dataclass(frozen=True, slots=True, kw_only=True)
class IqRequest:
    """An IQ of type `get` or `set` that the server answers, for itself or on behalf of a user."""

    stanza: Stanza
    "The request; it has no `to` where a client asks its own account."

    sender: Jid
    "Who asks; a full address where it is a client."

    account: Jid | None
    "The user of this home node whose bare address was asked; None where the server itself was."

    scope: IqScope
    "One of the three."

    @property
    def is_set(self) -> bool:
        """Whether it asks for a change."""
        return self.stanza.type == "set"

    def payload(self) -> ET.Element:
        """Return the request's one child as a tree."""
        return self.stanza.element()[0]


IqHandler = Callable[[IqRequest], Stanza | None]
"""Answers a request with a `result` or `error` stanza; None where the answer is sent later, or was sent already.

Raises RemoteProtocolError to answer with the stanza error that its `reply` names.
"""


class IqTable:
    """Handlers by the namespace and name of a request's child."""

    def __init__(self) -> None:
        self._handlers: dict[tuple[str, str], tuple[IqScope, IqHandler]] = {}

    def register(
        self, namespace: str, name: str, handler: IqHandler, scope: IqScope = IqScope.OWN_ACCOUNT
    ) -> None:
        """Have a handler answer the requests of a name that come within a scope; there is one for each name."""
        self._handlers[namespace, name] = (scope, handler)

    def namespaces(self, scope: IqScope) -> set[str]:
        """Return the namespaces that are answered anywhere within a scope."""
        return {namespace for (namespace, _), (allowed, _) in self._handlers.items() if allowed & scope}

    def answer(self, request: IqRequest) -> Stanza | None:
        """Return what answers a request; None where its handler sees to that."""
        if len(request.stanza.children) != 1:  # RFC 6120 8.2.3, rule 4
            return request.stanza.error(StanzaErrorCondition.BAD_REQUEST, "a request has one child")
        scope, handler = self._handlers.get(request.stanza.children[0], (None, None))
        if scope is None or handler is None or request.scope not in scope:
            return request.stanza.error(StanzaErrorCondition.SERVICE_UNAVAILABLE)
        try:
            return handler(request)
        except RemoteProtocolError as error:
            return request.stanza.error(StanzaErrorCondition(error.reply), str(error))
