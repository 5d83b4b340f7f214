"""HTTP basic authentication (RFC 7617): an application user's name and password in a header."""

import base64
import binascii

from proxies.http.axl.values import AxlAccount


def encode_basic(account: AxlAccount) -> str:
    """Return the value of the header `Authorization` for a name and password."""
    pair = f"{account.user_id}:{account.password}".encode()
    return f"Basic {base64.b64encode(pair).decode('ascii')}"


def parse_basic(value: str) -> AxlAccount:
    """Return the name and password in a header `Authorization`; both are empty where it holds none."""
    scheme, _, encoded = value.strip().partition(" ")
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        decoded = ""
    user_id, colon, password = decoded.partition(":")
    if scheme.lower() != "basic" or not colon:
        return AxlAccount(user_id="", password="")
    return AxlAccount(user_id=user_id, password=password)
