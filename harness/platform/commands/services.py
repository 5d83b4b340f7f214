"""`utils service`: Control Center from the command line."""

from collections.abc import Iterable

from certs.errors import ConfigError
from certs.purposes import ServiceName
from harness.near_matches import did_you_mean
from harness.nodes.service_state import ServiceState, ServiceStatus
from harness.platform.registry import command, group
from harness.platform.session import CommandFailed, PlatformNode, Session

group("utils service", "Lists, starts, stops and restarts services.")


def _services(node: PlatformNode) -> Iterable[str]:
    return (status.service.value for status in node.services.services())


@command("utils service list", "Retrieves a list of all services and their status.")
async def utils_service_list(session: Session) -> None:
    """Show the lines of Control Center in the product's form."""
    session.write("Requesting service status, please wait...\nService Manager is running")
    session.write("Getting list of all services\n>> Return code = 0")
    for status in sorted(session.node.services.services(), key=lambda each: each.service):
        session.write(_line(status))


@command(
    "utils service start NAME...",
    "Starts a service.",
    examples=("utils service start Cisco SIP Proxy",),
    completers={"NAME": _services},
)
async def utils_service_start(session: Session, name: str) -> None:
    """Start a service on a new snapshot; one that runs stays as it is."""
    service = _parse_service(session, name)
    if session.node.services.status(service).state is not ServiceState.STARTED:
        session.write(f"Service Manager is starting {service}")
        await session.node.services.start(service)
    session.write(_line(session.node.services.status(service)))


@command(
    "utils service stop NAME...",
    "Stops a service: its connections are closed and its ports are free.",
    examples=("utils service stop Cisco SIP Proxy",),
    completers={"NAME": _services},
)
async def utils_service_stop(session: Session, name: str) -> None:
    """Stop a service; one that is stopped stays so."""
    service = _parse_service(session, name)
    if session.node.services.status(service).state is ServiceState.STARTED:
        session.write(f"Service Manager is stopping {service}")
        await session.node.services.stop(service)
    session.write(_line(session.node.services.status(service)))


@command(
    "utils service restart NAME...",
    "Restarts a service, so that changed settings and certificates take effect.",
    examples=("utils service restart Cisco SIP Proxy",),
    completers={"NAME": _services},
)
async def utils_service_restart(session: Session, name: str) -> None:
    """Restart a service on a new snapshot (G15)."""
    service = _parse_service(session, name)
    session.write("Do not press Ctrl+C while the service is restarting")
    session.write(f"Service Manager is stopping {service}")
    session.write(f"Service Manager is starting {service}")
    await session.node.services.restart(service)
    session.write(_line(session.node.services.status(service)))


def _line(status: ServiceStatus) -> str:
    text = f"{status.service}[{status.state.upper()}]"
    if not status.activated:
        return f"{text}  Service Not Activated"
    return f"{text}  {status.reason}" if status.reason else text


def _parse_service(session: Session, name: str) -> ServiceName:
    known = tuple(_services(session.node))
    if name not in known:
        raise CommandFailed(f"Service not found: {name}{did_you_mean(name, known)}")
    try:
        return ServiceName(name)
    except ValueError as error:
        raise ConfigError(f"{name} is no service of the lab") from error
