"""What both ends of a SASL negotiation share: mechanisms, outcomes, and their form on the wire (RFC 6120 6)."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, assert_never
from xml.etree import ElementTree as ET

from certs.errors import RemoteProtocolError
from certs.verdict import Reason
from proxies.xmpp import namespaces as ns
from proxies.xmpp.conditions import SaslErrorCondition
from proxies.xmpp.jid import Jid
from proxies.xmpp.stanza import Nonza, encode_element

MAXIMUM_PAYLOAD: Final = 8192
"Octets of one SASL message, decoded; the longest honest one (SCRAM's first) has about 3,000."


class SaslMechanism(StrEnum):
    """The mechanisms that the lab speaks, the best first (RFC 6120 13.8.3: -PLUS before plain SCRAM)."""

    EXTERNAL = "EXTERNAL"
    SCRAM_SHA_256_PLUS = "SCRAM-SHA-256-PLUS"
    SCRAM_SHA_1_PLUS = "SCRAM-SHA-1-PLUS"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_1 = "SCRAM-SHA-1"
    PLAIN = "PLAIN"

    @property
    def binds_channel(self) -> bool:
        """Whether it proves that both ends see the same TLS connection (RFC 5802 6)."""
        return self.endswith("-PLUS")


class ChannelBindingType(StrEnum):
    """What may stand for a TLS connection (RFC 5929), the preferred first.

    `tls-server-end-point` comes first because it is defined for every version of TLS.
    """

    TLS_SERVER_END_POINT = "tls-server-end-point"
    TLS_UNIQUE = "tls-unique"


ChannelBindings = Mapping[ChannelBindingType, bytes]
"The channel binding data of one TLS connection by type, the preferred first."

NO_CHANNEL_BINDING: Final[ChannelBindings] = MappingProxyType({})
"What there is in the clear."


@dataclass(frozen=True, slots=True)
class SaslChallenge:
    """The server asks for one more message."""

    data: bytes = field(repr=False)
    "The challenge; empty to ask for the initial response that was left out."


@dataclass(frozen=True, slots=True)
class SaslSuccess:
    """The initiating entity is who it says."""

    mechanism: SaslMechanism
    "How it was shown."

    authentication_id: str
    "Whose credentials were used: the prepared user name, or the certificate's address."

    authorization_id: Jid
    "Whom it acts for: the account's bare address, or the server's domain."

    data: bytes = field(default=b"", repr=False)
    "Additional data with the success: SCRAM's server signature."


@dataclass(frozen=True, slots=True)
class SaslFailure:
    """The negotiation failed; the peer may try again."""

    condition: SaslErrorCondition
    "What the peer is told."

    text: str = ""
    "For people at the peer; never tells a wrong password from an unknown user."

    detail: str = ""
    "For the ledger only: what was seen."

    @property
    def reason(self) -> Reason:
        """The ledger's reason."""
        return _REASONS.get(self.condition, Reason.LOGIN_NOT_CARRIED_THROUGH)


_REASONS: Final[Mapping[SaslErrorCondition, Reason]] = MappingProxyType(
    {
        SaslErrorCondition.NOT_AUTHORIZED: Reason.BAD_CREDENTIALS,
        SaslErrorCondition.ACCOUNT_DISABLED: Reason.BAD_CREDENTIALS,
        SaslErrorCondition.CREDENTIALS_EXPIRED: Reason.BAD_CREDENTIALS,
        SaslErrorCondition.INVALID_AUTHZID: Reason.BAD_CREDENTIALS,
        SaslErrorCondition.ENCRYPTION_REQUIRED: Reason.LOGIN_IN_THE_CLEAR,
    }
)

SaslStep = SaslChallenge | SaslSuccess | SaslFailure
"What a server answers to one message of the negotiation."


def parse_payload(text: str) -> bytes | None:
    """Return what the text of a SASL element means: None where it is empty, b"" for `=` (RFC 6120 6.4.2).

    Raises RemoteProtocolError (`incorrect-encoding`) where it is not base64 or too long.
    """
    if not text:
        return None
    if text == "=":
        return b""
    if len(text) > MAXIMUM_PAYLOAD * 4 // 3 + 3:
        raise RemoteProtocolError(
            f"a SASL message may have {MAXIMUM_PAYLOAD} octets", reply=SaslErrorCondition.INCORRECT_ENCODING
        )
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise RemoteProtocolError(
            "the text of a SASL element is not base64 (RFC 4648 4)",
            reply=SaslErrorCondition.INCORRECT_ENCODING,
        ) from None


def encode_payload(data: bytes | None) -> bytes:
    """Return data as the text of a SASL element: nothing for None, `=` for b"" (RFC 6120 6.4.2)."""
    return b"" if data is None else base64.b64encode(data) or b"="


def encode_step(step: SaslStep) -> Nonza:
    """Return the element that tells the peer what came of its message (RFC 6120 6.4)."""
    match step:
        case SaslChallenge():
            return Nonza(ns.SASL, "challenge", payload=base64.b64encode(step.data))
        case SaslSuccess():
            return Nonza(ns.SASL, "success", payload=base64.b64encode(step.data))
        case SaslFailure():
            condition = ET.Element(f"{{{ns.SASL}}}{step.condition}")
            payload = encode_element(condition, ns.SASL)
            if step.text:
                text = ET.Element(f"{{{ns.SASL}}}text", {f"{{{ns.XML}}}lang": "en"})
                text.text = step.text
                payload += encode_element(text, ns.SASL)
            return Nonza(ns.SASL, "failure", payload=payload)
        case _:
            assert_never(step)


def parse_failure(failure: Nonza) -> SaslFailure:
    """Return what the server's `<failure/>` says; a condition that nobody defined counts as not-authorized."""
    tree = failure.element()
    names = {child.tag.removeprefix(f"{{{ns.SASL}}}") for child in tree}
    found = [condition for condition in SaslErrorCondition if condition in names]
    return SaslFailure(
        found[0] if found else SaslErrorCondition.NOT_AUTHORIZED,
        text=(tree.findtext(f"{{{ns.SASL}}}text") or "").strip(),
    )
