"""The lab file: which clusters, nodes and users a lab has, in TOML, checked before anything starts."""

import importlib.resources
import re
import tomllib
from collections.abc import Iterator, Sequence
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator

from certs.errors import ConfigError
from certs.issuing import KeyAlgorithm
from harness.near_matches import did_you_mean
from harness.plan.lab_file_errors import (
    describe_errors,
    describe_syntax_error,
    refuse,
    refuse_doubles,
)
from harness.plan.lab_file_peers import refuse_bad_peers
from harness.plan.lab_file_tables import CucmPorts as CucmPorts
from harness.plan.lab_file_tables import ImpPorts as ImpPorts
from harness.plan.lab_file_tables import Port, Table

DEFAULT_TOPOLOGY: Final = "two-imp-one-cucm"
"The built-in topology of the guide's chapter."

_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_DOMAIN: Final = re.compile(rf"(?=.{{1,253}}$){_LABEL.pattern}(\.{_LABEL.pattern})*")
_USER_ID: Final = re.compile(r"[A-Za-z0-9._+-]{1,128}")
_DIRECTORY_NUMBER: Final = re.compile(r"\+?[0-9*#]{1,24}")
_ORIGIN: Final = re.compile(rf"https?://{_DOMAIN.pattern}(:[0-9]{{1,5}})?")
_MAXIMUM_SIZE: Final = 1024 * 1024


class ClusterKind(StrEnum):
    """What a cluster is made of."""

    IMP = "imp"
    CUCM = "cucm"


class CertificateSource(StrEnum):
    """Where the nodes' first certificates come from."""

    SELF_SIGNED = "self-signed"
    CA_SIGNED = "ca-signed"


def _matching(pattern: re.Pattern[str], expected: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"expected {expected}")
        return text

    return AfterValidator(check)


def _check_fault(text: str) -> str:
    from harness.faults.kinds import parse_fault  # seldom asked for

    try:
        parse_fault(text)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return text


def _check_range(network: IPv4Network) -> IPv4Network:
    if network.prefixlen != 24:
        raise ValueError("expected a range of 256 addresses, as 127.20.0.0/24")
    return network


Name = Annotated[str, _matching(_LABEL, "a host name label: small letters, digits and inner hyphens")]
Domain = Annotated[str, _matching(_DOMAIN, "a domain name in small letters, as lab.example")]
UserId = Annotated[str, _matching(_USER_ID, "a user id: letters, digits and . _ + -")]
DirectoryNumber = Annotated[str, _matching(_DIRECTORY_NUMBER, "a directory number: digits, * and #, as 1001")]
WebOrigin = Annotated[str, _matching(_ORIGIN, "an origin in small letters, as https://app.example:8443")]
FaultText = Annotated[str, AfterValidator(_check_fault)]
AddressRange = Annotated[IPv4Network, AfterValidator(_check_range)]


class ImpNodeEntry(Table):
    """A node of an IM and Presence cluster."""

    name: Name
    "Its short name, unique in the lab."

    address: IPv4Address | None = None
    "Its address; without one the lab gives it the next of the range."

    ports: ImpPorts = ImpPorts()
    "Where its services listen."

    process: bool = False
    "Whether it runs in a process of its own: a node in FIPS mode has to."


class CucmNodeEntry(Table):
    """A node of a CUCM cluster."""

    name: Name
    "Its short name, unique in the lab."

    address: IPv4Address | None = None
    "Its address; without one the lab gives it the next of the range."

    ports: CucmPorts = CucmPorts()
    "Where its services listen."

    process: bool = False
    "Whether it runs in a process of its own: a node in FIPS mode has to."


class ComponentEntry(Table):
    """An external component that may attach to the XCP routers of a cluster (XEP-0114)."""

    domain: Domain
    "Its domain, which no cluster and no other component has."

    secret: SecretStr = Field(min_length=8, max_length=1024)
    "What it proves in its handshake that it knows."

    name: Annotated[str, Field(max_length=100)] = ""
    "What service discovery calls it."


