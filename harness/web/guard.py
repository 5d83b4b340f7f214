"""What protects the pages: response headers, the session's cookie, and where a request may come from."""

import hashlib
import hmac
import secrets
from typing import Final

from aiohttp import web

SESSION_COOKIE: Final = "__Host-imp-session"
"The session's key. The prefix binds it to https, to this host and to no domain (RFC 6265bis 4.1.3.2)."

LOGIN_COOKIE: Final = "__Host-imp-login"
"What the login form's token is made of, before there is a session."

HEADERS: Final = {
    # Scripts and styles come from files of ours and nowhere else (CSP Level 3).
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not `no-referrer`: a browser would then send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
"On every answer. No HSTS: with a self-signed certificate a browser would then let nobody through (RFC 6797 12.1)."


LIVE_HEADER: Final = "X-Live"
"On what a page's script asks for by itself, without a person."


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Put the security headers on an answer; pages are kept in no cache."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["Server"] = "Cisco Tomcat (emulated)"


def is_from_elsewhere(request: web.Request) -> bool:
    """Whether a browser says that a page of another site sent this request."""
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"https://{request.host}":
        return True
    return request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none")


def set_cookie(response: web.StreamResponse, name: str, value: str) -> None:
    """Set a cookie that scripts cannot read, that travels over TLS only, and that no other site can have sent."""
    response.set_cookie(name, value, path="/", secure=True, httponly=True, samesite="Strict")


def delete_cookie(response: web.StreamResponse, name: str) -> None:
    """Have the browser forget a cookie."""
    response.del_cookie(name, path="/", secure=True, httponly=True, samesite="Strict")


class LoginTokens:
    """The CSRF tokens of login forms, for which there is no session yet: a signed double-submit cookie."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def issue(self) -> tuple[str, str]:
        """Return a cookie's value and the token of the form that belongs to it."""
        value = secrets.token_urlsafe(16)
        return value, self._sign(value)

    def are_paired(self, cookie: str, token: str) -> bool:
        """Whether form and cookie come from the same page of ours."""
        return bool(cookie) and hmac.compare_digest(self._sign(cookie).encode(), token.encode())

    def _sign(self, value: str) -> str:
        return hmac.new(self._key, value.encode(), hashlib.sha256).hexdigest()
