"""Errors of publish-subscribe: a stanza error with a condition of its own (XEP-0060 section 12)."""

from typing import Final
from xml.etree import ElementTree as ET

from certs.errors import RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.conditions import StanzaErrorType

_MODIFY: Final = frozenset({"bad-request", "not-acceptable"})
_AUTH: Final = frozenset({"not-authorized", "forbidden"})


class PubsubError(RemoteProtocolError):
    """What a request cannot have, with the pubsub condition that says more than the stanza error."""

    def __init__(self, text: str, *, reply: str, condition: str, feature: str = "") -> None:
        """`feature` goes with the condition `unsupported`."""
        super().__init__(text, reply=reply)
        self.condition = condition
        self.feature = feature

    @property
    def type(self) -> StanzaErrorType:
        """The error's type, as XEP-0060 gives it."""
        if self.reply in _MODIFY:
            return StanzaErrorType.MODIFY
        return StanzaErrorType.AUTH if self.reply in _AUTH else StanzaErrorType.CANCEL

    def element(self) -> ET.Element:
        """Return the pubsub condition."""
        element = ET.Element(f"{{{ns.PUBSUB_ERRORS}}}{self.condition}")
        if self.feature:
            element.set("feature", self.feature)
        return element


def unsupported(feature: str) -> PubsubError:
    """Return the error of something that PEP need not have and this service does not."""
    return PubsubError(
        f"{feature} is not supported",
        reply="feature-not-implemented",
        condition="unsupported",
        feature=feature,
    )
