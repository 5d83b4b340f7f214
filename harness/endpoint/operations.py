"""What can be asked of a running lab over its control socket. A new operation is a row in `OPERATIONS`."""

from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final

from pydantic import Field

from certs.errors import ConfigError
from certs.purposes import ServiceName
from harness.endpoint.control_server import Arguments, Operation
from harness.endpoint.expecting.catalogue import find_expectation
from harness.endpoint.expecting.waiting import wait_for
from harness.endpoint.expecting.watching import Wanted
from harness.endpoint.session import LabSession
from harness.endpoint.why.applying import apply_remedy
from harness.endpoint.why.refusals import Refusal, encode_refusal, refusals
from harness.endpoint.why.remedies import remedy_of
from harness.evidence.ledger import Entry, encode_entry
from harness.faults.kinds import parse_fault
from harness.near_matches import did_you_mean


class EntriesArguments(Arguments):
    """Which entries of the ledger."""

    since: Annotated[int, Field(ge=0)] = 0
    "A mark: the position that an earlier answer ended with."

    events: tuple[str, ...] = ()
    "`opened`, `judged`, `message`, `closed`, `note`; none means all."

    limit: Annotated[int, Field(ge=1, le=10_000)] = 1000
    "How many at most, the newest."


class RestartArguments(Arguments):
    """Which service."""

    node: str
    "The node's name."

    service: str
    "The service, by its name in Control Center."


