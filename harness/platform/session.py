"""What a command of the platform command line is given: its node, and the person at the terminal."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from certs.errors import HarnessError
from harness.nodes.certificate_management import CertificateManagement
from harness.nodes.machine import Machine
from harness.nodes.service_control import ServiceControl

MAXIMUM_LINE: Final = 1024
"Characters of one line; a longer one is refused."

MAXIMUM_PASTE: Final = 64 * 1024
"Characters that are taken where a certificate is pasted; a chain has a few thousand."

_YES: Final = frozenset({"yes", "y"})
_NO: Final = frozenset({"no", "n"})
_TRIES: Final = 3
_CANCELLED: Final = "Operation cancelled"


class CommandFailed(HarnessError):  # noqa: N818 - it is what happened to a command, not a bug
    """A command could not do what was asked; its text is shown, and nothing was changed."""


class Declined(HarnessError):  # noqa: N818 - as above
    """The administrator answered no; nothing was changed."""


class EndOfInput(Exception):  # noqa: N818 - nothing is wrong
    """The person has gone: no further line will come."""


class Interrupted(EndOfInput):
    """The person pressed Ctrl+C: what was begun is not to go on, the session is."""


class Terminal(Protocol):
    """The person's end. SSH implements it, and tests do."""

    def write(self, text: str) -> None:
        """Show text; lines end with a line feed."""
        ...

    async def read_line(self, prompt: str) -> str:
        """Show a prompt and return the line that is typed, without its end.

        Raises EndOfInput where no further line comes, Interrupted after Ctrl+C.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformNode:
    """What the platform command line reaches of its node."""

    name: str
    "The node's short name."

    fqdn: str
    "Its full name."

    product: str
    "What it is, as `Cisco Unified CM IM and Presence`."

    version: str
    "The product's version, as `9.0.1.10000-21`."

    certificates: CertificateManagement
    "Its certificates and trust stores."

    services: ServiceControl[Any]
    "Its Control Center."

    machine: Machine | None = None
    "The process of its own that it runs in; None where it shares one with others."

    request_restart: Callable[[], None]
    "Has the node restart as soon as the command is done; that ends all sessions."


class Session:
    """One person at one node's platform command line, as a command sees them."""

    def __init__(
        self, node: PlatformNode, terminal: Terminal, show_help: Callable[[list[str]], None]
    ) -> None:
        self.node = node
        "The node."
        self.show_help = show_help
        "Shows help about the commands that begin with these words. Raises CommandFailed where none does."
        self.ended = False
        "Whether the session is to end after the present command."
        self._terminal = terminal

    def write(self, line: str = "") -> None:
        """Show one line, or several with line feeds between them."""
        self._terminal.write(line + "\n")

    async def ask(self, prompt: str) -> str:
        """Return the person's answer to a prompt. Raises EndOfInput where none comes."""
        return (await self._terminal.read_line(prompt)).strip()

    async def confirm(self, prompt: str) -> None:
        """Ask until the answer is yes or no.

        Raises Declined for no, for no answer, and after three answers that are neither.
        """
        for _ in range(_TRIES):
            try:
                answer = (await self.ask(prompt)).lower()
            except EndOfInput:
                break
            if answer in _YES:
                return
            if answer in _NO:
                break
            self.write("Please answer yes or no")
        raise Declined(_CANCELLED)

    async def paste(self, prompt: str) -> str:
        """Return the lines that are pasted after a prompt, up to an empty one.

        Raises CommandFailed where there are far too many; they are read to their end all the same, so that
        they are not taken for commands. Raises Declined after Ctrl+C.
        """
        self.write(prompt)
        lines: list[str] = []
        size = 0
        while True:
            try:
                line = (await self._terminal.read_line("")).strip()
            except Interrupted:
                raise Declined(_CANCELLED) from None
            except EndOfInput:
                break
            if not line:
                break
            size += len(line)
            if size <= MAXIMUM_PASTE:
                lines.append(line)
        if size > MAXIMUM_PASTE:
            raise CommandFailed(f"More than {MAXIMUM_PASTE} characters were pasted: no certificate chain")
        return "\n".join(lines) + "\n"

    def end(self) -> None:
        """Let the session end after the present command."""
        self.ended = True
