"""The files of deploy/: valid by the schemas of their formats, and true to the lab file and the command line."""

import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from harness.plan.lab_file import load_lab_file
from harness.plan.topology import ImpNodePlan, plan_lab
from tests.harness.test_docs_commands import ROOT, check_command

DEPLOY = ROOT / "deploy"
LAB_FILE = load_lab_file(DEPLOY / "lab.toml")
NODES = {node.name: node for node in plan_lab(LAB_FILE, LAB_FILE.address_range).nodes}
MANIFESTS = sorted(DEPLOY.glob("kubernetes/*.yaml"))
OLDEST, NEWEST = "1.28", kubernetes_validate.latest_version().rpartition(".")[0]


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return loaded


def documents(path: Path) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(path.read_text(encoding="utf-8")) if each]


def option(arguments: list[str], name: str) -> list[str]:
    return [value for flag, value in pairwise(arguments) if flag == name]


def test_the_compose_file_is_valid() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"],
        cwd=DEPLOY, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_broken_compose_file_is_not_valid(tmp_path: Path) -> None:
    """The twin: the schema does refuse something."""
    broken = tmp_path / "compose.yaml"
    broken.write_text(
        (DEPLOY / "compose.yaml").read_text(encoding="utf-8").replace("read_only: true", "readonly: 1")
    )
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(broken)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1


def test_compose_runs_every_node_of_the_lab_file_at_its_address() -> None:
    services = compose()["services"]
    assert services.keys() == {"database", *NODES}
    for name, node in NODES.items():
        service = services[name]
        assert service["command"][:2] == ["node", name]
        check_command(service["command"], "compose.yaml")
        assert service["networks"]["lab"]["ipv4_address"] == node.address
        assert service["hostname"] == node.fqdn
        (lab,) = option(service["command"], "--lab")
        assert f"./lab.toml:{lab}:ro" in service["volumes"]
        (state,) = option(service["command"], "--state")
        assert f"{name}:{state}" in service["volumes"]
        database = service["environment"]["IMP_HARNESS_DATABASE"]
        assert f"/{node.cluster}?" in database, "each cluster has a database of its own"
    networks = compose()["networks"]["lab"]
    assert networks["internal"] is True
    assert networks["ipam"]["config"] == [{"subnet": str(LAB_FILE.address_range)}]


def test_nothing_of_compose_is_published_and_no_password_is_written_down() -> None:
    for service in compose()["services"].values():
        assert "ports" not in service
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    assert re.findall(r"POSTGRES_PASSWORD: (.*)", text) == ["${IMP_DATABASE_PASSWORD:?set a password}"]


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_a_manifest_is_valid(path: Path, version: str) -> None:
    for document in documents(path):
        kubernetes_validate.validate(document, version, strict=True)


def test_a_broken_manifest_is_not_valid() -> None:
    """The twin: the schema does refuse something."""
    (document,) = [
        each for each in documents(DEPLOY / "kubernetes/imp1.yaml") if each["kind"] == "StatefulSet"
    ]
    document["spec"]["template"]["spec"]["containers"][0]["arguments"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, NEWEST, strict=True)


def test_the_kustomization_names_every_file() -> None:
    (kustomization,) = documents(DEPLOY / "kustomization.yaml")
    named = set(kustomization["resources"])
    there = {str(path.relative_to(DEPLOY)) for path in MANIFESTS}
    assert named == there - {"kubernetes/secret.example.yaml"} | {"kubernetes/secret.yaml"}
    for generated in kustomization["configMapGenerator"]:
        for name in generated["files"]:
            assert (DEPLOY / name).is_file()


@pytest.mark.parametrize("name", NODES)
def test_a_node_s_manifest_says_what_the_lab_file_says(name: str) -> None:
    node = NODES[name]
    service, stateful = documents(DEPLOY / "kubernetes" / f"{name}.yaml")
    pod = stateful["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["args"][:2] == ["node", name]
    check_command(container["args"], f"{name}.yaml")
    others = set(NODES) - {name}
    assert set(option(container["args"], "--address")) == {"$(POD_ADDRESS)", *(f"{n}={n}" for n in others)}
    for other in others:
        assert f"getent hosts {other}" in pod["initContainers"][0]["command"][2]
    (database,) = (each for each in container["env"] if each["name"] == "IMP_HARNESS_DATABASE")
    assert database["valueFrom"]["secretKeyRef"]["key"] == node.cluster
    ports = node.ports
    expected = {ports.sip, ports.sip_tls, ports.tomcat} if not isinstance(node, ImpNodePlan) else {
        ports.sip, ports.sip_tls_server_auth, ports.sip_tls_peer_auth, ports.xmpp_client, ports.xmpp_federation,
        ports.http_binding, ports.http_binding_tls, ports.xcp_router, ports.tomcat,
    }  # fmt: skip
    assert {each["port"] for each in service["spec"]["ports"]} == expected
    assert {each["containerPort"] for each in container["ports"]} == expected
    for each in (container, *pod["initContainers"]):
        assert each["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert each["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["securityContext"]["runAsNonRoot"] is True


def test_the_image_starts_the_command_that_the_others_continue() -> None:
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    assert 'ENTRYPOINT ["imp-harness"]' in text
    (user,) = re.findall(r"USER (\d+):\d+", text)
    _, stateful = documents(DEPLOY / "kubernetes/imp1.yaml")
    assert stateful["spec"]["template"]["spec"]["securityContext"]["runAsUser"] == int(user)
    assert "'.[postgresql]'" in text
