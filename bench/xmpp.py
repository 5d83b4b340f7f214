"""Chat messages routed a second, logins a second and memory a client: the lab against Prosody and pyjabber.

One generator in this process, over TLS; each server runs in processes of its own. `python -m bench.xmpp`
"""

import argparse
import asyncio
import signal
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from bench.peers import cpu_seconds, resident_bytes, running, running_ours
from bench.xmpp_client import CHUNK, LoginError, XmppConnection, connect
from bench.xmpp_servers import (
    CLIENT_PORT,
    DOMAIN,
    LAB,
    NODE_NAMES,
    PASSWORD,
    PROSODY,
    PYJABBER,
    lab_user,
    make_pyjabber_users,
    prosody_command,
    resolving,
)
from certs.issuing import CertificateSpec, KeyAlgorithm, issue_self_signed, make_key

PAIRS, WINDOW = 4, 64
"Senders with a receiver each, and messages that each may have under way."

LOGINS_AT_A_TIME = 8
LIMIT = 60.0
"Seconds that one measurement may take."

IDLE_CLIENTS = 2000

SETTLE = 0.2
"Seconds until everybody is available."

MARK = b"fountain"
"Stands once in each message, however a server writes its tags."


@dataclass(frozen=True, slots=True)
class Node:
    """One server process as the generator sees it."""

    host: str
    domain: str
    pid: int
    users: int
    "1 or 2: whose users, see `lab_user`."

    mechanism: str

    settle: float = 0
    "Seconds that the server needs after TLS and after SASL: pyjabber trips over what comes at once."

    attempts: int = 1
    "How often a login is tried, for the same reason."


@dataclass(frozen=True, slots=True)
class Competitor:
    """A server, or two that know each other."""

    name: str
    nodes: tuple[Node, ...]


def make_certificates(folder: Path) -> None:
    """Write a P-256 certificate for each name."""
    for node, name in NODE_NAMES.items():
        spec = CertificateSpec.for_node(name, LAB[node], now=datetime.now(UTC))
        credential = issue_self_signed(spec, make_key(KeyAlgorithm.EC_P256))
        (folder / f"{name}.crt").write_bytes(credential.chain_pem)
        (folder / f"{name}.key").write_bytes(credential.key_pem)


@contextmanager
def competitors(
    folder: Path, users: int, *, wanted: Sequence[str], archive: bool
) -> Iterator[list[Competitor]]:
    """Start the servers that are wanted, and end them with the block."""
    with ExitStack() as stack:
        found = []
        module = "bench.xmpp_servers"
        if "lab" in wanted:
            what = "archiving-lab" if archive else "lab"
            pids = {}
            for node, address in LAB.items():
                ours = running_ours(what, folder, str(node), listens_on=(address, CLIENT_PORT), module=module)
                pids[node] = stack.enter_context(ours)
            lab = tuple(Node(LAB[node], DOMAIN, pids[node], node, "SCRAM-SHA-1") for node in LAB)
            found.append(Competitor("lab", lab))
        if "Prosody" in wanted:
            stack.enter_context(resolving())
            pids = {
                node: stack.enter_context(
                    running(
                        prosody_command(folder, node, users),
                        listens_on=(PROSODY[node], CLIENT_PORT),
                        folder=folder,
                    )
                )
                for node in PROSODY
            }
            nodes = tuple(
                Node(PROSODY[node], NODE_NAMES[node], pids[node], node, "SCRAM-SHA-1") for node in PROSODY
            )
            found.append(Competitor("Prosody", nodes))
        if "pyjabber" in wanted:
            theirs = running_ours("pyjabber", folder, "1", listens_on=(PYJABBER, CLIENT_PORT), module=module)
            pid = stack.enter_context(theirs)
            make_pyjabber_users(folder, users)
            pyjabber = Node(PYJABBER, PYJABBER, pid, 1, "PLAIN", settle=0.01, attempts=5)
            found.append(Competitor("pyjabber", (pyjabber,)))
        yield found


