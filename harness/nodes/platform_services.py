"""How a node's System SSH is built."""

from pathlib import Path

from harness.access.accounts import Accounts
from harness.access.login_banner import LoginBanner
from harness.configuration.snapshots import PlanT, SettingsT, Snapshot
from harness.nodes.service_control import ServiceEnvironment
from harness.platform.session import PlatformNode
from harness.platform.ssh.host_key import HOST_KEY_FILE
from harness.platform.ssh.service import PlatformShell
from harness.platform.ssh.settings import ShellSettings


def build_platform_shell(
    snapshot: Snapshot[PlanT, SettingsT],
    environment: ServiceEnvironment,
    *,
    directory: Path,
    node: PlatformNode,
    accounts: Accounts,
    login_banner: LoginBanner,
) -> PlatformShell:
    """Return a node's System SSH. It reads no certificate, so that it starts where the key store is damaged."""
    plan = snapshot.node
    return PlatformShell(
        ShellSettings(
            node=plan.name, address=plan.address, port=plan.ports.ssh, host_key=directory / HOST_KEY_FILE
        ),
        node,
        accounts=accounts,
        login_banner=login_banner.read,
        observer=environment.observer,
    )
