"""The calls of a user agent: answering INVITE, keeping the dialog, ending it (RFC 3261 13.3, 15)."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from certs.errors import RemoteProtocolError
from proxies.clock import SchedulingClock, TimerHandle
from proxies.sip.agent.request_sender import RequestOutcome, RequestSender
from proxies.sip.dialogs.dialog_responses import dialog_response
from proxies.sip.dialogs.dialogs import Dialog, DialogId, DialogTable
from proxies.sip.messages.message import Request, Response
from proxies.sip.transactions.events import ServerTransaction
from proxies.sip.transactions.matching import respond
from proxies.sip.transactions.timers import DEFAULT_TIMERS
from proxies.sip.transport.endpoint import SipEndpoint
from proxies.sip.transport.flow import Destination, Flow

SDP_TYPE: Final = "application/sdp"


class CallState(Enum):
    """How far a call has come."""

    ANSWERED = auto()
    ENDED = auto()


@dataclass(slots=True, eq=False, kw_only=True)
class Call:
    """One call; `Calls` alone changes it."""

    dialog: Dialog
    "Its dialog."

    destination: Destination | Flow
    "Where its requests go."

    invite: Request
    "What began it."

    state: CallState = CallState.ANSWERED
    "Answered until either side says BYE."


@dataclass(slots=True, eq=False)
class _Repetition:
    """A 2xx that is sent until its ACK comes (13.3.1.4)."""

    transaction: ServerTransaction
    response: Response
    interval: float
    gives_up_at: float
    timer: TimerHandle | None = None


class Calls:
    """The calls of one user agent, those it answers and those it makes."""

    def __init__(
        self, endpoint: SipEndpoint, sender: RequestSender, *, clock: SchedulingClock, address: str
    ) -> None:
        self._endpoint = endpoint
        self._sender = sender
        self._clock = clock
        self._address = address
        self._dialogs = DialogTable()
        self._calls: dict[DialogId, Call] = {}
        self._repetitions: dict[DialogId, _Repetition] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def receive_invite(
        self, transaction: ServerTransaction, *, user: str, destination: Destination | Flow
    ) -> None:
        """Answer a call at once, or offer again in the dialog that it names (re-INVITE, 14.2).

        A call that Replaces names is ended by it (RFC 3891 3). Raises RemoteProtocolError where a dialog is named
        that is none of ours, or where there are too many calls.
        """
        request = transaction.request
        replaced = self._replaced(request)
        known = self._dialogs.find(request)
        if known is not None:
            known.receive_request(request)
        contact = self._sender.contact(user, destination)
        response = dialog_response(request, 200, contact=contact)
        response.set_body(SDP_TYPE, self.offer())
        if known is None:
            known = Dialog.as_uas(request, response)
            self._dialogs.add(known)
            self._calls[known.id] = Call(dialog=known, destination=destination, invite=request)
        self._repeat(known.id, transaction, response)
        self._endpoint.send_response(transaction, response)
        if replaced is not None:
            self._say_bye(replaced)

    def receive_ack(self, request: Request) -> None:
        """Stop repeating the 2xx that it acknowledges."""
        try:
            dialog = self._dialogs.find(request)
        except RemoteProtocolError:
            return  # an ACK is answered by nothing
        if dialog is not None:
            self._stop_repeating(dialog.id)

    def receive_bye(self, transaction: ServerTransaction) -> None:
        """End a call (15.1.2).

        Raises RemoteProtocolError (481) where there is none.
        """
        dialog = self._dialogs.find(transaction.request)
        if dialog is None:
            raise RemoteProtocolError("BYE outside any dialog", reply="481")
        dialog.receive_request(transaction.request)
        self._end(dialog)
        self._endpoint.send_response(transaction, respond(transaction.request, 200))

    def add(self, invite: Request, dialog: Dialog, destination: Destination | Flow) -> Call:
        """Take in a call that we made and the peer answered."""
        self._dialogs.add(dialog)
        call = Call(dialog=dialog, destination=destination, invite=invite)
        self._calls[dialog.id] = call
        return call

    async def hang_up(self, call: Call, *, time_limit: float) -> RequestOutcome:
        """Say BYE (15.1.1)."""
        bye = call.dialog.make_request("BYE")
        self._end(call.dialog)
        return await self._sender.send(bye, call.destination, time_limit=time_limit)

    def offer(self) -> bytes:
        """Return a session description for one audio stream that nobody sends (RFC 4566 5)."""
        return (
            f"v=0\r\no=- 1 1 IN IP4 {self._address}\r\ns=-\r\nc=IN IP4 {self._address}\r\n"
            "t=0 0\r\nm=audio 16384 RTP/AVP 0\r\na=inactive\r\n"
        ).encode()

    def close(self) -> None:
        """Forget all calls."""
        for key in list(self._repetitions):
            self._stop_repeating(key)
        for call in list(self._calls.values()):
            self._end(call.dialog)

    def _replaced(self, request: Request) -> Call | None:
        value = request.header("replaces")
        if value is None:
            return None
        call_id, *parameters = (part.strip() for part in value.split(";"))
        tags = dict(parameter.partition("=")[::2] for parameter in parameters)
        call = self._calls.get((call_id, tags.get("to-tag", ""), tags.get("from-tag", "")))
        if call is None:
            raise RemoteProtocolError(f"Replaces names no call: {value}", reply="481")
        return call

    def _say_bye(self, call: Call) -> None:
        """End a call without waiting for the answer."""
        bye = call.dialog.make_request("BYE")
        self._sender.add_via(bye, call.destination)
        self._end(call.dialog)
        self._endpoint.send_request(bye, call.destination)

    def _repeat(self, key: DialogId, transaction: ServerTransaction, response: Response) -> None:
        now = self._clock.monotonic()
        self._stop_repeating(key)
        repetition = _Repetition(transaction, response, DEFAULT_TIMERS.t1, now + DEFAULT_TIMERS.timeout)
        self._repetitions[key] = repetition
        self._arm(key, repetition)

    def _arm(self, key: DialogId, repetition: _Repetition) -> None:
        due = self._clock.monotonic() + repetition.interval
        repetition.timer = self._clock.call_at(due, lambda: self._send_again(key, repetition))

    def _send_again(self, key: DialogId, repetition: _Repetition) -> None:
        if self._clock.monotonic() >= repetition.gives_up_at:
            self._stop_repeating(key)
            call = self._calls.get(key)
            if call is not None:
                # Nobody acknowledged: the session is ended by BYE (13.3.1.4).
                self._say_bye(call)
            return
        self._endpoint.send_response(repetition.transaction, repetition.response)
        repetition.interval = min(2 * repetition.interval, DEFAULT_TIMERS.t2)
        self._arm(key, repetition)

    def _stop_repeating(self, key: DialogId) -> None:
        repetition = self._repetitions.pop(key, None)
        if repetition is not None and repetition.timer is not None:
            repetition.timer.cancel()

    def _end(self, dialog: Dialog) -> None:
        self._stop_repeating(dialog.id)
        dialog.end()
        self._dialogs.remove(dialog)
        call = self._calls.pop(dialog.id, None)
        if call is not None:
            call.state = CallState.ENDED
