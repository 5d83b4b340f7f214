"""`help`, `quit` and `exit`."""

from harness.platform.registry import command
from harness.platform.session import Session


@command(
    "help [COMMAND...]",
    "Displays help about commands; a question mark at the end of a line shows what may follow.",
    examples=("help set cert",),
)
async def show_help(session: Session, of_command: str) -> None:
    """Show help about a command, or about the commands that begin with these words."""
    session.show_help(of_command.split())


@command("quit", "Exits the command line.")
@command("exit", "Exits the command line.")
async def leave(session: Session) -> None:
    """End the session."""
    session.end()
