"""Connects to where a stream is to be opened."""

import asyncio
import os

from certs.errors import ConnectionFailed
from proxies.xmpp.connections.connection import XmppConnection


async def connect(
    connection: XmppConnection, host: str, port: int, *, local_address: str, within: float
) -> None:
    """Connect within so many seconds; from then on the connection's owner is told what happens.

    Without a local address the system chooses one.

    Raises ConnectionFailed where nobody answers in time.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(within):
            local = (local_address, 0) if local_address else None
            await loop.create_connection(lambda: connection, host, port, local_addr=local)
    except OSError as error:
        # TimeoutError is an OSError without a number; the loops word the others differently.
        seen = os.strerror(error.errno) if error.errno else "no answer in time"
        raise ConnectionFailed(f"{host}:{port}: {seen}") from error
