"""`utils system restart`."""

from harness.platform.registry import command, group
from harness.platform.session import Session

group("utils", "Manages services, modes and the node as a whole.")
group("utils system", "Manages the node as a whole.")


@command(
    "utils system restart",
    "Restarts the node: all its services stop and start again, and all sessions end.",
)
async def utils_system_restart(session: Session) -> None:
    """Ask, then have the node restart; this session ends with it."""
    session.write(f"Do you really want to restart {session.node.fqdn} ?")
    await session.confirm("Enter (yes/no)? ")
    session.write("Appliance is being Restarted ...")
    session.write("Stopping Service Manager...")
    session.node.request_restart()
    session.end()
