"""A node's administration site: interfaces with login, pages and buttons, as one web application of Cisco Tomcat."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Final, Protocol

from aiohttp import web

from certs.errors import ConfigError, HarnessError
from harness.access.accounts import Accounts, LoginRefused, note_login
from harness.access.login_banner import LoginBanner
from harness.nodes.service_runs import RestartNeeded
from harness.plan.topology import ClusterPlan, NodePlan
from harness.web import guard
from harness.web.form_reading import read_form
from harness.web.page import Done, Download, Form, Interface, Page, Redraw, Visit
from harness.web.pages.serviceability import control_center_of
from harness.web.rendering import render
from harness.web.sessions import Message, Session, Sessions
from proxies.http.tomcat import HTTP_LISTENER
from proxies.observer import Observer

STATIC: Final = Path(__file__).parent / "static"

_STATIC_TYPES: Final = {"pages.css": "text/css", "live.js": "text/javascript", "icon.svg": "image/svg+xml"}


class SiteNode(Protocol):
    """What the site needs of its node."""

    @property
    def plan(self) -> NodePlan:
        """Its names."""
        ...

    @property
    def cluster(self) -> ClusterPlan:
        """The nodes beside it."""
        ...

    @property
    def accounts(self) -> Accounts:
        """Who may log in."""
        ...

    @property
    def login_banner(self) -> LoginBanner:
        """What is read before and after login."""
        ...

    async def restart_needed(self) -> tuple[RestartNeeded, ...]:
        """Return what has to restart before all that was saved takes effect."""
        ...


class Site:
    """The interfaces of one node."""

    def __init__(
        self,
        node: SiteNode,
        *,
        product: str,
        interfaces: tuple[Interface, ...],
        sessions: Sessions,
        observer: Observer,
    ) -> None:
        self._node = node
        self._product = product
        self._interfaces = interfaces
        self._sessions = sessions
        self._observer = observer
        self._login_tokens = guard.LoginTokens()

    def add_routes(self, app: web.Application) -> None:
        """Add the start page, each interface's login and pages, and the files that pages use."""
        app.on_response_prepare.append(guard.add_headers)
        app.router.add_get("/", self._start_page)
        app.router.add_get("/static/{name}", _send_static)
        for interface in self._interfaces:
            base = f"/{interface.path}"
            app.router.add_get(base, _redirect_to(f"{base}/"))
            app.router.add_get(f"{base}/login", self._for(interface, self._show_login))
            app.router.add_post(f"{base}/login", self._for(interface, self._log_in))
            app.router.add_post(f"{base}/logout", self._for(interface, self._log_out))
            app.router.add_get(f"{base}/{{page:.*}}", self._for(interface, self._show))
            app.router.add_post(f"{base}/{{page:.*}}", self._for(interface, self._act))

    def _for(
        self, interface: Interface, handle: Callable[[Interface, web.Request], Awaitable[web.StreamResponse]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handler(request: web.Request) -> web.StreamResponse:
            if request.method != "GET" and guard.is_from_elsewhere(request):
                return self._refuse(interface, request, "This form was sent by a page of another site.")
            try:
                return await handle(interface, request)
            except ConfigError as error:  # what came is no form
                return self._refuse(interface, request, str(error), HTTPStatus.BAD_REQUEST)

        return handler

    # Before login.

    async def _start_page(self, request: web.Request) -> web.Response:
        return self._render(request, "start.html", interface=None, title=self._product)

    async def _show_login(self, interface: Interface, request: web.Request) -> web.Response:
        if self._session(request, interface) is not None:
            raise web.HTTPSeeOther(f"/{interface.path}/")
        return self._login_page(interface, request)

    def _login_page(
        self,
        interface: Interface,
        request: web.Request,
        *,
        error: str = "",
        user: str = "",
        status: int = 200,
    ) -> web.Response:
        cookie, token = self._login_tokens.issue()
        response = self._render(
            request,
            "login.html",
            interface=interface,
            title=interface.title,
            status=status,
            login_token=token,
            error=error,
            user=user,
        )
        guard.set_cookie(response, guard.LOGIN_COOKIE, cookie)
        return response

    async def _log_in(self, interface: Interface, request: web.Request) -> web.StreamResponse:
        form = await read_form(request)
        cookie = request.cookies.get(guard.LOGIN_COOKIE, "")
        if not self._login_tokens.are_paired(cookie, form.raw("login_token")):
            return self._login_page(
                interface,
                request,
                error="This form is no longer valid. Please log in again.",
                status=HTTPStatus.FORBIDDEN,
            )
        connection = request.app[HTTP_LISTENER].connection_of(request).info
        name = form.text("user")
        try:
            account = await self._node.accounts.log_in(name, form.raw("password"))
        except LoginRefused as refused:
            note_login(self._observer, connection, refused)
            return self._login_page(
                interface, request, error=str(refused), user=name, status=HTTPStatus.UNAUTHORIZED
            )
        except HarnessError as error:
            return self._login_page(
                interface, request, error=str(error), user=name, status=HTTPStatus.INTERNAL_SERVER_ERROR
            )
        if account.role not in interface.roles:
            wanted = " or ".join(interface.roles)
            return self._login_page(
                interface,
                request,
                error=f"{interface.title} is for the role {wanted}; {account.name} is {account.role}.",
                user=name,
                status=HTTPStatus.FORBIDDEN,
            )
        note_login(self._observer, connection, account)
        self._sessions.close(request.cookies.get(guard.SESSION_COOKIE, ""))
        key, _ = self._sessions.open(account)
        response = _see_other(f"/{interface.path}/")
        guard.set_cookie(response, guard.SESSION_COOKIE, key)
        guard.delete_cookie(response, guard.LOGIN_COOKIE)
        return response

    async def _log_out(self, interface: Interface, request: web.Request) -> web.StreamResponse:
        session = self._session(request, interface)
        if session is not None:
            form = await read_form(request)
            if not session.is_own(form.raw("csrf_token")):
                return self._refuse(interface, request, _NOT_OF_THIS_SESSION)
            self._sessions.close(request.cookies[guard.SESSION_COOKIE])
        response = _see_other(f"/{interface.path}/login")
        guard.delete_cookie(response, guard.SESSION_COOKIE)
        return response

    # After login.

    async def _show(self, interface: Interface, request: web.Request) -> web.StreamResponse:
        session, page = self._enter(interface, request)
        visit = Visit(session=session, query=request.query, host=request.host)
        return await self._show_page(interface, page, request, visit, form=None, error="")

    async def _act(self, interface: Interface, request: web.Request) -> web.StreamResponse:
        session, page = self._enter(interface, request)
        try:
            form = await read_form(request)
        except ConfigError as error:
            session.say(str(error), is_error=True)
            return _see_other(request.path_qs)
        if not session.is_own(form.raw("csrf_token")):
            return self._refuse(interface, request, _NOT_OF_THIS_SESSION)
        act = page.actions.get(form.raw("action"))
        if act is None:
            return self._refuse(interface, request, "This page has no such button.", HTTPStatus.BAD_REQUEST)
        visit = Visit(session=session, query=request.query, host=request.host)
        try:
            done = await act(visit, form)
        except HarnessError as error:
            # The page comes back as it was filled in.
            return await self._show_page(interface, page, request, visit, form=form, error=str(error))
        if isinstance(done, Redraw):
            return await self._show_page(interface, page, request, visit, form=done.form, error="")
        if isinstance(done, Download):
            return _download(done)
        return self._finish(interface, request, session, done)

    def _finish(
        self, interface: Interface, request: web.Request, session: Session, done: Done
    ) -> web.StreamResponse:
        if done.message:
            session.say(done.message, is_error=done.is_error)
        path = f"/{interface.path}/{done.go_to}" if done.go_to else request.path_qs
        if not done.pause:
            return _see_other(path)
        response = self._render(
            request, "pause.html", interface=interface, title="Please wait", session=session, path=path
        )
        response.headers["Refresh"] = f"{done.pause}; url={path}"
        return response

    def _enter(self, interface: Interface, request: web.Request) -> tuple[Session, Page]:
        session = self._session(request, interface)
        if session is None:
            raise web.HTTPSeeOther(f"/{interface.path}/login")
        page = interface.page(request.match_info["page"])
        if page is None:
            raise web.HTTPNotFound(text=f"{interface.title} has no page {request.path}")
        return session, page

    def _session(self, request: web.Request, interface: Interface) -> Session | None:
        key = request.cookies.get(guard.SESSION_COOKIE, "")
        session = self._sessions.find(key, by_itself=guard.LIVE_HEADER in request.headers)
        return session if session is not None and session.account.role in interface.roles else None

    async def _show_page(
        self,
        interface: Interface,
        page: Page,
        request: web.Request,
        visit: Visit,
        *,
        form: Form | None,
        error: str,
    ) -> web.StreamResponse:
        template, status = page.template, HTTPStatus.BAD_REQUEST if error else HTTPStatus.OK
        shown: dict[str, object] = {}
        try:
            values = await page.show(visit)
            if isinstance(values, Download):
                return _download(values)
            shown.update(values)
        except HarnessError as failure:
            template, status, error = "failed.html", HTTPStatus.INTERNAL_SERVER_ERROR, error or str(failure)
        messages = [*visit.session.messages, *([Message(text=error, is_error=True)] if error else [])]
        if guard.LIVE_HEADER not in request.headers:
            visit.session.messages.clear()
        return self._render(
            request,
            template,
            interface=interface,
            title=page.title,
            status=status,
            page=page,
            session=visit.session,
            form=form,
            messages=messages,
            query=request.query,
            restarts=await self._restarts(),
            **shown,
        )

    async def _restarts(self) -> tuple[RestartNeeded, ...] | str:
        """Return what has to restart, or why that cannot be told."""
        try:
            return await self._node.restart_needed()
        except HarnessError as error:
            return str(error)

    def _refuse(
        self,
        interface: Interface,
        request: web.Request,
        why: str,
        status: HTTPStatus = HTTPStatus.FORBIDDEN,
    ) -> web.Response:
        return self._render(
            request, "refused.html", interface=interface, title=status.phrase, status=status, error=why
        )

    def _render(
        self,
        request: web.Request,
        template: str,
        *,
        interface: Interface | None,
        status: int = 200,
        **values: object,
    ) -> web.Response:
        banner, banner_error = "", ""
        try:
            banner = self._node.login_banner.read()
        except ConfigError as error:
            banner_error = str(error)
        text = render(
            template,
            node=self._node.plan,
            product=self._product,
            interfaces=self._interfaces,
            interface=interface,
            banner=banner,
            banner_error=banner_error,
            control_center_of=control_center_of,
            addresses={
                one.name: f"https://{one.address}:{one.ports.tomcat}" for one in self._node.cluster.nodes
            },
            **{"session": None, "page": None, "form": None, "messages": (), "restarts": (), **values},
        )
        return web.Response(text=text, content_type="text/html", status=status)


_NOT_OF_THIS_SESSION: Final = (
    "This form does not carry the token of your session. Open the page again and repeat the step."
)


def _redirect_to(path: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def redirect(_: web.Request) -> web.StreamResponse:
        return _see_other(path)

    return redirect


async def _send_static(request: web.Request) -> web.Response:
    # Not aiohttp's own files: it sends them around the TLS layer, which ours does not take part in.
    name = request.match_info["name"]
    kind = _STATIC_TYPES.get(name)
    if kind is None:
        raise web.HTTPNotFound
    return web.Response(
        text=(STATIC / name).read_text("utf-8"), content_type=kind, headers={"Cache-Control": "max-age=3600"}
    )


def _see_other(path: str) -> web.Response:
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": path})


def _download(download: Download) -> web.Response:
    return web.Response(
        body=download.content,
        content_type=download.content_type,
        headers={"Content-Disposition": f'attachment; filename="{download.file_name}"'},
    )
