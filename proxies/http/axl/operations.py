"""The operations of AXL: an element that asks, and the element that answers it.

`getCCMVersion`, `listUser` and `listProcessNode` are the product's. What the Intercluster Sync Agents of the
product ask each other for is not public, so the lab has operations of its own for that, in a namespace of its own.
"""

import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar
from xml.etree import ElementTree as ET

from proxies.http.axl.names import API, LAB, VERSION
from proxies.http.axl.values import MAXIMUM_ROWS, AxlSource
from proxies.http.soap import SoapFault, integer_of, text_of

RowT = TypeVar("RowT")

_USERS: Final = uuid.UUID("5f0bd5d4-3a39-4f0f-9c1c-7a8c7d3b1b53")
"The namespace of users' identifiers: the same user has the same one at each start."

_TOO_MANY: Final = 5009
_UNKNOWN_OPERATION: Final = 5003


class AxlOperations:
    """Answers requests from what a cluster is."""

    def __init__(self, source: AxlSource) -> None:
        self._source = source
        self._operations: dict[str, Callable[[ET.Element], Awaitable[ET.Element]]] = {
            f"{{{API}}}getCCMVersion": self._get_ccm_version,
            f"{{{API}}}listUser": self._list_user,
            f"{{{API}}}listProcessNode": self._list_process_node,
            f"{{{LAB}}}getInterclusterStamp": self._get_intercluster_stamp,
            f"{{{LAB}}}listInterclusterNode": self._list_intercluster_node,
            f"{{{LAB}}}listInterclusterUser": self._list_intercluster_user,
        }

    async def answer(self, request: ET.Element) -> ET.Element:
        """Return the answer to a request. Raises SoapFault where it is none that can be answered."""
        operation = self._operations.get(request.tag)
        if operation is None:
            known = ", ".join(tag.rpartition("}")[2] for tag in self._operations)
            raise _axl_error(
                request, _UNKNOWN_OPERATION, f"no operation {request.tag[:100]} here; there are {known}"
            )
        return await operation(request)

    # The product's.

    async def _get_ccm_version(self, request: ET.Element) -> ET.Element:
        response, result = _response(request)
        ET.SubElement(ET.SubElement(result, "componentVersion"), "version").text = VERSION
        return response

    async def _list_user(self, request: ET.Element) -> ET.Element:
        """Users by `searchCriteria/userid`, with those of the tags that `returnedTags` asks for."""
        fits = _pattern(request, "userid")
        stamp = await self._source.stamp()
        users = [user for user in await self._source.users() if fits(user.user_id)]
        tags = _returned_tags(request)
        response, result = _response(request)
        for user in _page(request, users):
            row = ET.SubElement(result, "user", uuid=_uuid(stamp.cluster, user.user_id))
            values = {"userid": user.user_id, "homeCluster": "true", "imAndPresenceEnable": "true"}
            _fill(row, values, tags)
        return response

    async def _list_process_node(self, request: ET.Element) -> ET.Element:
        """Nodes by `searchCriteria/name`, with those of the tags that `returnedTags` asks for."""
        fits = _pattern(request, "name")
        stamp = await self._source.stamp()
        nodes = [node for node in await self._source.nodes() if fits(node.fqdn)]
        tags = _returned_tags(request)
        response, result = _response(request)
        for node in _page(request, nodes):
            row = ET.SubElement(result, "processNode", uuid=_uuid(stamp.cluster, node.fqdn))
            usage = "Publisher" if node.number == 1 else "Subscriber"
            values = {
                "name": node.fqdn,
                "description": f"node {node.number} of {stamp.cluster}",
                "nodeUsage": usage,
            }
            _fill(row, values, tags)
        return response

    # The lab's.

    async def _get_intercluster_stamp(self, request: ET.Element) -> ET.Element:
        stamp = await self._source.stamp()
        response, result = _response(request)
        _fill(result, {"cluster": stamp.cluster, "domain": stamp.domain, "stamp": stamp.stamp})
        return response

    async def _list_intercluster_node(self, request: ET.Element) -> ET.Element:
        response, result = _response(request)
        for node in await self._source.nodes():
            values = {
                "fqdn": node.fqdn,
                "number": str(node.number),
                "routerPort": str(node.router_port),
                "certificate": node.certificate,
            }
            _fill(ET.SubElement(result, "node"), values)
        return response

    async def _list_intercluster_user(self, request: ET.Element) -> ET.Element:
        response, result = _response(request)
        for user in _page(request, await self._source.users()):
            _fill(
                ET.SubElement(result, "user"),
                {
                    "userid": user.user_id,
                    "homeNode": user.home_node,
                },
            )
        return response


