"""An SSH client that types at a node's platform command line and waits for what it expects, as `expect` does."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncssh

from harness.lab import Lab
from harness.nodes.node import CucmNode, ImpNode
from harness.platform.ssh.host_key import HOST_KEY_FILE, read_public_key

PROMPT = "admin:"
_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]| \x08|[\x07\r]")


@dataclass
class Banners(asyncssh.SSHClient):
    """Keeps what the server shows before and during the login."""

    shown: list[str] = field(default_factory=list)

    def auth_banner_received(self, msg: str, lang: str) -> None:
        self.shown.append(msg)


@dataclass
class Person:
    """Somebody at a terminal."""

    process: asyncssh.SSHClientProcess[str]
    seen: str = ""

    async def expect(self, text: str, *, within: float = 10.0) -> str:
        """Read until a text comes, and return all that came up to its end."""
        async with asyncio.timeout(within):
            while text not in self.seen:
                data = await self.process.stdout.read(4096)
                assert data, f"the session ended; expected {text!r}, seen {self.seen!r}"
                self.seen = _ESCAPES.sub("", self.seen + data)
        before, _, self.seen = self.seen.partition(text)
        return before + text

    def type(self, text: str) -> None:
        self.process.stdin.write(text)

    async def run(self, line: str, *answers: tuple[str, str]) -> str:
        """Type a line at the prompt and an answer at each further one; return all that was shown."""
        self.type(line + "\n")
        shown = ""
        for prompt, answer in answers:
            shown += await self.expect(prompt)
            self.type(answer + "\n")
        return shown + await self.expect(PROMPT)

    async def rest(self) -> str:
        """Return what comes until the session ends."""
        async with asyncio.timeout(10):
            return _ESCAPES.sub("", self.seen + await self.process.stdout.read())


async def connect(
    lab: Lab, node: ImpNode | CucmNode, *, user: str = "administrator", password: str | None = None
) -> tuple[asyncssh.SSHClientConnection, Banners]:
    """Log in, with the node's host key and no other."""
    plan = node.plan
    public = read_public_key(lab.work_directory / plan.cluster / plan.name / HOST_KEY_FILE)
    banners = Banners()
    connection, _ = await asyncssh.create_connection(
        lambda: banners,
        plan.address,
        plan.ports.ssh,
        config=None,
        known_hosts=([asyncssh.import_public_key(public)], [], []),
        username=user,
        password=lab.administrator_password if password is None else password,
        client_keys=None,
        agent_path=None,
        gss_host=None,
        preferred_auth="password",
    )
    return connection, banners


@asynccontextmanager
async def logged_in(lab: Lab, node: ImpNode | CucmNode) -> AsyncIterator[asyncssh.SSHClientConnection]:
    connection, _ = await connect(lab, node)
    async with connection:
        yield connection


@asynccontextmanager
async def at_the_prompt(lab: Lab, node: ImpNode | CucmNode) -> AsyncIterator[Person]:
    """Log in and wait for the first prompt."""
    async with logged_in(lab, node) as connection:
        process = await connection.create_process(term_type="xterm", term_size=(200, 50))
        person = Person(process)
        assert "Welcome to the Platform Command Line Interface" in await person.expect(PROMPT)
        yield person
