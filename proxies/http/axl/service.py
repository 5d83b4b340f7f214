"""The AXL web service of a node, under Cisco Tomcat: HTTP basic authentication, then SOAP (G06)."""

import hmac
from collections import OrderedDict
from typing import Final

from aiohttp import web

from certs.verdict import Reason, Side, Verdict
from proxies.http.axl.basic import parse_basic
from proxies.http.axl.names import ACTION, PATH, TOOLKIT_PATH
from proxies.http.axl.operations import AxlOperations
from proxies.http.axl.values import AxlSource
from proxies.http.axl.wsdl import toolkit, wsdl
from proxies.http.soap import (
    CONTENT_TYPE,
    SoapFault,
    SoapLimits,
    encode_envelope,
    encode_fault,
    parse_envelope,
)
from proxies.http.tomcat import HTTP_LISTENER
from proxies.observer import Observer

REALM: Final = "Cisco Web Services Realm"
"What the password is for (RFC 7617 2)."

_REQUEST_LIMITS: Final = SoapLimits(octets=1024 * 1024, elements=10_000)
_REMEDY: Final = "Give axl_user and axl_password of this cluster, as the lab file names them."

_UNSUPPORTED_SCHEMA: Final = 599
_REMEMBERED: Final = 1000


class AxlWebService:
    """Serves AXL where the product does, to one application user."""

    def __init__(self, source: AxlSource, *, node: str, url: str, observer: Observer) -> None:
        """`url` is where clients reach the service, for the WSDL."""
        self._source = source
        self._operations = AxlOperations(source)
        self._node = node
        self._url = url
        self._observer = observer
        self._let_in: OrderedDict[str, None] = OrderedDict()

    def add_routes(self, app: web.Application) -> None:
        """Add the paths for requests and for the WSDL."""
        app.router.add_post(PATH, self._answer)
        app.router.add_get(PATH, self._show)
        app.router.add_get(TOOLKIT_PATH, self._give_toolkit)

    async def _answer(self, request: web.Request) -> web.Response:
        if not await self._is_let_in(request):
            return _unauthorized()
        action = request.headers.get("SOAPAction", "").strip().strip('"')
        if action.startswith("CUCM:DB ver=") and not f"{action} ".startswith(f"{ACTION} "):
            # The product's answer to a schema that it does not have.
            return web.Response(
                status=_UNSUPPORTED_SCHEMA,
                reason="Schema Not Supported",
                text=f"expected the AXL schema of {ACTION}, seen {action[:60]}",
            )
        try:
            asked = parse_envelope(await request.read(), _REQUEST_LIMITS)
            content, status = encode_envelope(await self._operations.answer(asked)), 200
        except SoapFault as fault:
            content, status = encode_fault(fault), 500  # SOAP 1.1, 6.2
        return web.Response(body=content, status=status, content_type=CONTENT_TYPE, charset="utf-8")

    async def _show(self, request: web.Request) -> web.Response:
        if not await self._is_let_in(request):
            return _unauthorized()
        if any(key.lower() == "wsdl" for key in request.query):
            return web.Response(body=wsdl(self._url), content_type=CONTENT_TYPE, charset="utf-8")
        return web.Response(text=f"The AXL web service of {self._node} works; POST requests to {PATH}.\n")

    async def _give_toolkit(self, request: web.Request) -> web.Response:
        return web.Response(body=toolkit(self._url), content_type="application/zip")

    # Who asks (RFC 7617).

    async def _is_let_in(self, request: web.Request) -> bool:
        given = request.headers.get("Authorization")
        if given is None:
            return False  # the way a client learns that it has to say who it is
        login = parse_basic(given)
        account = await self._source.account()
        same_user = hmac.compare_digest(login.user_id.encode(), account.user_id.encode())
        same_password = hmac.compare_digest(login.password.encode(), account.password.encode())
        accepted = bool(account.password) and same_user and same_password
        self._judge(request, accepted, f"AXL user {login.user_id[:64]!r}")
        return accepted

    def _judge(self, request: web.Request, accepted: bool, detail: str) -> None:
        connection = request.app[HTTP_LISTENER].connection_of(request).info
        if accepted:
            # Once a connection: each request of it carries the password again.
            if connection.id in self._let_in:
                return
            self._let_in[connection.id] = None
            if len(self._let_in) > _REMEMBERED:
                self._let_in.popitem(last=False)
        self._observer.judged(
            connection,
            Verdict(
                accepted=accepted,
                reason=Reason.ACCEPTED if accepted else Reason.BAD_CREDENTIALS,
                side=Side.SERVER,
                rule="AXL answers an application user who gives name and password.",
                clause="G06",
                remedy="" if accepted else _REMEDY,
                detail=detail,
            ),
        )


def _unauthorized() -> web.Response:
    return web.Response(
        status=401,
        text="AXL asks for an application user.\n",
        headers={"WWW-Authenticate": f'Basic realm="{REALM}"'},
    )
