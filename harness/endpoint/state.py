"""What of a lab outlives its run besides the nodes' own folders: the addresses, which certificates carry."""

import hashlib
import json
import os
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

from certs.errors import ConfigError
from certs.storage import write_atomically
from harness.plan.lab_file import LabFile

_FILE: Final = "state.json"


@dataclass(slots=True)
class KeptState:
    """The state folder of a lab; without a folder nothing is kept."""

    folder: Path | None
    "Where it is."

    network: IPv4Network | None = None
    "The range that the lab has to have; None where it takes one that is free."

    @classmethod
    def of(cls, folder: Path | None, lab_file: LabFile) -> "KeptState":
        """Read what an earlier run left, or choose a range. Raises ConfigError where the file cannot be read."""
        if folder is None:
            return cls(None)
        if not (folder / _FILE).exists():
            return cls(folder, None if "address_range" in lab_file.model_fields_set else _range_of(folder))
        path = folder / _FILE
        try:
            network = IPv4Network(json.loads(path.read_text(encoding="utf-8"))["network"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{path} is damaged: {error}; name another folder with --state") from error
        return cls(folder, network)

    def keep(self, network: IPv4Network) -> None:
        """Write down the range, for the next run."""
        self.network = network
        if self.folder is not None:
            content = json.dumps({"network": str(network)}).encode()
            write_atomically(self.folder / _FILE, content + b"\n")


def _range_of(folder: Path) -> IPv4Network:
    """Return a range that runs without a state do not take: 127.64.0.0 to 127.127.255.0, drawn by the path."""
    first, second = hashlib.sha256(os.fsencode(folder.absolute())).digest()[:2]
    return IPv4Network(f"127.{64 + first % 64}.{second}.0/24")
