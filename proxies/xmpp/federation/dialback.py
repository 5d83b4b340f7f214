"""The elements and keys of server dialback (XEP-0220, XEP-0185); `dialback_streams` says when they are sent."""

import hashlib
import hmac
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple
from xml.etree import ElementTree as ET

from certs.errors import RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.conditions import (
    USUAL_TYPE,
    StanzaErrorCondition,
    StreamErrorCondition,
)
from proxies.xmpp.jid import Jid
from proxies.xmpp.stanza import Nonza, encode_element, split_name

MAXIMUM_KEY: Final = 1024
"Characters of a dialback key; those of XEP-0185 have 64."

STREAM_FEATURE: Final = Nonza(ns.DIALBACK_FEATURE, "dialback", payload=b"<errors/>")
"Says that we handle dialback errors (XEP-0220 2.3.2)."


class DomainPair(NamedTuple):
    """Who sends to whom. Dialback verifies pairs, not streams (XEP-0220 1.3)."""

    sender_domain: str
    "The domain in the `from` of the stanzas."

    target_domain: str
    "The domain in their `to`."


def make_dialback_key(secret: str, pair: DomainPair, stream_id: str) -> str:
    """Return the key that shows a server to know its domain's secret (XEP-0185 2)."""
    hashed = hashlib.sha256(secret.encode()).hexdigest()
    text = f"{pair.target_domain} {pair.sender_domain} {stream_id}"
    return hmac.new(hashed.encode(), text.encode(), hashlib.sha256).hexdigest()


class DialbackTask(StrEnum):
    """The two elements; the value is their name."""

    RESULT = "result"
    VERIFY = "verify"


class DialbackOutcome(StrEnum):
    """How a request was answered; the value is the `type` attribute."""

    VALID = "valid"
    INVALID = "invalid"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class DialbackElement:
    """A `<db:result/>` or `<db:verify/>`: a request, or the answer to one."""

    task: DialbackTask
    "Which of the two."

    from_domain: str
    "The `from` attribute."

    to_domain: str
    "The `to` attribute."

    stream_id: str = ""
    "The `id` of a verification: the stream on which the key was received."

    key: str = field(default="", repr=False)
    "The key of a request."

    outcome: DialbackOutcome | None = None
    "The `type` of an answer; None in a request."

    condition: StanzaErrorCondition | None = None
    "The error condition of an answer."

    @classmethod
    def parse(cls, nonza: Nonza) -> "DialbackElement":
        """Return what an element of the dialback namespace says.

        Raises RemoteProtocolError with a stream error where it breaks the rules.
        """
        try:
            task = DialbackTask(nonza.name)
        except ValueError:
            raise dialback_error(
                StreamErrorCondition.UNSUPPORTED_STANZA_TYPE, f"<db:{nonza.name[:40]}/>"
            ) from None
        kind = nonza.attributes.get("type")
        if kind is not None and kind not in list(DialbackOutcome):
            raise dialback_error(StreamErrorCondition.BAD_FORMAT, f"type {kind[:40]!r} of <db:{task}/>")
        stream_id = nonza.attributes.get("id", "")
        if task is DialbackTask.VERIFY and not stream_id:
            raise dialback_error(StreamErrorCondition.BAD_FORMAT, "<db:verify/> without an id")
        key = nonza.text if kind is None else ""
        if len(key) > MAXIMUM_KEY or (kind is None and not key):
            raise dialback_error(StreamErrorCondition.BAD_FORMAT, f"a dialback key of {len(key)} characters")
        return cls(
            task=task,
            from_domain=_domain(nonza, "from"),
            to_domain=_domain(nonza, "to"),
            stream_id=stream_id if task is DialbackTask.VERIFY else "",
            key=key,
            outcome=DialbackOutcome(kind) if kind is not None else None,
            condition=_parse_condition(nonza) if kind == DialbackOutcome.ERROR else None,
        )

    def encode(self) -> Nonza:
        """Return the element to send."""
        attributes = {"from": self.from_domain, "to": self.to_domain}
        if self.stream_id:
            attributes["id"] = self.stream_id
        payload = self.key.encode()
        if self.outcome is not None:
            attributes["type"] = self.outcome.value
        if self.condition is not None:
            error = ET.Element("error", {"type": USUAL_TYPE[self.condition].value})
            ET.SubElement(error, f"{{{ns.STANZA_ERRORS}}}{self.condition}")
            payload = encode_element(error)
        return Nonza(ns.DIALBACK, self.task.value, attributes, payload)

    def answer(
        self, outcome: DialbackOutcome, condition: StanzaErrorCondition | None = None
    ) -> "DialbackElement":
        """Return the answer to this request."""
        return DialbackElement(
            task=self.task,
            from_domain=self.to_domain,
            to_domain=self.from_domain,
            stream_id=self.stream_id,
            outcome=outcome,
            condition=condition,
        )


def dialback_error(condition: StreamErrorCondition, what: str) -> RemoteProtocolError:
    """Return the error for a peer that breaks the rules of dialback."""
    return RemoteProtocolError(f"server dialback (XEP-0220): {what}", reply=condition)


def _domain(nonza: Nonza, name: str) -> str:
    try:
        address = Jid.parse(nonza.attributes.get(name, ""))
    except RemoteProtocolError as error:
        raise dialback_error(StreamErrorCondition.IMPROPER_ADDRESSING, f"{name}: {error}") from None
    if address.localpart or address.resourcepart:
        raise dialback_error(StreamErrorCondition.IMPROPER_ADDRESSING, f"{name} {address} is no domain")
    return address.domainpart


def _parse_condition(nonza: Nonza) -> StanzaErrorCondition:
    for element in nonza.element().iter():
        namespace, name = split_name(element.tag)
        if namespace == ns.STANZA_ERRORS and name in list(StanzaErrorCondition):
            return StanzaErrorCondition(name)
    return StanzaErrorCondition.UNDEFINED_CONDITION
