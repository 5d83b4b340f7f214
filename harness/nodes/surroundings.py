"""What a node finds when it boots."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from certs.authority import CertificateAuthority
from certs.issuing import Issuer, KeyAlgorithm, LibraryIssuer
from certs.purposes import ServiceName
from harness.nodes.machine import Machine
from harness.plan.names import LabNames
from proxies.clock import SchedulingClock
from proxies.interposing import Interposer, Nobody
from proxies.observer import Observer


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSurroundings:
    """What a node finds when it boots: what a real one gets from its installation and its network."""

    directory: Path
    "The folder of its own."

    names: LabNames
    "The names of the lab, as its own resolver knows them."

    clock: SchedulingClock
    "The time."

    observer: Observer
    "What takes down what happens on its sockets."

    key_algorithm: KeyAlgorithm
    "The keys it makes."

    authority: CertificateAuthority | None
    "The CA that signs its first certificates; None where it signs them itself."

    interpose: Callable[[str, ServiceName], Interposer] = lambda node, service: Nobody()
    "Who stands between its services and their sockets: faults, where a lab has them."

    administrator_password: str = field(default="", repr=False)
    "The password that its administrator gets when it is installed; empty lets no administrator log in."

    issuer: Issuer = field(default_factory=LibraryIssuer)
    "What makes its keys, certificates and requests."

    machine: Machine | None = None
    "The process of its own that it runs in; None where it shares one with others."
