"""Makes a fresh lab ready for outside clients: nodes know each other, and a test client's certificate is trusted.

What it does is the guide's procedure, through the same administration that scenarios use.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from certs.credential import Credential
from certs.errors import ConfigError
from certs.purposes import CertificatePurpose, ServiceName, TrustStoreName
from certs.storage import make_directory, write_atomically
from harness.actors.sip import self_signed_client
from harness.lab import Lab
from harness.nodes.node import CucmNode, ImpNode

CLIENT: Final = "client.lab.example"
"The subject CN of the client certificate that the lab lets in."

STRANGER: Final = "stranger.lab.example"
"The subject CN of the client certificate that nobody trusts."

LOOPBACK_CLIENTS: Final = "127.0.0.0/8"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientFiles:
    """Where an outside client finds what it needs."""

    trust: Path
    "The certificates that the nodes show to SIP and XMPP clients, to be trusted."

    good: Path
    "A client certificate with its key that peer-authenticated listeners let in."

    stranger: Path
    "A client certificate with its key that they refuse."


async def make_ready(lab: Lab, folder: Path) -> ClientFiles:
    """Exchange certificates between the nodes, let the test client in, write its files into a folder.

    Raises ConfigError where a node's certificate cannot be imported.
    """
    good, stranger = self_signed_client(lab, CLIENT), self_signed_client(lab, STRANGER)
    for node in lab.imp:
        await _import_peers(lab, node)
        await node.administration.certificate_management.upload_certificate(
            TrustStoreName.CUP_TRUST, good.chain_pem
        )
        await _admit_clients(node)
    for node in lab.imp:
        await node.administration.restart(ServiceName.SIP_PROXY)
        await node.administration.restart(ServiceName.PRESENCE_ENGINE)
    for cucm in lab.cucm:
        for node in lab.imp:
            pem = node.administration.certificate_management.download(CertificatePurpose.CUP)
            await cucm.administration.certificate_management.upload_certificate(
                TrustStoreName.CALLMANAGER_TRUST, pem
            )
        await cucm.administration.restart(ServiceName.CALLMANAGER)
    return _write_files(lab, folder, good, stranger)


async def _import_peers(lab: Lab, node: ImpNode) -> None:
    peers = [(p.plan.fqdn, p.plan.ports.sip_tls_peer_auth) for p in lab.imp if p is not node]
    peers += [(cucm.plan.fqdn, cucm.plan.ports.sip_tls) for cucm in lab.cucm]
    for fqdn, port in peers:
        outcome = await node.administration.import_certificate(TrustStoreName.CUP_TRUST, fqdn, port)
        if not outcome.report.downloaded:
            raise ConfigError(
                f"{node.plan.name} cannot import the certificate of {fqdn}:{port}: "
                f"{outcome.report.detail}; {outcome.report.remedy}"
            )


async def _admit_clients(node: ImpNode) -> None:
    """Write what one node's cluster lacks; a lab whose state was kept has it already."""
    settings = await node.read_settings()
    if all(entry.address_pattern != LOOPBACK_CLIENTS for entry in settings.incoming_acl):
        await node.administration.add_incoming_acl(LOOPBACK_CLIENTS, "clients on this machine")
    if all(one.peer_subject_name != CLIENT for one in settings.tls_peer_subjects):
        await node.administration.add_tls_peer_subject(CLIENT, "the lab's test client")
    selected = (await node.administration.tls_context()).selected_peer_subjects
    if CLIENT not in selected:
        await node.administration.select_peer_subjects([*selected, CLIENT])


def _write_files(lab: Lab, folder: Path, good: Credential, stranger: Credential) -> ClientFiles:
    make_directory(folder)
    files = ClientFiles(
        trust=folder / "trust.pem", good=folder / "client.pem", stranger=folder / "stranger.pem"
    )
    nodes: tuple[ImpNode | CucmNode, ...] = (*lab.imp, *lab.cucm)
    shown = [
        node.administration.certificate_management.download(purpose)
        for node in nodes
        for purpose in node.sip_certificates
    ]
    shown += [n.administration.certificate_management.download(CertificatePurpose.CUP_XMPP) for n in lab.imp]
    write_atomically(files.trust, b"".join(shown))
    write_atomically(files.good, good.chain_pem + good.key_pem)
    write_atomically(files.stranger, stranger.chain_pem + stranger.key_pem)
    return files
