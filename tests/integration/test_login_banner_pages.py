"""The login banner on a node's pages: before and after login, on all six, on this node only (G01)."""

import html
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from harness.access.login_banner import MAXIMUM_SIZE
from harness.lab import Lab
from harness.plan.lab_file import load_topology
from tests.integration.page_visitor import Visitor, visitor

pytestmark = pytest.mark.timeout(180)  # a lab and many requests, on a machine that others use

PATH = "/cmplatform/customized-logon-message"
INTERFACES = ("cupadmin", "cmplatform", "ccmservice", "cucreports", "drf", "cupuser")
NOTICE = "Authorised use only.\nActivities are recorded."


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with Lab.start(load_topology(), work_directory=tmp_path) as lab:
        yield lab


@pytest.fixture
async def administrator(lab: Lab) -> AsyncIterator[Visitor]:
    async with visitor(lab.imp[0]) as someone:
        await someone.log_in("cmplatform", "administrator", lab.administrator_password)
        yield someone


async def shown_before_and_after(lab: Lab, index: int) -> set[tuple[str, str]]:
    """Return where a node shows the notice."""
    node, found = lab.imp[index], set()
    alice = (await lab.user("alice")).digest_password
    for interface in INTERFACES:
        async with visitor(node) as someone:
            before = await someone.get(f"/{interface}/login")
            user = (
                ("alice", alice) if interface == "cupuser" else ("administrator", lab.administrator_password)
            )
            after = await someone.log_in(interface, *user)
            assert after.path == f"/{interface}/"
            for when, page in (("before", before), ("after", after)):
                if NOTICE in html.unescape(page.text):
                    found.add((interface, when))
    return found


async def test_it_shows_on_all_six_of_the_node_before_and_after_login_and_on_no_other_node(
    lab: Lab, administrator: Visitor
) -> None:
    assert await shown_before_and_after(lab, 0) == set()
    page = await administrator.press(PATH, "upload", file=("notice.txt", NOTICE.encode()))
    assert page.messages[0] == (
        "good",
        "notice.txt was uploaded; it is shown on this node before and after login",
    )
    everywhere = {(interface, when) for interface in INTERFACES for when in ("before", "after")}
    assert await shown_before_and_after(lab, 0) == everywhere
    assert await shown_before_and_after(lab, 1) == set()
    await administrator.press(PATH, "delete")
    assert await shown_before_and_after(lab, 0) == set()


async def test_markup_in_it_stays_text(administrator: Visitor) -> None:
    attack = "</pre><script src=//evil.example/x.js></script><img src=x onerror=alert(1)>{{ 7 * 7 }}"
    await administrator.press(PATH, "upload", file=("notice.txt", attack.encode()))
    for path in ("/", "/cupadmin/login", "/cmplatform/", PATH):
        page = await administrator.get(path)
        assert "evil.example/x.js></script>" not in page.text
        assert "<img" not in page.text
        assert attack in html.unescape(page.text)


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("notice.html", b"text", "expected a .txt file, seen 'notice.html'"),
        (
            "notice.txt",
            b"a" * (MAXIMUM_SIZE + 1),
            f"expected at most {MAXIMUM_SIZE} bytes, seen {MAXIMUM_SIZE + 1}",
        ),
        ("notice.txt", b"\x89PNG\r\n", "expected plain text in UTF-8, seen the byte 0x89"),
        ("notice.txt", b"", "expected text, seen nothing"),
        ("", b"text", "expected a file, seen none"),
    ],
)
async def test_what_is_no_text_file_is_refused_and_the_old_one_stays(
    administrator: Visitor, name: str, content: bytes, error: str
) -> None:
    await administrator.press(PATH, "upload", file=("notice.txt", NOTICE.encode()))
    page = await administrator.press(PATH, "upload", file=(name, content))
    assert page.status == 400
    assert [kind for kind, text in page.messages if error in text] == ["error"]
    assert NOTICE in html.unescape((await administrator.get("/cmplatform/")).text)


async def test_a_damaged_file_is_named_in_its_place_and_the_pages_work(
    lab: Lab, administrator: Visitor
) -> None:
    await administrator.press(PATH, "upload", file=("notice.txt", NOTICE.encode()))
    (lab.imp[0].surroundings.directory / "login-banner.txt").write_bytes(b"\xff\xff")
    async with visitor(lab.imp[0]) as someone:
        page = await someone.get("/cupadmin/login")
        assert page.status == 200
        assert "login-banner.txt is damaged" in page.text
        assert (await someone.log_in("cupadmin", "administrator", lab.administrator_password)).status == 200
    page = await administrator.press(PATH, "upload", file=("notice.txt", NOTICE.encode()))
    assert page.status == 200
    assert "damaged" not in page.text
