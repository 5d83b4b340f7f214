"""Login to the six interfaces: who gets in, who does not, and what protects the pages."""

import io
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path

import pytest
from yarl import URL

from certs.purposes import ServiceName
from certs.verdict import Reason
from harness.evidence.ledger import Ledger
from harness.lab import Lab
from harness.plan.lab_file import load_topology
from harness.web.guard import SESSION_COOKIE
from tests.integration.page_visitor import Visitor, address, visitor

pytestmark = pytest.mark.timeout(180)  # a lab and many requests, on a machine that others use

ADMINISTRATOR = "administrator"
OF_ADMINISTRATORS = ("cupadmin", "cmplatform", "ccmservice", "cucreports", "drf")
BAD = HTTPStatus.BAD_REQUEST
FORBIDDEN = HTTPStatus.FORBIDDEN
UNAUTHORIZED = HTTPStatus.UNAUTHORIZED


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
async def lab(tmp_path: Path, ledger: Ledger) -> AsyncIterator[Lab]:
    async with Lab.start(load_topology(), work_directory=tmp_path, observer=ledger) as lab:
        yield lab


@pytest.fixture
async def someone(lab: Lab) -> AsyncIterator[Visitor]:
    async with visitor(lab.imp[0]) as someone:
        yield someone


@pytest.fixture
async def administrator(lab: Lab, someone: Visitor) -> Visitor:
    assert (await someone.log_in("cupadmin", ADMINISTRATOR, lab.administrator_password)).path == "/cupadmin/"
    return someone


async def test_without_a_login_every_interface_shows_its_login_and_no_page(someone: Visitor) -> None:
    for interface in (*OF_ADMINISTRATORS, "cupuser"):
        page = await someone.get(f"/{interface}/")
        assert page.path == f"/{interface}/login"
        assert 'name="password"' in page.text
        assert 'aria-label="Menus"' not in page.text
    page = await someone.get("/cupadmin/tls-peer-subjects")
    assert page.path == "/cupadmin/login"


async def test_the_administrator_gets_into_five_interfaces_and_a_user_into_the_sixth(
    lab: Lab, administrator: Visitor
) -> None:
    for interface in OF_ADMINISTRATORS:
        page = await administrator.get(f"/{interface}/")
        assert (page.status, page.path) == (200, f"/{interface}/")
    assert (await administrator.get("/cupuser/")).path == "/cupuser/login"
    async with visitor(lab.imp[0]) as alice:
        page = await alice.log_in("cupuser", "alice", (await lab.user("alice")).digest_password)
        assert page.path == "/cupuser/"
        assert "alice@lab.example" in page.text
        assert (await alice.get("/cupadmin/")).path == "/cupadmin/login"


async def test_a_wrong_password_is_refused_and_in_the_ledger(someone: Visitor, ledger: Ledger) -> None:
    page = await someone.log_in("cupadmin", ADMINISTRATOR, "wrong")
    assert (page.status, page.messages) == (UNAUTHORIZED, [("error", "User name or password is wrong.")])
    assert (await someone.get("/cupadmin/")).path == "/cupadmin/login"
    verdict = ledger.verdicts(node="imp1", accepted=False)[-1]
    assert verdict.verdict.reason is Reason.BAD_CREDENTIALS
    assert verdict.connection.service == ServiceName.TOMCAT
    assert "wrong" not in verdict.verdict.detail


async def test_the_third_failure_locks_the_account_also_for_the_right_password(
    lab: Lab, someone: Visitor, ledger: Ledger
) -> None:
    for _ in range(3):
        await someone.log_in("cupadmin", ADMINISTRATOR, "wrong")
    page = await someone.log_in("cupadmin", ADMINISTRATOR, lab.administrator_password)
    assert page.status == UNAUTHORIZED
    assert "locked after 3 failed logins, for 30 minutes" in page.text
    assert ledger.verdicts(node="imp1", accepted=False)[-1].verdict.reason is Reason.LOCKED_OUT
    lab.clock.advance(1800)
    page = await someone.log_in("cupadmin", ADMINISTRATOR, lab.administrator_password)
    assert page.path == "/cupadmin/"


@pytest.mark.parametrize(("interface", "user"), [("cupadmin", "alice"), ("cupuser", ADMINISTRATOR)])
async def test_the_right_password_in_the_wrong_role_is_refused(
    lab: Lab, someone: Visitor, interface: str, user: str
) -> None:
    password = lab.administrator_password if user == ADMINISTRATOR else (await lab.user(user)).digest_password
    page = await someone.log_in(interface, user, password)
    assert page.status == FORBIDDEN
    assert "is for the role" in page.messages[0][1]
    assert (await someone.get(f"/{interface}/")).path == f"/{interface}/login"


async def test_a_login_form_without_its_token_is_refused_and_with_it_accepted(
    lab: Lab, someone: Visitor
) -> None:
    fields = {"user": ADMINISTRATOR, "password": lab.administrator_password}
    page = await someone.get("/cupadmin/login")
    refused = await someone.post("/cupadmin/login", fields)
    assert refused.status == FORBIDDEN
    refused = await someone.post("/cupadmin/login", fields | {"login_token": page.token})
    assert refused.status == FORBIDDEN  # the page before this one came with a cookie of its own
    page = await someone.get("/cupadmin/login")
    accepted = await someone.post("/cupadmin/login", fields | {"login_token": page.token})
    assert accepted.path == "/cupadmin/"


