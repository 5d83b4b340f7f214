"""The live page in Chromium: it shows by itself that openssl s_client was refused, and why."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from harness.evidence.ledger import Ledger
from harness.evidence.live.server import serve_live
from harness.lab import Lab
from harness.plan.lab_file import load_topology
from tests.interop.chromium import chromium
from tests.interop.peers import require_program

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]

WIDER = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[tuple[Lab, Ledger]]:
    ledger = Ledger()
    async with Lab.start(load_topology(), work_directory=tmp_path / "lab", observer=ledger) as lab:
        ledger.lab_is_up(lab.plan)
        yield lab, ledger


async def s_client(lab: Lab) -> None:
    """Connect without a certificate to the listener that asks for one."""
    peer = lab.imp[0].plan
    process = await asyncio.create_subprocess_exec(
        require_program("openssl"), "s_client", "-quiet",
        "-connect", f"{peer.address}:{peer.ports.sip_tls_peer_auth}",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    async with asyncio.timeout(20):
        await process.wait()


async def test_a_refusal_appears_by_itself_with_reason_and_remedy(
    lab: tuple[Lab, Ledger], tmp_path: Path
) -> None:
    running, ledger = lab
    async with serve_live(ledger) as url, chromium(tmp_path) as tab:
        await tab.look(1280, 900)
        await tab.open(url)
        await tab.until("document.getElementById('state').textContent === 'live'")
        await tab.until("!!document.querySelector('#ladder svg')")
        assert await tab.evaluate("document.getElementById('refused').textContent") == "0"
        await s_client(running)
        refusal = await tab.until("document.querySelector('#verdicts li.refused')?.textContent")
        assert "refused: no certificate" in refusal
        assert "remedy:" in refusal
        assert await tab.evaluate("document.getElementById('refused').textContent") == "1"
        arrow = (
            "[...document.querySelectorAll('#ladder a')].find(a => a.textContent.includes('no certificate'))"
        )
        await tab.until(f"!!{arrow}")
        await tab.evaluate(
            f"{arrow}.querySelector('.band').dispatchEvent(new MouseEvent('click', {{bubbles: true}}))"
        )
        assert "Cisco SIP Proxy" in await tab.until("document.getElementById('sheet-details').textContent")
        await tab.screenshot(tmp_path / "live-sheet.png")
        await tab.evaluate("document.getElementById('close').click()")
        for name, width, dark in (("desk", 1280, False), ("phone", 390, False), ("phone-dark", 390, True)):
            await tab.look(width, 900, dark=dark)
            await tab.screenshot(tmp_path / f"live-{name}.png")
            assert not await tab.evaluate(WIDER), f"{name} scrolls sideways"
        assert tab.errors == []
        assert all(address.startswith((url, "data:")) for address in tab.requested)


async def test_filters_of_the_ladder_are_kept_as_things_happen(
    lab: tuple[Lab, Ledger], tmp_path: Path
) -> None:
    running, ledger = lab
    async with serve_live(ledger) as url, chromium(tmp_path) as tab:
        await tab.open(url)
        await tab.until("!!document.querySelector('#ladder a.xmpp')")
        choose = "document.getElementById('kind')"
        await tab.evaluate(
            f"{choose}.value = 'tls'; {choose}.dispatchEvent(new Event('change', {{bubbles: true}}))"
        )
        await tab.until(
            "!!document.querySelector('#ladder svg') && !document.querySelector('#ladder a.xmpp')"
        )
        await s_client(running)
        await tab.until("!!document.querySelector('#ladder a.tls')")
        assert not await tab.evaluate("!!document.querySelector('#ladder a.xmpp')")


async def test_the_page_says_that_the_lab_has_stopped(lab: tuple[Lab, Ledger], tmp_path: Path) -> None:
    _, ledger = lab
    async with chromium(tmp_path) as tab:
        async with serve_live(ledger) as url:
            await tab.open(url)
            await tab.until("document.getElementById('state').textContent === 'live'")
        await tab.until("document.getElementById('state').textContent === 'the lab has stopped'")
