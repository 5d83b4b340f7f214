"""What stands for a TLS connection in an authentication (RFC 5929)."""

import hashlib

from cryptography import x509

from certs.errors import CertificateError

_TOO_WEAK = frozenset({"md5", "sha1"})


def tls_server_end_point(certificate_der: bytes) -> bytes:
    """Return the channel binding data of a connection from its server's certificate (RFC 5929 4.1).

    Raises CertificateError where the certificate cannot be read or its signature has no hash of its own
    (Ed25519): for those RFC 5929 defines no value.
    """
    try:
        digest = x509.load_der_x509_certificate(certificate_der).signature_hash_algorithm
    except ValueError as error:
        raise CertificateError(f"the server's certificate cannot be read: {error}") from error
    if digest is None:
        raise CertificateError("the server's certificate is signed without a hash (RFC 5929 4.1)")
    name = "sha256" if digest.name in _TOO_WEAK else digest.name
    return hashlib.new(name, certificate_der).digest()
