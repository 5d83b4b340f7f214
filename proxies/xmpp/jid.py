"""Addresses of XMPP entities (RFC 7622): `localpart@domainpart/resourcepart`, prepared and compared as text."""

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

import idna
from precis_i18n import get_profile

from certs.errors import RemoteProtocolError

MAXIMUM_PART: Final = 1023
"Octets of UTF-8 that each part may have (RFC 7622 3.2 to 3.4)."

_FORBIDDEN_IN_LOCALPART: Final = frozenset("\"&'/:<>@")  # RFC 7622 3.3.1
_USERNAME: Final = get_profile("UsernameCaseMapped")
_OPAQUE: Final = get_profile("OpaqueString")
_CACHE_SIZE: Final = 16384


@dataclass(frozen=True, slots=True)
class Jid:
    """A prepared address. Two that name the same entity are equal."""

    localpart: str
    "The user or room; empty for a domain."

    domainpart: str
    "The domain in lower case, as U-labels."

    resourcepart: str = ""
    "The session or the room's nickname; empty in a bare address."

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the address that a text means.

        Raises RemoteProtocolError (`jid-malformed`, RFC 6120 8.3.3.8) where it means none.
        """
        return cls(*_prepare(text))

    @property
    def bare(self) -> "Jid":
        """The address without its resource."""
        return Jid(self.localpart, self.domainpart) if self.resourcepart else self

    @property
    def is_bare(self) -> bool:
        """Whether there is no resource."""
        return not self.resourcepart

    def with_resource(self, resourcepart: str) -> "Jid":
        """Return the full address of one of this entity's resources.

        Raises RemoteProtocolError where the resource is not allowed.
        """
        return Jid(self.localpart, self.domainpart, _resource(resourcepart))

    def __str__(self) -> str:
        local = f"{self.localpart}@" if self.localpart else ""
        return (
            f"{local}{self.domainpart}/{self.resourcepart}" if self.resourcepart else local + self.domainpart
        )


def _malformed(text: str, why: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"{text[:200]!r} is not an address: {why}", reply="jid-malformed")


@lru_cache(_CACHE_SIZE)
def _prepare(text: str) -> tuple[str, str, str]:
    head, slash, resource = text.partition("/")
    if slash and not resource:
        raise _malformed(text, "the resourcepart is empty")
    local, at, domain = head.rpartition("@")
    if at and not local:
        raise _malformed(text, "the localpart is empty")
    return _localpart(local) if at else "", _domainpart(domain), _resource(resource) if slash else ""


def _localpart(text: str) -> str:
    if text.isascii() and text.isalnum():
        prepared = text.lower()  # what the profile does to these, without its cost
    else:
        if bad := _FORBIDDEN_IN_LOCALPART.intersection(text):
            raise _malformed(text, f"a localpart cannot hold {min(bad)!r}")
        try:
            prepared = _USERNAME.enforce(text)
        except UnicodeEncodeError as error:
            raise _malformed(text, error.reason) from None
    return _bounded(prepared)


def _domainpart(text: str) -> str:
    text = text.removesuffix(".")
    if not text:
        raise _malformed(text, "the domainpart is empty")
    if text.startswith("[") and text.endswith("]"):
        try:
            return f"[{ipaddress.IPv6Address(text[1:-1])}]"
        except ValueError:
            raise _malformed(text, "no IPv6 address in the brackets") from None
    try:
        prepared = idna.decode(text.lower(), uts46=True)
    except (idna.IDNAError, UnicodeError) as error:
        raise _malformed(text, str(error)) from None
    return _bounded(prepared)


def _resource(text: str) -> str:
    try:
        return _bounded(text if text.isascii() and text.isprintable() and text else _OPAQUE.enforce(text))
    except UnicodeEncodeError as error:
        raise _malformed(text, error.reason) from None


def _bounded(part: str) -> str:
    if len(part.encode()) > MAXIMUM_PART:
        raise _malformed(part, f"a part may have {MAXIMUM_PART} octets")
    return part
