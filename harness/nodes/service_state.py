"""The states of a service in Control Center, and what moves it from one to the next."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from certs.errors import HarnessError
from certs.purposes import ServiceName


class ServiceState(StrEnum):
    """What Control Center shows in its column Status."""

    STOPPED = "Stopped"
    STARTING = "Starting"
    STARTED = "Started"
    STOPPING = "Stopping"


class ServiceEvent(StrEnum):
    """What moves a service to another state."""

    START_ASKED = "start asked"
    START_DONE = "start done"
    START_FAILED = "start failed"
    STOP_ASKED = "stop asked"
    STOP_DONE = "stop done"


# One line per arrow. Any other pair is an error.
TRANSITIONS: Final[Mapping[tuple[ServiceState, ServiceEvent], ServiceState]] = MappingProxyType(
    {
        (ServiceState.STOPPED, ServiceEvent.START_ASKED): ServiceState.STARTING,
        (ServiceState.STARTING, ServiceEvent.START_DONE): ServiceState.STARTED,
        (ServiceState.STARTING, ServiceEvent.START_FAILED): ServiceState.STOPPED,
        (ServiceState.STARTED, ServiceEvent.STOP_ASKED): ServiceState.STOPPING,
        (ServiceState.STOPPING, ServiceEvent.STOP_DONE): ServiceState.STOPPED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """One line of Control Center."""

    service: ServiceName
    "The service."

    state: ServiceState
    "What it does now."

    activated: bool
    "Whether it starts with the node (Service Activation)."

    started_at: datetime | None = None
    "Since when it runs; None where it does not."

    reason: str = ""
    "Why its last start or stop failed; empty where it did not."


class ServiceFailed(HarnessError):  # noqa: N818 - it is what happened to a service, not a bug
    """A service could not start or stop; the other services of its node are as they were."""

    def __init__(self, node: str, service: ServiceName, reason: str) -> None:
        super().__init__(f"{service} on {node}: {reason}")
        self.node = node
        "The node's name."
        self.service = service
        "The service."
        self.reason = reason
        "What stood in the way."
