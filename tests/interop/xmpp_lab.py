"""A lab for XMPP clients that nobody here wrote: they ask for the domain's certificate (RFC 6120 13.7.2.1)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from certs.purposes import CertificatePurpose, ServiceName, TrustStoreName
from certs.storage import write_atomically
from harness.actors.sip import self_signed_client
from harness.configuration.cluster_settings import XmppCertificateSettings
from harness.evidence.ledger import Ledger
from harness.lab import Lab
from harness.nodes.node import ImpNode
from harness.plan.lab_file import load_topology

WEB = ServiceName.XCP_WEB_CONNECTION_MANAGER


@dataclass(frozen=True)
class XmppLab:
    """The lab, and the files that its clients need."""

    lab: Lab
    ledger: Ledger
    trust: Path
    "The `cup-xmpp` certificates that the nodes show."
    certificate: Path
    "A client's certificate with its key, which `cup-xmpp-trust` on the first node has."

    @property
    def imp1(self) -> ImpNode:
        return self.lab.imp[0]

    @property
    def imp2(self) -> ImpNode:
        return self.lab.imp[1]

    @property
    def domain(self) -> str:
        return self.imp1.plan.domain

    async def password(self, user: str) -> str:
        return (await self.lab.user(user)).digest_password

    async def set_web_secure_mode(self) -> None:
        administration = self.imp1.administration
        modes = await administration.secure_modes()
        await administration.set_secure_modes(replace(modes, web_client=True))
        await administration.restart(WEB)


@asynccontextmanager
async def xmpp_lab(folder: Path, *, origins: tuple[str, ...] | None = None) -> AsyncIterator[XmppLab]:
    """Bring up a lab whose general XMPP certificates carry the domain (G24), and write the files.

    `origins` are those of the pages whose browsers may use it; None lets all.
    """
    ledger = Ledger()
    topology = load_topology()
    clusters = tuple(
        cluster.model_copy(update={"web_client_origins": origins}) if cluster.kind == "imp" else cluster
        for cluster in topology.clusters
    )
    topology = topology.model_copy(update={"clusters": clusters})
    async with Lab.start(topology, work_directory=folder / "lab", observer=ledger) as lab:
        client = self_signed_client(lab, "web.lab.example")
        await lab.imp[0].administration.set_xmpp_certificate_settings(
            XmppCertificateSettings(domain_name=lab.imp[0].plan.domain, use_domain_name=True)
        )
        shown = []
        for node in lab.imp:
            management = node.administration.certificate_management
            await management.regenerate(CertificatePurpose.CUP_XMPP)
            await management.upload_certificate(TrustStoreName.CUP_XMPP_TRUST, client.chain_pem)
            for service in (ServiceName.XCP_ROUTER, ServiceName.XCP_CONNECTION_MANAGER, WEB):
                await node.administration.restart(service)
            shown.append(management.download(CertificatePurpose.CUP_XMPP))
        trust, certificate = folder / "trust.pem", folder / "client.pem"
        write_atomically(trust, b"".join(shown))
        write_atomically(certificate, client.chain_pem + client.key_pem)
        yield XmppLab(lab, ledger, trust, certificate)
