"""`show version active`."""

import importlib.metadata

from harness.platform.registry import command, group
from harness.platform.session import Session

group("show", "Shows what the node has and does.")
group("show version", "Shows the software version.")


@command(
    "show version active", "Displays the version of the software that runs, and what is installed with it."
)
async def show_version_active(session: Session) -> None:
    """Name the product's version, and the lab's own among the installed options."""
    session.write(f"Active Master Version: {session.node.version}")
    session.write("Active Version Installed Software Options:")
    session.write(f"imp-harness-{importlib.metadata.version('imp-harness')}")
