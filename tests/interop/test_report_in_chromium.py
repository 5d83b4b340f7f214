"""The report of a real run in Chromium: on a phone, at a desk, in the dark, and a row that opens its message."""

from pathlib import Path

import pytest

from harness.evidence.report.page import REPORT
from harness.evidence.terminal import SilentReporter
from harness.running.discovery import discover
from harness.running.runner import RunOptions, run_scenario
from tests.interop.chromium import chromium
from tests.interop.peers import require_program

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]

WIDER = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
CLICK = "new MouseEvent('click', {bubbles: true, cancelable: true})"
PAGE = "getComputedStyle(document.body).backgroundColor"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    require_program("chromium")
    folder = tmp_path_factory.mktemp("runs")
    scenario = discover().load("sip-intracluster-tls")
    result = run_scenario(scenario, RunOptions(runs=folder, trace=False), SilentReporter())
    return (Path(result.folder) / REPORT).resolve().as_uri()


async def test_the_report_fits_phone_and_desk_in_light_and_dark(page: str, tmp_path: Path) -> None:
    async with chromium(tmp_path) as tab:
        seen = {}
        for name, width, dark in (("phone", 390, False), ("phone-dark", 390, True), ("desk", 1280, False)):
            await tab.look(width, 900, dark=dark)
            await tab.open(page)
            await tab.screenshot(tmp_path / f"{name}.png")
            seen[name] = await tab.evaluate(PAGE)
            assert not await tab.evaluate(WIDER), f"{name} scrolls sideways"
        assert seen["phone"] == seen["desk"] != seen["phone-dark"]
        assert tab.errors == []
        assert set(tab.requested) == {page}, "it asks for nothing but itself"


async def test_a_row_of_the_ladder_opens_its_message_without_a_script(page: str, tmp_path: Path) -> None:
    async with chromium(tmp_path) as tab:
        await tab.look(390, 844)
        await tab.open(page)
        row = "[...document.querySelectorAll('.ladder a')].find(a => a.textContent.includes('MESSAGE (CSeq 1)'))"
        await tab.evaluate(f"{row}.querySelector('.band').dispatchEvent({CLICK})")
        opened = await tab.until("document.querySelector('.sheet:target')?.textContent")
        assert "MESSAGE sip:bob@lab.example SIP/2.0" in opened
        await tab.screenshot(tmp_path / "sheet.png")
        await tab.evaluate("document.querySelector('.sheet:target .close').click()")
        assert not await tab.evaluate("document.querySelector('.sheet:target')")
