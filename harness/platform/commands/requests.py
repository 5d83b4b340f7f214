"""`set csr` and `show csr`: certificate signing requests."""

from harness.platform.registry import command, group
from harness.platform.session import CommandFailed, Session
from harness.platform.units import own_units, parse_own

group("set csr", "Generates certificate signing requests.")
group("show csr", "Shows certificate signing requests.")


@command(
    "set csr gen NAME",
    "Generates a CSR for a unit; the certificate in use stays as it is.",
    examples=("set csr gen tomcat",),
    completers={"NAME": own_units},
)
async def set_csr_gen(session: Session, name: str) -> None:
    """Make a key and a request, which wait for `set cert import own`."""
    purpose = parse_own(session.node, name)
    await session.node.certificates.generate_csr(purpose)
    session.write(f"Successfully Generated CSR for {purpose}.")


@command("show csr list own", "Displays the CSRs that wait for their signed certificates.")
async def show_csr_list_own(session: Session) -> None:
    """List one CSR a line."""
    for purpose in session.node.certificates.purposes:
        if session.node.certificates.pending_csr(purpose) is not None:
            session.write(f"{purpose}/{purpose}.csr")


@command(
    "show csr own NAME",
    "Displays a CSR, for a CA to sign.",
    examples=("show csr own tomcat",),
    completers={"NAME": own_units},
)
async def show_csr_own(session: Session, name: str) -> None:
    """Show the request in PEM."""
    purpose = parse_own(session.node, name)
    pem = session.node.certificates.pending_csr(purpose)
    if pem is None:
        raise CommandFailed(f"No {purpose}.csr is pending; 'set csr gen {purpose}' generates one")
    session.write(pem.decode().strip())
