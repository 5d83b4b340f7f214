"""The load generator's XMPP client: byte templates over asyncio streams, so that its own cost stays small."""

import asyncio
import base64
import hashlib
import hmac
import re
import secrets
import ssl
from functools import cache

PATIENCE = 10.0
"Seconds that one step of a login may take."

CHUNK = 1 << 16

_JID = re.compile(rb"jid[^>]*>([^<]+)<")  # pyjabber puts prefixes before its names


class LoginError(Exception):
    """A server did not answer a login as it should."""


class XmppConnection:
    """One client's connection, logged in and bound."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, domain: str) -> None:
        self.reader = reader
        self.writer = writer
        self.domain = domain
        self.jid = ""

    async def log_in(
        self, user: str, password: str, *, mechanism: str, tls: ssl.SSLContext, settle: float = 0
    ) -> None:
        """Go through STARTTLS, SASL and binding; `settle` is for how many seconds to wait after each new layer.

        Raises LoginError where the server says no.
        """
        await self._open()
        await self._ask("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", b"proceed")
        await asyncio.wait_for(self.writer.start_tls(tls, server_hostname=self.domain), PATIENCE)
        await asyncio.sleep(settle)
        await self._open()
        if mechanism == "PLAIN":
            await self._auth("PLAIN", f"\0{user}\0{password}", b"success")
        else:
            await self._scram(user, password)
        await asyncio.sleep(settle)
        await self._open()
        bound = await self._ask(
            "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
            "<resource>bench</resource></bind></iq>",
            b"iq>",
        )
        jid = _JID.search(bound)
        if jid is None:
            raise LoginError(f"{user}: not bound: {bound!r}")
        self.jid = jid[1].decode()

    def close(self) -> None:
        """Close the stream and the connection, without waiting for the server's goodbye."""
        if not self.writer.is_closing():
            self.writer.write(b"</stream:stream>")
            self.writer.close()

    async def _open(self) -> None:
        await self._ask(
            f"<stream:stream to='{self.domain}' version='1.0' xmlns='jabber:client' "
            "xmlns:stream='http://etherx.jabber.org/streams'>",
            b"features>",
        )

    async def _auth(self, mechanism: str, message: str, answer: bytes) -> bytes:
        encoded = base64.b64encode(message.encode()).decode()
        return await self._ask(
            f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>{encoded}</auth>", answer
        )

    async def _scram(self, user: str, password: str) -> None:
        """SCRAM-SHA-1 (RFC 5802 3), with the salted password remembered between logins."""
        bare = f"n={user},r={secrets.token_hex(8)}"
        challenge = _content(await self._auth("SCRAM-SHA-1", "n,," + bare, b"challenge>"))
        fields = dict(part.split("=", 1) for part in challenge.split(","))
        salted = _salted_password(password, fields["s"], int(fields["i"]))
        client_key = _mac(salted, b"Client Key")
        final = f"c=biws,r={fields['r']}"
        signed = f"{bare},{challenge},{final}".encode()
        signature = _mac(hashlib.sha1(client_key).digest(), signed)
        proof = bytes(one ^ other for one, other in zip(client_key, signature, strict=True))
        response = base64.b64encode(f"{final},p={base64.b64encode(proof).decode()}".encode()).decode()
        success = await self._ask(
            f"<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{response}</response>", b"success>"
        )
        expected = base64.b64encode(_mac(_mac(salted, b"Server Key"), signed)).decode()
        if _content(success) != f"v={expected}":
            raise LoginError(f"{user}: the server does not know the password")

    async def _ask(self, request: str, answer: bytes) -> bytes:
        self.writer.write(request.encode())
        data = more = b""
        try:
            async with asyncio.timeout(PATIENCE):
                while answer not in data and b"<failure" not in data:
                    more = await self.reader.read(CHUNK)
                    if not more:
                        break
                    data += more
        except TimeoutError:
            pass
        if answer not in data:
            raise LoginError(f"no {answer!r} after {request[:60]!r}: {data!r}")
        return data


async def connect(
    host: str,
    port: int,
    domain: str,
    user: str,
    password: str,
    *,
    mechanism: str,
    tls: ssl.SSLContext,
    settle: float = 0,
) -> XmppConnection:
    """Return a client that is logged in.

    Raises LoginError where the server says no, OSError where it is not there.
    """
    reader, writer = await asyncio.open_connection(host, port)
    connection = XmppConnection(reader, writer, domain)
    try:
        await connection.log_in(user, password, mechanism=mechanism, tls=tls, settle=settle)
    except BaseException:
        connection.close()
        raise
    return connection


def _content(element: bytes) -> str:
    return base64.b64decode(element.partition(b">")[2].partition(b"<")[0]).decode()


@cache
def _salted_password(password: str, salt: str, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha1", password.encode(), base64.b64decode(salt), iterations)


def _mac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha1")
