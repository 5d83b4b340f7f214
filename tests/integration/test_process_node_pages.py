"""The pages of a node in a process of its own."""

from pathlib import Path

from harness.lab import Lab
from harness.plan.lab_file import parse_lab_file
from tests.harness.plan.lab_texts import SMALL
from tests.integration.page_visitor import visitor


async def test_they_take_the_lab_s_password_and_no_other(tmp_path: Path) -> None:
    text = SMALL.replace('name = "imp1"', 'name = "imp1"\nprocess = true', 1)
    lab_file = parse_lab_file(text, source="lab.toml")
    async with Lab.start(lab_file, work_directory=tmp_path) as lab, visitor(lab.imp[0]) as someone:
        assert (await someone.log_in("cupadmin", "administrator", "another one")).status == 401
        page = await someone.log_in("cupadmin", "administrator", lab.administrator_password)
        assert page.path == "/cupadmin/"
