"""What the feature tests share: a lab that can be stopped and started again, its clients, and waiting."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self
from xml.etree import ElementTree as ET

from slixmpp import JID
from slixmpp.exceptions import IqError

from certs.purposes import ServiceName
from harness.actors.xmpp import XmppClient, expect_login, leave, xmpp_client
from harness.lab import Lab
from harness.nodes.node import ImpNode
from harness.plan.lab_file import load_topology

ALICE, BOB = "alice@lab.example", "bob@lab.example"
PATIENCE = 8.0
HOMES = {"alice": 0, "bob": 1}


class Verona:
    """Two nodes of one cluster, whose databases and certificates stay when they stop."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._clients: list[AsyncExitStack] = []
        self._running: AsyncExitStack
        self.lab: Lab

    @classmethod
    @asynccontextmanager
    async def start(cls, folder: Path) -> AsyncIterator[Self]:
        verona = cls(folder)
        await verona._up()
        try:
            yield verona
        finally:
            await verona._down()

    async def log_in(
        self, user: str, resource: str = "desk", *plugins: str, roster: bool = True
    ) -> XmppClient:
        """A client at the user's home node that has its roster and is available."""
        stack = AsyncExitStack()
        client = await stack.enter_async_context(
            xmpp_client(self.lab, user, self.home(user), resource=resource, plugins=plugins)
        )
        self._clients.append(stack)
        expect_login(f"{user}'s login", await client.outcome)
        if roster:
            await client.get_roster()
            await client.ping_own_server()
        return client

    async def log_out(self, client: XmppClient) -> None:
        await leave(client)

    def home(self, user: str) -> ImpNode:
        return self.lab.imp[HOMES[user]]

    async def befriend(self) -> tuple[XmppClient, XmppClient]:
        """Alice and bob, logged in, each seeing the other's presence."""
        alice, bob = await self.log_in("alice"), await self.log_in("bob")
        alice.send_presence_subscription(pto=JID(BOB))  # bob's client approves, and asks back
        await alice.next_available(BOB)
        await bob.next_available(ALICE)
        return alice, bob

    async def restart_router(self, user: str) -> None:
        """Restart Cisco XCP Router on the user's home node; its clients are thrown out."""
        await self.home(user).administration.restart(ServiceName.XCP_ROUTER)

    async def restart_nodes(self) -> None:
        """Stop both nodes, and start them again on what they left in their folders."""
        await self._down()
        await self._up()

    async def _up(self) -> None:
        self._running = AsyncExitStack()
        self.lab = await self._running.enter_async_context(
            Lab.start(load_topology(), work_directory=self._folder)
        )

    async def _down(self) -> None:
        for stack in reversed(self._clients):
            await stack.aclose()
        self._clients.clear()
        await self._running.aclose()


async def until(condition: Callable[[], bool], what: str = "") -> None:
    """Wait until something is so."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.02)


def events(client: XmppClient, name: str) -> "asyncio.Queue[Any]":
    """A queue of what slixmpp reports under a name from now on."""
    queue: asyncio.Queue[Any] = asyncio.Queue()
    client.add_event_handler(name, queue.put_nowait)
    return queue


async def next_of(queue: "asyncio.Queue[Any]") -> Any:
    async with asyncio.timeout(PATIENCE):
        return await queue.get()


async def refusal(request: Awaitable[Any]) -> str:
    """The condition of the error that a request gets."""
    try:
        await request
    except IqError as error:
        return str(error.condition)
    raise AssertionError("it was not refused")


async def settle(client: XmppClient, other: str) -> None:
    """Return when all that a client sent to another user has been handled at that user's home node.

    Behind it goes a request that the other's account answers, on the same way.
    """
    request = client.make_iq_get(ito=JID(other))
    request.clear()
    request.append(ET.Element("{vcard-temp}vCard"))
    await request.send(timeout=PATIENCE)


def senders(client: XmppClient, bare: str) -> list[str]:
    """The types of the presences of an address that have come and were not asked for yet."""
    queue = client.presences
    taken = [queue.get_nowait() for _ in range(queue.qsize())]
    return [each["type"] for each in taken if each["from"].bare == bare]


async def nothing_came(client: XmppClient, queue: "asyncio.Queue[Any]") -> bool:
    """Whether nothing has come, after all that was sent before has been handled."""
    await client.ping_own_server()
    return queue.empty()
