"""Flows and messages that tests of SIP cores are made of."""

from proxies.observer import ConnectionInfo
from proxies.sip.messages.message import Request, Response, parse_head
from proxies.sip.transport.flow import Flow, Transport


def make_flow(
    transport: Transport = Transport.UDP,
    *,
    peer: tuple[str, int] = ("127.0.0.2", 5060),
    local: tuple[str, int] = ("127.0.0.1", 5060),
) -> Flow:
    connection = ConnectionInfo(
        id="imp1 sip-proxy 1",
        node="imp1",
        service="Cisco SIP Proxy",
        listener="test",
        transport=transport,
        local=local,
        peer=peer,
    )
    return Flow(connection=connection, transport=transport, local=local, peer=peer)


def parse(text: str) -> Request | Response:
    """Parse a message written with plain line ends."""
    head, _, body = text.partition("\n\n")
    message = parse_head(head.replace("\n", "\r\n").encode())
    message.body = body.encode()
    return message


def make_request(
    method: str = "MESSAGE",
    *,
    branch: str = "z9hG4bK1",
    via: str = "",
    uri: str = "sip:bob@example.com",
    cseq: str = "",
    to_tag: str = "",
    extra: str = "",
) -> Request:
    """Return a request from 127.0.0.2."""
    to = f"<sip:bob@example.com>;tag={to_tag}" if to_tag else "<sip:bob@example.com>"
    message = parse(
        f"{method} {uri} SIP/2.0\n"
        f"Via: {via or f'SIP/2.0/UDP 127.0.0.2;branch={branch}'}\n"
        "Max-Forwards: 70\n"
        "From: Alice <sip:alice@example.com>;tag=a1\n"
        f"To: {to}\n"
        "Call-ID: call-1\n"
        f"CSeq: {cseq or f'1 {method}'}\n"
        f"{extra}"
        "Content-Length: 0"
    )
    assert isinstance(message, Request)
    return message


def answer(request: Request, status: int, *, to_tag: str = "b1") -> Response:
    """Return a response to a request, as its server would make it."""
    fields = [
        field
        for field in request.fields
        if field.name in ("via", "from", "to", "call-id", "cseq", "record-route")
    ]
    response = Response(status, fields=fields)
    to = response.required("to")
    if status > 100 and "tag=" not in to:
        response.set_header("To", f"{to};tag={to_tag}")
    response.add_header("Content-Length", "0")
    return response
