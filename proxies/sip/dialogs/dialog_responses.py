"""Responses that make a dialog."""

import secrets

from proxies.sip.messages.message import Request, Response
from proxies.sip.transactions.matching import respond


def dialog_response(request: Request, status: int, *, contact: str) -> Response:
    """Return a response with our tag, our Contact and the request's Record-Route (RFC 3261 12.1.1)."""
    response = respond(request, status, to_tag=secrets.token_hex(6))
    response.fields += [field for field in request.fields if field.name == "record-route"]
    response.add_header("Contact", contact)
    return response
