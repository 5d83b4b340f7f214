"""Stanzas and moments as the tables hold them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Final

from proxies.xmpp.stanza import Stanza, stanza_kind

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def encode_moment(moment: datetime) -> int:
    """Return a moment in microseconds since 1970, without rounding."""
    return (moment - _EPOCH) // _MICROSECOND


def decode_moment(microseconds: int) -> datetime:
    """Return a moment in UTC."""
    return _EPOCH + timedelta(microseconds=microseconds)


def encode_stanza(stanza: Stanza) -> str:
    """Return a stanza as text that `decode_stanza` makes the same stanza from."""
    values = {
        "kind": stanza.kind,
        "attributes": dict(stanza.attributes),
        "payload": stanza.payload.decode("utf-8"),
        "children": stanza.children,
        "declarations": dict(stanza.declarations),
    }
    return json.dumps(values, ensure_ascii=False)


def decode_stanza(text: str) -> Stanza:
    """Return the stanza that was stored.

    Raises ValueError, KeyError or TypeError where somebody changed it.
    """
    values = json.loads(text)
    return Stanza(
        stanza_kind(values["kind"]),
        values["attributes"],
        values["payload"].encode("utf-8"),
        tuple((namespace, name) for namespace, name in values["children"]),
        values["declarations"],
    )
