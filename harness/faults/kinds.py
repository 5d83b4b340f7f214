"""The faults by name, with what each can be told. All are off until somebody turns them on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from certs.errors import ConfigError
from certs.purposes import ServiceName
from certs.wrong import FAULTS, WrongCertificate
from harness.near_matches import did_you_mean

CERTIFICATE: Final = "certificate-"
"What the names of faults of certificates begin with."


class Seam(StrEnum):
    """Where a fault is done."""

    TLS = "what the TLS listener shows and offers"
    LINK = "the bytes of a connection"
    STANZAS = "the stanzas that are sent to a client"
    SIP = "the requests that a SIP client sends"


class FaultSettings(BaseModel):
    """What a fault can be told; which of it counts depends on the kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: Annotated[float, Field(gt=0, le=3600)] = 3.0
    "How long something takes longer."

    bytes: Annotated[int, Field(ge=0, le=1_000_000_000)] = 4096
    "After how many bytes that the service has sent."

    retry_after: Annotated[int, Field(ge=0, le=86_400)] = 5
    "Seconds in the Retry-After header."

    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    "The share of connections, stanzas or requests that it hits; which, is drawn from the run's seed."


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultKind:
    """One kind of fault."""

    description: str
    "What goes wrong."

    seam: Seam
    "Where it is done."

    services: tuple[ServiceName, ...]
    "The services that it is done to, where none is named."

    settings: tuple[str, ...] = ("share",)
    "The settings that count."

    @property
    def restarts(self) -> bool:
        """Whether a service has to restart for it: what a listener shows is read when the service starts."""
        return self.seam is Seam.TLS


_CLIENTS: Final = (
    ServiceName.SIP_PROXY,
    ServiceName.XCP_CONNECTION_MANAGER,
    ServiceName.XCP_WEB_CONNECTION_MANAGER,
)
_XMPP: Final = (ServiceName.XCP_CONNECTION_MANAGER,)

KINDS: Final[Mapping[str, FaultKind]] = MappingProxyType(
    {
        f"{CERTIFICATE}{kind}": FaultKind(
            description=f"shows a certificate: {FAULTS[kind].description}",
            seam=Seam.TLS,
            services=_CLIENTS,
            settings=(),
        )
        for kind in WrongCertificate
    }
    | {
        "old-tls": FaultKind(
            description="offers TLS 1.0 and 1.1 only", seam=Seam.TLS, services=_CLIENTS, settings=()
        ),
        "slow-handshake": FaultKind(
            description="answers a TLS handshake late",
            seam=Seam.LINK,
            services=_CLIENTS,
            settings=("seconds", "share"),
        ),
        "drop-after": FaultKind(
            description="closes a connection after so many bytes that it sent",
            seam=Seam.LINK,
            services=_CLIENTS,
            settings=("bytes", "share"),
        ),
        "link-loss": FaultKind(
            description="loses all connections, and new ones at once",
            seam=Seam.LINK,
            services=(),
            settings=(),
        ),
        "stanza-delay": FaultKind(
            description="sends stanzas late, in their order",
            seam=Seam.STANZAS,
            services=_XMPP,
            settings=("seconds",),
        ),
        "stanza-reorder": FaultKind(
            description="sends a stanza behind the one that follows it, or after the seconds",
            seam=Seam.STANZAS,
            services=_XMPP,
            settings=("seconds", "share"),
        ),
        "sip-503": FaultKind(
            description="answers requests of clients with 503 and Retry-After",
            seam=Seam.SIP,
            services=(ServiceName.SIP_PROXY,),
            settings=("retry_after", "share"),
        ),
    }
)
"The faults; `imp-harness fault list` prints them."


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault as somebody asks for it."""

    name: str
    "One of `KINDS`."

    node: str = ""
    "At which node; empty means every IM and Presence node."

    service: str = ""
    "Of which service; empty means the kind's own."

    settings: FaultSettings = field(default_factory=FaultSettings)
    "What it is told."

    @property
    def kind(self) -> FaultKind:
        """Its kind."""
        return KINDS[self.name]

    @property
    def text(self) -> str:
        """As `parse_fault` takes it."""
        told = [(name, getattr(self.settings, name)) for name in self.kind.settings]
        where = [(key, value) for key, value in (("node", self.node), ("service", self.service)) if value]
        return ",".join((self.name, *(f"{key}={value}" for key, value in (*where, *told))))

    def __str__(self) -> str:
        told = ", ".join(f"{name}={getattr(self.settings, name)}" for name in self.kind.settings)
        where = f" on {self.node or 'all IM and Presence nodes'}"
        which = f" at {self.service}" if self.service else ""
        return f"{self.name}{which}{where}{f' ({told})' if told else ''}"


def parse_fault(text: str) -> Fault:
    """Return the fault of a text as `stanza-delay,node=imp1,seconds=0.5`.

    Raises ConfigError where there is none of the name, or a setting is none of its kind.
    """
    name, *words = text.split(",")
    kind = find_kind(name)
    told: dict[str, str] = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not sign:
            raise ConfigError(f"fault {name}: expected settings as node=imp1, seen {word!r}")
        told[key.strip()] = value.strip()
    node, service = told.pop("node", ""), told.pop("service", "")
    for key in told:
        if key not in kind.settings:
            known = ", ".join(("node", "service", *kind.settings))
            raise ConfigError(f"fault {name} has no setting {key!r}; it has {known}")
    try:
        settings = FaultSettings.model_validate(told)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"fault {name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    return Fault(name=name, node=node, service=service, settings=settings)


def find_kind(name: str) -> FaultKind:
    """Return a kind. Raises ConfigError with near matches where there is none of the name."""
    kind = KINDS.get(name)
    if kind is None:
        raise ConfigError(
            f"no fault is called {name!r}{did_you_mean(name, KINDS)}; known: {', '.join(KINDS)}"
        )
    return kind
