"""A lab as variables for shells and CI jobs."""

from collections.abc import Iterable

from harness.endpoint.description import (
    CertificateFiles,
    Endpoint,
    LabDescription,
    NodeDescription,
    UserDescription,
)


def variables(lab: LabDescription) -> dict[str, str]:
    """Return the variables by name; values are one line each."""
    found = {
        "IMP_HARNESS_LAB": lab.id,
        "IMP_EVIDENCE": str(lab.folder),
        "IMP_ADMINISTRATOR_PASSWORD_FILE": str(lab.administrator_password_file),
        "IMP_HOSTS": str(lab.hosts),
        "IMP_CONTROL": str(lab.control),
    }
    if lab.dns is not None:
        found |= {"IMP_DNS_ADDRESS": lab.dns.address, "IMP_DNS_PORT": str(lab.dns.port)}
    return found | client_variables(lab.domain, lab.nodes, lab.endpoints, lab.users, lab.certificates)


def client_variables(
    domain: str,
    nodes: Iterable[NodeDescription],
    endpoints: Iterable[Endpoint],
    users: Iterable[UserDescription],
    certificates: CertificateFiles | None,
) -> dict[str, str]:
    """Return what a client needs of a lab; one in the tests of somebody's own has no more than this."""
    found = {"IMP_DOMAIN": domain}
    if certificates is not None:
        found |= {
            "IMP_TRUST": str(certificates.trust),
            "IMP_CLIENT_CERTIFICATE": str(certificates.client),
            "IMP_STRANGER_CERTIFICATE": str(certificates.stranger),
        }
    for node in nodes:
        found[f"IMP_{_upper(node.name)}_ADDRESS"] = node.address
        found[f"IMP_{_upper(node.name)}_FQDN"] = node.fqdn
    for each in endpoints:
        found[f"IMP_{_upper(each.node)}_{_upper(each.name)}_PORT"] = str(each.port)
    for user in users:
        found[f"IMP_USER_{_upper(user.user_id)}_JID"] = user.jid
        found[f"IMP_USER_{_upper(user.user_id)}_HOME"] = user.home_node
        found[f"IMP_USER_{_upper(user.user_id)}_PASSWORD"] = user.password
    return found


def secret_names(lab: LabDescription) -> tuple[str, ...]:
    """Return the names of the variables that hold passwords."""
    return tuple(f"IMP_USER_{_upper(user.user_id)}_PASSWORD" for user in lab.users)


def _upper(name: str) -> str:
    """Return a name as the middle of a variable's: letters, digits and underscores."""
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name).upper()