async def test_the_session_s_cookie_is_for_this_host_over_tls_only_and_closed_to_scripts(
    lab: Lab, someone: Visitor
) -> None:
    page = await someone.get("/cupadmin/login")
    fields = {"login_token": page.token, "user": ADMINISTRATOR, "password": lab.administrator_password}
    answer = await someone.post("/cupadmin/login", fields, allow_redirects=False)
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-")
    for attribute in ("HttpOnly", "Path=/", "SameSite=Strict", "Secure"):
        assert attribute in cookie.split("; ")
    assert "Domain" not in cookie


async def test_a_new_login_gets_a_new_session_and_logout_ends_it(lab: Lab, administrator: Visitor) -> None:
    def key() -> str:
        cookies = administrator.http.cookie_jar.filter_cookies(URL(address(lab.imp[0])))
        return cookies[SESSION_COOKIE].value if SESSION_COOKIE in cookies else ""

    first = key()
    token = (await administrator.get("/cupadmin/")).token
    page = await administrator.post("/cupadmin/logout", {"csrf_token": token})
    assert page.path == "/cupadmin/login"
    assert key() == ""
    refused = await administrator.get("/cupadmin/", headers={"Cookie": f"{SESSION_COOKIE}={first}"})
    assert refused.path == "/cupadmin/login"
    await administrator.log_in("cupadmin", ADMINISTRATOR, lab.administrator_password)
    assert key() not in ("", first)


async def test_an_idle_session_ends_after_half_an_hour_and_a_used_one_lives_on(
    lab: Lab, administrator: Visitor
) -> None:
    lab.clock.advance(1700)
    assert (await administrator.get("/cupadmin/")).path == "/cupadmin/"
    lab.clock.advance(1700)
    live = await administrator.get("/cupadmin/", headers={"X-Live": "1"})  # a script, not a person
    assert live.path == "/cupadmin/"
    lab.clock.advance(200)
    assert (await administrator.get("/cupadmin/")).path == "/cupadmin/login"


async def test_a_form_without_the_session_s_token_changes_nothing_and_with_it_it_does(
    administrator: Visitor,
) -> None:
    path = "/cupadmin/tls-peer-subject"
    fields = {"action": "save", "peer_subject_name": "cucm1.lab.example", "description": ""}
    for stolen in ({}, {"csrf_token": ""}, {"csrf_token": "0" * 43}):
        page = await administrator.post(path, fields | stolen)
        assert page.status == FORBIDDEN
        assert "does not carry the token" in page.messages[0][1]
    assert "cucm1.lab.example" not in (await administrator.get("/cupadmin/tls-peer-subjects")).text
    page = await administrator.press(path, **fields)
    assert page.messages == [("good", "Add successful: cucm1.lab.example")]


@pytest.mark.parametrize(
    "header", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
async def test_a_form_of_another_site_is_refused_even_with_the_token(
    administrator: Visitor, header: dict[str, str]
) -> None:
    token = (await administrator.get("/cupadmin/general-settings")).token
    fields = {"csrf_token": token, "action": "save", "transport": "TCP"}
    page = await administrator.post("/cupadmin/general-settings", fields, headers=header)
    assert page.status == FORBIDDEN
    own = {"Origin": address(administrator.node), "Sec-Fetch-Site": "same-origin"}
    page = await administrator.post("/cupadmin/general-settings", fields, headers=own)
    assert page.messages[0][0] == "good"


async def test_every_answer_has_the_security_headers(administrator: Visitor) -> None:
    for path in ("/", "/cupadmin/login", "/cupadmin/", "/static/pages.css", "/nothing", "/api/node"):
        page = await administrator.get(path)
        assert "'unsafe-inline'" not in page.headers["Content-Security-Policy"]
        assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert "aiohttp" not in page.headers["Server"]


async def test_pages_have_no_inline_script_or_style(administrator: Visitor) -> None:
    for path in ("/cupadmin/", "/ccmservice/control-center-feature-services", "/cucreports/handshakes"):
        text = (await administrator.get(path)).text
        assert "<style" not in text
        assert 'style="' not in text
        assert "onclick" not in text
        assert "javascript:" not in text
        assert all("src=" in tag for tag in text.split("<script")[1:])


@pytest.mark.parametrize("path", ["/static/../site.py", "/static/%2e%2e%2fsite.py", "/static/base.html"])
async def test_no_other_file_is_served(someone: Visitor, path: str) -> None:
    assert (await someone.get(path)).status == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{}", "application/json"),
        (b"--x\r\nbroken", "multipart/form-data; boundary=x"),
        (b"a=" + b"b" * 70_000, "application/x-www-form-urlencoded"),
        (b"\xff\x00", "application/x-www-form-urlencoded"),
    ],
)
async def test_what_is_no_form_gets_an_error_and_the_next_one_is_answered(
    administrator: Visitor, body: bytes, kind: str
) -> None:
    page = await administrator.post("/cupadmin/general-settings", body, headers={"Content-Type": kind})
    assert page.status in (200, BAD, FORBIDDEN)
    assert "Traceback" not in page.text
    assert (await administrator.get("/cupadmin/general-settings")).status == 200


async def test_a_body_that_is_too_large_is_refused(administrator: Visitor) -> None:
    large = io.BytesIO(b"csrf_token=x&text=" + b"a" * 5_000_000)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    page = await administrator.post("/cupadmin/general-settings", large, headers=form)
    assert page.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert (await administrator.get("/cupadmin/general-settings")).status == 200
