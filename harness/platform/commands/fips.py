"""`utils fips`: FIPS 140-2 mode (G25 to G27), from the command line only."""

from typing import Final

from harness.nodes.machine import Machine, status_without_a_machine
from harness.platform.registry import command, group
from harness.platform.session import CommandFailed, Session

group("utils fips", "Enables, disables and shows FIPS 140-2 mode.")

_RULE: Final = "*" * 78
_ENABLED: Final = "The system is operating in FIPS mode."
_DISABLED: Final = "FIPS mode is disabled."


@command(
    "utils fips enable", "Puts the node into FIPS 140-2 mode: it reboots, tests itself and makes new keys."
)
async def utils_fips_enable(session: Session) -> None:
    """Warn, ask, and reboot into the mode. Without a FIPS provider nothing is changed."""
    await _change(session, _machine(session), enabled=True)


@command("utils fips disable", "Takes the node out of FIPS 140-2 mode: it reboots and makes new keys.")
async def utils_fips_disable(session: Session) -> None:
    """Warn, ask, and reboot out of the mode."""
    await _change(session, _machine(session), enabled=False)


@command("utils fips status", "Shows whether the node is in FIPS 140-2 mode, and its last self-tests.")
async def utils_fips_status(session: Session) -> None:
    """Show the mode, and the provider's own tests of the last boot."""
    machine = session.node.machine
    status = machine.fips_status() if machine is not None else status_without_a_machine()
    if status.after_restart is not None:
        session.write(
            f"After the next restart FIPS mode is {'enabled' if status.after_restart else 'disabled'}."
        )
    if status.detail:
        session.write(status.detail)
    if not status.enabled:
        session.write(_DISABLED)
        return
    session.write(f"{_ENABLED} Self-tests of the cryptographic module at the last boot, {status.tested_at}:")
    for name in dict.fromkeys(status.self_tests):
        session.write(f"  {name} passed")


def _machine(session: Session) -> Machine:
    """Return the machine under the node. Raises CommandFailed where the node shares its process with others."""
    if session.node.machine is None:
        raise CommandFailed(
            "FIPS mode is that of a process, and this node shares its process with others. Give it one of its own: "
            "process = true in the lab file, or imp-harness node"
        )
    return session.node.machine


async def _change(session: Session, machine: Machine, *, enabled: bool) -> None:
    machine.check_fips(enabled=enabled)
    purposes = session.node.certificates.purposes
    session.write("Security Warning: the operation will regenerate the certificates for")
    for number, purpose in enumerate(purposes, 1):
        session.write(f"{number}) {purpose}")
    session.write(
        "Certificates that a CA signed have to be signed and uploaded again, and peers have to import the new"
    )
    session.write("ones: those that trust the old certificates are refused.")
    session.write(_RULE)
    change = "to FIPS mode" if enabled else "to non-FIPS mode"
    session.write(f"This will change the system {change} and will reboot.")
    session.write(_RULE)
    await session.confirm("Do you want to continue (yes/no) ? ")
    machine.request_fips(enabled=enabled)
    session.write(f"Setting FIPS mode {'enabled' if enabled else 'disabled'} for the next boot.")
    session.write("The system will reboot now.")
    machine.reboot()
    session.end()
