"""What a worker process is told when it starts: one line of JSON on its standard input, for it holds passwords."""

import json
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from certs.errors import ConfigError
from harness.configuration.provisioning import database_url
from harness.plan.lab_file import CertificateSource, CucmClusterEntry, ImpClusterEntry, LabFile
from harness.plan.topology import ClusterPlan, CucmNodePlan, ImpNodePlan, LabPlan, plan_lab
from proxies.observer import WireTap

MAXIMUM_ORDER: Final = 4 * 1024 * 1024
"Bytes of an order."

EXIT_REBOOT: Final = 75
"The exit status of a worker that is to be started again: EX_TEMPFAIL of sysexits.h."


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOrder:
    """Which node a worker runs, of which lab, and where it keeps its things."""

    node: str
    "The node's short name."

    lab: str = field(repr=False)
    "The lab file as JSON, with its passwords."

    network: str
    "The lab's range of addresses, which may be another one than the lab file's."

    work_directory: str
    "The lab's folder; the node's own is CLUSTER/NAME in it."

    database: str = field(repr=False)
    "The URL of the cluster's database."

    administrator_password: str = field(default="", repr=False)
    "What its administrator logs in with until another one is set."

    authority: str = ""
    "The folder of the CA that signs first certificates; empty where nodes sign their own."

    holds: bool = False
    "Whether it waits to be told before it starts its services, until all nodes of a lab are prepared."

    fips: bool = False
    "Whether its OpenSSL has to use approved algorithms only; its environment sees to that."

    captures: bool = False
    "Whether it hands over the bytes that cross its sockets, besides its messages."

    secrets_file: str | None = field(default=None, repr=False)
    "Where OpenSSL is to append the secrets of its handshakes, for that capture; None keeps them secret."

    faults: tuple[str, ...] = ()
    "The faults that are on when its services start, as `parse_fault` takes them."

    fault_seed: int = 0
    "The seed of their chance."

    keys_to_make: bool = False
    "Whether it makes new keys and certificates before its services start."

    @property
    def lab_file(self) -> LabFile:
        """The lab file."""
        return LabFile.model_validate(json.loads(self.lab))

    @property
    def plan(self) -> LabPlan:
        """The lab with its addresses."""
        return plan_lab(self.lab_file, IPv4Network(self.network))

    @property
    def directory(self) -> Path:
        """The node's own folder."""
        for cluster in self.plan.clusters:
            if any(node.name == self.node for node in cluster.nodes):
                return Path(self.work_directory) / cluster.name / self.node
        raise ConfigError(f"no node is called {self.node!r}")

    def find(
        self, plan: LabPlan
    ) -> tuple[ImpNodePlan | CucmNodePlan, ClusterPlan, ImpClusterEntry | CucmClusterEntry]:
        """Return the node with its cluster, as planned and as the lab file has it."""
        for cluster, entry in zip(plan.clusters, self.lab_file.clusters, strict=True):
            for node in cluster.nodes:
                if node.name == self.node:
                    return node, cluster, entry
        raise ConfigError(f"no node is called {self.node!r}")


def order_for(
    lab_file: LabFile,
    node: ImpNodePlan | CucmNodePlan,
    *,
    network: IPv4Network,
    work_directory: Path,
    database: str = "",
    administrator_password: str = "",
    authority: Path | None = None,
    holds: bool = False,
    tap: WireTap | None = None,
) -> NodeOrder:
    """Return the order for a node of a lab; without a URL its database is where the lab file says.

    `tap` is who captures in the process that gives the order.

    Raises ConfigError where a CA is to sign the certificates and none is named.
    """
    signed = lab_file.certificates is CertificateSource.CA_SIGNED
    if signed and authority is None:
        raise ConfigError("certificates: ca-signed needs the folder of the CA; name it by --authority")
    entry = next(each for each in lab_file.clusters if each.name == node.cluster)
    return NodeOrder(
        node=node.name,
        lab=encode_lab_file(lab_file),
        network=str(network),
        work_directory=str(work_directory.absolute()),
        database=database or database_url(entry, work_directory.absolute()),
        administrator_password=administrator_password,
        authority=str(authority.absolute()) if signed and authority is not None else "",
        holds=holds,
        captures=tap is not None,
        secrets_file=tap.secrets_file if tap is not None else None,
    )


def encode_lab_file(lab_file: LabFile) -> str:
    """Return a lab file as JSON; its passwords are in it."""
    return json.dumps(lab_file.model_dump(mode="python"), default=_to_json)


def _to_json(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)
