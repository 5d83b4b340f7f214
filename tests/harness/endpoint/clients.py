"""Clients as processes of their own: what `expect` starts, and what runs beside it."""

import asyncio
import ssl
import sys
from contextlib import suppress
from typing import Any

import slixmpp


def xmpp(address: str, port: str, jid: str, password: str, trust: str, *messages: str) -> None:
    """Log in with slixmpp, send messages (`to=text`), and leave; exits 1 where it cannot log in."""

    async def main() -> int:
        client = slixmpp.ClientXMPP(jid, password)
        client.enable_direct_tls = False
        context = ssl.create_default_context(cafile=trust)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        client.ssl_context = context
        over: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def end(code: int) -> None:
            if not over.done():
                over.set_result(code)

        async def started(_: Any) -> None:
            client.send_presence()
            for message in messages:
                to, _sign, text = message.partition("=")
                client.send_message(mto=to, mbody=text, mtype="chat")
            over.set_result(0)

        client.add_event_handler("session_start", started)
        for name in ("failed_all_auth", "disconnected", "connection_failed", "ssl_invalid_chain"):
            client.add_event_handler(name, lambda _: end(1))
        client.connect(address, int(port))
        async with asyncio.timeout(30):
            result = await over
            await client.disconnect(wait=2.0)
            return result

    sys.exit(asyncio.run(main()))


def pings(address: str, port: str, jid: str, password: str, trust: str, *names: str) -> None:
    """Log in and ping the server once for each name, all at once; print the names as the answers come, with times."""

    async def main() -> int:
        client = slixmpp.ClientXMPP(jid, password)
        client.enable_direct_tls = False
        context = ssl.create_default_context(cafile=trust)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        client.ssl_context = context
        started = asyncio.Event()
        client.add_event_handler("session_start", lambda _: started.set())
        client.connect(address, int(port))
        async with asyncio.timeout(30):
            await started.wait()
            loop = asyncio.get_running_loop()
            began = loop.time()

            async def ping(name: str) -> None:
                iq = client.make_iq_get(queryxmlns="urn:xmpp:ping", ito=client.boundjid.domain)
                iq["id"] = name
                with suppress(slixmpp.exceptions.IqError):  # an answer all the same
                    await iq.send(timeout=20)
                print(f"{name} {loop.time() - began:.2f}", flush=True)

            async with asyncio.TaskGroup() as group:
                for name in names:
                    group.create_task(ping(name))
            await client.disconnect(wait=2.0)
        return 0

    sys.exit(asyncio.run(main()))


if __name__ == "__main__":
    {"xmpp": xmpp, "pings": pings}[sys.argv[1]](*sys.argv[2:])
