"""Runs a web client of npm's, as tests/interop/npm/web-client.js drives it."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from tests.interop.peers import missing, require_program

NPM = Path(__file__).parent / "npm"
PATIENCE = 15.0


class NodeClient:
    """One client in a process of its own."""

    def __init__(self, **task: str) -> None:
        """Take the task, which web-client.js explains."""
        self._task = task
        self._process: asyncio.subprocess.Process
        self.seen: list[dict[str, Any]] = []

    async def __aenter__(self) -> "NodeClient":
        node = require_program("node")
        if not (NPM / "node_modules" / self._package).is_dir():
            raise missing(f"{self._package} (npm ci --prefix {NPM.relative_to(Path.cwd())})")
        # What Node trusts beside the web's authorities: for STARTTLS, where a client takes no option.
        trust = {"NODE_EXTRA_CA_CERTS": self._task["ca"]} if "ca" in self._task else {}
        self._process = await asyncio.create_subprocess_exec(
            node,
            str(NPM / "web-client.js"),
            json.dumps(self._task),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **trust},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()

    @property
    def _package(self) -> str:
        return "strophe.js" if self._task["library"] == "strophe" else "@xmpp/client"

    async def order(self, **order: Any) -> None:
        """Have the client do something."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        await self._process.stdin.drain()

    async def expect(self, event: str, **wanted: Any) -> dict[str, Any]:
        """Return the next event of a kind that is so; what else happens meanwhile is kept in `seen`."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        try:
            async with asyncio.timeout(PATIENCE):
                while line := await self._process.stdout.readline():
                    self.seen.append(json.loads(line))
                    if wanted.items() | {("event", event)} <= self.seen[-1].items():
                        return self.seen[-1]
                why = (await self._process.stderr.read()).decode()
        except TimeoutError:
            why = f"not within {PATIENCE:g} s"
        raise AssertionError(f"expected {event} {wanted}, seen {self.seen}: {why}")
