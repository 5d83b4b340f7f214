"""The verdict catalogue as people read it: one reason in the terminal, all of them as a page."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from certs.catalogue import explain
from certs.symptoms import SYMPTOMS
from certs.verdict import Reason
from harness.clauses import CLAUSES

_PAGE_START: Final = """\
# The verdict catalogue

Every reason that a verdict can have: what usually lies behind it, what the refused peer sees on the wire, which rule
refused it, and what mends it. Made by `imp-harness verdicts --markdown`; a test fails when it is out of date. In a
ledger the remedy names the node, the store and the services of the place; here they stand for themselves.
"""


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """All that is known about one reason."""

    reason: Reason
    "The reason."

    cause: str
    "What usually lies behind it."

    at_peer: str
    "What the peer sees on the wire."

    rule: str
    "The rule, in one sentence."

    clause: str
    "The guide's clause, or the section of an RFC."

    remedy: str
    "What mends it; empty for an accepted peer."

    @property
    def source(self) -> str:
        """The clause with the guide's title of it, where it is one of the guide's."""
        title = CLAUSES.get(self.clause)
        return f"{self.clause}, {title}" if title else self.clause

    def as_json(self) -> Mapping[str, str]:
        """Return the entry as JSON has it."""
        return {
            "reason": str(self.reason),
            "name": self.reason.name,
            "cause": self.cause,
            "at_peer": self.at_peer,
            "rule": self.rule,
            "clause": self.clause,
            "remedy": self.remedy,
        }


def catalogue_entries(pattern: str = "") -> list[CatalogueEntry]:
    """Return the entries whose reason has the words; all of them without any."""
    wanted = pattern.casefold().replace("_", " ").replace("-", " ").split()
    return [
        CatalogueEntry(reason, symptom.cause, symptom.at_peer, text.rule, text.clause, text.remedy)
        for reason, symptom in SYMPTOMS.items()
        if all(word in _words(reason) for word in wanted)
        for text in (explain(reason),)
    ]


def _words(reason: Reason) -> str:
    return f"{reason} {reason.name}".casefold().replace("_", " ").replace("-", " ")


def as_markdown(entries: Iterable[CatalogueEntry]) -> str:
    """Return the page."""
    parts = [_PAGE_START]
    for entry in entries:
        parts.append(
            f"## {entry.reason}\n\n"
            f"- **Cause**: {entry.cause}\n"
            f"- **The peer sees**: {entry.at_peer}\n"
            f"- **The ledger says**: {entry.rule} ({entry.source})\n"
            f"- **Remedy**: {entry.remedy or 'none is needed.'}\n"
        )
    return "\n".join(parts)