class ImpClusterEntry(Table):
    """A cluster of IM and Presence nodes; the first one is the publisher."""

    name: Name
    "Its name, unique in the lab."

    kind: Literal["imp"]
    "What tells it from a CUCM cluster."

    domain: Domain | None = None
    "Its SIP and XMPP domain; without one it is the lab's."

    database: str | None = None
    "The URL of its database; without one it is a SQLite file in the lab's folder."

    web_client_origins: tuple[WebOrigin, ...] | None = None
    "The pages whose browsers may use the web connection manager; without it pages of every origin may."

    peers: tuple[Name, ...] = Field(default=(), max_length=30)
    "Its intercluster peers: the names of IM and Presence clusters of the same domain (Presence > Inter-Clustering)."

    axl_user: UserId = "axl"
    "The AXL application account, by which peers and programs ask this cluster for users and nodes."

    axl_password: SecretStr | None = None
    "Its password; generated where none is given."

    nodes: tuple[ImpNodeEntry, ...] = Field(min_length=1, max_length=6)
    "Its nodes."

    components: tuple[ComponentEntry, ...] = Field(default=(), max_length=20)
    "Its external components."


class CucmClusterEntry(Table):
    """A cluster of CUCM nodes; the first one is the publisher."""

    name: Name
    "Its name, unique in the lab."

    kind: Literal["cucm"]
    "What tells it from an IM and Presence cluster."

    domain: Domain | None = None
    "Its domain; without one it is the lab's."

    database: str | None = None
    "The URL of its database; without one it is a SQLite file in the lab's folder."

    nodes: tuple[CucmNodeEntry, ...] = Field(min_length=1, max_length=20)
    "Its nodes."

    lines: tuple[DirectoryNumber, ...] = ()
    "The directory numbers of its phones."


ClusterEntry = Annotated[ImpClusterEntry | CucmClusterEntry, Field(discriminator="kind")]


class UserEntry(Table):
    """A user of the lab."""

    user_id: UserId
    "The user part of the address, unique in the lab."

    home_node: Name
    "The IM and Presence node that the user is assigned to."

    digest_password: SecretStr | None = None
    "What SIP digest authentication asks for; generated where none is given."


class ForeignDomainEntry(Table):
    """A domain of an XMPP server that is no part of the lab: what DNS would say of it (RFC 6120 3.2)."""

    domain: Domain
    "The domain that its users are in, or that its text conferences are in."

    address: IPv4Address
    "Where its server listens."

    port: Port = 5269
    "On which port."


