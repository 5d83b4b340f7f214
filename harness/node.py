"""The nodes of a lab: each has a folder, a key store, a connection to its cluster's database and services.

Nodes share nothing but sockets and the cluster's database, also where they run in one event loop.
"""

from dataclasses import dataclass
from pathlib import Path

from certs.key_store import KeyStore
from certs.purposes import ServiceName
from harness.service_state import ServiceStatus
from harness.topology import CucmNodePlan, ImpNodePlan


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartNeeded:
    """A service that runs on settings or certificates which are no longer the present ones."""

    node: str
    "The node's name."

    service: ServiceName
    "The service to restart in Control Center."

    topics: tuple[str, ...]
    "What changed, by the names of pages and certificates."


class ServiceControl:
    """Control Center of one node."""

    async def start(self, service: ServiceName) -> None:
        """Start a service on a new snapshot. Raises ServiceFailed where it cannot."""
        raise NotImplementedError

    async def stop(self, service: ServiceName) -> None:
        """Stop a service: its sockets are closed."""
        raise NotImplementedError

    async def restart(self, service: ServiceName) -> None:
        """Stop a service and start it on a new snapshot."""
        raise NotImplementedError

    def status(self, service: ServiceName) -> ServiceStatus:
        """Return a service's line of Control Center."""
        raise NotImplementedError

    async def restart_needed(self) -> tuple[RestartNeeded, ...]:
        """Return which services run on what is no longer the present settings."""
        raise NotImplementedError


class ImpNode:
    """An IM and Presence node."""

    plan: ImpNodePlan
    "Its names, address and ports."

    directory: Path
    "Its own folder."

    key_store: KeyStore
    "Its certificates and trust stores."

    services: ServiceControl
    "Control Center."


class CucmNode:
    """A CUCM node."""

    plan: CucmNodePlan
    "Its names, address and ports."

    directory: Path
    "Its own folder."

    key_store: KeyStore
    "Its certificates and trust stores."

    services: ServiceControl
    "Control Center."
