"""One SSH connection: the login banner, the administrator's password, sessions and nothing else.

No forwarding, no SFTP or SCP, no keys of the client's: what is not allowed here asyncssh refuses by itself, in the
way of RFC 4254.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping
from typing import Any, Final

import asyncssh

from certs.errors import HarnessError
from certs.fips.mode import in_fips_mode
from certs.verdict import Reason
from harness.access.accounts import Account, Accounts, LoginRefused, Role, note_login
from harness.platform.session import MAXIMUM_LINE, PlatformNode
from harness.platform.ssh.settings import ShellSettings
from harness.platform.ssh.terminal import ShellSession
from proxies.observer import ConnectionInfo, Observer

_log: Final = logging.getLogger(__name__)
# Beside the host key's Ed25519, which is FIPS 186-5's: SP 800-56A for the agreement, SP 800-131A for the rest.
_APPROVED: Final[Mapping[str, Any]] = {
    "kex_algs": ("ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521"),
    "encryption_algs": ("aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "aes256-ctr", "aes128-ctr"),
    "mac_algs": ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256"),
}
"What System SSH offers in FIPS mode."

asyncssh.set_log_level(logging.ERROR)  # a client's mistakes are in the ledger

_KEEPALIVE: Final = 60.0


class ShellConnection:
    """Serves one client until it goes or the service stops."""

    def __init__(
        self,
        settings: ShellSettings,
        node: PlatformNode,
        *,
        host_key: bytes,
        accounts: Accounts,
        login_banner: Callable[[], str],
        observer: Observer,
        info: ConnectionInfo,
    ) -> None:
        self.settings = settings
        "The service's."
        self.node = node
        "What the command line reaches."
        self.accounts = accounts
        "Who may log in."
        self.login_banner = login_banner
        "Returns what is shown before login."
        self.observer = observer
        "Takes verdicts."
        self.info = info
        "Names the connection there."
        self.sessions: set[ShellSession] = set()
        "Those that are open."
        self._host_key = host_key
        self._connection: asyncssh.SSHServerConnection | None = None
        self._without_session: asyncio.TimerHandle | None = None
        self._why = ""

    async def serve(self, connected: socket.socket) -> str:
        """Speak SSH on a socket until it is closed; return why it was."""
        try:
            connection = await asyncssh.run_server(
                connected,
                server_factory=lambda: _AdministratorLogin(self),
                server_host_keys=[asyncssh.import_private_key(self._host_key)],
                server_version="IMP",
                compression_algs=["none"],
                **(_APPROVED if in_fips_mode() else {}),
                password_auth=True,
                kbdint_auth=False,
                public_key_auth=False,
                host_based_auth=False,
                gss_host=None,
                login_timeout=self.settings.limits.login_seconds,
                keepalive_interval=_KEEPALIVE,
                agent_forwarding=False,
                x11_forwarding=False,
                allow_scp=False,
                line_editor=True,
                # One more than a line may have, so that one that is too long is refused and not cut.
                max_line_length=MAXIMUM_LINE + 1,
                encoding="utf-8",
                errors="replace",
            )
            await connection.wait_closed()
        except (asyncssh.Error, OSError) as error:
            return self._why or f"by the peer: {error}"
        finally:
            # A command that was begun is let finish: half a restart would be worse than none.
            await asyncio.gather(*self._commands(), return_exceptions=True)
            self._stop_waiting()
        return self._why or "by the peer"

    def _commands(self) -> "list[asyncio.Task[None]]":
        return [each.running for each in self.sessions if each.running is not None]

    def runs(self, task: "asyncio.Task[object] | None") -> bool:
        """Return whether this task is one of the connection's sessions."""
        return task in self._commands()

    def close(self, why: str) -> None:
        """Tell the client that it is over, and close."""
        self._why = self._why or why
        if self._connection is not None:
            self._connection.disconnect(asyncssh.DISC_BY_APPLICATION, why)

    def made(self, connection: asyncssh.SSHServerConnection) -> None:
        """Take the library's side of the connection."""
        self._connection = connection

    def wait_for_session(self) -> None:
        """Close after the idle time unless a session is opened: a connection without one is of no use."""
        self._stop_waiting()
        seconds = self.settings.limits.idle_seconds
        self._without_session = asyncio.get_running_loop().call_later(
            seconds, self.close, f"no session for {seconds:g} s"
        )

    def session_opened(self, session: ShellSession) -> None:
        """Count a session."""
        self._stop_waiting()
        self.sessions.add(session)

    def session_closed(self, session: ShellSession) -> None:
        """Forget a session."""
        self.sessions.discard(session)
        if not self.sessions:
            self.wait_for_session()

    def _stop_waiting(self) -> None:
        if self._without_session is not None:
            self._without_session.cancel()
            self._without_session = None

    def refuse_further_logins(self) -> None:
        """Close after too many wrong passwords."""
        self._why = "too many wrong passwords"
        if self._connection is not None:
            self._connection.disconnect(
                asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, "Too many authentication failures"
            )


class _AdministratorLogin(asyncssh.SSHServer):
    """What asyncssh asks about one connection."""

    def __init__(self, owner: ShellConnection) -> None:
        self._owner = owner
        self._failures = 0
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Keep the connection, for the banner and for its end."""
        self._connection = conn
        self._owner.made(conn)

    def begin_auth(self, username: str) -> bool:
        """Show the login banner (G01); everybody has to log in."""
        try:
            self._show(self._owner.login_banner())
        except HarnessError as error:  # a damaged file keeps nobody out
            _log.warning("%s: %s", self._owner.info.node, error)
        return True

    def password_auth_supported(self) -> bool:
        """Passwords, and nothing else."""
        return True

    async def validate_password(self, username: str, password: str) -> bool:
        """Judge a login, tell the evidence, and after several failures close the connection."""
        try:
            account = await self._owner.accounts.log_in(username, password)
            if account.role is not Role.ADMINISTRATOR:
                raise _no_administrator(account)
        except LoginRefused as refused:
            note_login(self._owner.observer, self._owner.info, refused)
            self._show(str(refused))
            self._failures += 1
            if self._failures >= self._owner.settings.limits.failures:
                self._owner.refuse_further_logins()
            return False
        except HarnessError as error:
            _log.error("%s: nobody can log in: %s", self._owner.info.node, error)
            self._show("Nobody can log in: the node's accounts are damaged.")
            return False
        note_login(self._owner.observer, self._owner.info, account)
        return True

    def auth_completed(self) -> None:
        """The administrator is in, and has to open a session."""
        self._owner.wait_for_session()

    def session_requested(self) -> ShellSession:
        """Open a session. Raises asyncssh.ChannelOpenError where there are several already."""
        limits = self._owner.settings.limits
        if len(self._owner.sessions) >= limits.sessions:
            raise asyncssh.ChannelOpenError(
                asyncssh.OPEN_RESOURCE_SHORTAGE, f"At most {limits.sessions} sessions at a time"
            )
        session = ShellSession(
            self._owner.node, idle_seconds=limits.idle_seconds, closed=self._owner.session_closed
        )
        self._owner.session_opened(session)
        return session

    def _show(self, text: str) -> None:
        if text and self._connection is not None:
            # Clients show it as it comes, so it ends as a line does.
            self._connection.send_auth_banner(text.rstrip("\n") + "\n")


def _no_administrator(account: Account) -> LoginRefused:
    return LoginRefused(
        Reason.BAD_CREDENTIALS,
        "User name or password is wrong.",
        f"account {account.name!r} is of an {account.role}, the platform command line is for administrators",
    )
