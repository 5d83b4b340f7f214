"""Sends a line of text to somebody over XMPP and says plainly why it could not."""

import argparse
import asyncio
import os
import ssl
import sys

import slixmpp


class Notifier(slixmpp.ClientXMPP):
    """Logs in, sends one message, leaves."""

    def __init__(self, jid: str, password: str, ca_file: str, to: str, text: str) -> None:
        super().__init__(jid, password)
        self.ssl_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # The server is called by a node's address and is known by its certificate, not by a host name.
        self.ssl_context.check_hostname = False
        self.ssl_context.load_verify_locations(ca_file)
        self.enable_direct_tls = False
        self.enable_plaintext = False
        self.result: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._to, self._text = to, text
        self.add_event_handler("session_start", self._send)
        self.add_event_handler("failed_auth", lambda _: self._end("the server refused name or password"))
        self.add_event_handler("connection_failed", lambda _: self._end("there is no connection"))
        self.add_event_handler("disconnected", self._lose)

    async def _send(self, _: object) -> None:
        self.send_message(mto=slixmpp.JID(self._to), mbody=self._text, mtype="chat")
        # An answer to a question asked after the message says that the server has taken both.
        self.register_plugin("xep_0199")
        await self["xep_0199"].ping(self.boundjid.domain, timeout=5)
        self._end("")

    def _lose(self, reason: object) -> None:
        refused = isinstance(reason, ssl.SSLCertVerificationError)
        self._end("the server is not trusted" if refused else "the server closed the connection")

    def _end(self, problem: str) -> None:
        if not self.result.done():
            self.result.set_result(problem)


async def notify(args: argparse.Namespace) -> str:
    """Return what went wrong, or nothing."""
    client = Notifier(args.jid, os.environ["NOTIFIER_PASSWORD"], args.ca, args.to, args.text)
    client.connect(args.host, args.port)
    try:
        async with asyncio.timeout(10):
            return await client.result
    except TimeoutError:
        return "the server did not answer in time"
    finally:
        client.cancel_connection_attempt()
        client.abort()


def main() -> None:
    """Exit with 0 once the message is taken, with 1 and the reason otherwise."""
    parser = argparse.ArgumentParser(prog="chat-notifier", description=__doc__)
    parser.add_argument("--jid", required=True, help="who sends; the password is in NOTIFIER_PASSWORD")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, default=5222)
    parser.add_argument("--ca", required=True, help="PEM file of whom to trust")
    parser.add_argument("to")
    parser.add_argument("text")
    problem = asyncio.run(notify(parser.parse_args()))
    if problem:
        sys.stderr.write(f"chat-notifier: {problem}\n")
        sys.exit(1)
