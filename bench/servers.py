"""The lab's servers as processes of their own, for the benchmarks: `python -m bench.servers tls|proxy FOLDER`."""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import uvloop

from certs.credential import Credential
from certs.issuing import CertificateSpec, KeyAlgorithm, issue_self_signed, make_key
from proxies.clock import LoopClock
from proxies.observer import ConnectionInfo, NullObserver
from proxies.sip.proxy.sip_proxy import SipProxy
from proxies.sip.proxy.sip_proxy_settings import RouteType, SipProxySettings, StaticRoute
from proxies.sip.transport.flow import Destination, Transport
from proxies.tls import TlsServerSettings, TrustPolicy, listen_tls

OURS, THEIRS, CALLER, CALLEE = "127.60.0.1", "127.60.0.2", "127.60.0.3", "127.60.0.4"
TLS_PORT, SIP_PORT, PEER_AUTH_PORT, CALLEE_PORT = 5062, 5060, 5062, 5070
DOMAIN = "bench.example"
NAMES = ("server.bench.example", "client.bench.example")


def make_certificates(folder: Path) -> None:
    """Write one P-256 certificate for both servers and one for the client."""
    now = datetime.now(UTC)
    for name in NAMES:
        spec = CertificateSpec.for_node(name, OURS, now=now)
        credential = issue_self_signed(spec, make_key(KeyAlgorithm.EC_P256))
        (folder / f"{name}.crt").write_bytes(credential.chain_pem)
        (folder / f"{name}.key").write_bytes(credential.key_pem)


def load(folder: Path, name: str) -> Credential:
    """Read a certificate with its key."""
    chain, key = (folder / f"{name}.crt").read_bytes(), (folder / f"{name}.key").read_bytes()
    return Credential(chain_pem=chain, key_pem=key)


def _settings(folder: Path) -> TlsServerSettings:
    server, client = (load(folder, name) for name in NAMES)
    return TlsServerSettings(
        credential=server,
        require_client_certificate=True,
        trust=TrustPolicy(certificates=(client.chain_pem,), peer_subjects=frozenset({NAMES[1]})),
    )


class _Nothing(asyncio.Protocol):
    """What is behind a handshake that is measured for itself."""


async def serve_tls(folder: Path) -> None:
    """Listen with peer authentication until killed."""
    await listen_tls(
        _settings(folder),
        OURS,
        TLS_PORT,
        protocol_factory=lambda connection: _Nothing(),
        describe=lambda local, peer: ConnectionInfo(
            id="bench",
            node="bench",
            service="bench",
            listener="bench",
            transport="TLS",
            local=local,
            peer=peer,
        ),
        clock=LoopClock(),
        observer=NullObserver(),
    )
    await asyncio.Event().wait()


class _NoNames:
    """Addresses only."""

    def address_of(self, name: str) -> str | None:
        """Return the address, which is the name."""
        return name

    def services_of(self, domain: str, transport: Transport) -> tuple[tuple[str, int], ...]:
        """Return nothing."""
        return ()


async def serve_proxy(folder: Path) -> None:
    """Run the Cisco SIP Proxy with a static route to the answering user agent, until killed."""
    settings = _settings(folder)
    proxy = SipProxy(
        SipProxySettings(
            node="bench",
            fqdn=NAMES[0],
            address=OURS,
            domains=frozenset({"elsewhere.example"}),
            credential=settings.credential,
            server_auth_credential=settings.credential,
            trust=settings.trust,
            incoming_access_list=("127.60.0.0/24",),
            users=MappingProxyType({}),
            static_routes=(
                StaticRoute(
                    destination_pattern=".example.bench",
                    route_type=RouteType.DOMAIN,
                    next_hop=Destination(transport=Transport.TCP, host=CALLEE, port=CALLEE_PORT),
                ),
            ),
        ),
        clock=LoopClock(),
        resolver=_NoNames(),
        observer=NullObserver(),
    )
    await proxy.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run({"tls": serve_tls, "proxy": serve_proxy}[sys.argv[1]](Path(sys.argv[2])))
