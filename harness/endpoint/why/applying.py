"""Does what mends a refusal, through the administration that the product's pages use."""

from typing import Any

from harness.endpoint.session import LabSession
from harness.endpoint.why.refusals import Refusal
from harness.endpoint.why.remedies import MendedBy, remedy_of


async def apply_remedy(session: LabSession, refusal: Refusal) -> dict[str, Any]:
    """Do the lab's steps and restart what needs it; say what was done, or that the remedy lies with the peer.

    Raises ConfigError, CertificateError or ServiceFailed where a step cannot be done.
    """
    remedy = await remedy_of(session, refusal)
    if remedy.by is MendedBy.PEER:
        return {"applied": False, "did": [], "advice": remedy.advice}
    did = []
    for step in remedy.steps:
        await step.do()
        did.append(step.page)
        session.ledger.note(f"why --apply {refusal.number}: {step.page}")
    did += await _restart(session, refusal)
    return {"applied": bool(did), "did": did, "advice": remedy.advice}


async def _restart(session: LabSession, refusal: Refusal) -> list[str]:
    """Restart what runs on older settings, on all nodes of the cluster: settings are the cluster's."""
    did = []
    node = session.lab.node(refusal.judged.connection.node)
    for need in await node.restart_needed():
        text = f"{need.node}, Control Center: restart {need.service}"
        await session.lab.node(need.node).administration.restart(need.service)
        session.ledger.note(f"why --apply {refusal.number}: {text}")
        did.append(text)
    return did
