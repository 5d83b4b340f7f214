"""The API as a web application of Cisco Tomcat: finds the operation, checks the session, answers.

Sessions are carried in `Authorization`, never in a cookie: so a page of another site can make a browser send nothing
that is let in here, and no operation needs a CSRF token.
"""

import json
import re
from collections.abc import Callable
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp import web

from certs.errors import CertificateError, ConfigError, HarnessError, LocalProtocolError
from harness.access.accounts import LoginRefused
from harness.nodes.service_state import ServiceFailed
from harness.web.sessions import Session, Sessions
from proxies.http.tomcat import HTTP_LISTENER

if TYPE_CHECKING:
    from harness.nodes.node import CucmNode, ImpNode
    from harness.web.api.operation import Operation

PREFIX: Final = "/api/"
DESCRIPTION: Final = "/api/openapi.json"

_JSON: Final = "application/json"
_PROBLEM: Final = "application/problem+json"

# The first that fits; what none fits is a mistake of ours.
_STATUSES: Final[tuple[tuple[type[HarnessError], HTTPStatus], ...]] = (
    (LoginRefused, HTTPStatus.UNAUTHORIZED),
    (ServiceFailed, HTTPStatus.CONFLICT),
    (LocalProtocolError, HTTPStatus.CONFLICT),
    (ConfigError, HTTPStatus.BAD_REQUEST),
    (CertificateError, HTTPStatus.BAD_REQUEST),
    (HarnessError, HTTPStatus.INTERNAL_SERVER_ERROR),
)


class ApiInterface:
    """The API of one node."""

    def __init__(
        self,
        node: "ImpNode | CucmNode",
        *,
        product: str,
        sessions: Sessions,
        operations: "Callable[[], tuple[Operation, ...]]",
    ) -> None:
        """`operations` is called at the first request: what it imports takes a while."""
        self._node = node
        self._product = product
        self._sessions = sessions
        self._make_operations = operations

    def add_routes(self, app: web.Application) -> None:
        """Add everything below `/api/`."""
        app.router.add_route("*", f"{PREFIX}{{path:.*}}", self._answer)

    @cached_property
    def operations(self) -> "tuple[Operation, ...]":
        """What can be asked."""
        return self._make_operations()

    @cached_property
    def _routes(self) -> "tuple[tuple[re.Pattern[str], Operation], ...]":
        return tuple(
            (re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(one.path))), one)
            for one in self.operations
        )

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        # The path as aiohttp has decoded it: a name with a slash in it is no name of ours.
        path = request.path
        if path == DESCRIPTION and request.method == "GET":
            return self._describe(request)
        fitting = [(match, one) for pattern, one in self._routes if (match := pattern.fullmatch(path))]
        if not fitting:
            return _problem(HTTPStatus.NOT_FOUND, f"{path} is not in {DESCRIPTION}")
        for match, one in fitting:
            if one.method == request.method:
                return await self._call(request, one, match.groupdict())
        allowed = ", ".join(sorted({one.method for _, one in fitting}))
        response = _problem(HTTPStatus.METHOD_NOT_ALLOWED, f"{path} takes {allowed}")
        response.headers["Allow"] = allowed
        return response

    async def _call(self, request: web.Request, one: "Operation", path: dict[str, str]) -> web.StreamResponse:
        from harness.web.api.operation import Call, Raw

        key, session = self._session(request)
        if one.roles:
            if session is None:
                return _unauthorized(
                    "log in with POST /api/login and send the token as Authorization: Bearer TOKEN"
                )
            if session.account.role not in one.roles:
                wanted = " or ".join(sorted(one.roles))
                return _problem(
                    HTTPStatus.FORBIDDEN,
                    f"{one.name} is for the role {wanted}; {session.account.name} is {session.account.role}",
                )
        problem = _check_media_type(request, one)
        if problem is not None:
            return problem
        call = Call(
            path=path,
            query=request.query,
            content=await request.read() if one.body is not None else b"",
            connection=request.app[HTTP_LISTENER].connection_of(request).info,
            session=session,
            key=key,
        )
        try:
            answer = await one.handle(call)
        except LoginRefused as refused:
            return _unauthorized(str(refused))
        except HarnessError as error:
            status = next(status for kind, status in _STATUSES if isinstance(error, kind))
            return _problem(status, str(error))
        if answer is None:
            return web.Response(status=one.status)
        if isinstance(answer, Raw):
            return web.Response(
                body=answer.content, status=one.status, headers={"Content-Type": answer.media_type}
            )
        return web.Response(
            body=answer.model_dump_json().encode(), status=one.status, headers={"Content-Type": _JSON}
        )

    def _session(self, request: web.Request) -> tuple[str, Session | None]:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return "", None
        return key.strip(), self._sessions.find(key.strip())

    def _describe(self, request: web.Request) -> web.Response:
        from harness.web.api.openapi import describe

        title = f"{self._product}, {self._node.plan.fqdn}"
        description = describe(self.operations, title=title, server=f"https://{request.host}")
        return web.Response(body=json.dumps(description).encode(), headers={"Content-Type": _JSON})


def _check_media_type(request: web.Request, one: "Operation") -> web.Response | None:
    if one.body is None or not request.can_read_body:
        return None
    wanted = one.body if isinstance(one.body, str) else _JSON
    if request.content_type == wanted or (
        wanted != _JSON and request.content_type == "application/octet-stream"
    ):
        return None
    return _problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"expected {wanted}, seen {request.content_type}")


def _unauthorized(detail: str) -> web.Response:
    response = _problem(HTTPStatus.UNAUTHORIZED, detail)
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _problem(status: HTTPStatus, detail: str) -> web.Response:
    text = json.dumps(
        {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail}
    )
    return web.Response(body=text.encode(), status=status, headers={"Content-Type": _PROBLEM})
