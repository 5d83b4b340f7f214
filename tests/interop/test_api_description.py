"""Schemathesis reads the API's description and sends what it makes of it: no answer is a crash or undescribed."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from harness.lab import Lab
from harness.nodes.node import CucmNode, ImpNode
from harness.plan.lab_file import load_topology
from tests.integration.page_visitor import address, visitor
from tests.interop.peers import require_module

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore:Unverified HTTPS request"),  # the certificate is self-signed
]

EXAMPLES = 12
"Requests an operation: bounded, as everything here shares the machine."

LEFT_ALONE = {
    "log_in",  # it would lock the account
    "log_out",
    "set_password",
    "control_service",  # it would end what the test talks to
    "import_certificate",  # it would connect to made up hosts
    "restore",
}


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with Lab.start(load_topology(), work_directory=tmp_path) as lab:
        yield lab


@pytest.mark.parametrize("kind", ["imp", "cucm"])
async def test_every_operation_answers_as_described(lab: Lab, kind: str) -> None:
    node: ImpNode | CucmNode = lab.imp[0] if kind == "imp" else lab.cucm[0]
    async with visitor(node) as someone:
        body = json.dumps({"user": "administrator", "password": lab.administrator_password}).encode()
        answer = await someone.post("/api/login", body, headers={"Content-Type": "application/json"})
        token = json.loads(answer.text)["token"]
        description = json.loads((await someone.get("/api/openapi.json")).text)
    tried = await asyncio.to_thread(try_all, description, address(node), token)
    operations = sum(len(path) for path in description["paths"].values())
    assert len(tried) == operations - len(LEFT_ALONE & names(description))


def names(description: dict[str, Any]) -> set[str]:
    return {one["operationId"] for path in description["paths"].values() for one in path.values()}


def try_all(description: dict[str, Any], url: str, token: str) -> set[str]:
    schemathesis = require_module("schemathesis")
    checks = require_module("schemathesis.checks")
    wanted = [
        checks.not_a_server_error,
        checks.response_schema_conformance,
        checks.content_type_conformance,
        checks.status_code_conformance,
    ]
    hypothesis = require_module("hypothesis")
    schemathesis.serializer("application/x-pem-file")(lambda _, value: str(value).encode("utf-8", "replace"))
    schema = schemathesis.openapi.from_dict(description)
    schema.config.update(base_url=url)
    tried = set()
    for result in schema.get_all_operations():
        operation = result.ok()
        name = operation.definition.raw["operationId"]
        if name in LEFT_ALONE:
            continue
        tried.add(name)

        @hypothesis.settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy())
        def send(case: Any) -> None:
            response = case.call(headers={"Authorization": f"Bearer {token}"}, verify=False)
            case.validate_response(response, checks=wanted)

        send()
    return tried
