"""The fixture `certs`: the files that a client under test trusts and shows."""

from dataclasses import dataclass
from pathlib import Path

from certs.credential import Credential
from certs.errors import ConfigError
from certs.purposes import CertificatePurpose, ServiceName, TrustStoreName
from certs.storage import write_atomically
from certs.wrong import Role, WrongCertificate, WrongCertificates
from harness.actors.sip import client_address
from harness.endpoint.ready import CLIENT, ClientFiles
from harness.lab import Lab
from harness.near_matches import did_you_mean
from harness.pytest_plugin.background import BackgroundLab


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFiles:
    """A client certificate in the three forms that clients ask for; all mode 0600."""

    pem: Path
    "Chain and private key in one file."

    chain: Path
    "The chain alone, the client's own certificate first."

    key: Path
    "The private key alone, PKCS #8."


class LabCertificates:
    """The certificate files of one lab."""

    def __init__(self, background: BackgroundLab) -> None:
        self._background = background
        self._wrong: WrongCertificates | None = None
        self._made: dict[str, CertificateFiles] = {}

    @property
    def trust(self) -> Path:
        """The certificates that the lab's nodes show to SIP and XMPP clients, in one PEM file to be trusted."""
        return self._ready.trust

    @property
    def good(self) -> CertificateFiles:
        """A client certificate that peer-authenticated listeners let in."""
        return self._split("client", self._ready.good)

    @property
    def stranger(self) -> CertificateFiles:
        """One that they refuse: nobody trusts it (`untrusted issuer`)."""
        return self._split("stranger", self._ready.stranger)

    def wrong(self, kind: WrongCertificate | str) -> CertificateFiles:
        """Return a client certificate that is wrong in one thing only, as `expired`; `certs.wrong` lists them.

        The first call has every node trust the authority that issued it and restarts Cisco SIP Proxy. OpenSSL loads
        `weak-key` and `sha1` only at security level 0, as `DEFAULT:@SECLEVEL=0` in its cipher list. Raises
        ConfigError where no such fault is known.
        """
        try:
            fault = WrongCertificate(kind)
        except ValueError:
            known = [str(each) for each in WrongCertificate]
            near = did_you_mean(str(kind), known) or f"; there are {', '.join(known)}"
            raise ConfigError(f"no wrong certificate is called {kind!r}{near}") from None
        if fault not in self._made:
            credential = self._issuer().issue(fault, Role.CLIENT)
            self._made[fault] = self._write(fault, credential)
        return self._made[fault]

    def issued_good(self) -> CertificateFiles:
        """Return the good twin of the wrong certificates: the same names and authority, nothing wrong."""
        if "issued-good" not in self._made:
            self._made["issued-good"] = self._write("issued-good", self._issuer().issue_good())
        return self._made["issued-good"]

    def own(self, node: str, purpose: CertificatePurpose | str = CertificatePurpose.CUP_XMPP) -> Path:
        """Return the certificate that a node shows for a purpose, as the administrator downloads it (G16).

        Raises ConfigError where the lab has no such node.
        """
        name = f"{node}-{CertificatePurpose(purpose)}.pem"
        path = self._background.folder / "clients" / name

        def download() -> bytes:
            management = self._background.lab.node(node).administration.certificate_management
            return management.download(CertificatePurpose(purpose))

        write_atomically(path, self._background.read(download))
        return path

    @property
    def _ready(self) -> ClientFiles:
        clients = self._background.clients
        if clients is None:
            raise ConfigError("this lab's nodes are as installed, so that it has no client certificates yet")
        return clients

    def _issuer(self) -> WrongCertificates:
        if self._wrong is None:
            lab = self._background.lab
            issuer = WrongCertificates(CLIENT, client_address(lab), now=lab.clock.now())
            self._background.call(lambda: _trust(lab, issuer.anchor_pem))
            self._wrong = issuer
        return self._wrong

    def _split(self, name: str, pem: Path) -> CertificateFiles:
        if name not in self._made:
            text = pem.read_bytes()
            start = text.index(b"-----BEGIN PRIVATE KEY")
            self._made[name] = self._write(name, Credential(chain_pem=text[:start], key_pem=text[start:]))
        return self._made[name]

    def _write(self, name: str, credential: Credential) -> CertificateFiles:
        folder = self._background.folder / "clients" / name
        files = CertificateFiles(
            pem=folder / "client.pem", chain=folder / "chain.pem", key=folder / "key.pem"
        )
        write_atomically(files.chain, credential.chain_pem)
        write_atomically(files.key, credential.key_pem)
        write_atomically(files.pem, credential.chain_pem + credential.key_pem)
        return files


async def _trust(lab: Lab, anchor_pem: bytes) -> None:
    for node in lab.imp:
        management = node.administration.certificate_management
        await management.upload_certificate(TrustStoreName.CUP_TRUST, anchor_pem)
        await node.administration.restart(ServiceName.SIP_PROXY)
