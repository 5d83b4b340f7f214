"""What a person at a terminal sees of a lab that is up: its table, its live log, its end."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.evidence.ledger import Closed, Entry, Judged, Note, Opened
from harness.evidence.terminal import print_judged

if TYPE_CHECKING:
    from harness.endpoint.description import LabDescription


def terminal() -> Console:
    """Return a console; off a terminal rich assumes 80 columns, and the table has more."""
    console = Console(highlight=False, soft_wrap=True)
    return console if console.is_terminal else Console(highlight=False, soft_wrap=True, width=160)


def show_lab(console: Console, lab: "LabDescription") -> None:
    """Print where a lab's endpoints are, who its users are, and where clients find what they need."""
    console.print(f"lab {lab.name}: {len(lab.nodes)} nodes up in {lab.boot_seconds * 1000:.0f} ms ({lab.id})")
    table = Table("node", "service", "address", "port", "transport", "expects", box=None, pad_edge=False)
    names = {node.name: node.fqdn for node in lab.nodes}
    seen: tuple[str, str] = ("", "")
    for each in lab.endpoints:
        node, service = names[each.node], each.service
        head = ("", "") if (node, service) == seen else ("" if node == seen[0] else node, service)
        seen = node, service
        table.add_row(*map(escape, (*head, each.address, str(each.port), each.transport, each.expects)))
    console.print(table)
    _show_users(console, lab)
    rows = [("administrator", f"password in {lab.administrator_password_file}")]
    rows.append(("hosts", f"{lab.hosts} (for /etc/hosts)"))
    if lab.dns is not None:
        rows.append(("DNS", f"{lab.dns.address} port {lab.dns.port}, UDP and TCP: A, SRV, TXT, PTR"))
    if lab.certificates is not None:
        rows += [
            ("CA bundle", f"{lab.certificates.trust} (what the nodes show)"),
            ("client to be let in", str(lab.certificates.client)),
            ("client to be refused", str(lab.certificates.stranger)),
        ]
    if lab.web is not None:
        rows.append(("live page", lab.web))
    rows.append(("evidence", str(lab.folder)))
    if lab.state is not None:
        rows.append(("state", f"{lab.state} (kept for the next run)"))
    for name, value in rows:
        console.print(f"{name + ':':<22}{escape(value)}")
    _show_examples(console, lab)


def show_status(console: Console, now: Mapping[str, Any]) -> None:
    """Print what of a lab is not as it should be, and how its verdicts are counted."""
    for node in now["nodes"]:
        for each in node["services"]:
            if each["state"] != "Started":
                console.print(
                    f"[red]{each['service']} on {node['node']}: {each['state']}[/] {escape(each['reason'])}"
                )
    for each in now["restart_needed"]:
        console.print(f"[yellow]{escape(each)}[/]")
    for each in now["faults"]:
        console.print(f"[yellow]fault on: {escape(each['text'])}[/]")
    console.print(f"{'verdicts:':<22}{now['accepted']} accepted, {now['refused']} refused")


def _show_users(console: Console, lab: "LabDescription") -> None:
    for user in lab.users:
        console.print(f"{'user:':<22}{user.jid}, home node {user.home_node}")
    if lab.users:
        where = lab.control.parent / "lab.json"
        console.print(f"{'passwords:':<22}imp-harness env, or {where} (mode 0600)")


def _show_examples(console: Console, lab: "LabDescription") -> None:
    imp = next((each for each in lab.endpoints if each.name == "sip-tls-peer"), None)
    if lab.certificates is not None and imp is not None:
        console.print(
            f"try: openssl s_client -connect {imp.address}:{imp.port} "
            f"-CAfile {lab.certificates.trust} -cert {lab.certificates.client}"
        )
    console.print("refused? `imp-harness why` tells the reason and the remedy")


class LiveLog:
    """Prints what happens, line by line: verdicts, notes, and connections of clients from outside."""

    def __init__(self, console: Console, lab: "LabDescription") -> None:
        self._console = console
        self._nodes = {node.address for node in lab.nodes}
        self._outside: dict[str, None] = {}

    def take(self, entry: Entry) -> None:
        """Print an entry, if it is one for people."""
        match entry:
            case Opened(connection=connection) if connection.peer[0] not in self._nodes:
                self._outside[connection.id] = None
                peer = f"{connection.peer[0]}:{connection.peer[1]}"
                where = f"{connection.node}:{connection.local[1]}"
                self._print(entry, f"… {where} from {peer}: connected ({connection.service})")
            case Closed(connection=connection) if connection.id in self._outside:
                del self._outside[connection.id]
                peer = f"{connection.peer[0]}:{connection.peer[1]}"
                self._print(
                    entry, f"  {connection.node}:{connection.local[1]} from {peer}: closed ({entry.why})"
                )
            case Judged():
                print_judged(self._console, entry)
            case Note():
                self._print(entry, f"• {entry.text}")
            case _:
                pass

    def _print(self, entry: Entry, text: str) -> None:
        self._console.print(f"[dim]{entry.at:%H:%M:%S} {escape(text)}[/]")
