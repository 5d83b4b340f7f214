"""Proxied MESSAGE transactions a second over TCP and TLS: the lab's SIP proxy against Kamailio.

One generator in this process sends byte templates and answers them; each proxy runs in a process of its own and
relays statefully with one worker. Same run, in turn. `python -m bench.messages`
"""

import argparse
import asyncio
import ssl
import statistics
import tempfile
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from bench.kamailio import kamailio_command
from bench.peers import cpu_seconds, running, running_ours
from bench.servers import (
    CALLEE,
    CALLEE_PORT,
    CALLER,
    DOMAIN,
    NAMES,
    OURS,
    PEER_AUTH_PORT,
    SIP_PORT,
    THEIRS,
    make_certificates,
)

CONNECTIONS, WINDOW = 8, 8
LIMIT = 30.0
"Seconds that one measurement may take."

REQUEST = (
    "MESSAGE sip:callee@{domain} SIP/2.0\r\n"
    "Via: SIP/2.0/{transport} {caller}:5060;branch=z9hG4bK{number:x};rport\r\n"
    "Max-Forwards: 70\r\n"
    "From: <sip:caller@{domain}>;tag=c\r\n"
    "To: <sip:callee@{domain}>\r\n"
    "Call-ID: {number:x}@{caller}\r\n"
    "CSeq: 1 MESSAGE\r\n"
    "Content-Type: text/plain\r\n"
    "Content-Length: 5\r\n"
    "\r\n"
    "hello"
)
ECHOED = (b"via:", b"from:", b"to:", b"call-id:", b"cseq:")


