"""An administrator at a node's platform command line, over SSH."""

import asyncio
from collections.abc import Sequence
from typing import Final

import asyncssh

from certs.errors import ConnectionFailed
from harness.access.accounts import ADMINISTRATOR
from harness.lab import Lab
from harness.nodes.node import CucmNode, ImpNode
from harness.platform.ssh.host_key import HOST_KEY_FILE, read_public_key

_PATIENCE: Final = 30.0
"Seconds for the login and one command."


async def type_command(
    lab: Lab, node: ImpNode | CucmNode, line: str, *answers: str, ciphers: Sequence[str] = ()
) -> str:
    """Log in to a node's System SSH, run one command, answer what it asks, and return what it shows.

    The client offers these ciphers, by their names in SSH; without any named all that it knows.

    Raises ConnectionFailed where the node does not let the administrator in or goes away before it has answered.
    """
    plan = node.plan
    where = lab.work_directory / plan.cluster / plan.name / HOST_KEY_FILE
    known = asyncssh.import_public_key(await asyncio.to_thread(read_public_key, where))
    try:
        async with (
            asyncio.timeout(_PATIENCE),
            asyncssh.connect(
                plan.address,
                plan.ports.ssh,
                config=None,
                known_hosts=([known], [], []),
                username=ADMINISTRATOR,
                password=lab.administrator_password,
                client_keys=None,
                agent_path=None,
                gss_host=None,
                preferred_auth="password",
                encryption_algs=ciphers,
            ) as connection,
        ):
            typed = "".join(f"{answer}\n" for answer in answers)
            done = await connection.run(line, input=typed)
    except (OSError, asyncssh.Error) as error:
        raise ConnectionFailed(f"System SSH of {plan.name}: {error or type(error).__name__}") from error
    return str(done.stdout or "")
