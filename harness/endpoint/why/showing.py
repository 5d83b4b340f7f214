"""A refusal as a person at a terminal reads it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape


def show_refusal(console: Console, refusal: Mapping[str, Any]) -> None:
    """Print a refusal: what the peer did, what it presented, the rule, what mends it."""
    verdict, mend = refusal["verdict"], refusal["mend"]
    at = datetime.fromisoformat(refusal["at"])
    console.print(
        f"[bold]{refusal['number']}[/]  {at:%H:%M:%S} [yellow]✘[/] {refusal['node']} {refusal['service']}: "
        f"[bold]{escape(verdict['reason'])}[/]"
    )
    _print(console, "the peer", refusal["did"])
    for place, certificate in enumerate(verdict.get("presented_chain", ()), start=1):
        _show_certificate(console, place, certificate)
    if "alert_sent" in verdict:
        _print(console, "it was told", f"TLS alert {verdict['alert_sent']}")
    _print(console, "rule", f"{verdict.get('rule', '')} ({verdict.get('clause', '')})")
    if "detail" in verdict:
        _print(console, "seen", verdict["detail"])
    for place, each in enumerate((*mend["steps"], *mend["restarts"]), start=1):
        _print(console, "mend" if place == 1 else "", f"{place}. {each}")
    if mend["steps"]:
        _print(console, "", f"{len(mend['steps']) + len(mend['restarts']) + 1}. restart what it asks for")
    if mend["steps"] or mend["restarts"]:
        _print(console, "", f"`imp-harness why {refusal['number']} --apply` does it")
    if mend["advice"]:
        whose = "mend" if mend["by"] == "lab" else "the peer's part"
        _print(console, whose, mend["advice"])


def _show_certificate(console: Console, place: int, certificate: Mapping[str, Any]) -> None:
    own = certificate["issuer"] == certificate["subject"]
    days = f"{certificate['not_before'][:10]} to {certificate['not_after'][:10]}"
    _print(console, "presented" if place == 1 else "", f"{place}. {certificate['subject']}, valid {days}")
    _print(console, "", f"   issued by {'itself' if own else certificate['issuer']}, {certificate['key']}")
    _print(console, "", f"   names {', '.join(certificate['names']) or 'none'}")
    _print(console, "", f"   SHA-256 {certificate['sha256']}")


def _print(console: Console, name: str, text: str) -> None:
    console.print(f"    [dim]{name + ':' if name else '':<17}[/]{escape(text)}")
