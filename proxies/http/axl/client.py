"""A client of a peer's AXL: what the Cisco Intercluster Sync Agent asks with (G06)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self
from xml.etree import ElementTree as ET

import aiohttp

from certs.errors import HarnessError
from certs.verdict import Reason, Side, Verdict
from proxies.clock import SchedulingClock
from proxies.http.axl.basic import encode_basic
from proxies.http.axl.names import LAB, PATH
from proxies.http.axl.values import (
    MAXIMUM_ROWS,
    AxlAccount,
    ClusterStamp,
    InterclusterNode,
    InterclusterUser,
)
from proxies.http.dialling import HandshakeRefused, TlsConnector
from proxies.http.soap import CONTENT_TYPE, SoapFault, SoapLimits, encode_envelope, integer_of, parse_envelope
from proxies.http.soap import text_of as text_in
from proxies.observer import ConnectionInfo, Observer
from proxies.tls import PeerRefusedError, TlsClientSettings

_LIMITS: Final = SoapLimits()


class AxlFailed(HarnessError):  # noqa: N818 - it is what happened, as ConnectionFailed is
    """A peer's AXL did not give what it was asked for."""

    def __init__(self, message: str, *, verdict: Verdict | None = None) -> None:
        super().__init__(message)
        self.verdict = verdict
        "How the peer was judged, or judged us; None where the trouble is another one."


@dataclass(frozen=True, slots=True, kw_only=True)
class AxlClientSettings:
    """Which peer is asked, and as whom."""

    node: str
    "The name of the node that asks."

    peer: str
    "The peer's name, which its certificate must carry."

    address: str
    "Where it listens."

    port: int = 8443
    "On which port."

    local_address: str
    "Where our connection comes from."

    account: AxlAccount
    "The AXL application account on the peer."

    tls: TlsClientSettings = field(repr=False)
    "Whom we believe, and what we show."

    maximum_nodes: int = 100
    "Nodes that a cluster may have."

    maximum_users: int = 100_000
    "Users that a cluster may have."

    timeout: float = 10.0
    "Seconds for one request."


