"""The fixture `xmpp_client`: peers of the client under test, run by slixmpp on the lab's loop."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from certs.errors import ConfigError
from harness.actors.xmpp import LoginOutcome, XmppClient, xmpp_client
from harness.plan.topology import ImpNodePlan
from harness.pytest_plugin.background import BackgroundLab
from harness.pytest_plugin.expectations import refuse_to_block

_PATIENCE: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedMessage:
    """A message that reached a peer."""

    sender: str
    "The full address it came from."

    body: str
    "Its text."


class XmppPeer:
    """A logged-in XMPP client for the client under test to talk to."""

    def __init__(self, background: BackgroundLab, client: XmppClient, outcome: LoginOutcome) -> None:
        self._background = background
        self._client = client
        self.outcome = outcome
        "How its login went."

    @property
    def jid(self) -> str:
        """Its full address."""
        return str(self._client.boundjid)

    def send(self, to: str, text: str) -> None:
        """Send a chat message."""
        self._background.read(lambda: self._client.chat(to, text))

    def next_message(self, *, within: float = _PATIENCE) -> ReceivedMessage:
        """Return the next message that came. Raises ScenarioFailed when the seconds are up."""
        refuse_to_block("next_message")

        async def wait() -> ReceivedMessage:
            message = await self._client.next_message(within=within)
            return ReceivedMessage(sender=str(message["from"]), body=message["body"])

        return self._background.call(wait, within=within)


class XmppPeers:
    """Logs peers in for one test: `xmpp_client("bob")`. All are logged out at its end."""

    def __init__(self, background: BackgroundLab) -> None:
        self._background = background
        self._stack = AsyncExitStack()

    def __call__(self, user_id: str, *, node: str = "", resource: str = "", password: str = "") -> XmppPeer:
        """Log a user of the lab in at a node, by default at the user's home node; `outcome` says how that went.

        Raises ConfigError where the lab has no such user or node, ScenarioFailed where the login comes to no end.
        """

        async def log_in() -> XmppPeer:
            lab = self._background.lab
            home = node or (await lab.user(user_id)).home_node
            at = lab.node(home)
            if not isinstance(at.plan, ImpNodePlan):
                raise ConfigError(f"{home} is no IM and Presence node")
            client = await self._stack.enter_async_context(
                xmpp_client(lab, user_id, at, resource=resource, password=password)
            )
            return XmppPeer(self._background, client, await client.outcome)

        return self._background.call(log_in)

    def close(self) -> None:
        """Log all out."""
        self._background.call(self._stack.aclose)