class Callee(asyncio.Protocol):
    """Answers every MESSAGE by 200."""

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer all whole requests: head and five bytes of body."""
        self._buffer += data
        answers = []
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0 and len(self._buffer) >= end + 9:
            head, self._buffer = self._buffer[:end], self._buffer[end + 9 :]
            lines = [line for line in head.split(b"\r\n")[1:] if line.lower().startswith(ECHOED)]
            answers.append(b"\r\n".join([b"SIP/2.0 200 OK", *lines, b"Content-Length: 0", b"", b""]))
        if answers:
            self._transport.write(b"".join(answers))  # type: ignore[attr-defined]


@dataclass
class Load:
    """What all callers share."""

    wanted: int
    transport: str
    first: int
    sent: int = 0
    answered: int = 0
    failed: int = 0
    latencies: list[float] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Caller(asyncio.Protocol):
    """Keeps a window of transactions open until the load is done."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._buffer = b""
        self._began: deque[float] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Fill the window."""
        self._transport = transport
        self._send(WINDOW)

    def data_received(self, data: bytes) -> None:
        """Count answers, and send one request for each."""
        self._buffer += data
        *heads, self._buffer = self._buffer.split(b"\r\n\r\n")
        now = time.perf_counter()
        for head in heads:
            if head.startswith(b"SIP/2.0 200"):
                self._load.answered += 1
                self._load.latencies.append(now - self._began.popleft())
            elif not head.startswith(b"SIP/2.0 1"):
                self._load.failed += 1
        if self._load.answered + self._load.failed >= self._load.wanted:
            self._load.done.set()
        self._send(len(heads))

    def _send(self, count: int) -> None:
        load = self._load
        count = min(count, load.wanted - load.sent)
        now = time.perf_counter()
        requests = []
        for _ in range(count):
            load.sent += 1
            self._began.append(now)
            requests.append(
                REQUEST.format(
                    domain=DOMAIN, caller=CALLER, transport=load.transport, number=load.first + load.sent
                )
            )
        if requests:
            self._transport.write("".join(requests).encode())  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Rate:
    """One measurement."""

    per_second: float
    cpu_microseconds: float
    p50: float
    p99: float


async def measure(host: str, pid: int, transport: str, wanted: int, folder: Path) -> Rate:
    """Send MESSAGE requests through a proxy until so many are answered.

    Raises SystemExit where some fail or the time is up.
    """
    loop = asyncio.get_running_loop()
    # A branch that comes again within seconds is a retransmission to a proxy, and cheap to answer.
    load = Load(wanted, transport, first=time.monotonic_ns())
    ssl_context = _client_context(folder) if transport == "TLS" else None
    port = PEER_AUTH_PORT if transport == "TLS" else SIP_PORT
    began, cpu = time.perf_counter(), cpu_seconds(pid)
    callers = []
    try:
        async with asyncio.timeout(LIMIT):
            for _ in range(CONNECTIONS):
                caller, _ = await loop.create_connection(
                    lambda: Caller(load), host, port, ssl=ssl_context, local_addr=(CALLER, 0)
                )
                callers.append(caller)
            await load.done.wait()
    except TimeoutError:
        raise SystemExit(
            f"{host} over {transport}: {load.answered} of {wanted} answered in {LIMIT} s"
        ) from None
    finally:
        for caller in callers:
            caller.close()
    seconds = time.perf_counter() - began
    if load.failed:
        raise SystemExit(f"{host} over {transport}: {load.failed} of {wanted} failed")
    latencies = sorted(load.latencies)
    return Rate(
        per_second=wanted / seconds,
        cpu_microseconds=(cpu_seconds(pid) - cpu) / wanted * 1e6,
        p50=latencies[len(latencies) // 2] * 1000,
        p99=latencies[len(latencies) * 99 // 100] * 1000,
    )


def _client_context(folder: Path) -> ssl.SSLContext:
    server, client = NAMES
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(folder / f"{server}.crt")
    context.load_cert_chain(folder / f"{client}.crt", folder / f"{client}.key")
    return context


async def compare(pids: dict[str, int], options: argparse.Namespace, folder: Path) -> None:
    """Measure both in turn and print medians and the ratio."""
    await asyncio.get_running_loop().create_server(Callee, CALLEE, CALLEE_PORT)
    print(f"proxied MESSAGE transactions, {CONNECTIONS} connections with {WINDOW} outstanding each")
    for transport in options.transport:
        rates: dict[str, list[Rate]] = {host: [] for host in pids}
        for _ in range(options.rounds + 1):
            for host, pid in pids.items():
                rates[host].append(await measure(host, pid, transport, options.count, folder))
        medians = {}
        for host, name in ((OURS, "lab"), (THEIRS, "Kamailio")):
            measured = rates[host][1:]  # the first round warms up
            medians[host] = statistics.median(rate.per_second for rate in measured)
            cpu = statistics.median(rate.cpu_microseconds for rate in measured)
            p50 = statistics.median(rate.p50 for rate in measured)
            p99 = statistics.median(rate.p99 for rate in measured)
            print(
                f"  {transport} {name:<9}{medians[host]:7.0f}/s, CPU of the proxy {cpu:4.0f} µs each, "
                f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"
            )
        print(f"  {transport} ratio lab / Kamailio: {medians[OURS] / medians[THEIRS]:.2f}")


def main() -> None:
    """Start both proxies and compare them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--transport", action="append", choices=("TCP", "TLS"), help="default: both")
    parser.add_argument(
        "--count", type=int, default=10_000, help="transactions a measurement (default 10000)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each (default 3)")
    options = parser.parse_args()
    options.transport = options.transport or ["TCP", "TLS"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_certificates(folder)
        server, client = NAMES
        kamailio = kamailio_command(
            folder,
            address=THEIRS,
            port=SIP_PORT,
            tls_port=PEER_AUTH_PORT,
            next_hop=(CALLEE, CALLEE_PORT),
            server=server,
            client=client,
        )
        with (
            running_ours("proxy", folder, listens_on=(OURS, SIP_PORT)) as ours,
            running(kamailio, listens_on=(THEIRS, PEER_AUTH_PORT), folder=folder) as theirs,
        ):
            uvloop.run(compare({OURS: ours, THEIRS: theirs}, options, folder))


if __name__ == "__main__":
    main()
