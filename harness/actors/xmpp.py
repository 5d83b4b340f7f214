"""The XMPP clients of scenarios: slixmpp, which nobody here wrote, with what it saw of the server in plain words."""

import asyncio
import base64
import logging
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from xml.etree import ElementTree as ET

import slixmpp
from slixmpp.stanza import Message, Presence, StreamError

from certs.errors import ScenarioFailed
from certs.presented import parse_presented
from certs.purposes import CertificatePurpose
from harness.expectations import difference
from harness.lab import Lab
from harness.nodes.node import ImpNode

CERTIFICATE_REFUSED: Final = "server's certificate refused"
"The reason of a login that the client itself gave up."

PATIENCE: Final = 5.0
"Seconds that a client waits for what should come."

logging.getLogger("slixmpp").setLevel(logging.CRITICAL)  # a refusal is an outcome here, not an error


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginOutcome:
    """How a client's login ended, as the client saw it."""

    accepted: bool
    "Whether it is logged in."

    reason: str = ""
    "Otherwise what it was told: a SASL condition, a stream error, or what TLS said."

    text: str = ""
    "The server's own words, where it had any."

    tls_version: str = ""
    "The version of TLS; empty where the login travelled in the clear."

    cipher: str = ""
    "The cipher suite."

    server_subject: str = ""
    "The CN that the server showed."

    server_sha256: str = ""
    "The fingerprint of what the server showed."

    mechanism: str = ""
    "The SASL mechanism."


class XmppClient(slixmpp.ClientXMPP):
    """A slixmpp client of one user."""

    def __init__(self, jid: str, password: str, ssl_context: ssl.SSLContext | None) -> None:
        plain = ssl_context is None
        config = {"feature_mechanisms": {"unencrypted_plain": plain, "unencrypted_scram": plain}}
        super().__init__(jid, password, plugin_config=config)
        self.ssl_context = ssl_context or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.enable_direct_tls = False
        self.enable_starttls = not plain
        self.enable_plaintext = plain
        self.messages: asyncio.Queue[Message] = asyncio.Queue()
        "Messages, errors too, that came and were not asked for yet."
        self.presences: asyncio.Queue[Presence] = asyncio.Queue()
        "Presence that came and was not asked for yet."
        self.outcome: asyncio.Future[LoginOutcome] = asyncio.get_running_loop().create_future()
        "How the login ended."
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        "Why the stream ended."
        self._stream_error = ""
        for event, handler in (
            ("session_start", self._log_in),
            ("failed_auth", self._fail_authentication),
            ("stream_error", self._take_stream_error),
            ("ssl_invalid_chain", self._refuse_server),
            ("connection_failed", self._fail_connection),
            ("disconnected", self._lose),
            ("message", self.messages.put_nowait),
            ("message_error", self.messages.put_nowait),
            ("presence", self.presences.put_nowait),
        ):
            self.add_event_handler(event, handler)

    async def next_message(self, *, within: float = PATIENCE) -> Message:
        """Return the next message with a body. Raises ScenarioFailed when the seconds are up."""
        try:
            async with asyncio.timeout(within):
                while True:
                    message = await self.messages.get()
                    if message["body"] or message["type"] == "error":
                        return message
        except TimeoutError:
            raise ScenarioFailed(f"no message reached {self.boundjid}") from None

    async def next_presence(self, sender: str, *, within: float = PATIENCE) -> Presence:
        """Return the next presence of a contact. Raises ScenarioFailed when the seconds are up."""
        try:
            async with asyncio.timeout(within):
                while True:
                    presence = await self.presences.get()
                    if presence["from"].bare == sender:
                        return presence
        except TimeoutError:
            raise ScenarioFailed(f"no presence of {sender} reached {self.boundjid}") from None

    async def next_available(self, sender: str, *, within: float = PATIENCE, show: str = "") -> Presence:
        """Return the next presence of a contact that is available, `show` saying how.

        Raises ScenarioFailed when the seconds are up.
        """
        try:
            async with asyncio.timeout(within):
                while True:
                    presence = await self.next_presence(sender, within=within)
                    if presence["type"] == (
                        show or "available"
                    ):  # slixmpp's type is the show, where there is one
                        return presence
        except TimeoutError:
            raise ScenarioFailed(f"no such presence of {sender} reached {self.boundjid}") from None

    def chat(self, to: str, text: str) -> None:
        """Send a chat message to an address."""
        self.send_message(mto=slixmpp.JID(to), mbody=text, mtype="chat")

    async def ping_own_server(self) -> None:
        """Return once the server has answered: all that was sent before has been handled (XEP-0199)."""
        request = self.make_iq_get(queryxmlns="urn:xmpp:ping", ito=slixmpp.JID(self.boundjid.domain))
        request.clear()
        request.append(ET.Element("{urn:xmpp:ping}ping"))
        await request.send(timeout=PATIENCE)  # type: ignore[no-untyped-call]

    def refuse(self, outcome: LoginOutcome) -> None:
        """Take from below that there is no connection, where no outcome is known yet."""
        self._finish(outcome)

    # What slixmpp reports.

    async def _log_in(self, _: object) -> None:
        self.send_presence()
        self._finish(LoginOutcome(accepted=True, **self._tls(), mechanism=self._mechanism()))

    def _fail_authentication(self, failure: Any) -> None:
        self._finish(
            LoginOutcome(accepted=False, reason=failure["condition"], text=failure["text"], **self._tls())
        )
        self.abort()

    def _take_stream_error(self, error: StreamError) -> None:
        self._stream_error = error["condition"]
        text = error["see_other_host"] if error["condition"] == "see-other-host" else error["text"]
        self._finish(LoginOutcome(accepted=False, reason=error["condition"], text=text, **self._tls()))

    def _refuse_server(self, error: ssl.SSLError) -> None:
        self._finish(LoginOutcome(accepted=False, reason=CERTIFICATE_REFUSED, text=str(error)))
        self.abort()

    def _fail_connection(self, error: object) -> None:
        self._finish(LoginOutcome(accepted=False, reason="no connection", text=str(error)))
        self.cancel_connection_attempt()

    def _lose(self, reason: object) -> None:
        why = self._stream_error or str(reason or "closed")
        refused = isinstance(reason, ssl.SSLCertVerificationError)
        self._finish(
            LoginOutcome(accepted=False, reason=CERTIFICATE_REFUSED if refused else "closed", text=why)
        )
        if not self.ended.done():
            self.ended.set_result(why)

    def _finish(self, outcome: LoginOutcome) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    def _mechanism(self) -> str:
        mechanism = self.plugin["feature_mechanisms"].mech
        return str(mechanism.name) if mechanism is not None else ""

    def _tls(self) -> dict[str, str]:
        tls = self.transport.get_extra_info("ssl_object") if self.transport else None
        if tls is None or not (der := tls.getpeercert(binary_form=True)):
            return {}
        shown = parse_presented(der)
        return {
            "tls_version": tls.version() or "",
            "cipher": (tls.cipher() or ("",))[0],
            "server_subject": shown.common_name,
            "server_sha256": shown.sha256,
        }


