"""What a running lab says of itself: one file, mode 0600, because the users' passwords are in it.

Commands, CI jobs and clients under test read it; it is there exactly as long as the lab is ready.
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from certs.errors import ConfigError
from certs.storage import write_atomically

FORM = 1
"Goes up when a field changes its meaning; new fields may come without."

_MAXIMUM_SIZE = 1024 * 1024


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Endpoint(_Part):
    """A listener."""

    node: str
    "The node's short name."

    name: str
    "What commands and variables call it."

    service: str
    "Its service."

    address: str
    "Where it listens."

    port: Annotated[int, Field(ge=1, le=65535)]
    "On which port."

    transport: str
    "What is spoken first."

    expects: str
    "What it expects of a client."


class NodeDescription(_Part):
    """A node."""

    name: str
    "Its short name."

    fqdn: str
    "Its full name."

    kind: str
    "`imp` or `cucm`."

    cluster: str
    "Its cluster."

    domain: str
    "The SIP and XMPP domain of its cluster."

    address: str
    "Where it listens."


class UserDescription(_Part):
    """A test user."""

    user_id: str
    "The user part of the address."

    jid: str
    "The XMPP address; `sip:` in front makes it the SIP address."

    home_node: str
    "The node that the user logs in at."

    password: str = Field(repr=False)
    "For XMPP logins and SIP digest authentication."


class CertificateFiles(_Part):
    """Where an outside client finds what it needs for TLS."""

    trust: Path
    "The CA bundle: what the nodes show, to be trusted."

    client: Path
    "A client certificate with its key that the nodes let in."

    stranger: Path
    "A client certificate with its key that they refuse."


class DnsDescription(_Part):
    """The lab's name server."""

    address: str
    "Where it listens."

    port: int
    "On which port, UDP and TCP."


class LabDescription(_Part):
    """A lab that runs."""

    form: int = FORM
    "The form of this file."

    id: str
    "Unique among the labs of this machine's user that run."

    name: str
    "The lab's name."

    pid: int
    "The process that runs it."

    started_at: datetime
    "Since when, UTC."

    version: str
    "The version of imp-harness."

    boot_seconds: float
    "How long it took until all services had started."

    seed: int
    "The seed of the run's chance."

    folder: Path
    "The run's folder: evidence, and the clients' files."

    state: Path | None = None
    "The folder of the state that outlives the run; None where there is none."

    control: Path
    "The control socket."

    domain: str
    "The domain of the first IM and Presence cluster, or the lab's."

    nodes: tuple[NodeDescription, ...]
    "The nodes, in the lab file's order."

    endpoints: tuple[Endpoint, ...]
    "Where they listen."

    users: tuple[UserDescription, ...] = ()
    "The test users."

    certificates: CertificateFiles | None = None
    "The clients' files; None in a lab that is left as installed."

    administrator_password_file: Path
    "The password of the nodes' account `administrator`; only the lab's user reads it."

    hosts: Path
    "A file with the names, in the form of /etc/hosts."

    dns: DnsDescription | None = None
    "The name server; None where there is none."

    web: str | None = None
    "The address of the lab's live page; None where there is none."

    def endpoint(self, node: str, name: str) -> Endpoint:
        """Return a listener. Raises ConfigError where there is none."""
        for each in self.endpoints:
            if (each.node, each.name) == (node, name):
                return each
        known = ", ".join(f"{each.node} {each.name}" for each in self.endpoints)
        raise ConfigError(f"no endpoint is called {name!r} on {node!r}; known: {known}")


def write_description(path: Path, description: LabDescription) -> None:
    """Write the file whole or not at all, mode 0600."""
    write_atomically(path, description.model_dump_json(indent=2).encode() + b"\n")


def read_description(path: Path) -> LabDescription:
    """Read the file of a running lab.

    Raises ConfigError where it is not there or not of this form.
    """
    try:
        if path.stat().st_size > _MAXIMUM_SIZE:
            raise ConfigError(f"{path} is larger than {_MAXIMUM_SIZE} bytes: no description of a lab")
        description = LabDescription.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{path} is no description of a lab: {where}: {first['msg']}") from None
    if description.form != FORM:
        raise ConfigError(f"{path}: expected form {FORM}, seen {description.form}; use the lab's own version")
    return description
