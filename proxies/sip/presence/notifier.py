"""A presence server over SIP: SUBSCRIBE, PUBLISH and the NOTIFY that follow (RFC 3856, RFC 3903)."""

import secrets
from dataclasses import dataclass
from typing import Final

from certs.errors import RemoteProtocolError
from proxies.clock import SchedulingClock, TimerHandle
from proxies.sip.agent.request_sender import RequestSender
from proxies.sip.dialogs.dialog_responses import dialog_response
from proxies.sip.dialogs.dialogs import Dialog, DialogId, DialogTable
from proxies.sip.messages.message import Request, Response, split_first
from proxies.sip.messages.pidf import CONTENT_TYPE, encode_pidf, parse_pidf
from proxies.sip.presence.presence_core import EVENT, NotifyNeeded, PresenceCore, SubscriptionState
from proxies.sip.transactions.events import ServerTransaction
from proxies.sip.transactions.matching import respond
from proxies.sip.transport.endpoint import SipEndpoint
from proxies.sip.transport.flow import Destination, Flow
from proxies.tasks import TaskKeeper

_NOTIFY_LIMIT: Final = 32.0
"Seconds after which a NOTIFY that nobody answers ends its subscription (RFC 6665 4.2.2)."


@dataclass(frozen=True, slots=True)
class _Watcher:
    dialog: Dialog
    destination: Destination | Flow
    contact: str


class PresenceNotifier:
    """Puts a `PresenceCore` on an endpoint."""

    def __init__(
        self, core: PresenceCore, endpoint: SipEndpoint, sender: RequestSender, *, clock: SchedulingClock
    ) -> None:
        self._core = core
        self._endpoint = endpoint
        self._sender = sender
        self._clock = clock
        self._tasks = TaskKeeper()
        self._dialogs = DialogTable()
        self._watchers: dict[DialogId, _Watcher] = {}
        self._timer: TimerHandle | None = None

    def receive_subscribe(
        self, transaction: ServerTransaction, presentity: str, *, user: str, destination: Destination | Flow
    ) -> None:
        """Start, refresh or end a subscription; a NOTIFY follows the answer (RFC 6665 4.2.1)."""
        try:
            response = self._subscribe(transaction.request, presentity, user, destination)
        except RemoteProtocolError as error:
            response = self._refusal(transaction.request, error)
        self._endpoint.send_response(transaction, response)
        self._pump()

    def receive_publish(self, transaction: ServerTransaction, presentity: str) -> None:
        """Take, refresh or remove a publication (RFC 3903 6)."""
        try:
            response = self._publish(transaction.request, presentity)
        except RemoteProtocolError as error:
            response = self._refusal(transaction.request, error)
        self._endpoint.send_response(transaction, response)
        self._pump()

    def watches(self, request: Request) -> bool:
        """Return whether a SUBSCRIBE belongs to a subscription that is there."""
        try:
            return self._dialogs.find(request) is not None
        except RemoteProtocolError:
            return False

    async def close(self) -> None:
        """Give all subscriptions up without a word: the sockets are closing."""
        if self._timer is not None:
            self._timer.cancel()
        await self._tasks.close()

    def _subscribe(
        self, request: Request, presentity: str, user: str, destination: Destination | Flow
    ) -> Response:
        _check_event(request)
        contact = self._sender.contact(user, destination)
        response = dialog_response(request, 200, contact=contact)
        dialog = self._dialogs.find(request)
        if dialog is not None:
            dialog.receive_request(request)
        else:
            dialog = Dialog.as_uas(request, response)
        granted = self._core.subscribe(
            dialog.id, presentity, expires=_expires(request), now=self._clock.monotonic()
        )
        if dialog.id not in self._watchers:
            self._dialogs.add(dialog)
            self._watchers[dialog.id] = _Watcher(dialog, destination, contact)
        response.add_header("Expires", str(granted))
        return response

    def _publish(self, request: Request, presentity: str) -> Response:
        _check_event(request)
        etag, granted = self._core.publish(
            presentity,
            parse_pidf(request.body) if request.body else None,
            if_match=request.header("sip-if-match"),
            expires=_expires(request),
            now=self._clock.monotonic(),
        )
        response = respond(request, 200, to_tag=secrets.token_hex(6))
        response.add_header("SIP-ETag", etag)
        response.add_header("Expires", str(granted))
        return response

    def _refusal(self, request: Request, error: RemoteProtocolError) -> Response:
        response = respond(request, int(error.reply), to_tag=secrets.token_hex(6))
        if response.status == 423:
            response.add_header("Min-Expires", str(self._core.limits.minimum_expires))
        elif response.status == 489:
            response.add_header("Allow-Events", EVENT)
        return response

    def _pump(self) -> None:
        while (event := self._core.next_event()) is not None:
            assert isinstance(event.key, tuple)
            watcher = self._watchers.get(event.key)
            if watcher is None:
                continue
            if event.state is SubscriptionState.TERMINATED:
                self._forget(event.key)
            self._tasks.start(self._notify(watcher, event, _make_notify(watcher, event)), name="NOTIFY")
        if self._timer is not None:
            self._timer.cancel()
        due = self._core.next_timer()
        self._timer = self._clock.call_at(due, self._let_lapse) if due is not None else None

    def _let_lapse(self) -> None:
        self._core.handle_timer(now=self._clock.monotonic())
        self._pump()

    async def _notify(self, watcher: _Watcher, event: NotifyNeeded, notify: Request) -> None:
        outcome = await self._sender.send(notify, watcher.destination, time_limit=_NOTIFY_LIMIT)
        if not outcome.accepted:
            self._core.forget(event.key)
            self._forget(watcher.dialog.id)

    def _forget(self, key: DialogId) -> None:
        watcher = self._watchers.pop(key, None)
        if watcher is not None:
            self._dialogs.remove(watcher.dialog)


def _make_notify(watcher: _Watcher, event: NotifyNeeded) -> Request:
    notify = watcher.dialog.make_request("NOTIFY")
    parameter = f"reason={event.reason}" if event.reason else f"expires={event.expires}"
    notify.add_header("Event", EVENT)
    notify.add_header("Subscription-State", f"{event.state};{parameter}")
    notify.add_header("Contact", watcher.contact)
    notify.set_body(CONTENT_TYPE, encode_pidf(event.document))
    return notify


def _check_event(request: Request) -> None:
    value, _ = split_first(request.required("event"))
    if value.partition(";")[0].strip() != EVENT:
        raise RemoteProtocolError(f"the event package {value!r} is not served, {EVENT} is", reply="489")


def _expires(request: Request) -> int | None:
    value = request.header("expires")
    if value is None:
        return None
    if not (value.isascii() and value.isdecimal()) or len(value) > 10:
        raise RemoteProtocolError(f"Expires is no number of seconds: {value[:20]!r}")
    return int(value)
