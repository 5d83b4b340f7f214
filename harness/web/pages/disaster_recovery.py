"""Disaster Recovery System: Manual Backup and Restore of this node."""

from typing import TYPE_CHECKING, Final

from harness.access.accounts import Role
from harness.web.page import Done, Download, Form, Interface, Page, Shown, Visit, make_file_name

if TYPE_CHECKING:
    from harness.nodes.node import CucmNode, ImpNode

PATH: Final = "drf"


class DisasterRecoveryPages:
    """The pages of one node."""

    def __init__(self, node: "ImpNode | CucmNode", title: str) -> None:
        self._node = node
        self._title = title

    def interface(self) -> Interface:
        """Return the interface."""
        return Interface(
            path=PATH,
            title=self._title,
            roles=frozenset({Role.ADMINISTRATOR}),
            pages=(
                Page(path="", title=self._title, template="home.html", show=self._show_nothing),
                Page(
                    path="manual-backup",
                    title="Manual Backup",
                    menu=("Backup",),
                    template="backup.html",
                    show=self._show_nothing,
                    actions={"start": self._back_up},
                ),
                Page(
                    path="restore",
                    title="Restore Wizard",
                    menu=("Restore",),
                    template="restore.html",
                    show=self._show_nothing,
                    actions={"restore": self._restore},
                ),
            ),
        )

    async def _show_nothing(self, visit: Visit) -> Shown:
        return {"facts": []}

    async def _back_up(self, visit: Visit, form: Form) -> Download:
        content = await self._node.disaster_recovery.back_up(form.raw("backup_password"))
        at = f"{self._node.surroundings.clock.now():%Y-%m-%d-%H%M%S}"
        return Download(file_name=make_file_name(f"{self._node.plan.name}-{at}.drs"), content=content)

    async def _restore(self, visit: Visit, form: Form) -> Done:
        file = form.file("file")
        restored = await self._node.disaster_recovery.restore(file.content, form.raw("backup_password"))
        return Done(
            message=f"Restore Completed: the state of {restored.saved_at} ({restored.files} files, {restored.rows} "
            "lines of configuration). Restart the services below for it to take effect."
        )
