"""What AXL answers, without sockets: the product's operations, and the lab's own for the Intercluster Sync Agent."""

from xml.etree import ElementTree as ET

import pytest

from proxies.http.axl.names import API, LAB, VERSION
from proxies.http.axl.operations import AxlOperations
from proxies.http.axl.values import AxlAccount, ClusterStamp, InterclusterNode, InterclusterUser
from proxies.http.axl.wsdl import wsdl
from proxies.http.soap import SoapFault


class Source:
    """A cluster of two nodes."""

    def __init__(self, *users: str) -> None:
        self._users = users or ("alice", "bob", "bobby")

    async def account(self) -> AxlAccount:
        return AxlAccount(user_id="axl", password="secret")

    async def stamp(self) -> ClusterStamp:
        return ClusterStamp(cluster="east", domain="lab.example", stamp="7")

    async def nodes(self) -> tuple[InterclusterNode, ...]:
        return tuple(
            InterclusterNode(fqdn=f"imp{n}.lab.example", number=n, router_port=7400, certificate=f"PEM {n}")
            for n in (1, 2)
        )

    async def users(self) -> tuple[InterclusterUser, ...]:
        return tuple(InterclusterUser(user_id=user, home_node="imp1.lab.example") for user in self._users)


async def ask(request: str, *users: str) -> ET.Element:
    answer = await AxlOperations(Source(*users)).answer(
        ET.fromstring(request.replace(" API", f" xmlns:n='{API}'").replace(" LAB", f" xmlns:n='{LAB}'"))
    )
    result = answer.find("return")
    assert result is not None
    return result


async def test_a_request_s_sequence_number_comes_back() -> None:
    for given, expected in (("7", "7"), ("x", None), ("", None)):
        answer = await AxlOperations(Source()).answer(
            ET.fromstring(f"<n:getCCMVersion xmlns:n='{API}' sequence='{given}'/>")
        )
        assert answer.get("sequence") == expected


async def test_the_version_is_the_product_s() -> None:
    assert (await ask("<n:getCCMVersion API/>")).findtext("componentVersion/version") == VERSION


@pytest.mark.parametrize(
    ("criterion", "found"),
    [
        ("%", ["alice", "bob", "bobby"]),
        ("bob", ["bob"]),
        ("BOB%", ["bob", "bobby"]),
        ("%b_", ["bobby"]),
        ("_ob", ["bob"]),
        ("%o%y", ["bobby"]),
        ("", []),
        ("%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%z", []),
    ],
)
async def test_users_are_found_by_sql_s_wildcards(criterion: str, found: list[str]) -> None:
    result = await ask(
        f"<n:listUser API><searchCriteria><userid>{criterion}</userid></searchCriteria>"
        "<returnedTags><userid/></returnedTags></n:listUser>"
    )
    assert [row.findtext("userid") for row in result] == found


async def test_only_the_tags_that_are_asked_for_come_back() -> None:
    result = await ask(
        "<n:listUser API><searchCriteria><userid>alice</userid></searchCriteria>"
        "<returnedTags><homeCluster/></returnedTags></n:listUser>"
    )
    assert [(each.tag, each.text) for each in result[0]] == [("homeCluster", "true")]
    assert result[0].get("uuid", "").startswith("{")


async def test_the_publisher_is_told_from_subscribers() -> None:
    result = await ask(
        "<n:listProcessNode API><searchCriteria><name>imp%</name></searchCriteria>"
        "<returnedTags><name/><nodeUsage/></returnedTags></n:listProcessNode>"
    )
    assert [[each.text for each in row] for row in result] == [
        ["imp1.lab.example", "Publisher"],
        ["imp2.lab.example", "Subscriber"],
    ]


async def test_rows_come_in_pages_and_not_all_at_once() -> None:
    users = [f"user{number:04}" for number in range(1500)]
    first = await ask("<n:listInterclusterUser LAB><first>1000</first></n:listInterclusterUser>", *users)
    rest = await ask(
        "<n:listInterclusterUser LAB><skip>1000</skip><first>1000</first></n:listInterclusterUser>", *users
    )
    assert [row.findtext("userid") for page in (first, rest) for row in page] == users
    for request in (
        "<n:listInterclusterUser LAB/>",
        "<n:listInterclusterUser LAB><first>1001</first></n:listInterclusterUser>",
    ):
        with pytest.raises(
            SoapFault, match="query request too large: 1500 rows matched; ask for at most 1000"
        ):
            await ask(request, *users)
    beyond = await ask("<n:listInterclusterUser LAB><skip>5000</skip></n:listInterclusterUser>", *users)
    assert len(beyond) == 0


async def test_nodes_come_with_their_xmpp_certificates() -> None:
    result = await ask("<n:listInterclusterNode LAB/>")
    assert [[each.text for each in row] for row in result] == [
        ["imp1.lab.example", "1", "7400", "PEM 1"],
        ["imp2.lab.example", "2", "7400", "PEM 2"],
    ]


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        ("<n:addUser API/>", "no operation .*addUser here; there are getCCMVersion"),
        ("<listUser/>", "no operation listUser"),
        ("<n:listUser API/>", "expected <searchCriteria> with <userid>"),
        ("<n:listUser API><searchCriteria/></n:listUser>", "expected <userid>"),
        (
            "<n:listUser API><searchCriteria><userid>%</userid></searchCriteria></n:listUser>",
            "expected <returnedTags>",
        ),
        ("<n:listInterclusterUser LAB><skip>all</skip></n:listInterclusterUser>", "a whole number in <skip>"),
    ],
)
async def test_what_cannot_be_answered_is_a_fault(request_: str, text: str) -> None:
    with pytest.raises(SoapFault, match=text) as caught:
        await ask(request_)
    assert caught.value.code == "Client"


async def test_an_unknown_operation_has_axl_s_error_in_the_detail() -> None:
    with pytest.raises(SoapFault) as caught:
        await ask("<n:addUser API/>")
    (error,) = caught.value.detail
    assert error.tag == f"{{{API}}}axlError"
    assert (error.findtext("axlcode"), error.findtext("request")) == ("5003", "addUser")


def test_the_wsdl_names_the_url_and_each_operation() -> None:
    text = wsdl("https://imp1.lab.example:8443/axl/?a=1&b=2").decode()
    root = ET.fromstring(text)
    operations = root.findall(".//{http://schemas.xmlsoap.org/wsdl/}portType/*")
    assert len(operations) == 6
    assert "https://imp1.lab.example:8443/axl/?a=1&amp;b=2" in text
