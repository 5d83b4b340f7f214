"""OS Administration: Certificate Management (G16, G17) and Customized Logon Message (G01)."""

import ssl
from typing import TYPE_CHECKING, Final

from certs.errors import ConfigError
from certs.purposes import CertificatePurpose, TrustStoreName
from harness.access.accounts import Role
from harness.access.login_banner import MAXIMUM_SIZE
from harness.nodes.certificate_management import ListedCertificate
from harness.nodes.machine import status_without_a_machine
from harness.web.page import Done, Download, Form, Interface, Page, Shown, Visit, make_file_name

if TYPE_CHECKING:
    from harness.nodes.node import CucmNode, ImpNode

PATH: Final = "cmplatform"
CERTIFICATES: Final = "certificate-management"

PEM: Final = "application/x-pem-file"


def parse_purpose(text: str) -> CertificatePurpose:
    """Return the certificate of a name; `directory` is the old name of `tomcat` (G07).

    Raises ConfigError where the product has none of this name.
    """
    folded = text.strip().lower()
    for purpose in CertificatePurpose:
        if folded == purpose.value.lower() or (folded, purpose) == ("directory", CertificatePurpose.TOMCAT):
            return purpose
    known = ", ".join([*CertificatePurpose, "directory"])
    raise ConfigError(f"Certificate Name: expected one of {known}, seen {text[:80]!r}")


class OsAdministrationPages:
    """The pages of one node."""

    def __init__(self, node: "ImpNode | CucmNode", title: str) -> None:
        self._node = node
        self._title = title
        self._management = node.administration.certificate_management

    def interface(self) -> Interface:
        """Return the interface."""
        return Interface(
            path=PATH,
            title=self._title,
            roles=frozenset({Role.ADMINISTRATOR}),
            pages=(
                Page(path="", title=self._title, template="home.html", show=self._home),
                Page(
                    path=CERTIFICATES,
                    title="Certificate Management",
                    menu=("Security",),
                    template="certificates.html",
                    show=self._find,
                    actions={"delete": self._delete},
                ),
                Page(
                    path="upload-certificate",
                    title="Upload Certificate",
                    template="upload_certificate.html",
                    show=self._show_names,
                    actions={"upload": self._upload},
                ),
                Page(
                    path="generate-new",
                    title="Generate New",
                    template="generate_certificate.html",
                    show=self._show_names,
                    actions={"generate": self._regenerate},
                ),
                Page(
                    path="generate-csr",
                    title="Generate CSR",
                    template="generate_certificate.html",
                    show=self._show_names,
                    actions={"csr": self._generate_csr},
                ),
                Page(
                    path="certificate",
                    title="Certificate Configuration",
                    template="certificate.html",
                    show=self._show_certificate,
                    actions={
                        "regenerate": self._regenerate,
                        "csr": self._generate_csr,
                        "delete": self._delete,
                    },
                ),
                Page(
                    path="certificate/download",
                    title="Download",
                    template="failed.html",
                    show=self._download,
                ),
                Page(
                    path="customized-logon-message",
                    title="Customized Logon Message",
                    menu=("Software Upgrades",),
                    template="logon_message.html",
                    show=self._show_banner,
                    actions={"upload": self._upload_banner, "delete": self._delete_banner},
                ),
            ),
        )

    async def _home(self, visit: Visit) -> Shown:
        machine = self._node.surroundings.machine
        status = machine.fips_status() if machine is not None else status_without_a_machine()
        return {
            "facts": [
                ("Address", self._node.plan.address),
                ("FIPS 140-2 mode", "enabled" if status.enabled else "disabled"),
            ]
        }

    # Security > Certificate Management.

    async def _find(self, visit: Visit) -> Shown:
        wanted = visit.query.get("find", "").lower()
        listing, damaged = self._management.find_all()
        found = [
            one
            for one in listing
            if wanted in " ".join((one.file_name, one.name, one.certificate.subject)).lower()
        ]
        return {"found": found, "damaged": damaged, "wanted": wanted}

    async def _show_names(self, visit: Visit) -> Shown:
        return {"purposes": self._management.purposes, "stores": self._management.trust_stores}

    async def _show_certificate(self, visit: Visit) -> Shown:
        one = self._chosen(visit)
        der = one.certificate.der
        return {
            "one": one,
            "is_own": isinstance(one.name, CertificatePurpose),
            "pem": ssl.DER_cert_to_PEM_cert(der),
        }

    async def _download(self, visit: Visit) -> Shown:
        one = self._chosen(visit)
        content = ssl.DER_cert_to_PEM_cert(one.certificate.der).encode("ascii")
        name = (
            one.file_name
            if isinstance(one.name, CertificatePurpose)
            else f"{one.certificate.common_name}.pem"
        )
        return Download(file_name=make_file_name(name), content=content, content_type=PEM)

    def _chosen(self, visit: Visit) -> ListedCertificate:
        name, sha256 = visit.query.get("name", ""), visit.query.get("sha256", "")
        listing, damaged = self._management.find_all()
        for one in listing:
            if one.name == name and (
                isinstance(one.name, CertificatePurpose) or one.certificate.sha256 == sha256
            ):
                return one
        for broken in damaged:
            if broken.name == name:
                raise ConfigError(broken.error)
        raise ConfigError(f"{self._node.plan.name} has no certificate {name} {sha256}".rstrip())

    async def _upload(self, visit: Visit, form: Form) -> Done:
        name, file = form.text("name"), form.file("file")
        if name in self._management.trust_stores:
            await self._management.upload_certificate(TrustStoreName.parse(name), file.content)
        else:
            await self._management.upload_signed_certificate(parse_purpose(name), file.content)
        return Done(message=f"Success: Certificate Uploaded to {name}", go_to=CERTIFICATES)

    async def _regenerate(self, visit: Visit, form: Form) -> Done:
        purpose = parse_purpose(form.text("name"))
        await self._management.regenerate(purpose)
        return Done(
            message=f"Success: Certificate Generated: {purpose}.pem", go_to=f"certificate?name={purpose}"
        )

    async def _generate_csr(self, visit: Visit, form: Form) -> Download:
        purpose = parse_purpose(form.text("name"))
        return Download(
            file_name=f"{purpose}.csr",
            content=await self._management.generate_csr(purpose),
            content_type="application/pkcs10",
        )

    async def _delete(self, visit: Visit, form: Form) -> Done:
        store, sha256 = TrustStoreName.parse(form.text("name")), form.text("sha256")
        await self._management.delete(store, sha256)
        return Done(message=f"Success: {sha256[:16]}.pem deleted from {store}", go_to=CERTIFICATES)

    # Software Upgrades > Customized Logon Message (G01).

    async def _show_banner(self, visit: Visit) -> Shown:
        return {"maximum": MAXIMUM_SIZE}

    async def _upload_banner(self, visit: Visit, form: Form) -> Done:
        file = form.file("file")
        self._node.login_banner.upload(file.name, file.content)
        return Done(message=f"{file.name} was uploaded; it is shown on this node before and after login")

    async def _delete_banner(self, visit: Visit, form: Form) -> Done:
        self._node.login_banner.delete()
        return Done(message="The customized logon message was deleted")
