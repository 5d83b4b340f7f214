"""The guide's procedures through the API, as an administrator's program would do them, a step each."""

from typing import Any

from certs.errors import ScenarioFailed
from certs.purposes import ServiceName
from harness.actors.administration import administrator
from harness.expectations import expect
from harness.lab import Lab
from harness.nodes.node import CucmNode, ImpNode
from harness.scenario import ScenarioRun
from harness.web.client import path_of
from proxies.clock import wait

PEM = "application/x-pem-file"


async def read(lab: Lab, node: ImpNode | CucmNode, path: str) -> Any:
    """Return what a node's API answers to a question."""
    async with administrator(lab, node) as client:
        return await client.get(path)


async def save(lab: Lab, node: ImpNode | CucmNode, path: str, body: object, *, method: str = "PUT") -> str:
    """Save something; return in a line which services the node wants restarted."""
    async with administrator(lab, node) as client:
        answer = await client.call(method, path, body)
    return needed(answer)


async def change(lab: Lab, node: ImpNode, page: str, **values: object) -> str:
    """Change some settings of a page and save the others as they are; return which services must restart."""
    path = path_of("settings", page)
    async with administrator(lab, node) as client:
        return needed(await client.put(path, {**(await client.get(path)), **values}))


async def upload(lab: Lab, node: ImpNode | CucmNode, store: str, pem: bytes) -> str:
    """Upload a certificate into a trust store; return which services must restart."""
    async with administrator(lab, node) as client:
        return needed(await client.call("POST", path_of("trust-stores", store), pem, media_type=PEM))


async def expect_replicated(lab: Lab, run: ScenarioRun, name: str, *, within: float = 20.0) -> None:
    """Wait until each IM and Presence node trusts a certificate of every other one, as a step (G22)."""
    async with run.step(f"Every node's {name} is in the others' {name}-trust by itself (G22)"):
        end = lab.clock.monotonic() + within
        while missing := await _not_replicated(lab, name):
            if lab.clock.monotonic() > end:
                raise ScenarioFailed(f"after {within:g} s {'; '.join(missing)}")
            await wait(lab.clock, 0.05)


async def _not_replicated(lab: Lab, name: str) -> list[str]:
    own: dict[str, str] = {}
    trusted: dict[str, set[str]] = {}
    for node in lab.imp:
        lines = (await read(lab, node, "/api/certificates"))["certificates"]
        found = {line["certificate"]["sha256"] for line in lines if line["name"] == name}
        own[node.plan.name] = found.pop()
        trusted[node.plan.name] = {
            line["certificate"]["sha256"] for line in lines if line["name"] == f"{name}-trust"
        }
    return [
        f"{other} does not trust {node}"
        for node, sha256 in own.items()
        for other, hashes in trusted.items()
        if other != node and sha256 not in hashes
    ]


async def restart(lab: Lab, run: ScenarioRun, node: ImpNode | CucmNode, service: ServiceName) -> None:
    """Control Center: restart a service, as a step; then the node no longer asks for it."""
    async with run.step(f"Control Center on {node.plan.name}: restart {service}"):
        async with administrator(lab, node) as client:
            answer = await client.post(path_of("services", service, "restart"))
        waiting = {(one["node"], one["service"]) for one in answer["restart_needed"]}
        expect(f"whether {service} must restart still", False, (node.plan.name, service) in waiting)


async def import_certificate(
    lab: Lab, run: ScenarioRun, node: ImpNode, address: str, port: int, *, store: str = "cup-trust"
) -> None:
    """Certificate Import Tool: submit, as a step; expect that it connected and downloaded (G13)."""
    async with run.step(f"Certificate Import Tool on {node.plan.name}: {address}:{port} into {store}"):
        async with administrator(lab, node) as client:
            report = await client.post(
                "/api/certificate-import", {"store": store, "address": address, "port": port}
            )
        expect("connected", True, report["connected"], remedy=report["remedy"])
        expect("downloaded", True, report["downloaded"], remedy=report["remedy"])
        expect("the subject CN", address, report["subject"])
        run.saw(f"CN={report['subject']}; {needed(report)}")


def needed(answer: Any) -> str:
    """Return in a line which services have to restart."""
    lines = [f"{one['service']} on {one['node']}" for one in (answer or {}).get("restart_needed", ())]
    return f"restart needed: {', '.join(lines)}" if lines else "no restart needed"
