"""The names that certificates and trust stores have at the command line."""

from certs.errors import ConfigError
from certs.purposes import CertificatePurpose, TrustStoreName
from harness.near_matches import did_you_mean
from harness.platform.session import CommandFailed, PlatformNode


def own_units(node: PlatformNode) -> list[str]:
    """Return the units that have a certificate of the node's own."""
    return [purpose.value for purpose in node.certificates.purposes]


def trust_units(node: PlatformNode) -> list[str]:
    """Return the units that a certificate can be imported for."""
    return [*own_units(node), *(store.value for store in node.certificates.trust_stores)]


def parse_own(node: PlatformNode, name: str) -> CertificatePurpose:
    """Return the certificate that `cup`, `cup.pem` or `cup/cup.pem` means. `directory` is the old name of `tomcat`.

    Raises CommandFailed where the node has none of this name.
    """
    unit = name.rpartition("/")[2].removesuffix(".pem").removesuffix(".csr")
    if unit == "directory":  # G07
        unit = CertificatePurpose.TOMCAT
    for purpose in node.certificates.purposes:
        if purpose.value == unit:
            return purpose
    units = own_units(node)
    raise CommandFailed(
        f"{name} is no certificate of this node{did_you_mean(name, units)}; it has {', '.join(units)}"
    )


def parse_trust(node: PlatformNode, name: str) -> TrustStoreName:
    """Return the trust store of a unit: `cup` and `cup-trust` mean one store.

    That of `cup-xmpp-s2s` is `cup-xmpp-trust` (G11). Raises CommandFailed where the node has none of this name.
    """
    unit = CertificatePurpose.CUP_XMPP.value if name == CertificatePurpose.CUP_XMPP_S2S else name
    for text in (unit, f"{unit}-trust"):
        try:
            store = TrustStoreName.parse(text)
            node.certificates.check_store(store)
        except ConfigError:
            continue
        return store
    units = trust_units(node)
    raise CommandFailed(
        f"{name} is no trust store of this node{did_you_mean(name, units)}; it has "
        f"{', '.join(node.certificates.trust_stores)}"
    )
