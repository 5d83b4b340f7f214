"""What the SSH service of a node runs on."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellLimits:
    """What one node gives its clients."""

    connections: int = 32
    "Connections at a time, those that have not logged in included; a further one is closed at once."

    sessions: int = 4
    "Sessions of one connection at a time."

    login_seconds: float = 60.0
    "From connection to login."

    failures: int = 3
    "Wrong passwords of one connection; then it is closed."

    idle_seconds: float = 1800.0
    "Without a line that is typed; the product's `set cli session timeout` is 30 minutes."


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellSettings:
    """The SSH service of one node. Frozen: it keeps them until it restarts."""

    node: str
    "The node's short name."

    address: str
    "Where it listens."

    port: int = 2222
    "On which port; on the product it is 22, which needs root."

    host_key: Path
    "The file of the host key; made at the first start."

    limits: ShellLimits = ShellLimits()
    "What it gives its clients."
