"""Python `ssl_context` objects from the lab's settings, every flag set by name.

`ssl.create_default_context` means different things in different Python releases; a scenario must not.
"""

import os
import ssl
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from certs.credential import Credential
from certs.errors import CertificateError, ConfigError
from certs.fips.approved import APPROVED_SUITES
from certs.fips.mode import in_fips_mode
from certs.handshake_messages import watch_handshakes
from certs.verdict import Side
from proxies.interposing import interposer
from proxies.tls.settings import TlsClientSettings, TlsServerSettings, TlsVersion, TrustPolicy

_VERSIONS: Final = {
    TlsVersion.TLS_1_0: ssl.TLSVersion.TLSv1,
    TlsVersion.TLS_1_1: ssl.TLSVersion.TLSv1_1,
    TlsVersion.TLS_1_2: ssl.TLSVersion.TLSv1_2,
    TlsVersion.TLS_1_3: ssl.TLSVersion.TLSv1_3,
}

_NO_CHECK_TIME: Final = 0x200000
"X509_V_FLAG_NO_CHECK_TIME: with `believing`, dates are looked at before OpenSSL sees the chain (`why_disbelieved`)."


@dataclass(frozen=True, slots=True, kw_only=True)
class HandshakeContext:
    """What the handshakes of one listener or dialler share, made once when the service starts."""

    side: Side
    "Listener or dialler."

    ssl_context: ssl.SSLContext
    "Holds our credential and whom we trust."

    refusing_context: ssl.SSLContext
    "Trusts nobody: takes over inside a handshake whose subject is not selected."

    trust: TrustPolicy
    "The same trust in the product's words."

    asks_for_certificate: bool
    "Whether the peer must show a certificate."

    server_name: str | None = None
    "Dialler only: the name for SNI and for the host name check."

    checks_host_name: bool = False
    "Dialler only: whether a wrong name refuses."

    believing: Callable[[bytes], ssl.SSLContext] | None = None
    "Makes what takes over where a chain is let in although it is not trusted; None where none is."


def server_context(settings: TlsServerSettings, *, secrets_file: str | None = None) -> HandshakeContext:
    """Return what a listener's handshakes share; their secrets are appended to a file where one is named.

    Raises CertificateError where the credential cannot be used, ConfigError where the cipher list is empty.
    """
    settings = interposer().tls_server(settings)
    ssl_context = _ssl_context(ssl.PROTOCOL_TLS_SERVER, settings, secrets_file)
    # No resumption: every handshake shows its certificates, so every verdict has its chain.
    ssl_context.options |= ssl.OP_NO_TICKET | ssl.OP_CIPHER_SERVER_PREFERENCE
    ssl_context.num_tickets = 0
    _set_strictness(ssl_context, settings)
    if settings.require_client_certificate:
        ssl_context.verify_mode = ssl.CERT_REQUIRED
        load_trust(ssl_context, settings.trust.certificates)
    elif settings.request_client_certificate:
        ssl_context.verify_mode = ssl.CERT_OPTIONAL
        load_trust(ssl_context, settings.trust.certificates)
        ssl_context.verify_flags |= _NO_CHECK_TIME
    return HandshakeContext(
        side=Side.SERVER,
        ssl_context=ssl_context,
        refusing_context=_refusing_context(ssl.PROTOCOL_TLS_SERVER, secrets_file),
        trust=settings.trust,
        asks_for_certificate=settings.require_client_certificate,
        believing=partial(_believing_context, ssl.PROTOCOL_TLS_SERVER, settings, secrets_file)
        if settings.request_client_certificate and not settings.require_client_certificate
        else None,
    )


def client_context(settings: TlsClientSettings, *, secrets_file: str | None = None) -> HandshakeContext:
    """Return what a dialler's handshakes share; their secrets are appended to a file where one is named.

    Raises CertificateError where the credential cannot be used, ConfigError where the cipher list is empty.
    """
    ssl_context = _ssl_context(ssl.PROTOCOL_TLS_CLIENT, settings, secrets_file)
    ssl_context.check_hostname = False
    if settings.verify:
        ssl_context.verify_mode = ssl.CERT_REQUIRED
        # RFC 9525 4: the CN is no host name.
        ssl_context.hostname_checks_common_name = False
        ssl_context.check_hostname = settings.check_host_name
        load_trust(ssl_context, settings.trust.certificates)
        if settings.believe_anyway:
            ssl_context.verify_flags |= _NO_CHECK_TIME
    else:
        ssl_context.verify_mode = ssl.CERT_NONE
    _set_strictness(ssl_context, settings)
    return HandshakeContext(
        side=Side.CLIENT,
        ssl_context=ssl_context,
        refusing_context=_refusing_context(ssl.PROTOCOL_TLS_CLIENT, secrets_file),
        trust=settings.trust,
        asks_for_certificate=settings.verify,
        server_name=settings.server_name or None,
        checks_host_name=settings.verify and settings.check_host_name,
        believing=partial(_believing_context, ssl.PROTOCOL_TLS_CLIENT, settings, secrets_file)
        if settings.verify and settings.believe_anyway
        else None,
    )


