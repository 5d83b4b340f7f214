"""What a test sees of a lab: fixed values, verdicts since the test began, and expectations."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from certs.errors import ConfigError
from certs.verdict import Reason, Verdict
from harness.evidence.ledger import Entry, Judged, LabUp
from harness.faults.kinds import parse_fault
from harness.lab import Lab
from harness.near_matches import did_you_mean
from harness.plan.lab_file import CucmPorts, ImpPorts
from harness.plan.topology import CucmNodePlan, ImpNodePlan
from harness.pytest_plugin.background import BackgroundLab
from harness.pytest_plugin.certificates import LabCertificates
from harness.pytest_plugin.expectations import failure, parse_reason, refuse_to_block

ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpNodeView:
    """The fixture `imp_node`: an IM and Presence node."""

    name: str
    "Its short name, as `imp1`."

    fqdn: str
    "Its full name, which its certificates carry; there is no DNS for it, connect to `address`."

    address: str
    "The loopback address that its services listen on."

    domain: str
    "The SIP and XMPP domain of its users."

    ports: ImpPorts
    "Where its services listen, as `ports.xmpp_client`."


@dataclass(frozen=True, slots=True, kw_only=True)
class CucmNodeView:
    """The fixture `cucm`: a CUCM node."""

    name: str
    "Its short name, as `cucm1`."

    fqdn: str
    "Its full name, which its certificates carry."

    address: str
    "The loopback address that its services listen on."

    domain: str
    "Its cluster's domain."

    ports: CucmPorts
    "Where its services listen."


@dataclass(frozen=True, slots=True, kw_only=True)
class LabUser:
    """A user of the lab."""

    user_id: str
    "The user part of the address."

    jid: str
    "The bare XMPP address; `sip:` before it makes the SIP address."

    password: str = field(repr=False)
    "For SASL and for SIP digest."

    home_node: ImpNodeView
    "Where the user logs in."


class LabView:
    """The fixture `lab`: a running lab, with the verdicts since the test began."""

    def __init__(
        self, background: BackgroundLab, certs: LabCertificates, *, since: int | None = None
    ) -> None:
        """Take the lab, and from which entry of its ledger on to look; by default from now on."""
        self._background = background
        self.certs = certs
        "The files that a client trusts and shows."
        self._since = background.read(lambda: background.ledger.position) if since is None else since
        self._nodes = {plan.address for plan in background.lab.plan.nodes}

    @property
    def name(self) -> str:
        """The lab's name."""
        return self._background.lab.plan.name

    @property
    def folder(self) -> Path:
        """Where the nodes' folders and the clients' files are."""
        return self._background.folder

    @property
    def imp(self) -> tuple[ImpNodeView, ...]:
        """Its IM and Presence nodes, in the lab file's order."""
        plans = self._background.lab.plan.nodes
        return tuple(_view_imp(plan) for plan in plans if isinstance(plan, ImpNodePlan))

    @property
    def cucm(self) -> tuple[CucmNodeView, ...]:
        """Its CUCM nodes, in the lab file's order."""
        plans = self._background.lab.plan.nodes
        return tuple(_view_cucm(plan) for plan in plans if isinstance(plan, CucmNodePlan))

    def imp_node(self, name: str) -> ImpNodeView:
        """Return an IM and Presence node by its name. Raises ConfigError where there is none."""
        for node in self.imp:
            if name in (node.name, node.fqdn):
                return node
        near = did_you_mean(name, [node.name for node in self.imp])
        raise ConfigError(f"no IM and Presence node is called {name!r}{near}")

    def user(self, user_id: str) -> LabUser:
        """Return a user with password and home node. Raises ConfigError where there is none."""
        user = self._background.call(lambda: self._background.lab.user(user_id))
        home = self.imp_node(user.home_node)
        return LabUser(
            user_id=user_id, jid=f"{user_id}@{home.domain}", password=user.digest_password, home_node=home
        )

    @property
    def environment(self) -> dict[str, str]:
        """For a client in a process of its own: the variables of `imp-harness env`, as `IMP_IMP1_ADDRESS`."""
        from harness.pytest_plugin.variables import describe_for_client

        return self._background.call(lambda: describe_for_client(self._background))

    def verdicts(
        self, *, node: str | None = None, accepted: bool | None = None, of_nodes: bool = False
    ) -> list[Judged]:
        """Return the lab's verdicts on clients since the test began, oldest first; `of_nodes`: on its nodes too."""
        ledger = self._background.ledger
        judged = self._background.read(
            lambda: ledger.verdicts(since=self._since, node=node, accepted=accepted)
        )
        return [each for each in judged if of_nodes or self._is_of_client(each)]

    def entries(self) -> list[Entry]:
        """Return all that the lab's sockets saw since the test began, behind the entry that says what the lab is."""
        ledger = self._background.ledger

        def read() -> list[Entry]:
            lab = [entry for entry in ledger.entries() if isinstance(entry, LabUp)][:1]
            return [*lab, *(entry for entry in ledger.entries(since=self._since) if entry not in lab)]

        return self._background.read(read)

    def expect_refusal(
        self, reason: Reason | str | None = None, *, node: str | None = None, within: float = 5.0
    ) -> Verdict:
        """Wait until the lab has refused the client, for this reason where one is named; return the verdict.

        Raises LabExpectationFailed, with what the lab saw instead, when the seconds are up.
        """
        wanted = None if reason is None else parse_reason(reason)
        text = "a refusal" if wanted is None else f"refused: {wanted}"
        refuse_to_block("lab.expect_refusal")
        return self._expect(
            lambda verdict: not verdict.accepted and (wanted is None or verdict.reason is wanted),
            text, node, within,
        )  # fmt: skip

    def expect_accepted(
        self, subject: str | None = None, *, node: str | None = None, within: float = 5.0
    ) -> Verdict:
        """Wait until the lab has accepted the client, with this subject CN where one is named; return the verdict.

        Raises LabExpectationFailed, with what the lab saw instead, when the seconds are up.
        """
        text = "accepted" if subject is None else f"accepted, CN={subject}"
        refuse_to_block("lab.expect_accepted")
        return self._expect(
            lambda verdict: verdict.accepted and subject in (None, verdict.subject), text, node, within
        )

    def forget(self) -> None:
        """Let `verdicts` and expectations begin anew, between two attempts of one test."""
        self._since = self._background.read(lambda: self._background.ledger.position)

    @contextmanager
    def fault(self, text: str, *, within: float = 30.0) -> Iterator[None]:
        """Have the lab misbehave inside a `with` block, as `lab.fault("certificate-expired,node=imp1")`.

        The text is that of `imp-harness up --fault`; docs/lab-endpoint.md lists the faults. Raises ConfigError where
        there is no such fault, node, service or setting, and HarnessError when the seconds are up.
        """
        refuse_to_block("lab.fault")
        wanted = parse_fault(text)
        self._background.call(lambda: self._background.faults.turn_on(wanted), within=within)
        try:
            yield
        finally:
            self._background.call(lambda: self._background.faults.turn_off(wanted.name), within=within)

    def run(self, body: Callable[[Lab], Awaitable[ValueT]], *, within: float = 30.0) -> ValueT:
        """Run a coroutine function on the lab's loop, with the lab as scenarios see it (docs/scenario-author.md).

        For administration: `lab.run(lambda lab: lab.imp[0].administration.restart(ServiceName.SIP_PROXY))`. Raises
        what it raises, and HarnessError when the seconds are up.
        """
        refuse_to_block("lab.run")
        return self._background.call(lambda: body(self._background.lab), within=within)

    def _is_of_client(self, judged: Judged) -> bool:
        connection = judged.connection
        return connection.listener != "outgoing" and connection.peer[0] not in self._nodes

    def _expect(
        self, wanted: Callable[[Verdict], bool], text: str, node: str | None, within: float
    ) -> Verdict:
        ledger = self._background.ledger

        def fits(entry: Entry) -> bool:
            return (
                isinstance(entry, Judged)
                and self._is_of_client(entry)
                and (node is None or entry.connection.node == node)
                and wanted(entry.verdict)
            )

        entry = self._background.call(
            lambda: ledger.wait_for(fits, since=self._since, within=within), within=within
        )
        if isinstance(entry, Judged):
            return entry.verdict
        raise failure(text, node or f"the lab {self.name}", within, self.verdicts())


def _view_imp(plan: ImpNodePlan) -> ImpNodeView:
    return ImpNodeView(
        name=plan.name, fqdn=plan.fqdn, address=plan.address, domain=plan.domain, ports=plan.ports
    )


def _view_cucm(plan: CucmNodePlan) -> CucmNodeView:
    return CucmNodeView(
        name=plan.name, fqdn=plan.fqdn, address=plan.address, domain=plan.domain, ports=plan.ports
    )
