"""The subscriber's side of event notification (RFC 6665 4.1)."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from certs.errors import ConnectionFailed, LocalProtocolError
from proxies.sip.agent.request_sender import RequestOutcome
from proxies.sip.dialogs.dialogs import Dialog
from proxies.sip.messages.message import Request
from proxies.sip.transactions.matching import tag_of

_KEPT: Final = 1000
"Notifications kept for a reader; the oldest is lost first."

Send = Callable[[Request], Awaitable[RequestOutcome]]
"Sends a request where the subscription's requests go, and returns how it ended."


class OutgoingSubscription:
    """A subscription of ours and the NOTIFY requests that came for it. Made by `Subscriber.subscribe`."""

    def __init__(self, subscribe: Request, send: Send) -> None:
        self.request = subscribe
        "The SUBSCRIBE that began it."
        self.send = send
        "Sends its requests."
        self.outcome: RequestOutcome | None = None
        "How the last SUBSCRIBE ended."
        self.dialog: Dialog | None = None
        "Its dialog, which the first NOTIFY makes (4.4.1)."
        self.terminated = False
        "Whether the notifier ended it."
        self._notifications: deque[Request] = deque(maxlen=_KEPT)
        self._changed = asyncio.Event()

    async def next_notification(self, *, time_limit: float) -> Request:
        """Return the next NOTIFY.

        Raises ConnectionFailed where none comes in time.
        """
        try:
            async with asyncio.timeout(time_limit):
                while not self._notifications:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise ConnectionFailed(f"no NOTIFY in {time_limit:g} s") from None
        return self._notifications.popleft()

    def take(self, notify: Request) -> None:
        """Take a NOTIFY in.

        Raises RemoteProtocolError where it does not fit the dialog.
        """
        if self.dialog is None:
            self.dialog = Dialog.from_notify(self.request, notify)
        else:
            self.dialog.receive_request(notify)
        state = notify.required("subscription-state").partition(";")[0].strip().lower()
        self.terminated = state == "terminated"
        self._notifications.append(notify)
        self._changed.set()


class Subscriber:
    """All subscriptions of one user agent."""

    def __init__(self) -> None:
        self._subscriptions: dict[tuple[str, str], OutgoingSubscription] = {}

    async def subscribe(self, request: Request, send: Send) -> OutgoingSubscription:
        """Send a SUBSCRIBE, complete with Event, Contact and Expires.

        Whether it was accepted is the subscription's outcome.
        """
        subscription = OutgoingSubscription(request, send)
        key = _key(request.required("call-id"), request.required("from"))
        # A NOTIFY may overtake the 2xx (4.1.2.4), so it is known before anything is sent.
        self._subscriptions[key] = subscription
        subscription.outcome = await send(request)
        if not subscription.outcome.accepted:
            self._subscriptions.pop(key, None)
        return subscription

    async def refresh(self, subscription: OutgoingSubscription, *, expires: int) -> RequestOutcome:
        """Subscribe again within the dialog; 0 ends it, and its last NOTIFY follows (4.1.2.2, 4.1.2.3).

        Raises LocalProtocolError where no NOTIFY has made a dialog yet.
        """
        if subscription.dialog is None:
            raise LocalProtocolError("the notifier has sent no NOTIFY, so there is no dialog")
        request = subscription.dialog.make_request("SUBSCRIBE")
        for name in ("Event", "Contact"):
            request.add_header(name, subscription.request.required(name.lower()))
        request.add_header("Expires", str(expires))
        subscription.outcome = await subscription.send(request)
        return subscription.outcome

    def find(self, notify: Request) -> OutgoingSubscription | None:
        """Return the subscription that a NOTIFY is for, or None where it is unsolicited."""
        subscription = self._subscriptions.get(_key(notify.required("call-id"), notify.required("to")))
        if subscription is None or subscription.dialog is None:
            return subscription
        return subscription if subscription.dialog.id[2] == tag_of(notify.required("from")) else None

    def receive_notify(self, subscription: OutgoingSubscription, notify: Request) -> None:
        """Hand a NOTIFY to its subscription; the one that ends it is the last.

        Raises RemoteProtocolError where it does not fit the dialog.
        """
        subscription.take(notify)
        if subscription.terminated:
            self._subscriptions.pop(_key(notify.required("call-id"), notify.required("to")), None)


def _key(call_id: str, local: str) -> tuple[str, str]:
    return call_id, tag_of(local)
