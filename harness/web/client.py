"""A client of the JSON API, for the command line and for scenarios."""

import hashlib
import json
import ssl
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import aiohttp

from certs.errors import ConnectionFailed, HarnessError
from certs.presented import parse_certificates

TIMEOUT: Final = 60.0
"Seconds for one request: a service may take a while to restart."

JSON: Final = "application/json"

Trust = ssl.SSLContext | aiohttp.Fingerprint
"How a node's `tomcat` certificate is known: by a certificate that signed it, or by its fingerprint."


class AdministrationRefused(HarnessError):  # noqa: N818 - it is what the node answered, not a bug
    """The node answered with a problem (RFC 9457)."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{detail} (status {status})")
        self.status = status
        "HTTP's."
        self.detail = detail
        "What the node says is wrong."


def trust_certificates(pem: bytes) -> ssl.SSLContext:
    """Return the trust in the certificates of a PEM text; nodes are often called by address, so names are not asked.

    Raises CertificateError where it holds none.
    """
    parse_certificates(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=pem.decode("ascii", "replace"))
    return context


def trust_fingerprint(sha256: str) -> aiohttp.Fingerprint:
    """Return the trust in the certificate with a SHA-256 fingerprint in hexadecimal digits."""
    return aiohttp.Fingerprint(bytes.fromhex(sha256))


class AdministrationClient:
    """One node's API, through one session."""

    def __init__(self, url: str, trust: Trust, *, token: str = "") -> None:
        """Take `https://host:port` and, where somebody has logged in before, the session's token."""
        self.url = url.rstrip("/")
        "Where the node is."
        self.token = token
        "The session's; empty before a login."
        self._trust = trust
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._http is not None
        await self._http.close()

    async def log_in(self, user: str, password: str) -> None:
        """Begin a session. Raises AdministrationRefused where the node lets nobody in with these."""
        answer = await self.post("/api/login", {"user": user, "password": password})
        self.token = answer["token"]

    async def get(self, path: str) -> Any:
        """Return what an operation answers."""
        return await self.call("GET", path)

    async def put(self, path: str, body: object) -> Any:
        """Save something; return what the node answers."""
        return await self.call("PUT", path, body)

    async def post(self, path: str, body: object = None) -> Any:
        """Have something done; return what the node answers."""
        return await self.call("POST", path, body)

    async def delete(self, path: str) -> Any:
        """Delete something; return what the node answers."""
        return await self.call("DELETE", path)

    async def call(self, method: str, path: str, body: object = None, *, media_type: str = JSON) -> Any:
        """Send one request; return JSON values, bytes or None.

        `body` is written as JSON, bytes go as they are with their media type. Raises AdministrationRefused where the
        node refuses, ConnectionFailed where it cannot be reached or its certificate is another one.
        """
        content, headers = None, {}
        if body is not None:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers["Content-Type"] = media_type
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        assert self._http is not None, "the client is entered with `async with`"
        try:
            async with self._http.request(
                method, self.url + path, data=content, headers=headers, ssl=self._trust, allow_redirects=False
            ) as answer:
                return _read(answer.status, answer.content_type, await answer.read())
        except aiohttp.ServerFingerprintMismatch as error:
            raise ConnectionFailed(
                f"{self.url} shows a certificate with the fingerprint {error.got.hex()}, not {error.expected.hex()}"
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionFailed(f"{self.url}: {error or type(error).__name__}") from error


def path_of(*parts: str) -> str:
    """Return the path of an operation, each part encoded."""
    return "/api/" + "/".join(quote(part, safe="") for part in parts)


def fingerprint_of(der: bytes) -> str:
    """Return the SHA-256 fingerprint of a certificate."""
    return hashlib.sha256(der).hexdigest()


def _read(status: int, media_type: str, content: bytes) -> Any:
    if status >= 300:
        try:
            detail = str(json.loads(content)["detail"])
        except (ValueError, LookupError, TypeError):
            detail = content[:200].decode("utf-8", "replace")
        raise AdministrationRefused(status, detail)
    if not content:
        return None
    return json.loads(content) if media_type == JSON else content
