"""Presence > Inter-Clustering on the pages and by the API: entered, synchronised, refused with a remedy, deleted."""

import json
from pathlib import Path

from harness.nodes.node import ImpNode
from tests.integration.intercluster_lab import status_becomes, two_clusters
from tests.integration.page_visitor import visitor
from tests.integration.test_api import program

PATH = "/cupadmin/inter-clustering"
ADDRESS = "imp3.lab.example"


async def account_of(node: ImpNode) -> dict[str, str]:
    account = await node.intercluster.axl_account()
    return {"axl_user": account.user_id, "axl_password": account.password}


async def test_the_page_shows_the_status_and_never_the_password(tmp_path: Path) -> None:
    async with two_clusters(tmp_path) as (lab, _):
        imp1, _, imp3 = lab.imp
        account = await account_of(imp3)
        async with visitor(imp1) as someone:
            await someone.log_in("cupadmin", "administrator", lab.administrator_password)
            page = await someone.get(PATH)
            assert f"<td>{ADDRESS}:8443</td><td>axl</td><td>b</td><td>1</td><td>2</td>" in page.text
            assert "not asked yet" not in page.text
            assert account["axl_password"] not in page.text

            page = await someone.press(PATH, "delete", address=ADDRESS)
            assert page.messages == [
                ("good", f"Delete successful: {ADDRESS}; delete this cluster on the peer too")
            ]
            assert "There is no peer." in page.text

            wrong = {**account, "axl_password": "wrong"}
            await someone.press(PATH, "save", address=ADDRESS, port="8443", **wrong)
            await status_becomes(lab, imp1, lambda status: bool(status.error))
            page = await someone.get(PATH)
            assert "bad credentials: imp3.lab.example does not know the AXL user" in page.text
            assert "Enter the name and password of the AXL application account" in page.text

            page = await someone.press(PATH, "save", address=ADDRESS, port="8443", **account)
            assert page.messages == [("good", f"Save successful: {ADDRESS}")]
            await status_becomes(lab, imp1, lambda status: status.is_synchronised)
            page = await someone.press(PATH, "save", address="", port="8443", **account)
            ((kind, text),) = page.messages
            assert kind == "error"
            assert "Peer Address: expected the full name of the peer's publisher" in text


async def test_programs_enter_and_delete_peers_by_the_api(tmp_path: Path) -> None:
    async with two_clusters(tmp_path) as (lab, _):
        imp1, _, imp3 = lab.imp
        account = await account_of(imp3)
        async with visitor(imp1) as someone:
            caller = program(someone)
            assert (await caller.call("GET", "/api/intercluster-peers")).status == 401
            await caller.enter("administrator", lab.administrator_password)
            (peer,) = json.loads((await caller.call("GET", "/api/intercluster-peers")).text)[
                "intercluster_peers"
            ]
            assert (peer["address"], peer["cluster"], peer["users"]) == (ADDRESS, "b", 2)
            assert peer["is_synchronised"] is True
            assert "axl_password" not in peer

            answer = await caller.call("DELETE", f"/api/intercluster-peers/{ADDRESS}")
            assert answer.status == 200
            answer = await caller.call("DELETE", f"/api/intercluster-peers/{ADDRESS}")
            assert answer.status == 400
            assert "no intercluster peer is" in answer.text

            answer = await caller.call("PUT", "/api/intercluster-peers", {"address": ADDRESS, **account})
            assert answer.status == 200
            status = await status_becomes(lab, imp1, lambda status: status.is_synchronised)
            assert status.users == 2
