"""What travels over the API, as both kinds of nodes have it."""

from datetime import datetime
from typing import Literal

from pydantic import Base64Bytes, Field

from certs.verdict import PresentedCertificate
from harness.evidence.handshakes import Remembered
from harness.nodes.certificate_management import DamagedCertificate, ListedCertificate
from harness.nodes.service_runs import RestartNeeded
from harness.nodes.service_state import ServiceState, ServiceStatus
from harness.web.api.operation import Body


class Login(Body):
    """User name and password."""

    user: str = Field(max_length=128)
    password: str = Field(max_length=256)


class LoggedIn(Body):
    """A session; further requests carry its token as `Authorization: Bearer TOKEN`."""

    token: str
    user: str
    role: str
    idle_timeout: int = Field(description="Seconds without a request after which the session ends.")


class NewPassword(Body):
    """The administrator's new password."""

    password: str = Field(min_length=8, max_length=256)


class BackupRequest(Body):
    """What encrypts a backup."""

    password: str = Field(min_length=8, max_length=256)


class RestoreRequest(Body):
    """A backup of this node."""

    password: str = Field(max_length=256)
    backup: Base64Bytes = Field(description="The file's content in base64.")


class ServiceToRestart(Body):
    """A service that runs on what is no longer the present configuration."""

    node: str
    service: str
    topics: list[str] = Field(description="What changed: pages, certificates, trust stores.")


class Changed(Body):
    """What a change asks for before it takes effect."""

    restart_needed: list[ServiceToRestart]


class NodeInfo(Body):
    """A node."""

    name: str
    fqdn: str
    address: str
    product: str
    cluster: str
    domain: str
    restart_needed: list[ServiceToRestart]


class Service(Body):
    """A line of Control Center."""

    service: str
    state: ServiceState
    activated: bool
    control_center: Literal["Feature Services", "Network Services"]
    started_at: datetime | None
    reason: str = Field(description="Why its last start or stop failed; empty where it did not.")


class Services(Body):
    """Control Center."""

    services: list[Service]


class Certificate(Body):
    """A certificate as it reads."""

    subject: str
    common_name: str
    issuer: str
    subject_alternative_names: list[str]
    serial: str
    not_before: datetime
    not_after: datetime
    sha256: str
    key: str
    signature_algorithm: str


class CertificateLine(Body):
    """A line of Certificate Management."""

    name: str = Field(description="The certificate's name or the trust store's, as `cup` or `cup-trust`.")
    file_name: str
    certificate: Certificate


class DamagedLine(Body):
    """A file of the key store that cannot be read."""

    name: str
    sha256: str
    error: str


class CertificateList(Body):
    """Certificate Management > Find."""

    certificates: list[CertificateLine]
    damaged: list[DamagedLine]


class ImportRequest(Body):
    """What the Certificate Import Tool asks for."""

    store: str = Field(description="The trust store, as `cup-trust`.")
    address: str = Field(min_length=1, max_length=253)
    port: int = Field(ge=1, le=65535)


class ImportReport(Body):
    """What the Certificate Import Tool reports (G13)."""

    connected: bool
    downloaded: bool
    subject: str
    reason: str
    detail: str
    remedy: str
    restart_needed: list[ServiceToRestart]


class VerdictLine(Body):
    """A verdict of the handshake ledger."""

    number: int
    at: datetime
    connection: str
    service: str
    listener: str
    peer: str
    accepted: bool
    reason: str
    rule: str
    clause: str
    remedy: str
    detail: str
    alert_sent: str
    alert_received: str
    tls_version: str
    cipher: str
    presented_chain: list[Certificate]


class Verdicts(Body):
    """Verdicts, the newest first."""

    verdicts: list[VerdictLine]


class Restored(Body):
    """What a restore brought back."""

    saved_at: str
    files: int
    rows: int
    restart_needed: list[ServiceToRestart]


def to_restart(needed: tuple[RestartNeeded, ...]) -> list[ServiceToRestart]:
    """Return what has to restart, for an answer."""
    return [ServiceToRestart(node=one.node, service=one.service, topics=list(one.topics)) for one in needed]


def changed(needed: tuple[RestartNeeded, ...]) -> Changed:
    """Return the answer to a change."""
    return Changed(restart_needed=to_restart(needed))


def service_line(status: ServiceStatus, *, of_the_network: bool) -> Service:
    """Return a line of Control Center."""
    return Service(
        service=status.service,
        state=status.state,
        activated=status.activated,
        control_center="Network Services" if of_the_network else "Feature Services",
        started_at=status.started_at,
        reason=status.reason,
    )


def certificate(one: PresentedCertificate) -> Certificate:
    """Return a certificate as it reads."""
    return Certificate(
        subject=one.subject,
        common_name=one.common_name,
        issuer=one.issuer,
        subject_alternative_names=list(one.subject_alternative_names),
        serial=one.serial,
        not_before=one.not_before,
        not_after=one.not_after,
        sha256=one.sha256,
        key=one.key,
        signature_algorithm=one.signature_algorithm,
    )


def certificate_list(
    listed: tuple[ListedCertificate, ...], damaged: tuple[DamagedCertificate, ...]
) -> CertificateList:
    """Return what Find lists."""
    return CertificateList(
        certificates=[
            CertificateLine(name=one.name, file_name=one.file_name, certificate=certificate(one.certificate))
            for one in listed
        ],
        damaged=[DamagedLine(name=one.name, sha256=one.sha256, error=one.error) for one in damaged],
    )


def verdict_line(entry: Remembered) -> VerdictLine:
    """Return a verdict of the ledger."""
    verdict, connection = entry.verdict, entry.connection
    return VerdictLine(
        number=entry.number,
        at=entry.at,
        connection=connection.id,
        service=connection.service,
        listener=connection.listener,
        peer=f"{connection.peer[0]}:{connection.peer[1]}",
        accepted=verdict.accepted,
        reason=verdict.reason,
        rule=verdict.rule,
        clause=verdict.clause,
        remedy=verdict.remedy,
        detail=verdict.detail,
        alert_sent=verdict.alert_sent,
        alert_received=verdict.alert_received,
        tls_version=verdict.tls_version,
        cipher=verdict.cipher,
        presented_chain=[certificate(one) for one in verdict.presented_chain],
    )
