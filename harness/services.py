"""Which services the nodes have, in the order they start, and how each is built from its snapshot."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from certs.purposes import ServiceName
from harness.service_control import Service, ServiceEnvironment
from harness.snapshots import CucmSnapshot, ImpSnapshot

IMP_SERVICES: Final[Mapping[ServiceName, Callable[[ImpSnapshot, ServiceEnvironment], Service]]] = (
    MappingProxyType({})
)
"The services of an IM and Presence node."

CUCM_SERVICES: Final[Mapping[ServiceName, Callable[[CucmSnapshot, ServiceEnvironment], Service]]] = (
    MappingProxyType({})
)
"The services of a CUCM node."
