"""A lab's clusters and nodes with their names and addresses: the plan that every node is told."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from certs.errors import ConfigError
from harness.plan.lab_file import (
    ClusterKind,
    CucmClusterEntry,
    CucmNodeEntry,
    CucmPorts,
    ImpClusterEntry,
    ImpNodeEntry,
    ImpPorts,
    LabFile,
)
from proxies.xmpp.router.components import Component

FIRST_NODE: Final = 11
"The place in the range that the first node gets; those before it are for the lab's own use."


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlan:
    """What a node is: its names, its address and its cluster."""

    name: str
    "Its short name, unique in the lab."

    fqdn: str
    "Its full name, which its certificates carry."

    address: str
    "Where it listens and where its connections come from."

    cluster: str
    "The name of its cluster."

    domain: str
    "The SIP and XMPP domain of its cluster."

    ports: ImpPorts | CucmPorts
    "Where its services listen."


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpNodePlan(NodePlan):
    """What an IM and Presence node is."""

    ports: ImpPorts
    "Where its services listen."


@dataclass(frozen=True, slots=True, kw_only=True)
class CucmNodePlan(NodePlan):
    """What a CUCM node is."""

    ports: CucmPorts
    "Where its services listen."


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPlan:
    """A cluster: nodes that share a database. The first one is the publisher."""

    name: str
    "Its name."

    kind: ClusterKind
    "What its nodes are."

    domain: str
    "Its SIP and XMPP domain."

    imp: tuple[ImpNodePlan, ...] = ()
    "Its IM and Presence nodes."

    cucm: tuple[CucmNodePlan, ...] = ()
    "Its CUCM nodes."

    components: tuple[Component, ...] = ()
    "The external components that may attach to its routers."

    web_client_origins: frozenset[str] | None = None
    "The pages whose browsers may use the web connection managers; None for every page."

    @property
    def nodes(self) -> tuple[ImpNodePlan | CucmNodePlan, ...]:
        """Its nodes of whichever kind."""
        return self.imp + self.cucm

    @property
    def conference_domains(self) -> tuple[str, ...]:
        """The domains of its nodes' text conferences, in the order of the nodes."""
        return tuple(conference_domain(n, self.name, self.domain) for n in range(1, len(self.imp) + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignDomainPlan:
    """A domain whose XMPP server is no part of the lab."""

    domain: str
    "The domain."

    address: str
    "Where its server listens for other servers."

    port: int
    "On which port."


@dataclass(frozen=True, slots=True, kw_only=True)
class LabPlan:
    """All clusters of a lab, and whom they federate with outside."""

    name: str
    "The lab's name."

    clusters: tuple[ClusterPlan, ...]
    "Its clusters."

    foreign_domains: tuple[ForeignDomainPlan, ...] = ()
    "What is known of servers outside."

    @property
    def nodes(self) -> tuple[ImpNodePlan | CucmNodePlan, ...]:
        """The nodes of all clusters."""
        return tuple(node for cluster in self.clusters for node in cluster.nodes)


def conference_domain(number: int, cluster: str, domain: str) -> str:
    """Return the domain of a node's text conferences, made as the product makes it; the publisher is number 1."""
    return f"conference-{number}-{cluster}.{domain}"


def plan_lab(lab_file: LabFile, network: IPv4Network) -> LabPlan:
    """Give every node of a lab file its names and an address of the network.

    A node whose address the file names inside the lab's range keeps its place in the range, whichever network
    the run got; an address outside the range stays as it is. Raises ConfigError where the addresses run out.
    """
    addresses = _Addresses(lab_file, network)
    return LabPlan(
        name=lab_file.name,
        clusters=tuple(_plan_cluster(cluster, lab_file, addresses) for cluster in lab_file.clusters),
        foreign_domains=tuple(
            ForeignDomainPlan(domain=one.domain, address=str(one.address), port=one.port)
            for one in lab_file.foreign_domains
        ),
    )


def _plan_cluster(
    cluster: ImpClusterEntry | CucmClusterEntry, lab_file: LabFile, addresses: "_Addresses"
) -> ClusterPlan:
    domain = cluster.domain or lab_file.domain
    match cluster:
        case ImpClusterEntry():
            imp = tuple(
                ImpNodePlan(
                    name=node.name,
                    fqdn=f"{node.name}.{domain}",
                    address=addresses.of(node),
                    cluster=cluster.name,
                    domain=domain,
                    ports=node.ports,
                )
                for node in cluster.nodes
            )
            origins = cluster.web_client_origins
            return ClusterPlan(
                name=cluster.name,
                kind=ClusterKind.IMP,
                domain=domain,
                imp=imp,
                components=tuple(
                    Component(domain=one.domain, secret=one.secret.get_secret_value(), name=one.name)
                    for one in cluster.components
                ),
                web_client_origins=None if origins is None else frozenset(origins),
            )
        case CucmClusterEntry():
            cucm = tuple(
                CucmNodePlan(
                    name=node.name,
                    fqdn=f"{node.name}.{domain}",
                    address=addresses.of(node),
                    cluster=cluster.name,
                    domain=domain,
                    ports=node.ports,
                )
                for node in cluster.nodes
            )
            return ClusterPlan(name=cluster.name, kind=ClusterKind.CUCM, domain=domain, cucm=cucm)


class _Addresses:
    """Hands out the addresses of one run."""

    def __init__(self, lab_file: LabFile, network: IPv4Network) -> None:
        self._range = lab_file.address_range
        self._network = network
        named = (node.address for cluster in lab_file.clusters for node in cluster.nodes if node.address)
        taken = {self._moved(address) for address in named}
        self._free: Iterator[IPv4Address] = (
            network[place] for place in range(FIRST_NODE, 255) if network[place] not in taken
        )

    def of(self, node: ImpNodeEntry | CucmNodeEntry) -> str:
        if node.address is not None:
            return str(self._moved(node.address))
        try:
            return str(next(self._free))
        except StopIteration:
            raise ConfigError(f"{self._network}: no address is left for {node.name}") from None

    def _moved(self, address: IPv4Address) -> IPv4Address:
        if address not in self._range:
            return address
        return self._network[int(address) - int(self._range.network_address)]