def load_trust(ssl_context: ssl.SSLContext, certificates: tuple[bytes, ...]) -> None:
    """Trust these PEM certificates and nothing else.

    Raises CertificateError where one of them cannot be read.
    """
    # A certificate in a trust store is trusted for itself, also when a CA issued it: the guide's exchange
    # uploads the peer's own certificate, not its issuer's.
    ssl_context.verify_flags = ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_X509_PARTIAL_CHAIN
    if not certificates:
        return
    try:
        ssl_context.load_verify_locations(cadata=b"\n".join(certificates).decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        raise CertificateError(f"a certificate of the trust store cannot be read: {error}") from error


def _ssl_context(
    protocol: int, settings: TlsServerSettings | TlsClientSettings, secrets_file: str | None
) -> ssl.SSLContext:
    ssl_context = ssl.SSLContext(protocol)
    with warnings.catch_warnings():
        # TLS 1.0 and 1.1 are offered on purpose, to see them refused.
        warnings.simplefilter("ignore", DeprecationWarning)
        ssl_context.minimum_version = _VERSIONS[settings.minimum_version]
        ssl_context.maximum_version = _VERSIONS[settings.maximum_version]
    ssl_context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    _keep_secrets(ssl_context, secrets_file)
    watch_handshakes(ssl_context)
    return ssl_context


def _refusing_context(protocol: int, secrets_file: str | None) -> ssl.SSLContext:
    ssl_context = ssl.SSLContext(protocol)
    ssl_context.check_hostname = False
    ssl_context.verify_mode = ssl.CERT_REQUIRED
    # The connection's own callbacks go with its context, and the alert is yet to be seen.
    _keep_secrets(ssl_context, secrets_file)
    watch_handshakes(ssl_context)
    return ssl_context


def _believing_context(
    protocol: int,
    settings: TlsServerSettings | TlsClientSettings,
    secrets_file: str | None,
    certificate_der: bytes,
) -> ssl.SSLContext:
    """Return what takes over inside a handshake to let in a chain that proves nothing: it trusts this certificate.

    Raises CertificateError where the certificate cannot be read; then OpenSSL refuses it by itself.
    """
    # The connection's verify flags stay those of its first context: the partial chain, and no look at dates.
    ssl_context = _ssl_context(protocol, settings, secrets_file)
    ssl_context.check_hostname = False
    ssl_context.verify_mode = ssl.CERT_OPTIONAL
    try:
        ssl_context.load_verify_locations(cadata=certificate_der)
    except (ssl.SSLError, ValueError) as error:
        raise CertificateError(f"a presented certificate cannot be read: {error}") from error
    _set_strictness(ssl_context, settings)
    return ssl_context


def _keep_secrets(ssl_context: ssl.SSLContext, secrets_file: str | None) -> None:
    if secrets_file is not None:
        ssl_context.keylog_filename = secrets_file


def _set_strictness(ssl_context: ssl.SSLContext, settings: TlsServerSettings | TlsClientSettings) -> None:
    """Load our credential and say what is asked of the peer.

    OpenSSL has one security level for what both sides show. Who shows a weak certificate on purpose has to
    believe weak ones as well, so that it is the peer who judges.
    """
    levels = sorted({settings.security_level, 0}, reverse=True)
    for level in levels:
        _set_ciphers(ssl_context, settings.ciphers or "DEFAULT", level)
        if settings.credential is None:
            return
        try:
            _load_credential(ssl_context, settings.credential)
        except CertificateError:
            if level == levels[-1]:
                raise
        else:
            return


def _set_ciphers(ssl_context: ssl.SSLContext, ciphers: str, level: int) -> None:
    try:
        ssl_context.set_ciphers(f"{ciphers}:@SECLEVEL={level}")
    except ssl.SSLError as error:
        why = ", or none of them is FIPS-approved" if in_fips_mode() else ""
        raise ConfigError(f"OpenSSL knows no cipher suite of {ciphers!r}{why}") from error
    if in_fips_mode():
        _keep_approved_ciphers(ssl_context, ciphers, level)


def _keep_approved_ciphers(ssl_context: ssl.SSLContext, ciphers: str, level: int) -> None:
    """Take out what the module has and FIPS mode does not allow: static RSA (SP 800-52 rev. 2 3.3.1)."""
    offered = [cipher["name"] for cipher in ssl_context.get_ciphers()]
    approved = [name for name in offered if name in APPROVED_SUITES]
    if not approved:
        raise ConfigError(
            f"not FIPS-approved: no cipher suite of {ciphers!r} is; select {APPROVED_SUITES[0]}"
        )
    ssl_context.set_ciphers(f"{':'.join(approved)}:@SECLEVEL={level}")


def _load_credential(ssl_context: ssl.SSLContext, credential: Credential) -> None:
    with _as_file(credential.chain_pem + b"\n" + credential.key_pem) as path:
        try:
            ssl_context.load_cert_chain(path)
        except (ssl.SSLError, OSError) as error:
            raise CertificateError(
                f"OpenSSL does not take the certificate with its key: {error}; regenerate it"
            ) from error


@contextmanager
def _as_file(content: bytes) -> Iterator[Path]:
    """Lend a path to bytes that should not touch the disk: Python's ssl reads keys only from files."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("credential", os.MFD_CLOEXEC), "wb") as file:
            file.write(content)
            file.flush()
            yield Path(f"/proc/self/fd/{file.fileno()}")
    else:
        with tempfile.TemporaryDirectory() as directory:  # mode 0700
            path = Path(directory) / "credential.pem"
            path.write_bytes(content)
            yield path
