"""The commands of the platform command line. Each room of commands adds its own with `@command`."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from harness.platform.session import PlatformNode
from harness.platform.syntax import Syntax

Run = Callable[..., Awaitable[None]]
"A command: takes the `Session`, then its choices and arguments in their order."

Completer = Callable[[PlatformNode], Iterable[str]]
"Returns what an argument may be on a node."


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command."""

    syntax: Syntax
    "How it is written."

    help: str
    "What it does, in one sentence."

    run: Run
    "Does it."

    examples: tuple[str, ...] = ()
    "Lines that a person can type."

    completers: Mapping[str, Completer] = field(default_factory=dict)
    "What its arguments may be, by their names."


class Registry:
    """Commands, and what their leading words are about."""

    def __init__(self) -> None:
        self._commands: dict[str, Command] = {}
        self._groups: dict[str, str] = {}

    def command(
        self,
        syntax: str,
        help_text: str,
        *,
        examples: tuple[str, ...] = (),
        completers: Mapping[str, Completer] | None = None,
    ) -> Callable[[Run], Run]:
        """Add the decorated function as a command of this form."""

        def add(run: Run) -> Run:
            assert syntax not in self._commands, f"{syntax} is there already"
            self._commands[syntax] = Command(
                syntax=Syntax.parse(syntax),
                help=help_text,
                run=run,
                examples=examples,
                completers=completers or {},
            )
            return run

        return add

    def group(self, words: str, help_text: str) -> None:
        """Say what the commands that begin with these words are about."""
        self._groups[words] = help_text

    @property
    def commands(self) -> tuple[Command, ...]:
        """All commands, in the order of their words."""
        return tuple(self._commands[syntax] for syntax in sorted(self._commands))

    def about(self, words: str) -> str:
        """Return what a command or a group of commands is about; empty where nothing begins like this."""
        if words in self._groups:
            return self._groups[words]
        return next((each.help for each in self.commands if each.syntax.words == words), "")


COMMANDS: Final = Registry()
"The commands of every node. `harness.platform.commands` fills it."

command = COMMANDS.command
group = COMMANDS.group
