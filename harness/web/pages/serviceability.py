"""Serviceability: Service Activation, Control Center - Feature Services and - Network Services (G15, G17)."""

from typing import TYPE_CHECKING, Final

from certs.errors import ConfigError
from certs.purposes import ServiceName
from harness.access.accounts import Role
from harness.nodes.service_state import ServiceState
from harness.web.page import Done, Form, Interface, Page, Visit

if TYPE_CHECKING:
    from harness.nodes.node import CucmNode, ImpNode

PATH: Final = "ccmservice"
FEATURE_SERVICES: Final = "control-center-feature-services"
NETWORK_SERVICES: Final = "control-center-network-services"

OF_THE_NETWORK: Final = frozenset(
    {ServiceName.XCP_ROUTER, ServiceName.INTERCLUSTER_SYNC_AGENT, ServiceName.TOMCAT, ServiceName.SSH}
)
"The services that every node needs: Control Center - Network Services lists them, nobody deactivates them."


def control_center_of(service: ServiceName) -> str:
    """Return the page that restarts a service."""
    return f"/{PATH}/{NETWORK_SERVICES if service in OF_THE_NETWORK else FEATURE_SERVICES}"


def parse_service(text: str) -> ServiceName:
    """Return the service of a name. Raises ConfigError where the product has none of this name."""
    try:
        return ServiceName(text)
    except ValueError:
        raise ConfigError(
            f"Service Name: expected one of {', '.join(ServiceName)}, seen {text[:80]!r}"
        ) from None


class ServiceabilityPages:
    """The pages of one node."""

    def __init__(self, node: "ImpNode | CucmNode", title: str) -> None:
        self._node = node
        self._title = title

    def interface(self) -> Interface:
        """Return the interface."""
        buttons = {"start": self._start, "stop": self._stop, "restart": self._restart}
        return Interface(
            path=PATH,
            title=self._title,
            roles=frozenset({Role.ADMINISTRATOR}),
            pages=(
                Page(path="", title=self._title, template="home.html", show=self._home),
                Page(
                    path="service-activation",
                    title="Service Activation",
                    menu=("Tools",),
                    template="service_activation.html",
                    show=self._show_activation,
                    actions={"save": self._activate, "restart": self._restart},
                ),
                Page(
                    path=FEATURE_SERVICES,
                    title="Control Center - Feature Services",
                    menu=("Tools",),
                    template="control_center.html",
                    show=self._show_features,
                    actions=buttons,
                    is_live=True,
                ),
                Page(
                    path=NETWORK_SERVICES,
                    title="Control Center - Network Services",
                    menu=("Tools",),
                    template="control_center.html",
                    show=self._show_network,
                    actions=buttons,
                    is_live=True,
                ),
            ),
        )

    async def _home(self, visit: Visit) -> dict[str, object]:
        services = self._node.services.services()
        started = sum(one.state is ServiceState.STARTED for one in services)
        return {"facts": [("Services", f"{started} of {len(services)} started")]}

    async def _show_features(self, visit: Visit) -> dict[str, object]:
        return self._control_center(network=False)

    async def _show_network(self, visit: Visit) -> dict[str, object]:
        return self._control_center(network=True)

    def _control_center(self, *, network: bool) -> dict[str, object]:
        services = self._node.services.services()
        return {"services": [one for one in services if (one.service in OF_THE_NETWORK) is network]}

    async def _show_activation(self, visit: Visit) -> dict[str, object]:
        services = self._node.services.services()
        return {"services": [one for one in services if one.service not in OF_THE_NETWORK]}

    async def _start(self, visit: Visit, form: Form) -> Done:
        service = parse_service(form.text("service"))
        await self._node.services.start(service)
        return Done(message=f"{service} Service Start Operation was Successful")

    async def _stop(self, visit: Visit, form: Form) -> Done:
        service = parse_service(form.text("service"))
        if service is ServiceName.TOMCAT:
            raise ConfigError(
                "Cisco Tomcat serves this page: it can be restarted here, but stopped and started only from the "
                "platform command line"
            )
        await self._node.services.stop(service)
        return Done(message=f"{service} Service Stop Operation was Successful")

    async def _restart(self, visit: Visit, form: Form) -> Done:
        service = parse_service(form.text("service"))
        if service is ServiceName.TOMCAT:
            self._node.restart_later(service)
            return Done(message="Cisco Tomcat Service Restart Operation was Successful", pause=2)
        await self._node.services.restart(service)
        return Done(message=f"{service} Service Restart Operation was Successful")

    async def _activate(self, visit: Visit, form: Form) -> Done:
        chosen = {parse_service(text) for text in form.all("activated")}
        changed = []
        for one in self._node.services.services():
            if one.service in OF_THE_NETWORK or (one.service in chosen) == one.activated:
                continue
            if one.service in chosen:
                await self._node.services.activate(one.service)
            else:
                await self._node.services.deactivate(one.service)
            changed.append(f"{one.service} {'activated' if one.service in chosen else 'deactivated'}")
        return Done(message="; ".join(changed) or "Nothing was changed")
