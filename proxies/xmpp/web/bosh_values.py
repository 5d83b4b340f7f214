"""What stands in the `<body/>` of a BOSH request, and how one is written (XEP-0124 7, 17; XEP-0206)."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from certs.errors import RemoteProtocolError
from proxies.xmpp import namespaces as ns

MAXIMUM_RID: Final = 2**53 - 1
"Beyond it JavaScript cannot count (XEP-0124 14.1)."

VERSION: Final = (1, 11)
"The version of BOSH that is spoken; a client may speak a lower one."

XML_TEXT: Final = "text/xml; charset=utf-8"
"What responses are unless the client asks for another type (XEP-0124 7.1)."

CONTENT_TYPES: Final = frozenset({"text/xml", "application/xml", "text/plain"})
"What it may ask for: nothing in which a browser would run what somebody else sent."

_NUMBER: Final = re.compile(r"[0-9]{1,16}").fullmatch
_VERSION: Final = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})").fullmatch
_KEY: Final = re.compile(r"[0-9a-f]{40}").fullmatch
_CONTENT: Final = re.compile(r"([a-z]+/[a-z]+)(?:\s*;\s*charset=\"?utf-8\"?)?", re.IGNORECASE).fullmatch


class BindingCondition(StrEnum):
    """Why a session is over (XEP-0124 17.2)."""

    BAD_REQUEST = "bad-request"
    HOST_GONE = "host-gone"
    HOST_UNKNOWN = "host-unknown"
    IMPROPER_ADDRESSING = "improper-addressing"
    INTERNAL_SERVER_ERROR = "internal-server-error"
    ITEM_NOT_FOUND = "item-not-found"
    OTHER_REQUEST = "other-request"
    POLICY_VIOLATION = "policy-violation"
    REMOTE_STREAM_ERROR = "remote-stream-error"
    SYSTEM_SHUTDOWN = "system-shutdown"
    UNDEFINED_CONDITION = "undefined-condition"


LEGACY_STATUS: Final[Mapping[BindingCondition, int]] = {
    BindingCondition.BAD_REQUEST: 400,
    BindingCondition.POLICY_VIOLATION: 403,
    BindingCondition.ITEM_NOT_FOUND: 404,
}
"HTTP statuses for clients that name no version of BOSH (XEP-0124 17.1)."


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRequest:
    """What a client asks for in its first body (XEP-0124 7.1)."""

    rid: int
    "The number of the first request."

    wait: int
    "Seconds that a request may wait for its answer."

    hold: int
    "Requests that may wait at a time; with 0, or a wait of 0, the client polls."

    version: tuple[int, int] | None
    "The version of BOSH; None for a client of before there were any."

    content_type: str
    "The Content-Type of all responses."

    acknowledges: bool
    "Whether it wants acknowledgements (XEP-0124 9)."

    @classmethod
    def parse(cls, attributes: Mapping[str, str]) -> "SessionRequest":
        """Read the attributes; what is missing is what a client that polls means.

        Raises RemoteProtocolError with a binding condition where one is no number, or asks for what is not allowed.
        """
        version = _VERSION(attributes.get("ver", ""))
        return cls(
            rid=parse_number("rid", attributes, highest=MAXIMUM_RID),
            wait=parse_number("wait", attributes, default=0),
            hold=parse_number("hold", attributes, default=0),
            version=(int(version[1]), int(version[2])) if version else None,
            content_type=_content_type(attributes.get("content", XML_TEXT)),
            acknowledges=attributes.get("ack") == "1",
        )


def parse_number(
    name: str, attributes: Mapping[str, str], *, default: int | None = None, highest: int = 2**31 - 1
) -> int:
    """Return an attribute that is a number.

    Raises RemoteProtocolError where it is none, or is missing and has no default.
    """
    text = attributes.get(name)
    if text is None and default is not None:
        return default
    if text is None or not _NUMBER(text) or int(text) > highest:
        raise refuse(
            BindingCondition.BAD_REQUEST, f"{name}={(text or '')[:40]!r} is no number up to {highest}"
        )
    return int(text)


def _content_type(text: str) -> str:
    match = _CONTENT(text)
    if match is None or match[1].lower() not in CONTENT_TYPES:
        raise refuse(
            BindingCondition.BAD_REQUEST,
            f"content={text[:60]!r}: expected one of {', '.join(sorted(CONTENT_TYPES))} in UTF-8",
        )
    return f"{match[1].lower()}; charset=utf-8"


class KeySequence:
    """Tells a client's own requests from those of somebody who reads along (XEP-0124 15)."""

    def __init__(self, newkey: str | None) -> None:
        """Take the `newkey` of the first request; None where the client uses no keys."""
        self._expected = _check_key(newkey)

    def check(self, attributes: Mapping[str, str]) -> None:
        """Take the key of the next request.

        Raises RemoteProtocolError where it does not follow from the one before.
        """
        if self._expected is None:
            return
        key = attributes.get("key", "")
        hashed = hashlib.sha1(key.encode(), usedforsecurity=False).hexdigest()
        if not hmac.compare_digest(hashed, self._expected):
            raise refuse(BindingCondition.ITEM_NOT_FOUND, "the key does not follow from the one before")
        self._expected = _check_key(attributes.get("newkey", key))


def _check_key(key: str | None) -> str | None:
    if key is not None and not _KEY(key):
        raise refuse(BindingCondition.BAD_REQUEST, f"{key[:60]!r} is no SHA-1 key in lower-case hexadecimal")
    return key


def refuse(condition: BindingCondition, text: str) -> RemoteProtocolError:
    """Return what to raise: the reply is the binding condition."""
    return RemoteProtocolError(text, reply=condition)


def encode_body(attributes: Mapping[str, str], payload: bytes = b"") -> bytes:
    """Return a `<body/>`; attributes of XEP-0206 have the prefix `xmpp:`."""
    written = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
    prefix = f" xmlns:xmpp='{ns.XBOSH}'" if "xmpp:" in written else ""
    start = f"<body xmlns='{ns.HTTP_BIND}'{prefix}{written}"
    return start.encode() + (b">%b</body>" % payload if payload else b"/>")


def encode_terminate(condition: BindingCondition | None, payload: bytes = b"", *, text: str = "") -> bytes:
    """Return the body that ends a session: of its own accord, or because of a condition (XEP-0124 13, 17.2).

    The text is for people. `item-not-found` has none: it tells nobody what would have been found (14.3).
    """
    attributes = {"type": "terminate"} | ({"condition": condition.value} if condition else {})
    if text and condition is not BindingCondition.ITEM_NOT_FOUND:
        payload += f"<text xmlns='{ns.STREAM_ERRORS}' xml:lang='en'>{escape(text)}</text>".encode()
    return encode_body(attributes, payload)


RECOVERABLE: Final = encode_body({"type": "error"})
"The answer to a request whose repetition has come: whoever still reads it may repeat it too (XEP-0124 17.3)."
