"""The external components of scenarios: slixmpp's ComponentXMPP, which nobody here wrote (XEP-0114)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import slixmpp
from slixmpp.stanza import Message, StreamError

from certs.errors import ScenarioFailed
from harness.nodes.node import ImpNode

PATIENCE = 5.0
"Seconds that a component waits for what should come."


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachOutcome:
    """How an attempt to attach ended, as the component saw it."""

    accepted: bool
    "Whether it is attached."

    condition: str = ""
    "Otherwise the stream error's condition, or what the connection said."

    text: str = ""
    "The server's own words."


class EchoComponent(slixmpp.ComponentXMPP):
    """A component that gives every chat message back to its sender, and answers pings and service discovery."""

    def __init__(self, domain: str, secret: str, node: ImpNode) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            domain, secret, node.plan.address, node.plan.ports.xcp_component
        )
        for plugin in ("xep_0030", "xep_0199"):
            self.register_plugin(plugin)
        loop = asyncio.get_running_loop()
        self.outcome: asyncio.Future[AttachOutcome] = loop.create_future()
        "How the attempt to attach ended."
        self.ended: asyncio.Future[str] = loop.create_future()
        "Why the stream ended: a stream error's condition, or `closed`."
        self.messages: asyncio.Queue[Message] = asyncio.Queue()
        "All messages that came."
        self._condition = ""
        for event, handler in (
            ("session_start", self._attached),
            ("stream_error", self._take_stream_error),
            ("connection_failed", self._fail),
            ("disconnected", self._lose),
            ("message", self._echo),
            ("message_error", self.messages.put_nowait),
        ):
            self.add_event_handler(event, handler)

    async def next_message(self, *, within: float = PATIENCE) -> Message:
        """Return the next message, an error too. Raises ScenarioFailed when the seconds are up."""
        try:
            async with asyncio.timeout(within):
                return await self.messages.get()
        except TimeoutError:
            raise ScenarioFailed(f"no message reached {self.boundjid}") from None

    def _attached(self, _: object) -> None:
        self._finish(AttachOutcome(accepted=True))

    def _echo(self, message: Message) -> None:
        self.messages.put_nowait(message)
        if message["type"] == "chat" and message["body"]:
            message.reply(f"echo of {message['body']}").send()  # type: ignore[no-untyped-call]

    def _take_stream_error(self, error: StreamError) -> None:
        self._condition = error["condition"]
        self._finish(AttachOutcome(accepted=False, condition=error["condition"], text=error["text"]))

    def _fail(self, error: Any) -> None:
        self._finish(AttachOutcome(accepted=False, condition="no connection", text=str(error)))
        self.cancel_connection_attempt()

    def _lose(self, reason: object) -> None:
        self._finish(AttachOutcome(accepted=False, condition="closed", text=str(reason or "")))
        if not self.ended.done():
            self.ended.set_result(self._condition or "closed")

    def _finish(self, outcome: AttachOutcome) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)


@asynccontextmanager
async def echo_component(node: ImpNode, domain: str, secret: str) -> AsyncIterator[EchoComponent]:
    """Attach a component to a node's router; how that went is `await component.outcome`."""
    component = EchoComponent(domain, secret, node)
    component.connect()
    try:
        async with asyncio.timeout(PATIENCE):
            await asyncio.shield(component.outcome)
        yield component
    except TimeoutError:
        if component.outcome.done():
            raise
        raise ScenarioFailed(f"{domain} came to no end in {PATIENCE:g} s") from None
    finally:
        await _leave(component)


async def _leave(component: EchoComponent) -> None:
    component.cancel_connection_attempt()
    if component.transport is not None and not component.ended.done():
        component.disconnect(wait=1.0)
        try:
            async with asyncio.timeout(2.0):
                await asyncio.shield(component.ended)
        except TimeoutError:
            component.abort()
    if component._run_out_filters is not None:
        component._run_out_filters.cancel()
