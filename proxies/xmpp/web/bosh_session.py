"""A BOSH session without its sockets: which request is answered when, and with what (XEP-0124)."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from certs.errors import LocalProtocolError, RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.streams.framed_reader import BoshBody
from proxies.xmpp.web.bosh_state import TRANSITIONS, BoshSignal, BoshState
from proxies.xmpp.web.bosh_values import (
    LEGACY_STATUS,
    MAXIMUM_RID,
    RECOVERABLE,
    VERSION,
    BindingCondition,
    KeySequence,
    SessionRequest,
    encode_body,
    encode_terminate,
    parse_number,
    refuse,
)

_MEANS_MORE: Final = frozenset({"pause", "type", f"{{{ns.XBOSH}}}restart"})
"Attributes by which a request without elements is no poll."


@dataclass(frozen=True, slots=True, kw_only=True)
class BoshSettings:
    """What sessions are offered at most (XEP-0124 7.2)."""

    wait: int = 60
    "Seconds that a request may wait for its answer."

    hold: int = 2
    "Requests that may wait at a time."

    inactivity: int = 30
    "Seconds that a client may leave us without a request."

    polling: int = 5
    "Seconds between two empty requests of a client that polls."

    polling_inactivity: int = 60
    "What `inactivity` is for one."

    pause: int = 120
    "Seconds for which a client may announce its absence."

    response_size: int = 512 * 1024
    "Bytes after which what waits goes into the next response."


@dataclass(frozen=True, slots=True, kw_only=True)
class BoshResponse:
    """An answer to one HTTP request."""

    token: object
    "The request, by what the caller calls it."

    content: bytes
    "The body."

    status: int = 200
    "The HTTP status; another than 200 is for clients that name no version of BOSH."


@dataclass(slots=True)
class _Request:
    """A request that is held, or that came ahead of its turn."""

    rid: int
    token: object
    body: BoshBody
    deadline: float


class BoshSession:
    """One session: give it requests and what is to be sent, pull bodies in their order and responses.

    Pull `next_body` first, send what comes of it, then pull `next_response`: so an answer goes with the request
    that asked. Time is an argument.
    """

    def __init__(
        self, body: BoshBody, token: object, *, sid: str, settings: BoshSettings, now: float
    ) -> None:
        """Take the first request.

        Raises RemoteProtocolError whose reply is a binding condition where no session can be made of it.
        """
        self.sid = sid
        "The session's name, which nobody can guess."
        self.state = BoshState.IDLE
        "Who waits for whom."
        self.request = SessionRequest.parse(body.attributes)
        "What the client asked for."
        self._keys = KeySequence(body.attributes.get("newkey"))
        self._settings = settings
        self._wait = min(self.request.wait, settings.wait)
        self._hold = min(self.request.hold, settings.hold) if self._wait else 0
        self._requests = max(2, self._hold + 1)
        self._polls = self._hold == 0
        self._inactivity = settings.polling_inactivity if self._polls else settings.inactivity
        self._idle_until: float | None = None
        self._last_rid = self.request.rid  # of the last request that came in its turn
        self._held: deque[_Request] = deque()
        self._early: dict[int, _Request] = {}
        self._bodies: deque[BoshBody] = deque()
        self._payload: deque[bytes] = deque()
        self._unsent = 0
        self._responses: deque[BoshResponse] = deque()
        self._buffer: dict[int, bytes] = {}  # the last responses, in case they did not arrive (XEP-0124 14.3)
        self._created = False
        self._last_was_empty = False
        self._last_empty_request: float | None = None
        self._ending: BindingCondition | None = None
        self._bodies.append(body)
        self._held.append(_Request(self.request.rid, token, body, now + self._wait))
        self._move(BoshSignal.REQUEST_HELD)

    # What comes in.

    def receive_request(self, body: BoshBody, token: object, *, now: float) -> None:
        """Take a request of the session, in whatever order requests come."""
        if self.state in (BoshState.ENDING, BoshState.OVER):
            self._responses.append(self._refusal(token, BindingCondition.ITEM_NOT_FOUND))
            return
        try:
            rid = parse_number("rid", body.attributes, highest=MAXIMUM_RID)
            self._place(_Request(rid, token, body, now + self._wait), now)
        except RemoteProtocolError as error:
            self._refuse(token, error)

    def request_lost(self, token: object, *, now: float) -> None:
        """Take that a request's connection broke: its answer waits in the buffer until the client repeats it."""
        for early in self._early.values():
            if early.token is token:
                early.token = None
        if self.state is BoshState.HOLDING and any(held.token is token for held in self._held):
            last = False
            while not last and self._held:
                last = self._held[0].token is token
                if last:
                    self._held[0].token = None
                self._answer(now, empty=True)

    def next_body(self) -> BoshBody | None:
        """Return what the client sent next, in the order of the requests, or None until more comes."""
        return self._bodies.popleft() if self._bodies else None

    # What goes out.

    @property
    def unsent(self) -> int:
        """Bytes that wait for a request to go out with."""
        return self._unsent

    def send(self, element: bytes) -> None:
        """Send an element with the next response. Raises LocalProtocolError once the session is over."""
        if self.state in (BoshState.ENDING, BoshState.OVER):
            raise LocalProtocolError(f"nothing can be sent in {self.state.name}")
        self._payload.append(element)
        self._unsent += len(element)

    def terminate(self, condition: BindingCondition | None = None) -> None:
        """End the session; requests that wait are told, the oldest one why."""
        if self.state not in (BoshState.ENDING, BoshState.OVER):
            self._ending = condition
            self._bodies.clear()
            self._move(BoshSignal.TERMINATED)
            self._refuse_early(BindingCondition.OTHER_REQUEST)

    def next_response(self, *, now: float) -> BoshResponse | None:
        """Return an answer that is due, or None."""
        while True:
            if self._responses:
                return self._responses.popleft()
            if not self._must_answer(now):
                return None
            self._answer(now)

    def next_timer(self) -> float | None:
        """Return when `handle_timer` is due, or None."""
        if self._held:
            return self._held[0].deadline
        return None if self.state is BoshState.OVER else self._idle_until

    def handle_timer(self, *, now: float) -> None:
        """End a session whose client is gone (XEP-0124 10); `next_response` answers what has waited long enough."""
        idle = self.state in (BoshState.IDLE, BoshState.PAUSED)
        if idle and self._idle_until is not None and now >= self._idle_until:
            self._move(BoshSignal.EXPIRED)
            # The request before them never came.
            self._refuse_early(BindingCondition.ITEM_NOT_FOUND)

    # Requests in their order (XEP-0124 14.2, 14.3).

    def _place(self, request: _Request, now: float) -> None:
        rid = request.rid
        if rid <= self._last_rid:
            self._repeat(request)
            return
        leaves = "pause" in request.body.attributes or request.body.attributes.get("type") == "terminate"
        if rid > self._last_rid + self._requests + leaves:
            raise refuse(BindingCondition.ITEM_NOT_FOUND, f"rid {rid} is outside the window")
        if (before := self._early.get(rid)) is not None:
            self._replace(before)
        self._early[rid] = request
        while (following := self._early.pop(self._last_rid + 1, None)) is not None:
            self._last_rid = following.rid
            try:
                self._take_turn(following, now)
            except RemoteProtocolError as error:
                self._refuse(following.token, error)

    def _take_turn(self, request: _Request, now: float) -> None:
        attributes = request.body.attributes
        self._keys.check(attributes)
        self._check_rate(request.body, now)
        pause = parse_number("pause", attributes, default=-1)
        if pause > self._settings.pause:
            text = f"a pause of {pause} s; {self._settings.pause} are allowed"
            raise refuse(BindingCondition.POLICY_VIOLATION, text)
        self._bodies.append(request.body)
        self._held.append(request)
        self._idle_until = None
        self._move(BoshSignal.REQUEST_HELD)
        if pause >= 0:
            self._pause(request.token, now, pause)

    def _repeat(self, request: _Request) -> None:
        for held in self._held:
            if held.rid == request.rid:
                self._replace(held)
                held.token = request.token
                return
        content = self._buffer.get(request.rid)
        if content is None:
            raise refuse(
                BindingCondition.ITEM_NOT_FOUND, f"the response to {request.rid} is not kept any more"
            )
        self._responses.append(BoshResponse(token=request.token, content=content))

    def _replace(self, before: _Request) -> None:
        if before.token is not None:
            self._responses.append(BoshResponse(token=before.token, content=RECOVERABLE))

    def _check_rate(self, body: BoshBody, now: float) -> None:
        """Refuse a client that polls too often (XEP-0124 12)."""
        if not self._polls:
            return
        is_empty = not body.elements and not _MEANS_MORE & body.attributes.keys()
        last, self._last_empty_request = self._last_empty_request, now if is_empty else None
        if is_empty and last is not None and now - last < self._settings.polling and self._last_was_empty:
            text = f"two empty requests within {self._settings.polling} s"
            raise refuse(BindingCondition.POLICY_VIOLATION, text)

    def _pause(self, token: object, now: float, seconds: int) -> None:
        while len(self._held) > 1:
            self._answer(now, empty=True)
        # Its response is empty and not kept (XEP-0124 10, 14.3).
        self._held.clear()
        self._responses.append(BoshResponse(token=token, content=encode_body({})))
        self._move(BoshSignal.PAUSE_ASKED)
        self._idle_until = now + seconds

    def _refuse(self, token: object, error: RemoteProtocolError) -> None:
        """Say what was wrong to the request that was wrong; the others learn that it was another one."""
        if token is not None:
            self._responses.append(self._refusal(token, BindingCondition(error.reply), str(error)))
        self.terminate(BindingCondition.OTHER_REQUEST)

    def _refuse_early(self, condition: BindingCondition) -> None:
        for early in self._early.values():
            if early.token is not None:
                self._responses.append(self._refusal(early.token, condition))
        self._early.clear()

    # Answers (XEP-0124 8).

    def _must_answer(self, now: float) -> bool:
        if not self._held:
            return False
        return (
            bool(self._payload)
            or not self._created
            or len(self._held) > self._hold
            or self.state is BoshState.ENDING
            or now >= self._held[0].deadline
        )

    def _answer(self, now: float, *, empty: bool = False) -> None:
        """Answer the oldest request; an answer to nobody waits in the buffer."""
        request = self._held.popleft()
        payload = b"" if empty else self._take_payload()
        self._last_was_empty = not payload
        status = 200
        if self.state is BoshState.ENDING:
            condition = self._ending
            content = encode_terminate(condition, payload)
            status = self._status(condition)
            if condition is not None:
                self._ending = BindingCondition.OTHER_REQUEST
        else:
            content = encode_body(self._attributes(request.rid), payload)
            self._buffer[request.rid] = content
            while len(self._buffer) > self._requests:
                del self._buffer[min(self._buffer)]
        self._created = True
        if request.token is not None:
            self._responses.append(BoshResponse(token=request.token, content=content, status=status))
        if not self._held:
            self._move(BoshSignal.ALL_ANSWERED)
            self._idle_until = now + self._inactivity

    def _take_payload(self) -> bytes:
        taken: list[bytes] = []
        size = 0
        ending = self.state is BoshState.ENDING
        while self._payload and (ending or not taken or size < self._settings.response_size):
            taken.append(self._payload.popleft())
            size += len(taken[-1])
        self._unsent -= size
        return b"".join(taken)

    def _attributes(self, rid: int) -> dict[str, str]:
        if self._created:
            # XEP-0124 9.1: what came in its turn, unless it is this very request.
            acknowledges = self.request.acknowledges and self._last_rid != rid
            return {"ack": str(self._last_rid)} if acknowledges else {}
        version = min(self.request.version or (1, 0), VERSION)
        attributes = {
            "sid": self.sid,
            "wait": str(self._wait),
            "hold": str(self._hold),
            "requests": str(self._requests),
            "inactivity": str(self._inactivity),
            "maxpause": str(self._settings.pause),
        }
        if self._polls:
            attributes["polling"] = str(self._settings.polling)
        if self.request.version is not None:
            attributes["ver"] = f"{version[0]}.{version[1]}"
        if self.request.acknowledges:
            attributes["ack"] = str(self.request.rid)
        return attributes | {"xmpp:version": "1.0", "xmpp:restartlogic": "true"}

    def _refusal(self, token: object, condition: BindingCondition, text: str = "") -> BoshResponse:
        content = encode_terminate(condition, text=text)
        return BoshResponse(token=token, content=content, status=self._status(condition))

    def _status(self, condition: BindingCondition | None) -> int:
        if condition is None or self.request.version is not None:
            return 200
        return LEGACY_STATUS.get(condition, 200)

    def _move(self, signal: BoshSignal) -> None:
        state = TRANSITIONS.get((self.state, signal))
        if state is None:
            raise LocalProtocolError(f"{signal.name} is not allowed in {self.state.name}")
        self.state = state
