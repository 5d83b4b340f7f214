"""The clients of scenarios: user agents and TLS clients with addresses of their own, beside the nodes."""

import asyncio
from dataclasses import dataclass
from ipaddress import IPv4Interface
from typing import Final

from certs.credential import Credential
from certs.errors import ConfigError
from certs.issuing import CertificateSpec, KeyAlgorithm, issue_self_signed, make_key
from certs.purposes import CertificatePurpose
from certs.verdict import Verdict
from harness.lab import Lab
from harness.nodes.node import CucmNode, ImpNode
from proxies.observer import ConnectionInfo, next_connection_number
from proxies.sip.agent.user_agent import UserAgent, UserAgentSettings
from proxies.sip.messages.digest import DigestAlgorithm
from proxies.sip.transport.flow import Destination, Transport
from proxies.tls import (
    PeerRefusedError,
    TlsClientSettings,
    TlsConnection,
    TrustPolicy,
    dial_tls,
)

FIRST_CLIENT: Final = 200
"The place in the lab's range that the first client gets."

_PATIENCE: Final = 2.0
"Seconds that a TLS client waits for the server's late refusal, or for its answer."

_PING: Final = b"\r\n\r\n"  # RFC 5626 4.4.1: a SIP server answers CRLF


def client_address(lab: Lab, number: int = 0) -> str:
    """Return an address of the lab's range that no node has."""
    network = IPv4Interface(f"{lab.plan.nodes[0].address}/24").network
    return str(network[FIRST_CLIENT + number])


def client_network(lab: Lab) -> str:
    """Return the range that the clients' addresses are of, for an incoming access list."""
    return str(IPv4Interface(f"{client_address(lab)}/28").network)


def self_signed_client(lab: Lab, common_name: str) -> Credential:
    """Issue a certificate for a client of the lab."""
    spec = CertificateSpec.for_node(common_name, client_address(lab), now=lab.clock.now())
    return issue_self_signed(spec, make_key(KeyAlgorithm.EC_P256))


def trust_in(node: ImpNode | CucmNode, *purposes: CertificatePurpose) -> TrustPolicy:
    """Return a client's trust in some of a node's certificates: somebody gave it the PEM files.

    By default those that the node's TLS listeners for SIP show.
    """
    management = node.administration.certificate_management
    return TrustPolicy(certificates=tuple(map(management.download, purposes or node.sip_certificates)))


def user_agent(
    lab: Lab,
    user_id: str,
    node: ImpNode,
    *,
    transport: Transport = Transport.TCP,
    credential: Credential | None = None,
    password: str = "",
    insist_on: DigestAlgorithm | None = None,
) -> UserAgent:
    """Return a user agent for a user of the lab, whose outbound proxy is a node's SIP proxy.

    Over TLS it uses the peer-authenticated listener with `credential`, and without one the listener with server
    authentication only.
    """
    number = lab.user_ids.index(user_id)
    ports = node.plan.ports
    tls_port = ports.sip_tls_peer_auth if credential is not None else ports.sip_tls_server_auth
    return UserAgent(
        UserAgentSettings(
            uri=f"sip:{user_id}@{node.plan.domain}",
            address=client_address(lab, number),
            outbound_proxy=Destination(
                transport=transport,
                host=node.plan.address,
                port=tls_port if transport is Transport.TLS else ports.sip,
            ),
            tls_client=TlsClientSettings(
                trust=trust_in(node),
                credential=credential,
                server_name=node.plan.fqdn,
                check_host_name=True,
            ),
            password=password,
            insist_on=insist_on,
        ),
        clock=lab.clock,
        resolver=lab.names,
        observer=lab.observer,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsAttempt:
    """What a TLS client saw."""

    verdict: Verdict
    "How its handshake ended; under TLS 1.3 the server's late refusal, where there was one."

    answered: bool
    "Whether the service behind the handshake answered a SIP keep-alive."

    local: tuple[str, int]
    "The address and port that the client came from: the server's evidence names it as the peer."


class _Pinger(asyncio.Protocol):
    """Sends a SIP keep-alive and waits for the answer or the end."""

    def __init__(self, connection: TlsConnection) -> None:
        self.connection = connection
        self.end: asyncio.Future[Exception | bytes | None] = asyncio.get_running_loop().create_future()
        connection.write(_PING)

    def data_received(self, data: bytes) -> None:
        if not self.end.done():
            self.end.set_result(data)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.end.done():
            self.end.set_result(error)


async def try_tls(lab: Lab, settings: TlsClientSettings, host: str, port: int) -> TlsAttempt:
    """Shake hands with a SIP service, read once more, and say what the client saw.

    Raises ConfigError where the server neither answers nor refuses.
    """
    dialled = await dial_tls(
        settings,
        host,
        port,
        protocol_factory=_Pinger,
        describe=lambda local, peer: ConnectionInfo(
            id=f"tls-client {next_connection_number()}",
            node="tls-client",
            service="TLS client",
            listener="outgoing",
            transport="TLS",
            local=local,
            peer=peer,
        ),
        clock=lab.clock,
        observer=lab.observer,
        local_address=client_address(lab, 15),
    )
    local = dialled.connection.local
    pinger = dialled.protocol
    if not isinstance(pinger, _Pinger):
        return TlsAttempt(verdict=dialled.verdict, answered=False, local=local)
    try:
        async with asyncio.timeout(_PATIENCE):
            end = await pinger.end
    except TimeoutError:
        raise ConfigError(f"{host}:{port} neither answered a SIP keep-alive nor refused") from None
    finally:
        pinger.connection.close()
    if isinstance(end, PeerRefusedError):
        return TlsAttempt(verdict=end.verdict, answered=False, local=local)
    return TlsAttempt(verdict=dialled.verdict, answered=isinstance(end, bytes), local=local)
