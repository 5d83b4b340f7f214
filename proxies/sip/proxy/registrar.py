"""The registrar: takes REGISTER for the users of this node (RFC 3261 10.3)."""

import secrets
from dataclasses import dataclass
from typing import Final

from certs.errors import RemoteProtocolError
from proxies.sip.messages.message import Request, Response, split_values
from proxies.sip.messages.routing_uri import address_of, parse_routing_uri
from proxies.sip.proxy.location import Binding, LocationService
from proxies.sip.transactions.matching import cseq_of, respond
from proxies.sip.transport.flow import Destination, Flow, Transport

_SECONDS_LIMIT: Final = 2**32 - 1
"The largest `expires` there is (20.19)."


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationLimits:
    """How long and how often a user may register."""

    default_expires: int = 3600
    "Seconds where the client names none (10.2.1.1)."

    minimum_expires: int = 60
    "The shortest time that is granted; less is answered by 423."

    maximum_expires: int = 86400
    "The longest time that is granted; more is cut."

    maximum_bindings: int = 10
    "Contacts of one user; one more is answered by 403."


class Registrar:
    """Changes the bindings of users, all that a REGISTER asks or nothing."""

    def __init__(self, location: LocationService, limits: RegistrationLimits) -> None:
        self._location = location
        self._limits = limits

    def register(self, request: Request, user: str, flow: Flow, *, now: float) -> Response:
        """Take a REGISTER for a user and return its answer."""
        required = request.header("require")
        if required is not None:
            refusal = respond(request, 420, to_tag=secrets.token_hex(4))
            refusal.add_header("Unsupported", required)
            return refusal
        try:
            bindings = self._change(request, user, flow, now=now)
        except RemoteProtocolError as error:
            refusal = respond(request, int(error.reply), to_tag=secrets.token_hex(4))
            if error.reply == "423":
                refusal.add_header("Min-Expires", str(self._limits.minimum_expires))
            return refusal
        self._location.replace(user, bindings)
        response = respond(request, 200, to_tag=secrets.token_hex(4))
        for binding in bindings:
            left = max(0, round(binding.expires_at - now))
            response.add_header("Contact", f"<{binding.contact}>{binding.parameters};expires={left}")
        return response

    def _change(self, request: Request, user: str, flow: Flow, *, now: float) -> list[Binding]:
        """Return the bindings after the request (steps 6 and 7)."""
        contacts = [contact for value in request.headers("contact") for contact in split_values(value)]
        bindings = self._location.bindings_of(user, now=now)
        number, call_id = cseq_of(request)[0], request.required("call-id")
        if "*" in contacts:
            if len(contacts) > 1 or _parse_seconds(request.header("expires") or "") != 0:
                raise RemoteProtocolError("Contact: * stands alone and with Expires: 0")
            for binding in bindings:
                _check_order(binding, call_id, number)
            return []
        for contact in contacts:
            uri, parameters, expires = self._parse_contact(contact, request.header("expires"))
            for index, binding in enumerate(bindings):
                if binding.contact == uri:
                    _check_order(binding, call_id, number)
                    del bindings[index]
                    break
            if expires > 0:
                bindings.append(
                    Binding(
                        contact=uri,
                        parameters=parameters,
                        call_id=call_id,
                        cseq=number,
                        expires_at=now + expires,
                        flow=flow if flow.transport.reliable else None,
                        destination=_destination_of(uri),
                    )
                )
        if not self._location.has_room_for(bindings):
            raise RemoteProtocolError(f"{user} has too many contacts", reply="403")
        return bindings

    def _parse_contact(self, contact: str, default: str | None) -> tuple[str, str, int]:
        """Return a contact's URI, its parameters without `expires`, and the seconds that are granted."""
        uri = address_of(contact)
        text = contact.rpartition(">")[2] if "<" in contact else ";".join(["", *contact.split(";")[1:]])
        kept, asked = [], default
        for parameter in text.split(";")[1:]:
            name, _, value = parameter.partition("=")
            if name.strip().lower() == "expires":
                asked = value
            else:
                kept.append(f";{parameter.strip()}")
        return uri, "".join(kept), self._grant(_parse_seconds(asked) if asked is not None else None)

    def _grant(self, seconds: int | None) -> int:
        limits = self._limits
        if seconds is None:
            return limits.default_expires
        if 0 < seconds < limits.minimum_expires:
            raise RemoteProtocolError(f"{seconds} seconds are below {limits.minimum_expires}", reply="423")
        return min(seconds, limits.maximum_expires)


def _parse_seconds(text: str) -> int | None:
    """Return seconds; what is no number counts as not given (20.19)."""
    text = text.strip().strip('"')
    if not (text.isascii() and text.isdecimal()) or len(text) > 10:
        return None
    return min(int(text), _SECONDS_LIMIT)


def _check_order(binding: Binding, call_id: str, number: int) -> None:
    """Refuse a REGISTER that was overtaken by a later one of the same client (step 7)."""
    if binding.call_id == call_id and number <= binding.cseq:
        raise RemoteProtocolError(f"CSeq {number} is not above {binding.cseq}", reply="500")


def _destination_of(contact: str) -> Destination:
    uri = parse_routing_uri(contact)
    transport = uri.transport or Transport.UDP
    return Destination(transport=transport, host=uri.host, port=uri.port or transport.default_port)
