"""A page of an interface as data: where it is in the menus, what it shows, what its buttons do."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeVar

from certs.errors import ConfigError
from harness.access.accounts import Role
from harness.web.sessions import Session

ChoiceT = TypeVar("ChoiceT", bound=StrEnum)

MAXIMUM_FIELD: Final = 64 * 1024
"Characters of a form's field; a pasted certificate chain has a few thousand."


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadedFile:
    """A file that was chosen in a form."""

    name: str
    "Its name on the person's machine."

    content: bytes
    "Its bytes."


class Form:
    """What a person filled in."""

    def __init__(
        self, values: Mapping[str, list[str]], files: Mapping[str, UploadedFile] | None = None
    ) -> None:
        self._values = values
        self._files = files or {}

    def text(self, name: str) -> str:
        """Return a field without the spaces around it; empty where it is not there."""
        return self.raw(name).strip()

    def raw(self, name: str) -> str:
        """Return a field as it was typed; empty where it is not there."""
        values = self._values.get(name)
        return values[0] if values else ""

    def all(self, name: str) -> tuple[str, ...]:
        """Return everything that was chosen in a list."""
        return tuple(self._values.get(name, ()))

    def is_checked(self, name: str) -> bool:
        """Whether a check box is checked."""
        return bool(self.raw(name))

    def replaced(self, name: str, values: tuple[str, ...]) -> "Form":
        """Return the same form with other values in one field."""
        return Form({**self._values, name: list(values)}, self._files)

    def port(self, name: str, label: str) -> int:
        """Return a port. Raises ConfigError where the field holds none."""
        text = self.text(name)
        if not text.isdecimal() or not text.isascii() or not 0 < int(text[:6]) < 65536:
            raise ConfigError(f"{label}: expected a port from 1 to 65535, seen {text[:50]!r}")
        return int(text)

    def choice(self, name: str, label: str, kind: type[ChoiceT]) -> ChoiceT:
        """Return what was chosen in a menu. Raises ConfigError where it has no such entry."""
        text = self.text(name)
        try:
            return kind(text)
        except ValueError:
            raise ConfigError(f"{label}: expected one of {', '.join(kind)}, seen {text[:50]!r}") from None

    def file(self, name: str) -> UploadedFile:
        """Return an uploaded file. Raises ConfigError where none was chosen."""
        file = self._files.get(name)
        if file is None or not file.name:
            raise ConfigError("File: expected a file, seen none; select Browse and choose one")
        return file

    def has_file(self, name: str) -> bool:
        """Whether a file was chosen."""
        return name in self._files and bool(self._files[name].name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request for a page."""

    session: Session
    "Who asks."

    query: Mapping[str, str]
    "What follows the question mark."

    host: str = ""
    "The name by which the browser calls the node, with the port."


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file for the person instead of a page."""

    file_name: str
    "What to call it."

    content: bytes
    "Its bytes."

    content_type: str = "application/octet-stream"
    "What it is."


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a button did."""

    message: str = ""
    "What the next page says of it."

    is_error: bool = False
    "Whether it went wrong: it was carried out and reports a failure."

    go_to: str = ""
    "The interface's page to show next, with its query; empty shows the same page again."

    pause: int = 0
    "Seconds to wait before the next page: what serves it is not there before."


@dataclass(frozen=True, slots=True, kw_only=True)
class Redraw:
    """The same page with other things filled in; nothing was saved."""

    form: Form
    "What is filled in now."


Shown = Mapping[str, object] | Download
"What a page's template is given, or a file."

Show = Callable[[Visit], Awaitable[Shown]]
Act = Callable[[Visit, Form], Awaitable[Done | Download | Redraw]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page."""

    path: str
    "Its path below the interface's; empty for the interface's first page."

    title: str
    "Its heading."

    template: str
    "The file in `templates`."

    show: Show
    "Returns what the template needs. Raises HarnessError where it cannot."

    menu: tuple[str, ...] = ()
    "The menus that lead to it, as `System`, `Security`; empty for a page that is reached from another."

    actions: Mapping[str, Act] = field(default_factory=lambda: MappingProxyType({}))
    "What its buttons do, by their value. They raise HarnessError where they cannot, and have changed nothing then."

    is_live: bool = False
    "Whether it shows what changes by itself."


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One of a node's interfaces (G01)."""

    path: str
    "The first part of its pages' paths."

    title: str
    "Its name."

    roles: frozenset[Role]
    "Who may log in here."

    pages: tuple[Page, ...]
    "Its pages, in the order of its menus; the first one is shown after login."

    def page(self, path: str) -> Page | None:
        """Return the page of a path."""
        return next((page for page in self.pages if page.path == path), None)

    def menus(self) -> dict[str, dict[str, list[Page]]]:
        """Return the pages by their menu and the group in it; pages without a group are in the group ``."""
        menus: dict[str, dict[str, list[Page]]] = {}
        for page in self.pages:
            if page.menu:
                menu, *group = page.menu
                menus.setdefault(menu, {}).setdefault(" > ".join(group), []).append(page)
        return menus


def make_file_name(text: str) -> str:
    """Return a text as a file's name, without what a header or a file system could misread."""
    return "".join(character if character.isalnum() or character in "-_." else "-" for character in text)[
        :100
    ]
