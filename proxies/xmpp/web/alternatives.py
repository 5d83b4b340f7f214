"""Where web clients find the service: the host-meta documents (XEP-0156 3, RFC 7395 4, RFC 6415)."""

import json
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import quoteattr

BOSH: Final = "urn:xmpp:alt-connections:xbosh"
WEBSOCKET: Final = "urn:xmpp:alt-connections:websocket"

_XRD: Final = "http://docs.oasis-open.org/ns/xri/xrd-1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlternativeConnections:
    """The addresses of a node's service."""

    bosh: str
    "The `http` or `https` URL of BOSH."

    websocket: str
    "The `ws` or `wss` URL of WebSocket."

    @classmethod
    def of(
        cls, host: str, port: int, *, secure: bool, bosh_path: str, websocket_path: str
    ) -> "AlternativeConnections":
        """Return the addresses on a host and port."""
        mark = "s" if secure else ""
        return cls(
            bosh=f"http{mark}://{host}:{port}{bosh_path}",
            websocket=f"ws{mark}://{host}:{port}{websocket_path}",
        )

    def encode_xrd(self) -> bytes:
        """Return `/.well-known/host-meta`."""
        links = "".join(f"<Link rel={quoteattr(rel)} href={quoteattr(href)}/>" for rel, href in self._links())
        return f"<?xml version='1.0' encoding='utf-8'?><XRD xmlns='{_XRD}'>{links}</XRD>".encode()

    def encode_json(self) -> bytes:
        """Return `/.well-known/host-meta.json`."""
        return json.dumps({"links": [{"rel": rel, "href": href} for rel, href in self._links()]}).encode()

    def _links(self) -> tuple[tuple[str, str], tuple[str, str]]:
        return (BOSH, self.bosh), (WEBSOCKET, self.websocket)
