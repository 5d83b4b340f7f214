"""What mends a refusal by an IM and Presence node, on the pages that the verdict's remedy names.

A step that is done already is left out, so that applying a remedy twice changes nothing the second time.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Final, cast

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certs.purposes import ServiceName, TrustStoreName
from certs.verdict import PresentedCertificate, Reason
from harness.endpoint.why.steps import Step
from harness.evidence.ledger import Judged
from harness.nodes.node import CucmNode, ImpNode

TRUST_STORES: Final[Mapping[str, TrustStoreName]] = MappingProxyType(
    {
        ServiceName.SIP_PROXY: TrustStoreName.CUP_TRUST,
        ServiceName.PRESENCE_ENGINE: TrustStoreName.CUP_TRUST,
        ServiceName.XCP_ROUTER: TrustStoreName.CUP_XMPP_TRUST,
        ServiceName.XCP_CONNECTION_MANAGER: TrustStoreName.CUP_XMPP_TRUST,
        ServiceName.XCP_WEB_CONNECTION_MANAGER: TrustStoreName.CUP_XMPP_TRUST,
        ServiceName.XCP_XMPP_FEDERATION: TrustStoreName.CUP_XMPP_TRUST,
        ServiceName.TOMCAT: TrustStoreName.TOMCAT_TRUST,
        ServiceName.INTERCLUSTER_SYNC_AGENT: TrustStoreName.TOMCAT_TRUST,
        ServiceName.CALLMANAGER: TrustStoreName.CALLMANAGER_TRUST,
    }
)
"Which store a service compares its peers with (guide, table 2)."


async def trust_peer(node: ImpNode | CucmNode, judged: Judged) -> AsyncIterator[Step]:
    """Upload the certificate that the peer's chain ends with, as the Certificate Import Tool would (G13)."""
    chain = judged.verdict.presented_chain
    store = TRUST_STORES.get(judged.connection.service)
    if not chain or store is None or store not in node.trust_stores:
        return
    last = chain[-1]
    if last.sha256 not in {each.certificate.sha256 for each in node.key_store.trust(store)}:
        management = node.administration.certificate_management
        yield Step(
            page=f"{node.plan.name}, Cisco Unified OS Administration > Security > Certificate Management: "
            f"upload {last.subject} (SHA-256 {last.sha256[:16]}…) to {store}",
            do=partial(management.upload_certificate, store, _pem(last)),
        )
    if store is TrustStoreName.CUP_TRUST:
        async for step in select_subject(cast(ImpNode, node), judged):  # what an import does by itself (G14)
            yield step


async def select_subject(node: ImpNode, judged: Judged) -> AsyncIterator[Step]:
    """Add the peer's subject and select it in the TLS context (G18, G19)."""
    subject = judged.verdict.subject
    if not subject:
        return
    administration = node.administration
    if subject not in {each.peer_subject_name for each in await administration.tls_peer_subjects()}:
        yield Step(
            page=f"{node.plan.name}, System > Security > TLS Peer Subjects: Add New, {subject}",
            do=partial(administration.add_tls_peer_subject, subject, "added by imp-harness why"),
        )
    context = await administration.tls_context()
    if subject not in context.selected_peer_subjects:
        selected = sorted({*context.selected_peer_subjects, subject})
        yield Step(
            page=f"{node.plan.name}, System > Security > TLS Context Configuration: move {subject} to Selected TLS "
            f"Peer Subjects of {context.name}, Save",
            do=partial(administration.select_peer_subjects, selected),
        )


async def admit_address(node: ImpNode, judged: Judged) -> AsyncIterator[Step]:
    """Put the peer's address on the incoming access list."""
    address = judged.connection.peer[0]
    if address not in {each.address_pattern for each in (await node.read_settings()).incoming_acl}:
        yield Step(
            page=f"{node.plan.name}, System > Security > Incoming ACL: Add New, {address}",
            do=partial(node.administration.add_incoming_acl, address, "added by imp-harness why"),
        )


async def allow_domain(node: ImpNode, judged: Judged) -> AsyncIterator[Step]:
    """Add the domain to those that may federate (G11)."""
    policy, domain = (await node.read_settings()).federation, judged.verdict.detail
    if policy.allowed_domains is not None and not policy.allows(domain):
        allowed = replace(policy, allowed_domains=policy.allowed_domains | {domain})
        yield Step(
            page=f"{node.plan.name}, Presence > Inter-Domain Federation > XMPP Federation > Policy: allow {domain}",
            do=partial(node.administration.set_federation, allowed),
        )


async def select_all_ciphers(node: ImpNode, judged: Judged) -> AsyncIterator[Step]:
    """Give the TLS context back the library's ciphers, where it had a choice of its own."""
    context = await node.administration.tls_context()
    if context.selected_ciphers:
        yield Step(
            page=f"{node.plan.name}, System > Security > TLS Context Configuration: take all ciphers into Selected "
            f"TLS Ciphers of {context.name}, Save",
            do=partial(node.administration.select_ciphers, ()),
        )


IMP_STEPS: Final[Mapping[Reason, Callable[[ImpNode, Judged], AsyncIterator[Step]]]] = MappingProxyType(
    {
        Reason.UNTRUSTED_ISSUER: trust_peer,
        Reason.INCOMPLETE_CHAIN: trust_peer,
        Reason.SUBJECT_NOT_IN_CONTEXT: select_subject,
        Reason.NOT_IN_ACCESS_LIST: admit_address,
        Reason.DOMAIN_NOT_ALLOWED: allow_domain,
        Reason.NO_SHARED_CIPHER: select_all_ciphers,
    }
)
"The reasons that an IM and Presence node's administrator can mend."


def _pem(certificate: PresentedCertificate) -> bytes:
    return x509.load_der_x509_certificate(certificate.der).public_bytes(Encoding.PEM)
