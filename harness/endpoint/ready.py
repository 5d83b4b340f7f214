"""Makes a fresh lab ready for outside clients: nodes know each other, and a test client's certificate is trusted.

What it does is the guide's procedure, through the same administration that scenarios use. A lab whose state was
kept has most of it already; then nothing is written and no service restarts.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from certs.authority import CertificateAuthority
from certs.credential import Credential
from certs.errors import ConfigError
from certs.issuing import encode_key, parse_key
from certs.presented import common_name, parse_certificates
from certs.purposes import CertificatePurpose, ServiceName, TrustStoreName
from certs.storage import make_directory, read_file, write_atomically
from harness.actors.sip import self_signed_client
from harness.configuration.cluster_settings import XmppCertificateSettings
from harness.endpoint.ready_peers import connect_peers
from harness.lab import Lab
from harness.nodes.node import ImpNode

CLIENT: Final = "client.lab.example"
"The subject CN of the client certificate that the lab lets in."

STRANGER: Final = "stranger.lab.example"
"The subject CN of the client certificate that nobody trusts."

LOOPBACK_CLIENTS: Final = "127.0.0.0/8"

_SHOWN_TO_XMPP: Final = (CertificatePurpose.CUP_XMPP, CertificatePurpose.CUP_XMPP_S2S)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientFiles:
    """Where an outside client finds what it needs."""

    trust: Path
    "The certificates that the nodes show to SIP, XMPP and HTTPS clients, and the lab's CA where it has one."

    good: Path
    "A client certificate with its key that peer-authenticated listeners let in."

    stranger: Path
    "A client certificate with its key that they refuse."


async def make_ready(lab: Lab, folder: Path) -> ClientFiles:
    """Exchange certificates between the nodes, let the test client in, write its files into a folder.

    Raises ConfigError where a node's certificate cannot be imported.
    """
    make_directory(folder)
    files = ClientFiles(
        trust=folder / "trust.pem", good=folder / "client.pem", stranger=folder / "stranger.pem"
    )
    good = _keep(lab, files.good, CLIENT)
    _keep(lab, files.stranger, STRANGER)
    for node in lab.imp:
        await _name_xmpp_domain(lab, node)
    await _replicate(lab)
    await connect_peers(lab)
    for node in lab.imp:
        await _import_peers(lab, node)
        management = node.administration.certificate_management
        for store in (TrustStoreName.CUP_TRUST, TrustStoreName.CUP_XMPP_TRUST):
            await management.upload_certificate(store, good.chain_pem)
        await _admit_clients(node)
    for cucm in lab.cucm:
        for node in lab.imp:
            pem = node.administration.certificate_management.download(CertificatePurpose.CUP)
            await cucm.administration.certificate_management.upload_certificate(
                TrustStoreName.CALLMANAGER_TRUST, pem
            )
    await _restart_what_needs_it(lab)
    write_trust(lab, files.trust)
    return files


def write_trust(lab: Lab, path: Path, *, more: tuple[bytes, ...] = ()) -> None:
    """Write what the nodes show now, and more certificates in PEM.

    After a certificate was made anew, clients need the file again.
    """
    shown = list(more)
    for node in lab.nodes:
        shown += [node.administration.certificate_management.download(purpose) for purpose in node.purposes]
    if (authority := _authority(lab)) is not None:
        shown.append(authority.root_pem)
    write_atomically(path, b"".join(dict.fromkeys(shown)))


def _authority(lab: Lab) -> CertificateAuthority | None:
    """Return the CA that signs the nodes' certificates; None where they sign themselves."""
    folder = lab.work_directory / "ca"
    return CertificateAuthority.load_or_create(folder) if folder.exists() else None


def _keep(lab: Lab, path: Path, common_name: str) -> Credential:
    """Return the client's certificate of an earlier run, or issue it."""
    if path.exists():
        content = read_file(path)
        key = encode_key(parse_key(content))
        return Credential(chain_pem=content[: content.index(b"-----BEGIN PRIVATE KEY")], key_pem=key)
    issued = self_signed_client(lab, common_name)
    write_atomically(path, issued.chain_pem + issued.key_pem)
    return issued


async def _name_xmpp_domain(lab: Lab, node: ImpNode) -> None:
    """Put the domain into the XMPP certificates (G24): clients and servers ask for it (RFC 6120 13.7.2.1)."""
    domain, management = node.plan.domain, node.administration.certificate_management
    if not (await node.read_settings()).xmpp_certificates.domain_name:
        await node.administration.set_xmpp_certificate_settings(
            XmppCertificateSettings(domain_name=domain, use_domain_name=True)
        )
    for purpose in _SHOWN_TO_XMPP:
        (shown, *_) = parse_certificates(management.download(purpose))
        spec = await node.specify(purpose)
        if common_name(shown) == spec.common_name:
            continue
        if (authority := _authority(lab)) is None:
            await management.regenerate(purpose)
        else:
            request = await management.generate_csr(purpose)
            await management.upload_signed_certificate(purpose, authority.sign_csr(request, spec))


async def _replicate(lab: Lab) -> None:
    """Have every node tell of its XMPP certificates, and then hear of the others', without waiting for the agents."""
    for _ in ("tell", "hear"):
        for node in lab.imp:
            await node.administration.restart(ServiceName.INTERCLUSTER_SYNC_AGENT)


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


async def _restart_what_needs_it(lab: Lab) -> None:
    """Restart what runs on older settings, the services of a node in the order in which they start."""
    for node in lab.nodes:
        stale = {need.service for need in await node.restart_needed() if need.node == node.plan.name}
        if CertificatePurpose.CUP_XMPP in node.purposes and ServiceName.XCP_CONNECTION_MANAGER in stale:
            stale.add(ServiceName.XCP_ROUTER)  # shows cup-xmpp too (G24)
        for status in node.services.services():
            if status.service in stale:
                await node.administration.restart(status.service)
