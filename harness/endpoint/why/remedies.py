"""Who mends a refusal and how: the lab by steps on its pages, or the client by what it is told here."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from certs.purposes import ServiceName
from certs.verdict import Reason, Side
from harness.endpoint.session import LabSession
from harness.endpoint.why.refusals import Refusal, find_node
from harness.endpoint.why.steps import Step
from harness.endpoint.why.steps_of_cucm import CUCM_STEPS
from harness.endpoint.why.steps_of_imp import IMP_STEPS
from harness.evidence.ledger import Judged
from harness.faults.kinds import Fault
from harness.nodes.service_runs import RestartNeeded
from harness.plan.topology import CucmNodePlan, ImpNodePlan


class MendedBy(StrEnum):
    """Who can mend a refusal."""

    LAB = "lab"
    "An administrator of the lab; `why --apply` does it."

    PEER = "peer"
    "The client, or the other server."


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """What mends one refusal, as things are now."""

    by: MendedBy
    "Who does it."

    steps: tuple[Step, ...] = ()
    "The lab's steps that are not done yet."

    restarts: tuple[RestartNeeded, ...] = ()
    "What has to restart already, before any step: a change that was made and has not taken effect."

    advice: str = ""
    "What else to do or to know, in words."

    def encode(self) -> dict[str, Any]:
        """Return the remedy as JSON values."""
        return {
            "by": self.by,
            "steps": [step.page for step in self.steps],
            "restarts": [str(each) for each in self.restarts],
            "advice": self.advice,
        }


async def remedy_of(session: LabSession, refusal: Refusal) -> Remedy:
    """Return what mends a refusal, compared with what the lab's settings are now."""
    judged = refusal.judged
    node = find_node(session, judged)
    reason = judged.verdict.reason
    steps: list[Step] = []
    mendable = False
    # By the plan: a node in a process of its own is no instance of these classes.
    if node is not None and isinstance(node.plan, ImpNodePlan) and reason in IMP_STEPS:
        mendable = True
        steps = [step async for step in IMP_STEPS[reason](node, judged)]
    elif node is not None and isinstance(node.plan, CucmNodePlan) and reason in CUCM_STEPS:
        mendable = True
        steps = [step async for step in CUCM_STEPS[reason](node, judged)]
    restarts = tuple(
        need
        for need in (await node.restart_needed() if node else ())
        if need.node == judged.connection.node and need.service == judged.connection.service
    )
    if steps or (mendable and restarts):
        return Remedy(by=MendedBy.LAB, steps=tuple(steps), restarts=restarts)
    if mendable:
        return Remedy(by=MendedBy.LAB, advice="Nothing is left to do in the lab: try again.")
    return Remedy(by=MendedBy.PEER, advice=_advice(session, refusal))


def _advice(session: LabSession, refusal: Refusal) -> str:
    """Return what the peer has to do, with the files of this lab that it needs."""
    judged, files = refusal.judged, session.description.certificates
    verdict = judged.verdict
    extra = ""
    match verdict.reason:
        case Reason.NO_CERTIFICATE if files is not None and verdict.side is Side.SERVER:
            extra = f"A certificate that is let in: {files.client}"
        case Reason.PEER_ALERT if (fault := _tls_fault(session, judged)) is not None:
            return f"{fault.name} is on: a client does right to refuse. `imp-harness fault off {fault.name}` ends it."
        case Reason.PEER_ALERT if files is not None and verdict.side is Side.SERVER:
            if verdict.alert_received in _NOT_BELIEVED:
                extra = f"The client does not trust what it was shown: give it the CA bundle {files.trust}"
        case Reason.BAD_CREDENTIALS if judged.connection.service != ServiceName.INTERCLUSTER_SYNC_AGENT:
            users = ", ".join(user.jid for user in session.description.users)
            extra = f"The lab's users are {users}; `imp-harness env` prints their passwords"
        case Reason.HOST_NAME_MISMATCH | Reason.NOT_HOME_NODE | Reason.PLAIN_TEXT:
            extra = "`imp-harness status` lists the endpoints and the users' home nodes"
        case _:
            pass
    return " ".join(filter(None, (verdict.remedy, f"{extra}." if extra else "")))


def _tls_fault(session: LabSession, judged: Judged) -> Fault | None:
    """Return the fault for which a client may have refused the certificate; None where none is on there."""
    return next(
        (
            fault
            for fault in session.faults.on
            if fault.kind.restarts
            and fault.node in ("", judged.connection.node)
            and judged.connection.service in (fault.service, *(() if fault.service else fault.kind.services))
        ),
        None,
    )


_NOT_BELIEVED = frozenset({"unknown_ca", "bad_certificate", "certificate_unknown"})
"The alerts by which clients say that they do not believe a certificate (RFC 8446 6.2)."
