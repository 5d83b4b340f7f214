"""Which pages a browser may let in: CORS for BOSH, the Origin check for WebSocket (Fetch 3.2, RFC 6455 10.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MAXIMUM_AGE: Final = 86_400
"Seconds for which a browser need not ask again."

_PUBLIC: Final[Mapping[str, str]] = {"Access-Control-Allow-Origin": "*"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossOriginPolicy:
    """Pages of other origins that may use the service.

    By default pages of every origin may, but without the browser's own credentials: what lets a client in is the
    login in the stream, which a page has to know. A browser shows its client certificate for a page only where the
    page's origin is listed, so with web client secure mode on the origins of the pages have to be.
    """

    allowed_origins: frozenset[str] | None = None
    "As `https://app.example:8443`, in lower case; None for every origin."

    def allows(self, origin: str | None) -> bool:
        """Whether a page of this origin may use the service; what is no browser names none."""
        return origin is None or self.allowed_origins is None or origin.lower() in self.allowed_origins

    def headers(self, origin: str | None) -> Mapping[str, str]:
        """Return what a response says to the browser."""
        if self.allowed_origins is None:
            return _PUBLIC
        headers = {"Vary": "Origin"}
        if origin is not None and self.allows(origin):
            headers |= {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true"}
        return headers

    def preflight_headers(self, origin: str | None, methods: str) -> Mapping[str, str]:
        """Return what the answer to a browser's question says (Fetch 3.2.2)."""
        headers = dict(self.headers(origin))
        if "Access-Control-Allow-Origin" in headers:
            headers |= {
                "Access-Control-Allow-Methods": methods,
                "Access-Control-Allow-Headers": "Content-Type",
                "Access-Control-Max-Age": str(MAXIMUM_AGE),
            }
        return headers