class LabFile(Table):
    """A whole lab file."""

    name: Name
    "The lab's name."

    domain: Domain = "lab.example"
    "Where its nodes live: `imp1.lab.example`."

    key_algorithm: KeyAlgorithm = KeyAlgorithm.EC_P256
    "The keys that nodes make at first boot."

    certificates: CertificateSource = CertificateSource.SELF_SIGNED
    "Self-signed, as on the product, or signed by a CA that all nodes trust."

    administrator_password: SecretStr | None = Field(default=None, min_length=8, max_length=256)
    "What the nodes' administrator logs in with; generated where none is given."

    address_range: AddressRange = IPv4Network("127.20.0.0/24")
    "Where the nodes listen; a parallel run of the lab gets the next range that is free."

    clusters: tuple[ClusterEntry, ...] = Field(min_length=1, max_length=30)
    "Its clusters."

    users: tuple[UserEntry, ...] = ()
    "Its users."

    foreign_domains: tuple[ForeignDomainEntry, ...] = Field(default=(), max_length=100)
    "Domains of servers outside the lab that its clusters federate with."

    faults: tuple[FaultText, ...] = ()
    "What `imp-harness up` has on from the start, each as `stanza-delay,node=imp1,seconds=0.5`."

    @model_validator(mode="after")
    def _check_what_only_the_whole_shows(self) -> Self:
        nodes = list(self._nodes())
        refuse_doubles((("clusters", i, "name"), c.name) for i, c in enumerate(self.clusters))
        refuse_doubles(((*path, "name"), node.name) for path, node in nodes)
        refuse_doubles(((*path, "address"), str(node.address)) for path, node in nodes if node.address)
        refuse_doubles((("users", i, "user_id"), user.user_id) for i, user in enumerate(self.users))
        for i, cluster in enumerate(self.clusters):
            if isinstance(cluster, CucmClusterEntry):
                refuse_doubles((("clusters", i, "lines", j), line) for j, line in enumerate(cluster.lines))
        homes = [node.name for _, node in nodes if isinstance(node, ImpNodeEntry)]
        for i, user in enumerate(self.users):
            if user.home_node not in homes:
                refuse(
                    ("users", i, "home_node"),
                    f"expected the name of an IM and Presence node, seen {user.home_node!r}"
                    + did_you_mean(user.home_node, homes),
                )
        refuse_bad_peers(
            (i, cluster.name, cluster.domain or self.domain, cluster.peers)
            for i, cluster in enumerate(self.clusters)
            if isinstance(cluster, ImpClusterEntry)
        )
        self._check_foreign_domains()
        self._check_components()
        return self

    def _check_components(self) -> None:
        components = [
            (("clusters", i, "components", j, "domain"), component.domain)
            for i, cluster in enumerate(self.clusters)
            if isinstance(cluster, ImpClusterEntry)
            for j, component in enumerate(cluster.components)
        ]
        refuse_doubles(components)
        taken = {cluster.domain or self.domain: "a cluster's presence domain" for cluster in self.clusters}
        taken |= {foreign.domain: "a foreign domain" for foreign in self.foreign_domains}
        for path, domain in components:
            if domain in taken or domain.startswith("conference-"):
                use = taken.get(domain, "kept for text conferences")
                refuse(path, f"expected a domain of the component's own, seen {domain!r}: it is {use}")

    def _check_foreign_domains(self) -> None:
        refuse_doubles(
            (("foreign_domains", i, "domain"), f.domain) for i, f in enumerate(self.foreign_domains)
        )
        ours = {cluster.domain or self.domain for cluster in self.clusters}
        for i, foreign in enumerate(self.foreign_domains):
            near = [
                domain for domain in ours if domain == foreign.domain or foreign.domain.endswith(f".{domain}")
            ]
            if near:
                refuse(
                    ("foreign_domains", i, "domain"),
                    f"expected a domain outside the lab, seen {foreign.domain!r}: {near[0]} is a cluster's",
                )
            if foreign.address in self.address_range:
                refuse(
                    ("foreign_domains", i, "address"),
                    f"expected an address outside {self.address_range}, which is for the lab's nodes, "
                    f"seen '{foreign.address}'",
                )

    def _nodes(self) -> Iterator[tuple[tuple[str | int, ...], ImpNodeEntry | CucmNodeEntry]]:
        for i, cluster in enumerate(self.clusters):
            nodes: Sequence[ImpNodeEntry | CucmNodeEntry] = cluster.nodes
            for j, node in enumerate(nodes):
                yield ("clusters", i, "nodes", j), node


def parse_lab_file(text: str, *, source: str) -> LabFile:
    """Parse a lab file; `source` names it in errors.

    Raises ConfigError with one line for each thing that is wrong.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(describe_syntax_error(error, source=source)) from error
    try:
        return LabFile.model_validate(document)
    except ValidationError as error:
        raise ConfigError(describe_errors(error, text=text, source=source)) from None


def topologies() -> tuple[str, ...]:
    """Return the names of the built-in topologies."""
    files = importlib.resources.files("harness").joinpath("labs").iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def load_topology(name: str = DEFAULT_TOPOLOGY) -> LabFile:
    """Load a built-in topology.

    Raises ConfigError with near matches where there is none of this name.
    """
    known = topologies()
    if name not in known:
        raise ConfigError(
            f"no topology is called {name!r}{did_you_mean(name, known)}; known: {', '.join(known)}"
        )
    file = importlib.resources.files("harness").joinpath("labs", f"{name}.toml")
    return parse_lab_file(file.read_text("utf-8"), source=f"harness/labs/{name}.toml")


def load_lab_file(path: Path) -> LabFile:
    """Load a lab file from disk.

    Raises ConfigError where it cannot be read or something in it is wrong.
    """
    try:
        if path.stat().st_size > _MAXIMUM_SIZE:
            raise ConfigError(f"{path}: a lab file may have {_MAXIMUM_SIZE} bytes")
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: expected UTF-8, seen the byte 0x{error.object[error.start]:02x}"
        ) from error
    return parse_lab_file(text, source=str(path))
