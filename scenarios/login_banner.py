"""The login banner (G01): uploaded to one node, read there before and after login on six interfaces."""

from harness.access.login_banner import MAXIMUM_SIZE
from harness.actors.administration import administrator
from harness.actors.pages import INTERFACES, browser
from harness.expectations import expect
from harness.lab import Lab
from harness.nodes.node import ImpNode
from harness.scenario import ScenarioRun, scenario
from harness.web.client import AdministrationRefused

NOTICE = "Authorised use only.\nActivities on this system are recorded.\n"
MARKUP = "<script>alert('markup')</script> & <b>bold</b>"
UPLOAD = "OS Administration > Software Upgrades > Customized Logon Message"


@scenario(
    "login-banner",
    title="A login banner, before and after login on the six interfaces of one node",
    covers=("G01",),
    limit=120.0,
)
async def login_banner(lab: Lab, run: ScenarioRun) -> None:
    imp1, imp2 = lab.imp
    async with run.step("As installed, neither node shows a banner"):
        for node in lab.imp:
            await _expect_banner(lab, run, node, "")

    async with run.step(f"{UPLOAD} on imp1: notice.txt, Upload File"):
        await _upload(lab, imp1, "notice.txt", NOTICE.encode())
    async with run.step("imp1 shows it before and after login, on all six interfaces"):
        await _expect_banner(lab, run, imp1, NOTICE)
    async with run.step("imp2 shows none: a banner is uploaded to each node separately"):
        await _expect_banner(lab, run, imp2, "")
    async with run.step(f"{UPLOAD} on imp2, with another text: each node shows its own"):
        await _upload(lab, imp2, "notice.txt", b"This is imp2.")
        await _expect_banner(lab, run, imp2, "This is imp2.")
        await _expect_banner(lab, run, imp1, NOTICE)

    for title, name, content in (
        ("a file that is not called .txt", "notice.html", NOTICE.encode()),
        ("a file that is too large", "notice.txt", b"a" * (MAXIMUM_SIZE + 1)),
        ("a picture that is called .txt", "notice.txt", b"\x89PNG\r\n\x1a\n"),
        ("an empty file", "notice.txt", b""),
    ):
        async with run.step(f"Refused: {title}; the banner stays"):
            run.saw(await _expect_upload_refused(lab, imp1, name, content))
            async with browser(imp1) as person:
                expect("the banner", NOTICE, (await person.get("/cupadmin/login")).banner)
    async with run.step("The twin: a text file of the largest size is taken"):
        await _upload(lab, imp1, "NOTICE.TXT", b"a" * MAXIMUM_SIZE)
        async with browser(imp1) as person:
            expect("the banner", "a" * MAXIMUM_SIZE, (await person.get("/cupadmin/login")).banner)
    async with run.step("Markup in a banner stays text"):
        await _upload(lab, imp1, "notice.txt", MARKUP.encode())
        await _expect_banner(lab, run, imp1, MARKUP)
        async with browser(imp1) as person:
            page = await person.get("/cupadmin/login")
        expect("a script in the page", False, "<script>alert" in page.html)

    async with run.step("A user cannot upload one"):
        password = (await lab.user("alice")).digest_password
        refused = await _expect_upload_refused(
            lab, imp1, "notice.txt", b"alice was here", user="alice", password=password
        )
        run.saw(refused)
    async with run.step("Deleted, it is gone"):
        async with administrator(lab, imp1) as client:
            await client.delete("/api/banner")
        await _expect_banner(lab, run, imp1, "")


async def _upload(
    lab: Lab, node: ImpNode, name: str, content: bytes, *, user: str = "administrator", password: str = ""
) -> None:
    async with administrator(lab, node, user=user, password=password) as client:
        path = f"/api/banner?file_name={name}"
        await client.call("PUT", path, content, media_type="text/plain")


async def _expect_upload_refused(
    lab: Lab, node: ImpNode, name: str, content: bytes, *, user: str = "administrator", password: str = ""
) -> str:
    try:
        await _upload(lab, node, name, content, user=user, password=password)
    except AdministrationRefused as refused:
        return str(refused)
    expect("whether the upload was refused", True, False)
    return ""


async def _expect_banner(lab: Lab, run: ScenarioRun, node: ImpNode, text: str) -> None:
    """Expect a banner, or none, before and after login on all six interfaces."""
    alice = ("alice", (await lab.user("alice")).digest_password)
    for path, title in INTERFACES.items():
        user, password = alice if path == "cupuser" else ("administrator", lab.administrator_password)
        async with browser(node) as person:
            before = await person.get(f"/{path}/login")
            after = await person.log_in(path, user, password)
        expect(f"the page after login to {title}", (200, f"/{path}/"), (after.status, after.path))
        expect(f"the banner of {title} on {node.plan.name} before login", text, before.banner)
        expect(f"the banner of {title} on {node.plan.name} after login", text, after.banner)
    run.saw(f"{node.plan.name}: {len(INTERFACES)} interfaces, before and after: {text[:40]!r}")