def trust_in_xmpp(node: ImpNode, *, check_domain: bool = False) -> ssl.SSLContext:
    """Return a client's trust in the `cup-xmpp` certificate of a node: somebody gave it the PEM file.

    The product's clients connect to a node by its name and accept its certificate for that; one that follows
    RFC 6120 13.7.2.1 asks for the domain of its user's address: `check_domain`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = check_domain
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    pem = node.administration.certificate_management.download(CertificatePurpose.CUP_XMPP)
    context.load_verify_locations(cadata=pem.decode("ascii"))
    return context


@asynccontextmanager
async def xmpp_client(
    lab: Lab,
    user_id: str,
    node: ImpNode,
    *,
    tls: ssl.SSLContext | None = None,
    in_the_clear: bool = False,
    password: str = "",
    resource: str = "",
    plugins: Iterable[str] = (),
) -> AsyncIterator[XmppClient]:
    """Connect a client of a user to a node and log in; how that went is `await client.outcome`.

    By default it wants TLS and trusts the node's certificate. `plugins` are slixmpp's, by their names there.
    """
    user = await lab.user(user_id)
    jid = f"{user_id}@{node.plan.domain}" + (f"/{resource}" if resource else "")
    context = None if in_the_clear else tls or trust_in_xmpp(node)
    client = XmppClient(jid, password or user.digest_password, context)
    for plugin in plugins:
        client.register_plugin(plugin)
    client.connect(node.plan.address, node.plan.ports.xmpp_client)
    try:
        async with asyncio.timeout(PATIENCE):
            await asyncio.shield(client.outcome)
        yield client
    except TimeoutError:
        if client.outcome.done():
            raise
        raise ScenarioFailed(f"the login of {jid} came to no end in {PATIENCE:g} s") from None
    finally:
        await leave(client)


async def leave(client: XmppClient) -> None:
    """Close a client's stream, and end what it left running."""
    client.cancel_connection_attempt()
    if client.transport is not None and not client.ended.done():
        client.disconnect(wait=1.0)
        try:
            async with asyncio.timeout(2.0):
                await asyncio.shield(client.ended)
        except TimeoutError:
            client.abort()
    if client._run_out_filters is not None:
        client._run_out_filters.cancel()


async def try_plain_login(node: ImpNode, user_id: str, password: str) -> bytes:
    """Send a login by PLAIN in the clear, whatever is offered, and return all that the server answers."""
    header = (
        f"<?xml version='1.0'?><stream:stream to='{node.plan.domain}' version='1.0' xmlns='jabber:client' "
        "xmlns:stream='http://etherx.jabber.org/streams'>"
    )
    secret = base64.b64encode(f"\0{user_id}\0{password}".encode()).decode()
    auth = f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{secret}</auth>"
    reader, writer = await asyncio.open_connection(node.plan.address, node.plan.ports.xmpp_client)
    try:
        async with asyncio.timeout(PATIENCE):
            writer.write(header.encode())
            answer = await reader.readuntil(b"</stream:features>")
            writer.write(auth.encode())
            return answer + await reader.readuntil(b"</failure>")
    except (TimeoutError, asyncio.IncompleteReadError) as error:
        raise ScenarioFailed(f"no answer to a login in the clear: {error}") from None
    finally:
        writer.close()


def expect_login(what: str, outcome: LoginOutcome) -> LoginOutcome:
    """Return a login that was accepted. Raises ScenarioFailed otherwise."""
    if not outcome.accepted:
        raise ScenarioFailed(
            f"{what} failed", difference=difference("logged in", f"{outcome.reason} {outcome.text}".strip())
        )
    return outcome


def expect_refused(what: str, outcome: LoginOutcome, reason: str) -> LoginOutcome:
    """Return a login that was refused for this reason. Raises ScenarioFailed otherwise."""
    seen = "logged in" if outcome.accepted else outcome.reason
    if seen != reason:
        raise ScenarioFailed(
            f"{what} ended otherwise", difference=difference(reason, f"{seen} {outcome.text}")
        )
    return outcome