class RefusalsArguments(Arguments):
    """Which refusals."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 5
    "How many at most, the newest."

    number: int | None = None
    "One of them; None means all."

    since: Annotated[int, Field(ge=0)] = 0
    "A mark of the ledger."


class ClientEndedArguments(Arguments):
    """Whose client."""

    number: int
    "The expectation's number, from `armed`."


class FaultArguments(Arguments):
    """Which fault."""

    fault: str
    "As `stanza-delay,node=imp1,seconds=0.5`; to turn one off its name, or `all`."


class ApplyArguments(Arguments):
    """Which refusal."""

    number: int | None = None
    "Its number; None means the newest."


class ExpectArguments(Arguments):
    """What is expected of a client from outside."""

    name: str
    "The expectation's name."

    argument: str = ""
    "Its argument: a reason, an alert."

    node: str = ""
    "At which node; empty means any."

    user: str = ""
    "Of which user; empty means any."

    seconds: Annotated[float, Field(gt=0, le=86_400)] = 60.0
    "How long to wait."

    since: Annotated[int, Field(ge=0)] | None = None
    "A mark of the ledger; None means from now on."


async def status(session: LabSession, arguments: Arguments) -> dict[str, Any]:
    """Return what runs, and what has to restart."""
    nodes, needed = [], []
    for node in session.lab.nodes:
        services = [
            {"service": each.service, "state": each.state, "reason": each.reason}
            for each in node.services.services()
        ]
        nodes.append({"node": node.plan.name, "services": services})
        needed += [str(each) for each in await node.restart_needed() if each.node == node.plan.name]
    verdicts = session.ledger.verdicts(since=session.ready_at)
    refused = sum(not each.verdict.accepted for each in verdicts)
    return {
        "nodes": nodes,
        "restart_needed": needed,
        "accepted": len(verdicts) - refused,
        "refused": refused,
        "faults": session.faults.encode(),
        "position": session.ledger.position,
    }


async def stop(session: LabSession, arguments: Arguments) -> dict[str, Any]:
    """Have the lab stop; the connection ends when it has."""
    session.stopping.set()
    return {"evidence": str(session.description.folder / "events.jsonl")}


async def entries(session: LabSession, arguments: EntriesArguments) -> dict[str, Any]:
    """Return what the ledger took down since a mark."""
    found = [
        encoded
        for entry in session.ledger.entries(since=arguments.since)
        if (encoded := encode_entry(entry)) and _wanted(encoded, arguments)
    ]
    return {"entries": found[-arguments.limit :], "position": session.ledger.position}


async def follow(session: LabSession, arguments: EntriesArguments) -> AsyncIterator[dict[str, Any]]:
    """Yield what the ledger takes down, from a mark on or from now on."""
    ledger = session.ledger
    mark = arguments.since or ledger.position
    while True:
        position = ledger.position
        for entry in ledger.entries(since=mark):
            encoded = encode_entry(entry)
            if _wanted(encoded, arguments):
                yield encoded
        mark = position
        await ledger.wait_for(_anything, since=mark, within=3600)


async def restart(session: LabSession, arguments: RestartArguments) -> dict[str, Any]:
    """Restart a service of a node, as Control Center does."""
    node = session.lab.node(arguments.node)
    names = [each.service.value for each in node.services.services()]
    if arguments.service not in names:
        nearest = did_you_mean(arguments.service, names)
        raise ConfigError(
            f"{arguments.node} has no service {arguments.service!r}{nearest}; it has {', '.join(names)}"
        )
    session.ledger.note(f"restart {arguments.service} on {node.plan.name}")
    needed = await node.administration.restart(ServiceName(arguments.service))
    return {"restart_needed": [str(each) for each in needed]}


async def why(session: LabSession, arguments: RefusalsArguments) -> list[dict[str, Any]]:
    """Return refusals, each with what mends it as things are now."""
    found = list(refusals(session, since=arguments.since))
    if arguments.number is not None:
        found = [_numbered(session, arguments.number)]
    return [await _explained(session, each) for each in found[-arguments.limit :]]


async def follow_refusals(session: LabSession, arguments: RefusalsArguments) -> AsyncIterator[dict[str, Any]]:
    """Yield refusals as they are made, from a mark on or from now on."""
    mark = arguments.since or session.ledger.position
    while True:
        position = session.ledger.position
        for each in refusals(session, since=mark):
            yield await _explained(session, each)
        mark = position
        await session.ledger.wait_for(_anything, since=mark, within=3600)


async def apply(session: LabSession, arguments: ApplyArguments) -> dict[str, Any]:
    """Do what mends a refusal, where the lab can."""
    refusal = _numbered(session, arguments.number)
    return {"number": refusal.number} | await apply_remedy(session, refusal)


async def expect(session: LabSession, arguments: ExpectArguments) -> AsyncIterator[dict[str, Any]]:
    """Yield `armed`, then `met` or `missed`."""
    expectation = find_expectation(arguments.name, arguments.argument)
    if arguments.node:
        session.lab.node(arguments.node)
    wanted = Wanted(argument=arguments.argument, node=arguments.node, user=arguments.user)
    async for each in wait_for(session, expectation, wanted, since=arguments.since, within=arguments.seconds):
        yield each


async def faults(session: LabSession, arguments: Arguments) -> list[dict[str, Any]]:
    """Return the faults that are on."""
    return session.faults.encode()


async def fault_on(session: LabSession, arguments: FaultArguments) -> list[dict[str, Any]]:
    """Turn a fault on, and return those that are on."""
    await session.faults.turn_on(parse_fault(arguments.fault))
    return session.faults.encode()


async def fault_off(session: LabSession, arguments: FaultArguments) -> list[dict[str, Any]]:
    """Turn a fault off, or all, and return those that are still on."""
    names = [each.name for each in session.faults.on] if arguments.fault == "all" else [arguments.fault]
    for name in names:
        await session.faults.turn_off(name)
    return session.faults.encode()


async def client_ended(session: LabSession, arguments: ClientEndedArguments) -> None:
    """Have an expectation wait a moment longer only: the client that it is about has ended."""
    event = session.client_ended.get(arguments.number)
    if event is not None:
        event.set()


def _numbered(session: LabSession, number: int | None) -> Refusal:
    found = {each.number: each for each in refusals(session)}
    if not found:
        raise ConfigError("nobody was refused since the lab is ready")
    if number is None:
        return found[max(found)]
    if number not in found:
        raise ConfigError(
            f"no refusal has the number {number}; the newest are {', '.join(map(str, list(found)[-9:]))}"
        )
    return found[number]


async def _explained(session: LabSession, refusal: Refusal) -> dict[str, Any]:
    remedy = await remedy_of(session, refusal)
    return encode_refusal(refusal) | {"mend": remedy.encode()}


def _wanted(encoded: Mapping[str, Any], arguments: EntriesArguments) -> bool:
    return not arguments.events or encoded["event"] in arguments.events


def _anything(entry: Entry) -> bool:
    return True


OPERATIONS: Final[Mapping[str, Operation[LabSession]]] = MappingProxyType(
    {
        "status": Operation(answer=status),
        "stop": Operation(answer=stop),
        "entries": Operation(arguments=EntriesArguments, answer=entries),
        "follow": Operation(arguments=EntriesArguments, stream=follow),
        "why": Operation(arguments=RefusalsArguments, answer=why),
        "follow-refusals": Operation(arguments=RefusalsArguments, stream=follow_refusals),
        "apply": Operation(arguments=ApplyArguments, answer=apply),
        "expect": Operation(arguments=ExpectArguments, stream=expect),
        "client-ended": Operation(arguments=ClientEndedArguments, answer=client_ended),
        "faults": Operation(answer=faults),
        "fault-on": Operation(arguments=FaultArguments, answer=fault_on),
        "fault-off": Operation(arguments=FaultArguments, answer=fault_off),
        "restart": Operation(arguments=RestartArguments, answer=restart),
    }
)
"The operations by name."
