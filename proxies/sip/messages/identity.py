"""Which SIP domains a certificate speaks for (RFC 5922 7)."""

from certs.verdict import PresentedCertificate


def sip_identities(certificate: PresentedCertificate) -> tuple[str, ...]:
    """Return the SIP domain identities of a certificate, in lower case (RFC 5922 7.1).

    The CN counts only where the certificate has no subject alternative name at all.
    """
    names = certificate.subject_alternative_names
    if not names:
        return (_fold(certificate.common_name),) if certificate.common_name else ()
    found: list[str] = []
    for name in names:
        kind, _, value = name.partition(":")
        identity = _uri_identity(value) if kind == "URI" else value if kind == "DNS" else ""
        if identity and _fold(identity) not in found:
            found.append(_fold(identity))
    return tuple(found)


def matches_domain(certificate: PresentedCertificate, domain: str) -> bool:
    """Return whether a certificate speaks for a SIP domain (RFC 5922 7.2).

    Names are compared whole and without regard to case: a wildcard stands for nothing, a parent domain does
    not stand for its children. An address matches an `IP:` name, which the lab's certificates carry.
    """
    wanted = _fold(domain)
    return wanted in sip_identities(certificate) or f"IP:{domain}" in certificate.subject_alternative_names


def _uri_identity(uri: str) -> str:
    """Return the domain of a `sip:` URI that names no user, else nothing."""
    scheme, _, rest = uri.partition(":")
    if scheme.lower() != "sip" or "@" in rest:
        return ""
    host = rest.split(";", 1)[0].split("?", 1)[0]
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


def _fold(name: str) -> str:
    return name.lower().removesuffix(".")
