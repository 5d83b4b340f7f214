"""Network namespaces on a bridge: each is a host of its own to what runs in it. Root and iproute2 make them."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.interop.peers import missing, require_program

HOSTS = Path("/etc/netns")
"Where `ip netns exec` looks for a namespace's own /etc/hosts."


@dataclass(frozen=True)
class Namespace:
    """A host."""

    name: str
    address: str

    def command(self, *command: str) -> list[str]:
        """Return the command that runs another one in here."""
        return [require_program("ip"), "netns", "exec", self.name, *command]


def ip(*arguments: str) -> None:
    done = subprocess.run(
        [require_program("ip"), *arguments], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"


@contextmanager
def hosts_on_a_bridge(addresses: dict[str, str], outside: str) -> Iterator[dict[str, Namespace]]:
    """Make a namespace for each name with its address; this process is at `outside` on the same bridge."""
    if os.geteuid() != 0:
        raise missing("root, for network namespaces,")
    require_program("ip")
    tag = f"imp{os.getpid() % 100_000}"
    names = "".join(f"{address} {name}\n" for name, address in (*addresses.items(), ("database", outside)))
    with ExitStack() as stack:
        ip("link", "add", f"{tag}br", "type", "bridge")
        stack.callback(ip, "link", "del", f"{tag}br")
        ip("address", "add", f"{outside}/24", "dev", f"{tag}br")
        ip("link", "set", f"{tag}br", "up")
        made = {}
        for number, (name, address) in enumerate(addresses.items()):
            space = Namespace(f"{tag}-{name}", address)
            ip("netns", "add", space.name)
            stack.callback(ip, "netns", "del", space.name)
            folder = HOSTS / space.name
            folder.mkdir(parents=True)
            stack.callback(folder.rmdir)
            (folder / "hosts").write_text(f"127.0.0.1 localhost\n{names}", encoding="utf-8")
            stack.callback((folder / "hosts").unlink)
            inner, outer = f"{tag}i{number}", f"{tag}o{number}"
            ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", space.name)
            ip("link", "set", outer, "master", f"{tag}br", "up")
            ip("-n", space.name, "address", "add", f"{address}/24", "dev", inner)
            ip("-n", space.name, "link", "set", inner, "up")
            ip("-n", space.name, "link", "set", "lo", "up")
            made[name] = space
        yield made
