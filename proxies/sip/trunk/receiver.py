"""What comes in through the SIP trunks of a CUCM node: judged, then answered by its lines (G12)."""

import secrets
from typing import Final

from certs.errors import RemoteProtocolError
from certs.verdict import Verdict
from proxies.clock import SchedulingClock
from proxies.observer import Observer
from proxies.sip.agent.calls import Calls
from proxies.sip.agent.subscriber import Subscriber
from proxies.sip.messages.message import Request
from proxies.sip.presence.notifier import PresenceNotifier
from proxies.sip.transactions.events import AckReceived, CancelReceived, RequestReceived, ServerTransaction
from proxies.sip.transactions.matching import respond
from proxies.sip.transport.endpoint import SipEndpoint
from proxies.sip.transport.flow import Destination, Flow
from proxies.sip.transport.transport import OUTGOING
from proxies.sip.trunk.admission import Admission, TrunkAdmission
from proxies.sip.trunk.call_manager_settings import CallManagerSettings
from proxies.sip.trunk.sip_trunk_profile import trunk_destination

ALLOW: Final = "OPTIONS, INVITE, ACK, BYE, CANCEL, MESSAGE, SUBSCRIBE, NOTIFY, PUBLISH, REFER"
"The methods that trunks carry."

_REFUSED_LINGER: Final = 32.0
"Seconds for which a refused connection may still hear why, by 403 to a request."

ServerEvent = RequestReceived | AckReceived | CancelReceived
"What a transaction layer tells about the peers' requests."


class TrunkReceiver:
    """Lets peers and their requests in or refuses them, and answers for the lines."""

    def __init__(
        self,
        settings: CallManagerSettings,
        *,
        endpoint: SipEndpoint,
        admission: TrunkAdmission,
        calls: Calls,
        notifier: PresenceNotifier,
        subscriber: Subscriber,
        clock: SchedulingClock,
        observer: Observer,
    ) -> None:
        self._settings = settings
        self._endpoint = endpoint
        self._admission = admission
        self._calls = calls
        self._notifier = notifier
        self._subscriber = subscriber
        self._clock = clock
        self._observer = observer
        self._admissions: dict[Flow, Admission] = {}

    def flow_opened(self, flow: Flow) -> None:
        """Judge a connection; one that is refused is told so by 403, then closed."""
        dialled = flow.connection.listener == OUTGOING
        admission = self._admission.judge_connection(flow, dialled=dialled)
        self._admissions[flow] = admission
        if dialled:
            return
        self._observer.judged(flow.connection, admission.verdict)
        if not admission.verdict.accepted and flow.transport.reliable:
            due = self._clock.monotonic() + _REFUSED_LINGER
            self._clock.call_at(due, lambda: self._endpoint.close_flow(flow, admission.verdict.reason))

    def flow_closed(self, flow: Flow) -> None:
        """Forget a connection."""
        del self._admissions[flow]

    def handle_event(self, event: ServerEvent) -> None:
        """Answer a request.

        Raises RemoteProtocolError for what is answered by a failure.
        """
        match event:
            case RequestReceived():
                self._receive_request(event.transaction, event.flow)
            case AckReceived():
                self._calls.receive_ack(event.request)
            case CancelReceived():
                # Lines answer at once, so a CANCEL that finds its INVITE is too late for it (9.2).
                self._answer(event.transaction, 200 if event.cancelled is not None else 481)

    def _receive_request(self, transaction: ServerTransaction, flow: Flow) -> None:
        admission = self._admissions[flow]
        if admission.trunk is None or admission.profile is None:
            self._forbid(transaction, admission.verdict)
            self._endpoint.close_flow(flow, admission.verdict.reason)
            return
        request = transaction.request
        refusal = self._admission.judge_request(
            request, admission.profile, flow, known=self._is_known(request)
        )
        if refusal is not None:
            self._observer.judged(flow.connection, refusal)
            self._forbid(transaction, refusal)
        else:
            self._serve(transaction, trunk_destination(admission.trunk, admission.profile))

    def _is_known(self, request: Request) -> bool:
        if request.method == "NOTIFY":
            return self._subscriber.find(request) is not None
        return request.method == "SUBSCRIBE" and self._notifier.watches(request)

    def _serve(self, transaction: ServerTransaction, destination: Destination) -> None:
        match transaction.request.method:
            case "OPTIONS":
                self._answer(transaction, 200, Allow=ALLOW)
            case "BYE":
                self._calls.receive_bye(transaction)
            case "NOTIFY":
                self._receive_notify(transaction)
            case "REFER":
                # The profile let it in, but no line of the lab transfers calls.
                self._answer(transaction, 603)
            case "INVITE" | "MESSAGE" | "SUBSCRIBE" | "PUBLISH":
                self._serve_line(transaction, destination)
            case _:
                self._answer(transaction, 405, Allow=ALLOW)

    def _serve_line(self, transaction: ServerTransaction, destination: Destination) -> None:
        # In a dialog the Request-URI is our Contact, whose user is the line too.
        line = user_of(transaction.request.uri)
        if line not in self._settings.lines:
            raise RemoteProtocolError(f"no line {line!r}", reply="404")
        presentity = f"sip:{line}@{self._settings.address}"
        match transaction.request.method:
            case "INVITE":
                self._calls.receive_invite(transaction, user=line, destination=destination)
            case "SUBSCRIBE":
                self._notifier.receive_subscribe(transaction, presentity, user=line, destination=destination)
            case "PUBLISH":
                self._notifier.receive_publish(transaction, presentity)
            case _:
                self._answer(transaction, 200)

    def _receive_notify(self, transaction: ServerTransaction) -> None:
        notify = transaction.request
        subscription = self._subscriber.find(notify)
        if subscription is not None:
            self._subscriber.receive_notify(subscription, notify)
        self._answer(transaction, 200)

    def _forbid(self, transaction: ServerTransaction, verdict: Verdict) -> None:
        text = f"{verdict.reason}: {verdict.detail}".replace("\\", "\\\\").replace('"', '\\"')
        self._answer(transaction, 403, Warning=f'399 {self._settings.node} "{text}"')

    def _answer(self, transaction: ServerTransaction, status: int, **headers: str) -> None:
        response = respond(transaction.request, status, to_tag=secrets.token_hex(6))
        for name, value in headers.items():
            response.add_header(name, value)
        self._endpoint.send_response(transaction, response)


def user_of(uri: str) -> str:
    """Return the user part of a `sip:` or `sips:` URI, or nothing where it has none (RFC 3261 19.1.1)."""
    _, _, rest = uri.partition(":")
    user, at, _ = rest.rpartition("@")
    return user.partition(":")[0].partition(";")[0] if at else ""
