"""A router whose stop takes too long is left behind without a port and without a loss."""

import asyncio

import pytest
from slixmpp import JID

from harness.procedures.xmpp import xcp_router
from proxies.xmpp.router.component_listener import ComponentListener
from tests.integration.xmpp_features.verona import ALICE, Verona


async def test_a_stop_that_is_cut_off_frees_its_port_and_writes_what_users_did(
    verona: Verona, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await verona.log_in("alice", "desk", "xep_0054")
    vcard = alice.plugin["xep_0054"].make_vcard()
    vcard["FN"] = "Alice Capulet"
    await alice.plugin["xep_0054"].publish_vcard(vcard)

    async def hang(listener: ComponentListener) -> None:
        await asyncio.Event().wait()

    plan = verona.home("alice").plan
    with monkeypatch.context() as patch:
        patch.setattr(ComponentListener, "stop", hang)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):  # Control Center's limit
                await xcp_router(verona.home("alice")).stop()
    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        await asyncio.open_connection(plan.address, plan.ports.xcp_router)
    await verona.restart_nodes()
    bob = await verona.log_in("bob", "desk", "xep_0054")
    assert (await bob.plugin["xep_0054"].get_vcard(JID(ALICE)))["vcard_temp"]["FN"] == "Alice Capulet"
