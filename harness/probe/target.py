"""Where to look: HOST:PORT, or a domain whose SRV records say it (RFC 2782, RFC 6120 3.2, RFC 3263)."""

import asyncio
import ipaddress
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import dnslib  # type: ignore[import-untyped]

from certs.errors import ConfigError, ConnectionFailed
from harness.probe.kinds import Protocol, TlsMode

_RESOLV_CONF: Final = Path("/etc/resolv.conf")
_DNS_PORT: Final = 53

DEFAULT_PORTS: Final = {
    (Protocol.SIP, TlsMode.DIRECT): 5061,
    (Protocol.SIP, TlsMode.NONE): 5060,
    (Protocol.XMPP, TlsMode.DIRECT): 5223,
    (Protocol.XMPP, TlsMode.STARTTLS): 5222,
    (Protocol.XMPP, TlsMode.NONE): 5222,
    (Protocol.XMPP_SERVER, TlsMode.DIRECT): 5270,
    (Protocol.XMPP_SERVER, TlsMode.STARTTLS): 5269,
    (Protocol.XMPP_SERVER, TlsMode.NONE): 5269,
    (Protocol.BOSH, TlsMode.DIRECT): 7336,
    (Protocol.BOSH, TlsMode.NONE): 7335,
    (Protocol.HTTPS, TlsMode.DIRECT): 443,
}
"The ports where neither the target nor an SRV record names one; a pair that is missing does not exist."

_SRV_LABELS: Final = {
    (Protocol.SIP, TlsMode.DIRECT): "_sips._tcp",
    (Protocol.SIP, TlsMode.NONE): "_sip._tcp",
    (Protocol.XMPP, TlsMode.DIRECT): "_xmpps-client._tcp",
    (Protocol.XMPP, TlsMode.STARTTLS): "_xmpp-client._tcp",
    (Protocol.XMPP, TlsMode.NONE): "_xmpp-client._tcp",
    (Protocol.XMPP_SERVER, TlsMode.DIRECT): "_xmpps-server._tcp",
    (Protocol.XMPP_SERVER, TlsMode.STARTTLS): "_xmpp-server._tcp",
    (Protocol.XMPP_SERVER, TlsMode.NONE): "_xmpp-server._tcp",
}
"XEP-0368 has the two that begin with TLS."


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A server that is to be looked at."""

    name: str
    "The name or address as it was given, without the port."

    host: str
    "The name or address to connect to; an SRV record may have given another than `name`."

    port: int
    "The port."

    from_srv: str = ""
    "The SRV record that gave host and port; empty where none did."


def parse_target(text: str) -> tuple[str, int | None]:
    """Split `HOST`, `HOST:PORT`, `[IPv6]`, `[IPv6]:PORT`. Raises ConfigError otherwise."""
    match = re.fullmatch(r"\[([0-9a-fA-F:.%]+)\](?::([0-9]{1,5}))?|([^\[\]:\s/]+)(?::([0-9]{1,5}))?", text)
    if match is None:
        raise ConfigError(f"target: expected HOST:PORT, [IPv6]:PORT or a domain, seen {text!r}")
    host, port = match[1] or match[3], match[2] or match[4]
    if port is None:
        return host, None
    if not 1 <= int(port) <= 65535:
        raise ConfigError(f"target: expected a port from 1 to 65535, seen {port}")
    return host, int(port)


async def find_target(
    text: str, protocol: Protocol, mode: TlsMode, *, dns: str = "", within: float = 5.0
) -> Target:
    """Return where a server is; without a port the domain's SRV record says it, then the protocol's default port.

    Raises ConfigError where the target cannot be read, or the DNS server that is named does not answer.
    """
    name, port = parse_target(text)
    if port is not None or (protocol, mode) not in _SRV_LABELS or _is_address(name):
        return Target(name=name, host=name, port=port or DEFAULT_PORTS[protocol, mode])
    record = f"{_SRV_LABELS[protocol, mode]}.{name}"
    server, server_port = _dns_server(dns)
    try:
        answer = await asyncio.to_thread(_ask, record, "SRV", server, server_port, within)
    except (OSError, dnslib.DNSError) as error:
        if dns:
            raise ConfigError(f"--dns: {server}:{server_port} gives no answer: {error}") from None
        answer = []
    services = [entry.rdata for entry in answer if isinstance(entry.rdata, dnslib.SRV)]
    if not services:
        return Target(name=name, host=name, port=DEFAULT_PORTS[protocol, mode])
    best = min(services, key=lambda srv: (srv.priority, -srv.weight))
    host = str(best.target).rstrip(".")
    if not host:  # RFC 2782: "." says that the service is decidedly not here
        raise ConnectionFailed(f"{record} says that {name} has no such service")
    if dns:
        host = await asyncio.to_thread(_address, host, server, server_port, within)
    return Target(name=name, host=host, port=best.port, from_srv=record)


async def address_of(host: str, port: int) -> str:
    """Return the first address of a host. Raises ConnectionFailed where it has none."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConnectionFailed(f"{host} has no address: {error.strerror or error}") from None
    return str(found[0][4][0])


def _address(host: str, server: str, port: int, timeout: float) -> str:
    addresses = [
        entry for entry in _ask(host, "A", server, port, timeout) if isinstance(entry.rdata, dnslib.A)
    ]
    return str(addresses[0].rdata) if addresses else host


def _ask(name: str, kind: str, server: str, port: int, timeout: float) -> list[dnslib.RR]:
    question = dnslib.DNSRecord.question(name, kind)
    answer = dnslib.DNSRecord.parse(question.send(server, port, timeout=timeout))
    if answer.header.id != question.header.id:
        raise dnslib.DNSError("an answer to another question")
    return list(answer.rr)


def _dns_server(dns: str) -> tuple[str, int]:
    if dns:
        host, port = parse_target(dns)
        return host, port or _DNS_PORT
    try:
        lines = _RESOLV_CONF.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    servers = [line.split()[1] for line in lines if line.startswith("nameserver ") and len(line.split()) > 1]
    return (servers[0] if servers else "127.0.0.1"), _DNS_PORT


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True
