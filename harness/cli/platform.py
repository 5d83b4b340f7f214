"""`imp-harness cli NODE`: the platform command line of a node of a running lab."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.lab import LabName

if TYPE_CHECKING:
    from harness.endpoint.description import LabDescription
    from harness.platform.ssh.client import ShellTarget


def _complete(incomplete: str) -> Iterator[str]:
    from harness.endpoint.runtime import running_labs

    return (node.name for lab in running_labs() for node in lab.nodes if node.name.startswith(incomplete))


def cli(
    node: Annotated[str, typer.Argument(help="The node's short or full name.", autocompletion=_complete)],
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[-- COMMAND...]",
            help="One command; a session without. A script can be fed to the standard input.",
            show_default=False,
        ),
    ] = None,
    lab: LabName = None,
) -> None:
    """Log in to a node's platform command line as its administrator.

    Exit status of a command: 0 done, 1 failed, 2 not a command, or the node cannot be reached, 3 not confirmed.
    """
    import asyncio

    from harness.endpoint.runtime import find_lab

    target = _target(find_lab(lab), node)
    from harness.platform.ssh.client import open_shell

    raise typer.Exit(asyncio.run(open_shell(target, " ".join(command) if command else None)))


def _target(lab: "LabDescription", name: str) -> "ShellTarget":
    from certs.errors import ConfigError
    from certs.storage import read_file
    from harness.access.accounts import ADMINISTRATOR
    from harness.near_matches import did_you_mean
    from harness.platform.ssh.client import ShellTarget
    from harness.platform.ssh.host_key import HOST_KEY_FILE, read_public_key

    for node in lab.nodes:
        if name in (node.name, node.fqdn):
            break
    else:
        names = [node.name for node in lab.nodes]
        raise ConfigError(f"no node is called {name!r}{did_you_mean(name, names)}; it has {', '.join(names)}")
    endpoint = lab.endpoint(node.name, "ssh")
    password_file = lab.administrator_password_file
    return ShellTarget(
        node=node.name,
        address=endpoint.address,
        port=endpoint.port,
        host_key=read_public_key(password_file.parent / node.cluster / node.name / HOST_KEY_FILE),
        user=ADMINISTRATOR,
        password=read_file(password_file).decode("utf-8", "replace").strip(),
    )
