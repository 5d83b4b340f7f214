"""Dialogs: the lasting relation of two user agents (RFC 3261 12; of subscriptions, RFC 6665 4.4.1)."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final, Self

from certs.errors import LocalProtocolError, RemoteProtocolError
from proxies.sip.messages.message import HeaderField, Request, Response, SipMessage, split_first, split_values
from proxies.sip.messages.routing_uri import address_of, parse_routing_uri
from proxies.sip.transactions.matching import cseq_of, tag_of

DialogId = tuple[str, str, str]
"Call-ID, local tag and remote tag (12)."

TARGET_REFRESH: Final = frozenset({"INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"})
"The methods whose Contact becomes the remote target (12.2, RFC 3311, RFC 6665 4.4.1, RFC 3515)."

_ENDING_STATUSES: Final = frozenset({408, 481})
"Responses within a dialog that end it (12.2.1.2)."

_MAXIMUM_CSEQ: Final = 2**31 - 1
"CSeq numbers stay below 2**31 (8.1.1.5)."


class DialogState(Enum):
    """How far a dialog has come."""

    EARLY = auto()
    CONFIRMED = auto()
    TERMINATED = auto()


class DialogEvent(Enum):
    """What moves a dialog."""

    PROVISIONAL = auto()
    SUCCESS = auto()
    FAILURE = auto()
    ENDED = auto()


# RFC 3261 12 and 12.3, one line per arrow. Any other pair is an error.
TRANSITIONS: Final[Mapping[tuple[DialogState, DialogEvent], DialogState]] = {
    (DialogState.EARLY, DialogEvent.PROVISIONAL): DialogState.EARLY,
    (DialogState.EARLY, DialogEvent.SUCCESS): DialogState.CONFIRMED,
    (DialogState.EARLY, DialogEvent.FAILURE): DialogState.TERMINATED,
    (DialogState.EARLY, DialogEvent.ENDED): DialogState.TERMINATED,
    (DialogState.CONFIRMED, DialogEvent.SUCCESS): DialogState.CONFIRMED,
    (DialogState.CONFIRMED, DialogEvent.ENDED): DialogState.TERMINATED,
    (DialogState.TERMINATED, DialogEvent.ENDED): DialogState.TERMINATED,
}


class Dialog:
    """One end of a dialog. Usages (an INVITE session, a subscription) say when it ends by `end`."""

    def __init__(
        self,
        *,
        call_id: str,
        local: str,
        remote: str,
        remote_target: str,
        route_set: tuple[str, ...],
        local_cseq: int | None,
        remote_cseq: int | None,
        state: DialogState,
    ) -> None:
        self.call_id = call_id
        "The Call-ID."
        self.local = local
        "Our From value in requests, tag included."
        self.remote = remote
        "Our To value in requests, with the remote tag, which is empty at RFC 2543 peers."
        self.remote_target = remote_target
        "The Request-URI of our requests: the peer's Contact."
        self.route_set = route_set
        "The Route values of our requests, in order."
        self.local_cseq = local_cseq
        "The number of our last request; None before the first."
        self.remote_cseq = remote_cseq
        "The number of the peer's last request; None before the first."
        self.state = state
        "How far it has come."

    @classmethod
    def as_uac(cls, request: Request, response: Response) -> Self:
        """Return the dialog that a 1xx with a tag, or a 2xx, makes for the request's sender (12.1.2).

        Raises RemoteProtocolError where the response lacks a tag or a Contact, or records no usable route.
        """
        if response.status <= 100 or response.status >= 300:
            raise LocalProtocolError(f"a {response.status} makes no dialog; 101 to 299 do")
        to = response.required("to")
        if not tag_of(to):
            raise RemoteProtocolError("the To of a response that makes a dialog has no tag")
        return cls(
            call_id=request.required("call-id"),
            local=request.required("from"),
            remote=to,
            remote_target=_contact(response),
            route_set=tuple(reversed(_record_route(response))),
            local_cseq=cseq_of(request)[0],
            remote_cseq=None,
            state=DialogState.CONFIRMED if response.status >= 200 else DialogState.EARLY,
        )

    @classmethod
    def as_uas(cls, request: Request, response: Response) -> Self:
        """Return the dialog that our 1xx or 2xx makes with the request's sender (12.1.1).

        Raises RemoteProtocolError where the request lacks a Contact or records no usable route.
        """
        local = response.required("to")
        if not 100 < response.status < 300 or not tag_of(local):
            raise LocalProtocolError(
                f"a {response.status} to {local!r} makes no dialog; 101 to 299 with a tag do"
            )
        return cls(
            call_id=request.required("call-id"),
            local=local,
            remote=request.required("from"),
            remote_target=_contact(request),
            route_set=tuple(_record_route(request)),
            local_cseq=None,
            remote_cseq=cseq_of(request)[0],
            state=DialogState.CONFIRMED if response.status >= 200 else DialogState.EARLY,
        )

    @classmethod
    def from_notify(cls, subscribe: Request, notify: Request) -> Self:
        """Return the subscriber's dialog, which the first NOTIFY makes, not the 2xx (RFC 6665 4.4.1).

        Raises RemoteProtocolError (481) where the NOTIFY does not belong to the SUBSCRIBE.
        """
        local = subscribe.required("from")
        if notify.required("call-id") != subscribe.required("call-id") or tag_of(
            notify.required("to")
        ) != tag_of(local):
            raise RemoteProtocolError("the NOTIFY belongs to no subscription of ours", reply="481")
        return cls(
            call_id=subscribe.required("call-id"),
            local=local,
            remote=notify.required("from"),
            remote_target=_contact(notify),
            route_set=tuple(_record_route(notify)),
            local_cseq=cseq_of(subscribe)[0],
            remote_cseq=cseq_of(notify)[0],
            state=DialogState.CONFIRMED,
        )

    @property
    def id(self) -> DialogId:
        """Call-ID, local tag and remote tag."""
        return self.call_id, tag_of(self.local), tag_of(self.remote)

    def receive_request(self, request: Request) -> None:
        """Check a request of the peer and take over what it changes (12.2.2).

        Raises RemoteProtocolError: 500 for a CSeq that is not above the last one (that of an ACK names its
        INVITE, and is checked by nobody), 481 after the end.
        """
        if self.state is DialogState.TERMINATED:
            raise RemoteProtocolError(f"the dialog of {request.method} has ended", reply="481")
        number, _ = cseq_of(request)
        if request.method in ("ACK", "CANCEL"):
            return
        if self.remote_cseq is not None and number <= self.remote_cseq:
            raise RemoteProtocolError(f"CSeq {number} is not above {self.remote_cseq}", reply="500")
        self.remote_cseq = number
        self._refresh_target(request, request.method)

    def receive_response(self, response: Response) -> None:
        """Take over what a response to our request changes (12.2.1.2, 13.2.2.4).

        The 2xx that confirms an early dialog sets the route set anew.
        """
        _, method = cseq_of(response)
        if self.state is DialogState.TERMINATED:
            return
        if response.status < 200:
            if self.state is DialogState.EARLY:
                self._refresh_target(response, method)
        elif response.status < 300:
            if self.state is DialogState.EARLY and method in ("INVITE", "SUBSCRIBE"):
                self.route_set = tuple(reversed(_record_route(response)))
                self._move(DialogEvent.SUCCESS)
            self._refresh_target(response, method)
        elif self.state is DialogState.EARLY and method == "INVITE":
            self._move(DialogEvent.FAILURE)
        elif response.status in _ENDING_STATUSES:
            self._move(DialogEvent.ENDED)

    def response_sent(self, status: int) -> None:
        """Take note of our own response to the request that made the dialog."""
        if self.state is DialogState.EARLY:
            provisional = DialogEvent.PROVISIONAL if status < 200 else DialogEvent.SUCCESS
            self._move(provisional if status < 300 else DialogEvent.FAILURE)

    def end(self) -> None:
        """End the dialog: BYE, the last NOTIFY, or the usage gave it up (12.3)."""
        self._move(DialogEvent.ENDED)

    def make_request(self, method: str) -> Request:
        """Return the next request of ours (12.2.1.1); the caller adds Via, Contact and body.

        Raises LocalProtocolError after the end, and for ACK and CANCEL, whose number is that of another.
        """
        if method in ("ACK", "CANCEL"):
            raise LocalProtocolError(f"{method} takes its number from its INVITE: use make_ack")
        if self.state is DialogState.TERMINATED:
            raise LocalProtocolError(f"{method} in a dialog that has ended")
        number = (self.local_cseq or 0) + 1
        if number > _MAXIMUM_CSEQ:
            raise LocalProtocolError("the dialog has used up its CSeq numbers")
        self.local_cseq = number
        return self._build(method, number)

    def make_ack(self, cseq: int) -> Request:
        """Return the ACK of the 2xx to our INVITE with this number (13.2.2.4)."""
        return self._build("ACK", cseq)

    def _build(self, method: str, cseq: int) -> Request:
        uri, routes = self.remote_target, list(self.route_set)
        if routes and not _is_loose(routes[0]):
            # A strict router wants itself in the Request-URI, and the target at the end (12.2.1.1).
            uri = address_of(routes.pop(0))
            routes.append(f"<{self.remote_target}>")
        return Request(
            method,
            uri,
            [
                HeaderField.make("Max-Forwards", "70"),
                *(HeaderField.make("Route", route) for route in routes),
                HeaderField.make("From", self.local),
                HeaderField.make("To", self.remote),
                HeaderField.make("Call-ID", self.call_id),
                HeaderField.make("CSeq", f"{cseq} {method}"),
                HeaderField.make("Content-Length", "0"),
            ],
        )

    def _refresh_target(self, message: SipMessage, method: str) -> None:
        contact = message.header("contact")
        if method in TARGET_REFRESH and contact is not None:
            self.remote_target = address_of(split_first(contact)[0])

    def _move(self, event: DialogEvent) -> None:
        try:
            self.state = TRANSITIONS[self.state, event]
        except KeyError:
            raise LocalProtocolError(f"{event.name} is not allowed in {self.state.name}") from None


class DialogTable:
    """Finds the dialog of a request, for a user agent with several."""

    def __init__(self, *, maximum: int = 4096) -> None:
        self._maximum = maximum
        self._dialogs: dict[DialogId, Dialog] = {}

    def __len__(self) -> int:
        return len(self._dialogs)

    def add(self, dialog: Dialog) -> None:
        """Take in a dialog.

        Raises RemoteProtocolError (503) where there are too many.
        """
        if len(self._dialogs) >= self._maximum and dialog.id not in self._dialogs:
            raise RemoteProtocolError(f"{self._maximum} dialogs are open, which is the limit", reply="503")
        self._dialogs[dialog.id] = dialog

    def remove(self, dialog: Dialog) -> None:
        """Forget a dialog."""
        self._dialogs.pop(dialog.id, None)

    def find(self, request: Request) -> Dialog | None:
        """Return the dialog of a request, or None for one outside any dialog, which has no To tag.

        Raises RemoteProtocolError (481) where it names a dialog that is not here (12.2.2).
        """
        local_tag = tag_of(request.required("to"))
        if not local_tag:
            return None
        key = (request.required("call-id"), local_tag, tag_of(request.required("from")))
        dialog = self._dialogs.get(key)
        if dialog is None:
            raise RemoteProtocolError(f"{request.method} in a dialog that is not here", reply="481")
        return dialog


def _record_route(message: SipMessage) -> list[str]:
    routes = [route for value in message.headers("record-route") for route in split_values(value)]
    for route in routes:
        parse_routing_uri(address_of(route))  # what cannot be routed by later is refused now
    return routes


def _contact(message: SipMessage) -> str:
    return address_of(split_first(message.required("contact"))[0])


def _is_loose(route: str) -> bool:
    return "lr" in parse_routing_uri(address_of(route)).parameters
