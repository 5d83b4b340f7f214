"""Reporting: the node's handshake ledger with filters, verdicts and remedies."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from certs.errors import ConfigError
from harness.access.accounts import Role
from harness.evidence.handshakes import Remembered
from harness.web.page import Interface, Page, Shown, Visit

if TYPE_CHECKING:
    from harness.nodes.node import CucmNode, ImpNode

PATH: Final = "cucreports"
SHOWN: Final = 200
"Lines of a page; filters find what is older."


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerFilter:
    """Which verdicts are asked for; what is empty lets all through."""

    outcome: str = ""
    "`accepted` or `refused`."

    reason: str = ""
    "A reason, as `untrusted issuer`."

    service: str = ""
    "A service, as in Control Center."

    text: str = ""
    "Somewhere in the peer's address, its subject or the detail."

    def find(self, entries: Iterable[Remembered], limit: int) -> list[Remembered]:
        """Return the first entries that are let through."""
        found: list[Remembered] = []
        for entry in entries:
            if self._lets_through(entry):
                found.append(entry)
                if len(found) == limit:
                    break
        return found

    def _lets_through(self, entry: Remembered) -> bool:
        verdict, connection = entry.verdict, entry.connection
        searched = f"{connection.peer[0]}:{connection.peer[1]} {verdict.subject} {verdict.detail}".lower()
        return (
            self.outcome in ("", "accepted" if verdict.accepted else "refused")
            and self.reason in ("", verdict.reason)
            and self.service in ("", connection.service)
            and self.text.lower() in searched
        )


class ReportingPages:
    """The pages of one node."""

    def __init__(self, node: "ImpNode | CucmNode", title: str) -> None:
        self._node = node
        self._title = title

    def interface(self) -> Interface:
        """Return the interface."""
        return Interface(
            path=PATH,
            title=self._title,
            roles=frozenset({Role.ADMINISTRATOR}),
            pages=(
                Page(path="", title=self._title, template="home.html", show=self._home),
                Page(
                    path="handshakes",
                    title="Handshake Ledger",
                    menu=("System Reports",),
                    template="handshakes.html",
                    show=self._show_ledger,
                    is_live=True,
                ),
                Page(path="handshake", title="Verdict", template="handshake.html", show=self._show_verdict),
                Page(
                    path="restarts",
                    title="Restarts Needed",
                    menu=("System Reports",),
                    template="restarts.html",
                    show=self._show_nothing,
                    is_live=True,
                ),
            ),
        )

    async def _home(self, visit: Visit) -> Shown:
        entries = tuple(self._node.handshakes.entries())
        refused = sum(not one.verdict.accepted for one in entries)
        return {"facts": [("Verdicts remembered", len(entries)), ("Of these refused", refused)]}

    async def _show_nothing(self, visit: Visit) -> Shown:
        return {}

    async def _show_ledger(self, visit: Visit) -> Shown:
        query = visit.query
        wanted = LedgerFilter(
            outcome=query.get("outcome", ""),
            reason=query.get("reason", ""),
            service=query.get("service", ""),
            text=query.get("text", "").strip(),
        )
        entries = tuple(self._node.handshakes.entries())
        return {
            "entries": wanted.find(entries, SHOWN),
            "wanted": wanted,
            "reasons": sorted({str(one.verdict.reason) for one in entries}),
            "services": sorted({one.connection.service for one in entries}),
        }

    async def _show_verdict(self, visit: Visit) -> Shown:
        number = visit.query.get("number", "")
        for entry in self._node.handshakes.entries():
            if str(entry.number) == number:
                return {"entry": entry}
        raise ConfigError(f"this node remembers no verdict number {number[:20]!r}")
