"""Sessions of people and programs who have logged in; they outlive a restart of Cisco Tomcat, not of the node."""

import hmac
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from harness.access.accounts import Account
from proxies.clock import SchedulingClock

IDLE_TIMEOUT: Final = 1800.0
"Seconds without a request after which a session ends, as on the product."

LIFETIME: Final = 8 * 3600.0
"Seconds after which it ends in any case."

MAXIMUM_SESSIONS: Final = 500
"Sessions of a node at a time; for one more the one that was idle longest ends."

_MAXIMUM_MESSAGES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What the next page says about what was just done."""

    text: str
    "In words."

    is_error: bool = False
    "Whether it went wrong."


@dataclass(slots=True, kw_only=True)
class Session:
    """One person or program that is logged in."""

    account: Account
    "Who."

    csrf_token: str
    "What every form of this session carries."

    opened_at: float
    "In the clock's monotonic seconds."

    used_at: float
    "When its last request came."

    messages: list[Message] = field(default_factory=list)
    "What the next page says."

    def say(self, text: str, *, is_error: bool = False) -> None:
        """Have the next page say something."""
        self.messages.append(Message(text=text, is_error=is_error))
        del self.messages[:-_MAXIMUM_MESSAGES]

    def is_own(self, csrf_token: str) -> bool:
        """Whether a form carries this session's token."""
        return hmac.compare_digest(csrf_token.encode(), self.csrf_token.encode())


class Sessions:
    """The sessions of one node."""

    def __init__(self, clock: SchedulingClock) -> None:
        self._clock = clock
        self._sessions: OrderedDict[str, Session] = OrderedDict()  # idle longest first

    def open(self, account: Account) -> tuple[str, Session]:
        """Begin a session; return its key, which only its owner may know, and itself."""
        self._end_old()
        while len(self._sessions) >= MAXIMUM_SESSIONS:
            self._sessions.popitem(last=False)
        key, now = secrets.token_urlsafe(32), self._clock.monotonic()
        session = Session(account=account, csrf_token=secrets.token_urlsafe(32), opened_at=now, used_at=now)
        self._sessions[key] = session
        return key, session

    def find(self, key: str, *, by_itself: bool = False) -> Session | None:
        """Return the session of a key, None where there is none or it has ended.

        What a page asks for `by_itself`, without a person, keeps no session alive.
        """
        self._end_old()
        session = self._sessions.get(key)
        if session is not None and not by_itself:
            session.used_at = self._clock.monotonic()
            self._sessions.move_to_end(key)
        return session

    def close(self, key: str) -> None:
        """End a session."""
        self._sessions.pop(key, None)

    def close_all_of(self, name: str, *, but: str = "") -> None:
        """End the sessions of an account, except one."""
        for key, session in tuple(self._sessions.items()):
            if session.account.name == name and key != but:
                self._sessions.pop(key)

    def _end_old(self) -> None:
        now = self._clock.monotonic()
        for key, session in tuple(self._sessions.items()):
            if now - session.used_at >= IDLE_TIMEOUT or now - session.opened_at >= LIFETIME:
                self._sessions.pop(key)
