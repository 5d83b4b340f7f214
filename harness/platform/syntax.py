"""How a command is written: its words and arguments, how a line is matched against them, how it is completed.

show cert list own|trust        words, and a choice between words
set cert regen NAME             an argument: one word
utils service restart NAME...   an argument that takes the rest of the line: `Cisco SIP Proxy` has spaces
help [COMMAND...]               one that may be missing
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

Candidates = Callable[[str], Iterable[str]]
"Returns what an argument of this name may be, for completion."


@dataclass(frozen=True, slots=True)
class Word:
    """A word that must be typed as it stands."""

    text: str
    "The word."


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several words; the command is told which."""

    options: tuple[str, ...]
    "The words."


@dataclass(frozen=True, slots=True)
class Argument:
    """A value that the administrator gives."""

    name: str
    "Its name in the help, in capitals."

    rest: bool = False
    "Whether it takes the rest of the line, spaces included."

    optional: bool = False
    "Whether it may be missing; then the command is told an empty text."


Token = Word | Choice | Argument


@dataclass(frozen=True, slots=True)
class Syntax:
    """The form of one command."""

    text: str
    "As it is written in the help."

    tokens: tuple[Token, ...]
    "Its parts."

    @classmethod
    def parse(cls, text: str) -> "Syntax":
        """Return the form that a text like `set cert import own|trust NAME` describes."""
        return cls(text, tuple(_parse_token(word) for word in text.split()))

    @property
    def words(self) -> str:
        """The words in front of its first choice or argument, as `set cert import`."""
        leading = []
        for token in self.tokens:
            if not isinstance(token, Word):
                break
            leading.append(token.text)
        return " ".join(leading)

    def match(self, words: Sequence[str]) -> tuple[str, ...] | None:
        """Return the choices and arguments of a line that is written in this form, or None."""
        values: list[str] = []
        for place, token in enumerate(self.tokens):
            if isinstance(token, Argument) and token.rest:
                rest = " ".join(words[place:])
                return (*values, rest) if rest or token.optional else None
            if place >= len(words) or not _accepts(token, words[place]):
                return None
            if not isinstance(token, Word):
                values.append(words[place])
        return tuple(values) if len(words) == len(self.tokens) else None

    def continues(self, words: Sequence[str]) -> Token | None:
        """Return what may follow these words in this form, or None where nothing may."""
        for place, token in enumerate(self.tokens):
            if isinstance(token, Argument) and token.rest:
                return token
            if place == len(words):
                return token
            if not _accepts(token, words[place]):
                return None
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What the tab key does with a line."""

    line: str
    "The line, longer by what is certain."

    candidates: tuple[str, ...]
    "What may stand in the place of the last word; one means that the line has it already."


def complete(line: str, forms: Mapping[Syntax, Candidates]) -> Completion:
    """Complete the last word of a line, or tell what may follow after a space."""
    words = line.split()
    partial = words.pop() if words and not line[-1:].isspace() else ""
    before = line[: len(line) - len(partial)]
    found: set[str] = set()
    for syntax, candidates in forms.items():
        found.update(_following(syntax, candidates, words, partial))
    certain = _common_beginning(found)
    if len(certain) <= len(partial) and len(found) != 1:
        return Completion(line=line, candidates=tuple(sorted(found)))
    ending = " " if len(found) == 1 else ""
    return Completion(line=before + certain + ending, candidates=tuple(sorted(found)))


def _common_beginning(texts: set[str]) -> str:
    if not texts:
        return ""
    first, last = min(texts), max(texts)
    return next((first[:place] for place in range(len(first), 0, -1) if last.startswith(first[:place])), "")


def _following(syntax: Syntax, candidates: Candidates, words: list[str], partial: str) -> Iterator[str]:
    match syntax.continues(words):
        case Word(text=text):
            yield from (each for each in (text,) if each.startswith(partial))
        case Choice(options=options):
            yield from (each for each in options if each.startswith(partial))
        case Argument() as argument:
            # A name with spaces is completed word by word: what is typed of it already is cut off.
            place = syntax.tokens.index(argument)
            typed = " ".join(words[place:])
            typed = f"{typed} " if typed else ""
            for each in candidates(argument.name):
                if each.startswith(typed + partial):
                    yield each[len(typed) :]
        case None:
            return


def _accepts(token: Token, word: str) -> bool:
    match token:
        case Word():
            return token.text == word
        case Choice():
            return word in token.options
        case Argument():
            return True


def _parse_token(text: str) -> Token:
    optional = text.startswith("[")
    text = text.strip("[]")
    if "|" in text:
        return Choice(tuple(text.split("|")))
    if text.isupper() or text.removesuffix("...").isupper():
        return Argument(text.removesuffix("..."), rest=text.endswith("..."), optional=optional)
    return Word(text)