class Generator:
    """Makes clients of the servers, all with one TLS context, and measures with them."""

    def __init__(self) -> None:
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE  # what is measured is the server

    async def log_in(self, node: Node, number: int) -> XmppConnection:
        """Return a client that is logged in."""
        for attempt in range(node.attempts):
            try:
                return await connect(
                    node.host,
                    CLIENT_PORT,
                    node.domain,
                    lab_user(node.users, number),
                    PASSWORD,
                    mechanism=node.mechanism,
                    tls=self._tls,
                    settle=node.settle,
                )
            except LoginError:
                if attempt + 1 == node.attempts:
                    raise
        raise AssertionError("a node has at least one attempt")

    async def messages(self, sender: Node, receiver: Node, count: int) -> tuple[float, float]:
        """Return chat messages routed a second, and the servers' CPU microseconds for each.

        Raises SystemExit where some do not arrive in time.
        """
        senders = [await self.log_in(sender, number) for number in range(PAIRS)]
        receivers = [await self.log_in(receiver, PAIRS + number) for number in range(PAIRS)]
        pids = {sender.pid, receiver.pid}
        for client in (*senders, *receivers):
            client.writer.write(b"<presence><priority>1</priority></presence>")
        await asyncio.sleep(SETTLE)
        try:
            async with asyncio.timeout(LIMIT):
                await _exchange(senders, receivers, 20)  # routes and links are there before it counts
            cpu, began = sum(map(cpu_seconds, pids)), time.perf_counter()
            async with asyncio.timeout(LIMIT):
                await _exchange(senders, receivers, count // PAIRS)
            seconds = time.perf_counter() - began
        except TimeoutError:
            raise SystemExit(
                f"{sender.host}: messages to {receiver.host} did not all arrive in {LIMIT:g} s; "
                "a Prosody finds the other one with Debian's lua-unbound"
            ) from None
        finally:
            for client in (*senders, *receivers):
                client.close()
        count = count // PAIRS * PAIRS
        return count / seconds, (sum(map(cpu_seconds, pids)) - cpu) / count * 1e6

    async def logins(self, node: Node, count: int) -> float:
        """Return logins a second, from the connection to the bound resource."""
        numbers = iter(range(count))

        async def log_in_one_after_the_other() -> None:
            for number in numbers:
                (await self.log_in(node, number)).close()

        began = time.perf_counter()
        async with asyncio.timeout(LIMIT), asyncio.TaskGroup() as group:
            for _ in range(LOGINS_AT_A_TIME):
                group.create_task(log_in_one_after_the_other())
        return count / (time.perf_counter() - began)

    async def memory(self, node: Node, count: int) -> float:
        """Return the bytes of memory for each client that is logged in, available and idle."""
        await asyncio.gather(*[self._log_in_and_out(node, number) for number in range(8)])
        before = resident_bytes(node.pid)
        clients: list[XmppConnection] = []
        try:
            async with asyncio.timeout(4 * LIMIT):
                for number in range(count):
                    client = await self.log_in(node, number)
                    clients.append(client)
                    client.writer.write(b"<presence/>")
                await asyncio.sleep(3)  # idle, as they are meant to be
            return (resident_bytes(node.pid) - before) / count
        finally:
            for client in clients:
                client.close()

    async def _log_in_and_out(self, node: Node, number: int) -> None:
        (await self.log_in(node, number)).close()


async def _exchange(senders: list[XmppConnection], receivers: list[XmppConnection], count: int) -> None:
    """Have each sender send so many messages to its receiver, a window at a time."""

    async def send(sender: XmppConnection, receiver: XmppConnection) -> None:
        message = (
            f"<message to='{receiver.jid}' type='chat' id='m1'><body>Shall we meet at the fountain at noon?"
            "</body></message>"
        ).encode()
        sent = min(WINDOW, count)
        sender.writer.write(message * sent)
        received, tail = 0, b""
        while received < count:
            data = await receiver.reader.read(CHUNK)
            if not data:
                raise SystemExit(f"{receiver.jid}: the server closed the stream")
            data = tail + data
            arrived = data.count(MARK)
            tail = data[data.rfind(MARK) + 1 :][1 - len(MARK) :]
            received += arrived
            more = min(arrived, count - sent)
            if more:
                sender.writer.write(message * more)
                sent += more

    async with asyncio.TaskGroup() as group:
        for sender, receiver in zip(senders, receivers, strict=True):
            group.create_task(send(sender, receiver))


async def compare(found: list[Competitor], options: argparse.Namespace) -> None:
    """Measure all in turn; print medians and how the lab compares."""
    generator = Generator()
    for title, node in (("one node", 0), ("two nodes", 1)):
        print(
            f"chat messages between TLS clients of {title}, {PAIRS} pairs, {WINDOW} under way each",
            flush=True,
        )
        able = [one for one in found if len(one.nodes) > node]
        rates: dict[str, list[tuple[float, float]]] = {one.name: [] for one in able}
        for _ in range(options.rounds + 1):
            for one in able:
                count = options.count if one.name != "pyjabber" else options.count // 4
                measured = await generator.messages(one.nodes[0], one.nodes[node], count)
                rates[one.name].append(measured)
        medians = {}
        for name, measured_rates in rates.items():
            counted = measured_rates[1:]  # the first round warms up
            medians[name] = statistics.median(rate for rate, _ in counted)
            cpu = statistics.median(cost for _, cost in counted)
            print(f"  {name:<9}{medians[name]:7.0f}/s, CPU of the servers {cpu:4.0f} µs each")
        _print_ratios(medians)
    logins: dict[str, list[float]] = {one.name: [] for one in found}
    for _ in range(options.rounds):
        for one in found:
            logins[one.name].append(await generator.logins(one.nodes[0], options.logins))
    print("logins over TLS: STARTTLS, SCRAM-SHA-1 (pyjabber knows only PLAIN), bind")
    for one in found:
        print(f"  {one.name:<9}{statistics.median(logins[one.name]):7.0f}/s")
    _print_ratios({name: statistics.median(rates) for name, rates in logins.items()})
    print(f"memory for each of {options.clients} idle TLS clients", flush=True)
    sizes = {}
    for one in found:
        sizes[one.name] = await generator.memory(one.nodes[0], options.clients)
        print(f"  {one.name:<9}{sizes[one.name] / 1024:7.1f} KB", flush=True)
    _print_ratios(sizes)


def _print_ratios(figures: dict[str, float]) -> None:
    lab = figures.get("lab")
    for name, figure in figures.items():
        if lab is not None and name != "lab":
            print(f"  ratio lab / {name}: {lab / figure:.2f}")


def main() -> None:
    """Start the servers and compare them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ("lab", "Prosody", "pyjabber")
    parser.add_argument("--server", action="append", choices=names, help="default: all")
    parser.add_argument("--archive", action="store_true", help="the lab archives messages (XEP-0313)")
    parser.add_argument("--count", type=int, default=40_000, help="messages a measurement (default 40000)")
    parser.add_argument("--logins", type=int, default=400, help="logins a measurement (default 400)")
    parser.add_argument("--clients", type=int, default=IDLE_CLIENTS, help="idle clients (default 2000)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each (default 3)")
    options = parser.parse_args()
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(143)
    )  # the servers end with us, also when we are killed
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_certificates(folder)
        users = max(options.logins, options.clients, 2 * PAIRS)
        wanted = options.server or names
        with competitors(folder, users, wanted=wanted, archive=options.archive) as found:
            uvloop.run(compare(found, options))


if __name__ == "__main__":
    main()
