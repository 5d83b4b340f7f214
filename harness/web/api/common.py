"""The operations that nodes of both kinds have: session, Control Center, certificates, banner, ledger, backup."""

import ssl
from typing import TYPE_CHECKING, Final

from certs.errors import ConfigError
from certs.purposes import CertificatePurpose, ServiceName, TrustStoreName
from harness.access.accounts import LoginRefused, note_login
from harness.access.login_banner import MAXIMUM_SIZE
from harness.web.api import models as m
from harness.web.api.operation import (
    BINARY,
    EVERYBODY_LOGGED_IN,
    PEM,
    TEXT,
    Answer,
    Call,
    Operation,
    Raw,
)
from harness.web.pages.os_administration import parse_purpose
from harness.web.pages.reporting import SHOWN, LedgerFilter
from harness.web.pages.serviceability import OF_THE_NETWORK, parse_service
from harness.web.sessions import IDLE_TIMEOUT, Sessions

if TYPE_CHECKING:
    from harness.nodes.node import CucmNode, ImpNode

SESSION: Final = "Login"
CONTROL_CENTER: Final = "Serviceability > Tools > Control Center"
CERTIFICATES: Final = "OS Administration > Security > Certificate Management"
LOGON_MESSAGE: Final = "OS Administration > Software Upgrades > Customized Logon Message"
REPORTING: Final = "Reporting"
RECOVERY: Final = "Disaster Recovery System"

_ACTIONS: Final = ("start", "stop", "restart", "activate", "deactivate")


