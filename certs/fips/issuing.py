"""Makes keys, certificates and requests by the approved module: the `openssl` command on a node's own copy."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from certs.credential import Credential
from certs.errors import CertificateError
from certs.fips.module import FipsModule
from certs.fips.openssl import run_openssl
from certs.issuing import CertificateSpec, KeyAlgorithm

_ALGORITHMS: Final[Mapping[KeyAlgorithm, tuple[str, ...]]] = {
    KeyAlgorithm.EC_P256: ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
    KeyAlgorithm.RSA_2048: ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
}
_USAGES: Final[Mapping[x509.ObjectIdentifier, str]] = {
    ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth",
    ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth",
}
_TIME: Final = "%Y%m%d%H%M%SZ"


class ApprovedIssuer:
    """Implements `certs.issuing.Issuer` with a node's cryptographic module."""

    def __init__(self, module: FipsModule) -> None:
        self._module = module

    def make_key(self, algorithm: KeyAlgorithm) -> bytes:
        """Return a new private key in PEM (PKCS #8). Raises CertificateError where the module makes none."""
        return self._openssl("genpkey", *_ALGORITHMS[algorithm]).encode()

    def issue_self_signed(self, spec: CertificateSpec, algorithm: KeyAlgorithm) -> Credential:
        """Issue a certificate that is its own issuer. Raises CertificateError where the module does not."""
        key = self.make_key(algorithm)
        with tempfile.TemporaryDirectory(prefix="issue-") as folder:  # mode 0700
            self._write(Path(folder), key, spec, algorithm, certificate=True)
            for command in (
                ("req", "-new", "-sha256", "-key", "key.pem", "-config", "request.cnf", "-out", "request.pem"),
                (
                    "ca", "-batch", "-notext", "-selfsign", "-md", "sha256", "-config", "request.cnf",
                    "-in", "request.pem", "-keyfile", "key.pem", "-out", "certificate.pem",
                    "-startdate", spec.not_before.strftime(_TIME), "-enddate", spec.not_after.strftime(_TIME),
                ),
            ):  # fmt: skip
                self._openssl(*command, cwd=Path(folder))
            pem = Path(folder, "certificate.pem").read_bytes()
        return Credential(chain_pem=pem, key_pem=key)

    def issue_csr(self, spec: CertificateSpec, key_pem: bytes) -> bytes:
        """Issue a certificate signing request in PEM. Raises CertificateError where the module does not."""
        with tempfile.TemporaryDirectory(prefix="issue-") as folder:
            self._write(Path(folder), key_pem, spec, None, certificate=False)
            self._openssl(
                "req", "-new", "-sha256", "-key", "key.pem", "-config", "request.cnf", "-out", "request.pem",
                cwd=Path(folder),
            )  # fmt: skip
            return Path(folder, "request.pem").read_bytes()

    def _openssl(self, *arguments: str, cwd: Path | None = None) -> str:
        return run_openssl(*arguments, environment=self._module.environment(), cwd=cwd)

    def _write(
        self,
        folder: Path,
        key: bytes,
        spec: CertificateSpec,
        algorithm: KeyAlgorithm | None,
        *,
        certificate: bool,
    ) -> None:
        key_path = folder / "key.pem"
        key_path.touch(mode=0o600)
        key_path.write_bytes(key)
        (folder / "index.txt").touch()
        names = [f"DNS:{name}" for name in spec.names] + [f"IP:{address}" for address in spec.addresses]
        for text in (spec.common_name, *names):
            # They go into a file of OpenSSL's: these would begin a section, a variable or another line.
            if not text or set(text) & set('\r\n$[]\\",#;='):
                raise CertificateError(f"{text!r} cannot stand in a certificate")
        (folder / "request.cnf").write_text(
            _REQUEST.format(
                common_name=spec.common_name,
                alternative_names=f"subjectAltName = {','.join(names)}" if names else "",
                encipherment=",keyEncipherment" if algorithm is KeyAlgorithm.RSA_2048 else "",
                usages=",".join(_USAGES[usage] for usage in spec.extended_key_usages),
                request_extensions="req_extensions = names_sect" if names and not certificate else "",
            ),
            encoding="utf-8",
        )


_REQUEST: Final = """\
[req]
prompt = no
utf8 = yes
string_mask = utf8only
distinguished_name = name_sect
{request_extensions}

[name_sect]
CN = {common_name}

[names_sect]
{alternative_names}

[ca]
default_ca = ca_sect

[ca_sect]
database = index.txt
new_certs_dir = .
policy = policy_sect
x509_extensions = extensions_sect
unique_subject = no
rand_serial = yes

[policy_sect]
commonName = supplied

[extensions_sect]
basicConstraints = critical,CA:TRUE
keyUsage = critical,digitalSignature,keyCertSign,cRLSign{encipherment}
extendedKeyUsage = {usages}
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
{alternative_names}
"""
