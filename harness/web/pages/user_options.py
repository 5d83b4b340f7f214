"""User Options: the user's own settings."""

from typing import TYPE_CHECKING, Final

from harness.access.accounts import Role
from harness.web.page import Interface, Page, Shown, Visit

if TYPE_CHECKING:
    from harness.nodes.node import ImpNode

PATH: Final = "cupuser"


class UserOptionsPages:
    """The pages of one node."""

    def __init__(self, node: "ImpNode", title: str) -> None:
        self._node = node
        self._title = title

    def interface(self) -> Interface:
        """Return the interface."""
        return Interface(
            path=PATH,
            title=self._title,
            roles=frozenset({Role.END_USER}),
            pages=(
                Page(path="", title=self._title, template="home.html", show=self._home),
                Page(
                    path="contacts",
                    title="Contacts",
                    menu=("User Options",),
                    template="contacts.html",
                    show=self._show_contacts,
                ),
                Page(
                    path="client-settings",
                    title="Client Settings",
                    menu=("User Options",),
                    template="client_settings.html",
                    show=self._show_client,
                ),
            ),
        )

    async def _home(self, visit: Visit) -> Shown:
        options = await self._node.user_options(visit.session.account.name)
        return {
            "facts": [
                ("Your address", options.address),
                ("Your home node", options.home_node),
                ("Contacts", len(options.contacts)),
            ]
        }

    async def _show_contacts(self, visit: Visit) -> Shown:
        return {"options": await self._node.user_options(visit.session.account.name)}

    async def _show_client(self, visit: Visit) -> Shown:
        options = await self._node.user_options(visit.session.account.name)
        home = next((one for one in self._node.cluster.imp if one.name == options.home_node), self._node.plan)
        modes = (await self._node.read_settings()).secure_modes
        return {"options": options, "home": home, "modes": modes}