class CommonOperations:
    """The operations of one node."""

    def __init__(self, node: "ImpNode | CucmNode", product: str, sessions: Sessions) -> None:
        self._node = node
        self._product = product
        self._sessions = sessions
        self._management = node.administration.certificate_management

    def operations(self) -> tuple[Operation, ...]:
        """Return the operations."""
        return (
            *self._session_operations(),
            *self._service_operations(),
            *self._certificate_operations(),
            *self._other_operations(),
        )

    # Session and node.

    def _session_operations(self) -> tuple[Operation, ...]:
        return (
            Operation(
                method="POST", path="/api/login", name="log_in", tag=SESSION, handle=self._log_in,
                summary="Log in; further requests carry the token.",
                body=m.Login, answer=m.LoggedIn, roles=frozenset(),
            ),
            Operation(
                method="POST", path="/api/logout", name="log_out", tag=SESSION, handle=self._log_out,
                summary="End the session.", roles=EVERYBODY_LOGGED_IN, status=204,
            ),
            Operation(
                method="PUT", path="/api/password", name="set_password", tag=SESSION, handle=self._set_password,
                summary="Give the administrator another password; all other sessions of the account end.",
                body=m.NewPassword, status=204,
            ),
            Operation(
                method="GET", path="/api/node", name="get_node", tag="Node", handle=self._get_node,
                summary="Return the node's names, and which services have to restart.", answer=m.NodeInfo,
            ),
        )  # fmt: skip

    async def _log_in(self, call: Call) -> Answer:
        login = call.body(m.Login)
        try:
            account = await self._node.accounts.log_in(login.user, login.password)
        except LoginRefused as refused:
            note_login(self._node.handshakes, call.connection, refused)
            raise
        note_login(self._node.handshakes, call.connection, account)
        key, _ = self._sessions.open(account)
        return m.LoggedIn(token=key, user=account.name, role=account.role, idle_timeout=int(IDLE_TIMEOUT))

    async def _log_out(self, call: Call) -> Answer:
        self._sessions.close(call.key)
        return None

    async def _set_password(self, call: Call) -> Answer:
        await self._node.accounts.set_administrator_password(call.body(m.NewPassword).password)
        self._sessions.close_all_of(call.account.name, but=call.key)
        return None

    async def _get_node(self, call: Call) -> Answer:
        plan = self._node.plan
        return m.NodeInfo(
            name=plan.name,
            fqdn=plan.fqdn,
            address=plan.address,
            product=self._product,
            cluster=plan.cluster,
            domain=plan.domain,
            restart_needed=m.to_restart(await self._node.restart_needed()),
        )

    # Control Center.

    def _service_operations(self) -> tuple[Operation, ...]:
        return (
            Operation(
                method="GET", path="/api/services", name="list_services", tag=CONTROL_CENTER,
                handle=self._list_services, summary="List the services with their states.", answer=m.Services,
            ),
            Operation(
                method="GET", path="/api/services/{service}", name="get_service", tag=CONTROL_CENTER,
                handle=self._get_service, summary="Return a service's line.", answer=m.Service,
            ),
            Operation(
                method="POST", path="/api/services/{service}/{action}", name="control_service", tag=CONTROL_CENTER,
                handle=self._control_service, answer=m.Changed,
                summary=f"Do one of {', '.join(_ACTIONS)} with a service. Cisco Tomcat, which serves this, can only "
                "be restarted; that begins once the answer is sent.",
            ),
        )  # fmt: skip

    async def _list_services(self, call: Call) -> Answer:
        return m.Services(
            services=[
                m.service_line(one, of_the_network=one.service in OF_THE_NETWORK)
                for one in self._node.services.services()
            ]
        )

    async def _get_service(self, call: Call) -> Answer:
        service = parse_service(call.path["service"])
        return m.service_line(self._node.services.status(service), of_the_network=service in OF_THE_NETWORK)

    async def _control_service(self, call: Call) -> Answer:
        service, action = parse_service(call.path["service"]), call.path["action"]
        if action not in _ACTIONS:
            raise ConfigError(f"action: expected one of {', '.join(_ACTIONS)}, seen {action[:50]!r}")
        services = self._node.services
        if service is ServiceName.TOMCAT:
            if action != "restart":
                raise ConfigError(f"{service} serves this API: expected restart, seen {action}")
            self._node.restart_later(service)
        elif action == "start":
            await services.start(service)
        elif action == "stop":
            await services.stop(service)
        elif action == "restart":
            await services.restart(service)
        elif action == "activate":
            await services.activate(service)
        else:
            await services.deactivate(service)
        return m.changed(await self._node.restart_needed())

    # Certificate Management.

    def _certificate_operations(self) -> tuple[Operation, ...]:
        return (
            Operation(
                method="GET", path="/api/certificates", name="find_certificates", tag=CERTIFICATES,
                handle=self._find, summary="Find: list the node's own certificates and those it trusts.",
                answer=m.CertificateList,
            ),
            Operation(
                method="GET", path="/api/certificates/{purpose}/pem", name="download_certificate", tag=CERTIFICATES,
                handle=self._download, summary="Download a certificate of the node's own, as `cup`.", answer=PEM,
            ),
            Operation(
                method="PUT", path="/api/certificates/{purpose}/pem", name="upload_signed_certificate",
                tag=CERTIFICATES, handle=self._upload_signed, body=PEM, answer=m.Changed,
                summary="Upload Certificate: what a CA made of the pending CSR.",
            ),
            Operation(
                method="POST", path="/api/certificates/{purpose}/regenerate", name="regenerate_certificate",
                tag=CERTIFICATES, handle=self._regenerate, answer=m.Changed,
                summary="Regenerate: a new self-signed certificate with a new key.",
            ),
            Operation(
                method="POST", path="/api/certificates/{purpose}/csr", name="generate_csr", tag=CERTIFICATES,
                handle=self._generate_csr, answer=PEM,
                summary="Generate CSR and download it; the certificate in use stays as it is.",
            ),
            Operation(
                method="POST", path="/api/trust-stores/{store}", name="upload_trusted_certificate",
                tag=CERTIFICATES, handle=self._upload_trusted, body=PEM, answer=m.Changed,
                summary="Upload Certificate: add the certificates of a PEM text to a trust store.",
            ),
            Operation(
                method="GET", path="/api/trust-stores/{store}/{sha256}/pem", name="download_trusted_certificate",
                tag=CERTIFICATES, handle=self._download_trusted, answer=PEM,
                summary="Download a certificate of a trust store.",
            ),
            Operation(
                method="DELETE", path="/api/trust-stores/{store}/{sha256}", name="delete_trusted_certificate",
                tag=CERTIFICATES, handle=self._delete_trusted, answer=m.Changed,
                summary="Delete a certificate of a trust store.",
            ),
        )  # fmt: skip

    async def _find(self, call: Call) -> Answer:
        return m.certificate_list(*self._management.find_all())

    def _purpose(self, call: Call) -> CertificatePurpose:
        return parse_purpose(call.path["purpose"])

    async def _download(self, call: Call) -> Answer:
        return Raw(content=self._management.download(self._purpose(call)), media_type=PEM)

    async def _upload_signed(self, call: Call) -> Answer:
        needed = await self._management.upload_signed_certificate(self._purpose(call), call.content)
        return m.changed(needed)

    async def _regenerate(self, call: Call) -> Answer:
        return m.changed(await self._management.regenerate(self._purpose(call)))

    async def _generate_csr(self, call: Call) -> Answer:
        return Raw(content=await self._management.generate_csr(self._purpose(call)), media_type=PEM)

    async def _upload_trusted(self, call: Call) -> Answer:
        store = TrustStoreName.parse(call.path["store"])
        return m.changed(await self._management.upload_certificate(store, call.content))

    async def _download_trusted(self, call: Call) -> Answer:
        store, sha256 = TrustStoreName.parse(call.path["store"]), call.path["sha256"]
        for one in self._management.find_all()[0]:
            if one.name == store and one.certificate.sha256 == sha256:
                pem = ssl.DER_cert_to_PEM_cert(one.certificate.der)
                return Raw(content=pem.encode("ascii"), media_type=PEM)
        raise ConfigError(f"{store} holds no certificate with the fingerprint {sha256[:80]}")

    async def _delete_trusted(self, call: Call) -> Answer:
        store = TrustStoreName.parse(call.path["store"])
        return m.changed(await self._management.delete(store, call.path["sha256"]))

    # Banner, ledger, backup.

    def _other_operations(self) -> tuple[Operation, ...]:
        filters = {
            "outcome": "`accepted` or `refused`.",
            "reason": "A reason, as `untrusted issuer`.",
            "service": "A service, as in Control Center.",
            "text": "Somewhere in the peer's address, its subject or the detail.",
            "since": "Only verdicts with a higher number.",
        }
        return (
            Operation(
                method="GET", path="/api/banner", name="get_banner", tag=LOGON_MESSAGE, handle=self._get_banner,
                summary="Return the login banner, which is read before a login too; empty where there is none.",
                answer=TEXT, roles=frozenset(),
            ),
            Operation(
                method="PUT", path="/api/banner", name="upload_banner", tag=LOGON_MESSAGE, body=TEXT, status=204,
                handle=self._upload_banner, query={"file_name": "The file's name, which ends with .txt."},
                summary=f"Upload File: plain text in UTF-8 of at most {MAXIMUM_SIZE} bytes, for this node only.",
            ),
            Operation(
                method="DELETE", path="/api/banner", name="delete_banner", tag=LOGON_MESSAGE, status=204,
                handle=self._delete_banner, summary="Show no banner any more.",
            ),
            Operation(
                method="GET", path="/api/verdicts", name="find_verdicts", tag=REPORTING, handle=self._find_verdicts,
                summary=f"Return up to {SHOWN} verdicts that the node remembers, the newest first.", query=filters,
                answer=m.Verdicts,
            ),
            Operation(
                method="POST", path="/api/backup", name="back_up", tag=RECOVERY, handle=self._back_up,
                body=m.BackupRequest,
                summary="Return the node's state as a file, encrypted with the password.", answer=BINARY,
            ),
            Operation(
                method="POST", path="/api/restore", name="restore", tag=RECOVERY, handle=self._restore,
                summary="Bring back what a backup of this node holds.", body=m.RestoreRequest, answer=m.Restored,
            ),
        )  # fmt: skip

    async def _get_banner(self, call: Call) -> Answer:
        return Raw(content=self._node.login_banner.read().encode(), media_type=TEXT)

    async def _upload_banner(self, call: Call) -> Answer:
        self._node.login_banner.upload(call.query.get("file_name", "banner.txt"), call.content)
        return None

    async def _delete_banner(self, call: Call) -> Answer:
        self._node.login_banner.delete()
        return None

    async def _find_verdicts(self, call: Call) -> Answer:
        since = call.query.get("since", "0")
        if not (since.isascii() and since.isdecimal() and len(since) < 16):
            raise ConfigError(f"since: expected the number of a verdict, seen {since[:50]!r}")
        wanted = LedgerFilter(
            **{name: call.query.get(name, "") for name in ("outcome", "reason", "service", "text")}
        )
        entries = (one for one in self._node.handshakes.entries() if one.number > int(since))
        return m.Verdicts(verdicts=[m.verdict_line(one) for one in wanted.find(entries, SHOWN)])

    async def _back_up(self, call: Call) -> Answer:
        password = call.body(m.BackupRequest).password
        return Raw(content=await self._node.disaster_recovery.back_up(password), media_type=BINARY)

    async def _restore(self, call: Call) -> Answer:
        body = call.body(m.RestoreRequest)
        restored = await self._node.disaster_recovery.restore(body.backup, body.password)
        return m.Restored(
            saved_at=restored.saved_at,
            files=restored.files,
            rows=restored.rows,
            restart_needed=m.to_restart(await self._node.restart_needed()),
        )
