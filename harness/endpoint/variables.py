"""A lab as variables for shells and CI jobs."""

from harness.endpoint.description import LabDescription


def variables(lab: LabDescription) -> dict[str, str]:
    """Return the variables by name; values are one line each."""
    found = {
        "IMP_HARNESS_LAB": lab.id,
        "IMP_DOMAIN": lab.domain,
        "IMP_EVIDENCE": str(lab.folder),
        "IMP_ADMINISTRATOR_PASSWORD_FILE": str(lab.administrator_password_file),
        "IMP_HOSTS": str(lab.hosts),
        "IMP_CONTROL": str(lab.control),
    }
    if lab.dns is not None:
        found |= {"IMP_DNS_ADDRESS": lab.dns.address, "IMP_DNS_PORT": str(lab.dns.port)}
    if lab.certificates is not None:
        found |= {
            "IMP_TRUST": str(lab.certificates.trust),
            "IMP_CLIENT_CERTIFICATE": str(lab.certificates.client),
            "IMP_STRANGER_CERTIFICATE": str(lab.certificates.stranger),
        }
    for node in lab.nodes:
        found[f"IMP_{_upper(node.name)}_ADDRESS"] = node.address
        found[f"IMP_{_upper(node.name)}_FQDN"] = node.fqdn
    for each in lab.endpoints:
        found[f"IMP_{_upper(each.node)}_{_upper(each.name)}_PORT"] = str(each.port)
    for user in lab.users:
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