def _response(request: ET.Element) -> tuple[ET.Element, ET.Element]:
    response = ET.Element(f"{request.tag}Response")
    sequence = request.get("sequence", "")
    if sequence.isascii() and sequence.isdigit():
        response.set("sequence", sequence[:20])
    return response, ET.SubElement(response, "return")


def _fill(row: ET.Element, values: dict[str, str], tags: frozenset[str] | None = None) -> None:
    for name, value in values.items():
        if tags is None or name in tags:
            ET.SubElement(row, name).text = value


def _uuid(cluster: str, name: str) -> str:
    return f"{{{str(uuid.uuid5(_USERS, f'{cluster} {name}')).upper()}}}"


def _pattern(request: ET.Element, name: str) -> Callable[[str], bool]:
    """Return what tells whether a name fits the search criteria: `%` stands for any characters, `_` for one."""
    criteria = request.find("searchCriteria")
    if criteria is None:
        raise SoapFault("Client", f"expected <searchCriteria> with <{name}>, seen none")
    sought = text_of(criteria, name)[:256].lower()
    return lambda text: _is_like(text.lower(), sought)


def _is_like(text: str, pattern: str) -> bool:
    """Match as SQL's LIKE does; going back to the last `%` alone keeps the time within their product."""
    at = in_pattern = 0
    last_percent, resumed_at = -1, 0
    while at < len(text):
        if in_pattern < len(pattern) and pattern[in_pattern] == "%":
            last_percent, resumed_at = in_pattern, at
            in_pattern += 1
        elif in_pattern < len(pattern) and pattern[in_pattern] in ("_", text[at]):
            at, in_pattern = at + 1, in_pattern + 1
        elif last_percent >= 0:
            resumed_at += 1
            at, in_pattern = resumed_at, last_percent + 1
        else:
            return False
    return not pattern[in_pattern:].strip("%")


def _returned_tags(request: ET.Element) -> frozenset[str]:
    tags = request.find("returnedTags")
    if tags is None:
        raise SoapFault("Client", "expected <returnedTags> with the tags that are wanted, seen none")
    return frozenset(tag.tag for tag in tags)


def _page(request: ET.Element, rows: Sequence[RowT]) -> Sequence[RowT]:
    """Return the rows that `skip` and `first` ask for; without `first` all, if those are not too many."""
    skip = integer_of(request, "skip", default=0)
    rest = len(rows) - skip
    first = integer_of(request, "first", default=MAXIMUM_ROWS + 1 if rest > MAXIMUM_ROWS else MAXIMUM_ROWS)
    if first > MAXIMUM_ROWS:
        raise _axl_error(
            request,
            _TOO_MANY,
            f"query request too large: {len(rows)} rows matched; ask for at most {MAXIMUM_ROWS} with "
            "<skip> and <first>",
        )
    return rows[skip : skip + first]


def _axl_error(request: ET.Element, code: int, message: str) -> SoapFault:
    detail = ET.Element(f"{{{API}}}axlError")
    _fill(
        detail,
        {"axlcode": str(code), "axlmessage": message, "request": request.tag.rpartition("}")[2][:100]},
    )
    return SoapFault("Client", message, detail=[detail])
