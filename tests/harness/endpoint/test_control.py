"""The control socket: what it answers, and what it does not fall over."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.endpoint.control_client import ControlClient
from harness.endpoint.control_server import MAXIMUM_LINE
from harness.endpoint.description import read_description
from tests.harness.endpoint.running import Commands, lab

pytestmark = pytest.mark.timeout(300)  # labs and clients are processes of their own


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    with lab(tmp_path_factory.mktemp("lab"), "--topology", "two-imp-one-cucm") as made:
        yield made


@pytest.fixture
def client(beside: Commands) -> ControlClient:
    (path,) = beside.runtime.glob("*/lab.json")
    return ControlClient(read_description(path))


def exchange(path: Path, *lines: bytes) -> list[dict[str, Any]]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(path))
        answers = []
        with connection.makefile("rb") as file:
            for line in lines:
                connection.sendall(line)
                answers.append(json.loads(file.readline()))
        return answers


def test_bad_requests_are_refused_by_name_and_the_connection_goes_on(client: ControlClient) -> None:
    answers = exchange(
        client.description.control,
        b"nonsense\n",
        b'{"op": 7}\n',
        b'{"op": "statsu"}\n',
        b'{"op": "entries", "args": {"since": -1}}\n',
        b'{"op": "entries", "args": {"sinse": 1}}\n',
        b'{"op": "restart", "args": {"node": "imp9", "service": "Cisco SIP Proxy"}}\n',
        b'{"op": "restart", "args": {"node": "imp1", "service": "Cisco SIP Prox"}}\n',
        b"[" * 5000 + b"\n",
        b'{"op": "status"}\n',
    )
    assert [answer["ok"] for answer in answers] == [False] * 8 + [True]
    texts = [answer.get("error", "") for answer in answers]
    assert "did you mean 'status'" in texts[2]
    assert texts[3].startswith("entries: since: ")
    assert texts[4].startswith("entries: sinse: ")
    assert "did you mean 'imp2' or 'imp1'" in texts[5]
    assert "did you mean 'Cisco SIP Proxy'" in texts[6]


def test_a_request_without_end_is_cut_off_and_the_lab_stays(client: ControlClient) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(client.description.control))
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            connection.sendall(b"x" * (MAXIMUM_LINE * 100))
    assert client.ask("status")["nodes"]


def test_a_follower_hears_what_is_done_and_may_leave(client: ControlClient) -> None:
    start = client.ask("entries")["position"]
    needed = client.ask("restart", node="imp1", service="Cisco SIP Proxy")["restart_needed"]
    assert needed == []
    following = client.follow("follow", since=start, events=["note"], within=20)
    assert next(following)["text"] == "restart Cisco SIP Proxy on imp1"
    following.close()  # type: ignore[attr-defined]
    assert client.ask("entries", since=start, events=["note"])["entries"][0]["event"] == "note"
