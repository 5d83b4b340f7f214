"""Which transaction a message belongs to (RFC 3261 17.1.3, 17.2.3), and what is made from its request."""

from typing import Final

from certs.errors import RemoteProtocolError
from proxies.sip.messages.message import HeaderField, Request, Response, SipMessage, split_first

Key = tuple[str, ...]
"What two messages of one transaction have in common."

MAGIC_COOKIE: Final = "z9hG4bK"
"How the branch of an RFC 3261 element begins (8.1.1.7)."

_COPIED_TO_RESPONSE: Final = frozenset({"via", "from", "to", "call-id", "cseq", "timestamp"})
"What every response takes over from its request (8.2.6.2); Timestamp belongs to 100."


def cseq_of(message: SipMessage) -> tuple[int, str]:
    """Return number and method of CSeq.

    Raises RemoteProtocolError where it is missing or wrong.
    """
    value = message.required("cseq")
    number, _, method = value.strip().partition(" ")
    method = method.strip()
    digits = number.isascii() and number.isdecimal() and len(number) <= 10
    if not digits or int(number) >= 2**32 or not method:
        raise RemoteProtocolError(f"CSeq is not a number below 2**32 and a method: {value!r}")
    return int(number), method


def tag_of(value: str) -> str:
    """Return the tag of a From or To value, or the empty string."""
    for parameter in value.rpartition(">")[2].split(";")[1:]:
        name, _, tag = parameter.partition("=")
        if name.strip().lower() == "tag":
            return tag.strip()
    return ""


def _top_via(message: SipMessage) -> tuple[str, str, str]:
    """Return the topmost Via whole, its sent-by and its branch."""
    value, _ = split_first(message.required("via"))
    head, *parameters = value.split(";")
    host = head.strip().rpartition(" ")[2].lower()
    branch = ""
    for parameter in parameters:
        name, _, text = parameter.partition("=")
        if name.strip().lower() == "branch":
            branch = text.strip()
    if not host:
        raise RemoteProtocolError(f"Via names no host: {value!r}")
    return value, host, branch


def sent_by(request: Request) -> tuple[str, int | None]:
    """Return host and port of the topmost Via; None where it names no port or a wrong one."""
    _, text, _ = _top_via(request)
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        return text, None
    return host, int(port) if port.isascii() and port.isdecimal() and 0 < int(port) < 65536 else None


def stamp_via(request: Request, source: tuple[str, int]) -> None:
    """Write where a request came from into its topmost Via: `received` (18.2.1), `rport` (RFC 3581 4).

    A Via that says the truth and asks for nothing stays as it came.
    """
    index = next(index for index, field in enumerate(request.fields) if field.name == "via")
    field = request.fields[index]
    value, rest = split_first(field.value)
    host, _ = sent_by(request)
    head, *parameters = value.split(";")
    names = [parameter.partition("=")[0].strip().lower() for parameter in parameters]
    if host == source[0] and "rport" not in names and "received" not in names:
        return
    kept = [
        f"rport={source[1]}" if name == "rport" else parameter
        for name, parameter in zip(names, parameters, strict=True)
        if name != "received"
    ]
    stamped = ";".join([head.rstrip(), *kept, f"received={source[0]}"])
    name = field.raw.partition(b":")[0].decode().strip()
    request.fields[index] = HeaderField.make(name, f"{stamped}, {rest}" if rest else stamped)


def client_key(message: SipMessage) -> Key:
    """Return what a request we sent and its responses share: branch and CSeq method (17.1.3).

    Raises RemoteProtocolError where the message lacks them.
    """
    _, _, branch = _top_via(message)
    return branch, cseq_of(message)[1]


def server_key(request: Request, *, method: str) -> Key:
    """Return what a request shares with its retransmissions (17.2.3).

    `method` is the one of the transaction that is looked for: INVITE for an ACK or CANCEL of it.
    Raises RemoteProtocolError where the request lacks what is compared.
    """
    value, sent_by, branch = _top_via(request)
    if branch.startswith(MAGIC_COOKIE) and branch != MAGIC_COOKIE:
        return branch, sent_by, method
    return _rfc2543_key(request, value, tag_of(request.required("to")), method)


def acknowledgement_key(request: Request, response: Response) -> Key | None:
    """Return the key by which the ACK of a response to an RFC 2543 client's INVITE is found, or None.

    Such an ACK carries the To tag of the response, which the INVITE did not have (17.2.3).
    """
    value, _, branch = _top_via(request)
    if branch.startswith(MAGIC_COOKIE) and branch != MAGIC_COOKIE:
        return None
    return _rfc2543_key(request, value, tag_of(response.header("to") or ""), "INVITE")


def _rfc2543_key(request: Request, via: str, to_tag: str, method: str) -> Key:
    return (
        request.uri,
        to_tag,
        tag_of(request.required("from")),
        request.required("call-id"),
        str(cseq_of(request)[0]),
        via,
        method,
    )


def respond(request: Request, status: int, *, to_tag: str = "") -> Response:
    """Return a response without a body (8.2.6); `to_tag` is added where the request has none."""
    fields = [
        field
        for field in request.fields
        if field.name in _COPIED_TO_RESPONSE and (field.name != "timestamp" or status == 100)
    ]
    response = Response(status, fields=fields)
    to = response.header("to")
    if to_tag and to is not None and not tag_of(to):
        response.set_header("To", f"{to};tag={to_tag}")
    response.add_header("Content-Length", "0")
    return response


def acknowledge(invite: Request, response: Response) -> Request:
    """Return the ACK that ends a client transaction by a failure response (17.1.1.3)."""
    fields: list[HeaderField] = []
    via, _ = split_first(invite.required("via"))
    fields.append(HeaderField.make("Via", via))
    for field in invite.fields:
        if field.name in ("route", "from", "call-id", "max-forwards"):
            fields.append(field)
    fields.append(HeaderField.make("To", response.required("to")))
    fields.append(HeaderField.make("CSeq", f"{cseq_of(invite)[0]} ACK"))
    fields.append(HeaderField.make("Content-Length", "0"))
    return Request("ACK", invite.uri, fields)


def cancel(invite: Request) -> Request:
    """Return the CANCEL of a request that we sent (9.1)."""
    via, _ = split_first(invite.required("via"))
    kept = [
        field for field in invite.fields if field.name in ("route", "from", "to", "call-id", "max-forwards")
    ]
    return Request(
        "CANCEL",
        invite.uri,
        [
            HeaderField.make("Via", via),
            *kept,
            HeaderField.make("CSeq", f"{cseq_of(invite)[0]} CANCEL"),
            HeaderField.make("Content-Length", "0"),
        ],
    )
