"""The platform command line without a socket: lines in, text and prompts out, through a `Terminal`."""

from collections.abc import Iterable
from enum import Enum
from functools import partial
from typing import Final

from certs.errors import HarnessError
from harness.near_matches import did_you_mean
from harness.platform import commands as _commands
from harness.platform.registry import COMMANDS, Command, Registry
from harness.platform.session import (
    MAXIMUM_LINE,
    CommandFailed,
    Declined,
    EndOfInput,
    Interrupted,
    PlatformNode,
    Session,
    Terminal,
)
from harness.platform.syntax import Completion, Syntax, complete

PROMPT: Final = "admin:"
"The product's prompt."

UNSUCCESSFUL: Final = "Executed command unsuccessfully"
"What the product says after a command that failed, and before what was wrong with one it does not know."

_WELCOME: Final = """\
Command Line Interface is starting up, please wait ...

   Welcome to the Platform Command Line Interface

"""


class Outcome(Enum):
    """How a line went; the value is the exit status of a single command."""

    DONE = 0
    FAILED = 1
    DECLINED = 3
    NOT_UNDERSTOOD = 2


class Interpreter:
    """Runs lines on one node for one person."""

    def __init__(self, node: PlatformNode, terminal: Terminal, registry: Registry = COMMANDS) -> None:
        _commands.register()
        self._session = Session(node, terminal, self._show_help)
        self._terminal = terminal
        self._registry = registry

    async def run(self) -> Outcome:
        """Welcome the person, run what they type until they quit or go, and return how the last line went."""
        self._terminal.write(_WELCOME)
        outcome = Outcome.DONE
        while not self._session.ended:
            try:
                line = await self._terminal.read_line(PROMPT)
            except Interrupted:
                continue
            except EndOfInput:
                break
            outcome = await self.execute(line)
        return outcome

    async def execute(self, line: str) -> Outcome:
        """Run one line, and show what went wrong with it."""
        if len(line) > MAXIMUM_LINE:
            return self._not_understood(f"A line has at most {MAXIMUM_LINE} characters")
        line = line.strip()
        if not line:
            return Outcome.DONE
        if line.endswith("?"):
            following = self.following(line[:-1])
            if not following:
                return self._not_understood(self._what_is_wrong(line[:-1].split()))
            self._terminal.write(following)
            return Outcome.DONE
        words = line.split()
        for each in self._registry.commands:
            values = each.syntax.match(words)
            if values is not None:
                return await self._run(each, values)
        return self._not_understood(self._what_is_wrong(words))

    def complete(self, line: str) -> Completion:
        """Return what the tab key makes of a line."""
        forms = {each.syntax: partial(self._candidates, each) for each in self._registry.commands}
        helped = line.removeprefix("help ")
        completion = complete(helped, forms)
        prefix = line[: len(line) - len(helped)]
        return Completion(line=prefix + completion.line, candidates=completion.candidates)

    def following(self, line: str) -> str:
        """Return what may follow, a line each with its help; empty where nothing may. The question mark shows it."""
        typed = line.split()
        shown: dict[str, str] = {}
        for each in self._registry.commands:
            if each.syntax.continues(typed) is not None:
                word = each.syntax.text.split()[min(len(typed), len(each.syntax.tokens) - 1)]
                shown.setdefault(word, self._registry.about(" ".join([*typed, word])) or each.help)
        return _table(shown)

    def _candidates(self, each: Command, argument: str) -> Iterable[str]:
        completer = each.completers.get(argument)
        return completer(self._session.node) if completer is not None else ()

    async def _run(self, each: Command, values: tuple[str, ...]) -> Outcome:
        try:
            await each.run(self._session, *values)
        except Declined as declined:
            self._session.write(str(declined))
            return Outcome.DECLINED
        except HarnessError as failure:
            self._session.write(str(failure))
            self._session.write(UNSUCCESSFUL)
            return Outcome.FAILED
        return Outcome.DONE

    # What the person did not know.

    def _not_understood(self, why: str) -> Outcome:
        self._session.write(UNSUCCESSFUL)
        self._session.write(why)
        return Outcome.NOT_UNDERSTOOD

    def _what_is_wrong(self, words: list[str]) -> str:
        begun = [each.syntax for each in self._registry.commands if each.syntax.continues(words) is not None]
        if begun:
            forms = "\n".join(f"  {syntax.text}" for syntax in begun)
            return f"Incomplete command; it goes on as\n{forms}"
        return f"No valid command entered{self._near(words)}"

    def _near(self, words: list[str]) -> str:
        known = {each.syntax.words for each in self._registry.commands}
        for count in range(len(words), 0, -1):
            hint = did_you_mean(" ".join(words[:count]), known)
            if hint:
                return hint
        return ""

    def _show_help(self, words: list[str]) -> None:
        if not words:
            self._terminal.write(self.following(""))
            return
        found = [
            each
            for each in self._registry.commands
            if _begins(each.syntax, words) or each.syntax.match(words) is not None
        ]
        if not found:
            raise CommandFailed(f"No help for {' '.join(words)!r}{self._near(words)}")
        if len(found) > 1:
            self._terminal.write(_table({each.syntax.text: each.help for each in found}))
            return
        (each,) = found
        self._session.write(f"{each.syntax.words} help:\n{each.help}\n\n  {each.syntax.text}")
        for example in each.examples:
            self._session.write(f"\nExample:\n{PROMPT}{example}")


def _table(lines: dict[str, str]) -> str:
    width = max(map(len, lines), default=0)
    return "".join(f"  {name:<{width}}  {about}".rstrip() + "\n" for name, about in lines.items())


def _begins(syntax: Syntax, words: list[str]) -> bool:
    return syntax.text.split()[: len(words)] == words