class AxlClient:
    """Asks one peer, over a connection that it keeps."""

    def __init__(
        self,
        settings: AxlClientSettings,
        *,
        describe: Callable[[tuple[str, int], tuple[str, int]], ConnectionInfo],
        clock: SchedulingClock,
        observer: Observer,
    ) -> None:
        self._settings = settings
        self._observer = observer
        self._connector = TlsConnector(
            settings.tls,
            settings.address,
            settings.port,
            local_address=settings.local_address,
            describe=describe,
            clock=clock,
            observer=observer,
        )
        account = settings.account
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            headers={"Authorization": encode_basic(account)},
            timeout=aiohttp.ClientTimeout(total=settings.timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection."""
        await self._session.close()

    async def stamp(self) -> ClusterStamp:
        """Return which cluster the peer is, and the mark of its state. Raises AxlFailed."""
        result = await self._ask(ET.Element(f"{{{LAB}}}getInterclusterStamp"))
        with _Translated():
            return ClusterStamp(
                cluster=text_in(result, "cluster"),
                domain=text_in(result, "domain"),
                stamp=text_in(result, "stamp"),
            )

    async def nodes(self) -> tuple[InterclusterNode, ...]:
        """Return the nodes of the peer's cluster. Raises AxlFailed."""
        result = await self._ask(ET.Element(f"{{{LAB}}}listInterclusterNode"))
        self._check_number(len(result), self._settings.maximum_nodes, "nodes")
        with _Translated():
            return tuple(
                InterclusterNode(
                    fqdn=text_in(row, "fqdn"),
                    number=integer_of(row, "number"),
                    router_port=integer_of(row, "routerPort"),
                    certificate=text_in(row, "certificate") + "\n",
                )
                for row in result.iterfind("node")
            )

    async def users(self) -> tuple[InterclusterUser, ...]:
        """Return the users of the peer's cluster, asked for page by page. Raises AxlFailed."""
        users: list[InterclusterUser] = []
        while True:
            request = ET.Element(f"{{{LAB}}}listInterclusterUser")
            ET.SubElement(request, "skip").text = str(len(users))
            ET.SubElement(request, "first").text = str(MAXIMUM_ROWS)
            result = await self._ask(request)
            with _Translated():
                users += [
                    InterclusterUser(user_id=text_in(row, "userid"), home_node=text_in(row, "homeNode"))
                    for row in result.iterfind("user")
                ]
            self._check_number(len(users), self._settings.maximum_users, "users")
            if len(result) < MAXIMUM_ROWS:
                return tuple(users)

    # Inside.

    async def _ask(self, request: ET.Element) -> ET.Element:
        """Return the `return` element of the answer."""
        try:
            response = await self._post(request)
        except HandshakeRefused as error:
            raise AxlFailed(str(error), verdict=error.verdict) from None
        except PeerRefusedError as error:  # under TLS 1.3 we had believed for a moment that we are in
            raise AxlFailed(str(error), verdict=error.verdict) from None
        except TimeoutError:
            raise AxlFailed(f"no answer to {_name(request)} in {self._settings.timeout:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise AxlFailed(f"the connection was lost: {error or type(error).__name__}") from error
        result = response.find("return")
        if response.tag != f"{request.tag}Response" or result is None:
            raise AxlFailed(f"expected the response to {_name(request)}, seen <{response.tag[:100]}>")
        return result

    async def _post(self, request: ET.Element) -> ET.Element:
        settings = self._settings
        async with self._session.post(
            f"https://{settings.peer}:{settings.port}{PATH}",
            data=encode_envelope(request),
            headers={
                "Content-Type": f"{CONTENT_TYPE}; charset=utf-8",
                "SOAPAction": f'"{LAB}#{_name(request)}"',
            },
            allow_redirects=False,
        ) as response:
            content = await _read(response)
        if response.status == 401:
            raise AxlFailed(
                f"{settings.peer} does not know the AXL user {settings.account.user_id!r} with this password",
                verdict=self._judge_login(),
            )
        # A fault comes with status 500 (SOAP 1.1, 6.2).
        if response.status not in (200, 500):
            raise AxlFailed(f"{settings.peer} answers {response.status} {response.reason}")
        try:
            return parse_envelope(content, _LIMITS)
        except SoapFault as fault:
            raise AxlFailed(f"{settings.peer}: {fault.text}") from None

    def _judge_login(self) -> Verdict:
        settings = self._settings
        verdict = Verdict(
            accepted=False,
            reason=Reason.BAD_CREDENTIALS,
            side=Side.CLIENT,
            rule="AXL answers an application user of the peer who gives name and password.",
            clause="G06",
            remedy=f"Enter the name and password of the AXL application account of {settings.peer} in Presence > "
            f"Inter-Clustering on {settings.node}.",
            detail=f"{settings.peer} answered 401 to AXL user {settings.account.user_id}",
        )
        connection = self._connector.connection
        if connection is not None:
            self._observer.judged(connection.connection, verdict)
        return verdict

    def _check_number(self, seen: int, limit: int, what: str) -> None:
        if seen > limit:
            raise AxlFailed(f"expected at most {limit} {what}, seen {seen}")


class _Translated:
    """Says AxlFailed where an answer lacks something."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, SoapFault):
            raise AxlFailed(f"an answer that cannot be used: {error.text}") from None


def _name(request: ET.Element) -> str:
    return request.tag.rpartition("}")[2]


async def _read(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_chunked(65536):
        content += chunk
        if len(content) > _LIMITS.octets:
            response.close()
            raise AxlFailed(f"expected an answer of at most {_LIMITS.octets} bytes, seen more")
    return bytes(content)
