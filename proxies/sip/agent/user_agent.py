"""The lab's SIP user agent: a client for scenarios over UDP, TCP and TLS (RFC 3261 8, 10, 13; RFC 3428)."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Self, assert_never

from certs.errors import ConnectionFailed, RemoteProtocolError
from proxies.clock import SchedulingClock
from proxies.observer import Observer
from proxies.sip.agent.calls import SDP_TYPE, Call, Calls
from proxies.sip.agent.request_sender import RequestOutcome, RequestSender
from proxies.sip.agent.subscriber import OutgoingSubscription, Subscriber
from proxies.sip.messages.digest import DigestAlgorithm, answer_challenge
from proxies.sip.messages.message import Request
from proxies.sip.messages.pidf import CONTENT_TYPE, PresenceDocument, encode_pidf
from proxies.sip.messages.routing_uri import parse_routing_uri
from proxies.sip.presence.presence_core import EVENT
from proxies.sip.transactions.events import (
    AckReceived,
    CancelReceived,
    LayerEvent,
    RequestReceived,
    ResponseReceived,
    ServerTransaction,
    StrayResponse,
    TransactionTerminated,
    TransactionTimedOut,
    TransportFailed,
)
from proxies.sip.transactions.matching import cseq_of, respond
from proxies.sip.transport.endpoint import SipEndpoint
from proxies.sip.transport.flow import Destination, Flow, Transport
from proxies.sip.transport.locating import Resolver
from proxies.sip.transport.settings import SipListenerSettings, TransportSettings
from proxies.tls.settings import TlsClientSettings

_ALLOW: Final = "INVITE, ACK, CANCEL, BYE, OPTIONS, MESSAGE, NOTIFY"
_KEPT: Final = 1000
"Requests kept for a reader; the oldest is lost first."

_CHALLENGES: Final = {
    401: ("www-authenticate", "Authorization"),
    407: ("proxy-authenticate", "Proxy-Authorization"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UserAgentSettings:
    """Who a user agent is and through whom it speaks."""

    uri: str
    "Its address of record, as `sip:alice@lab.example`."

    address: str
    "The address it sends from and listens on."

    outbound_proxy: Destination
    "Where all of its requests go (8.1.2)."

    tls_client: TlsClientSettings | None = None
    "How it shakes hands, with its certificate if it has one."

    password: str = field(default="", repr=False)
    "What it answers digest challenges with; empty answers none."

    insist_on: DigestAlgorithm | None = None
    "The algorithm that it answers challenges by, offered or not; None takes the strongest that is."

    time_limit: float = 8.0
    "Seconds it waits for a final response, and for what a scenario expects."


class UserAgent:
    """A client with one address of record.

    `async with UserAgent(...) as alice: await alice.register()`. It answers MESSAGE, OPTIONS, NOTIFY and INVITE
    by itself and keeps what came in for `next_request`.
    """

    def __init__(
        self,
        settings: UserAgentSettings,
        *,
        clock: SchedulingClock,
        resolver: Resolver,
        observer: Observer,
    ) -> None:
        self._settings = settings
        self._user = parse_routing_uri(settings.uri).user
        self._endpoint = SipEndpoint(
            TransportSettings(
                node=self._user,
                service="user agent",
                address=settings.address,
                listeners=(
                    SipListenerSettings(name=Transport.UDP, transport=Transport.UDP, port=0),
                    SipListenerSettings(name=Transport.TCP, transport=Transport.TCP, port=0),
                ),
                tls_client=settings.tls_client,
            ),
            user=self,
            resolver=resolver,
            clock=clock,
            observer=observer,
        )
        self._sender = RequestSender(self._endpoint, address=settings.address, port_for=self._port_for)
        self._calls = Calls(self._endpoint, self._sender, clock=clock, address=settings.address)
        self._subscriber = Subscriber()
        self._received: deque[Request] = deque(maxlen=_KEPT)
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._endpoint.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._calls.close()
        await self._endpoint.stop()
        self._sender.close()

    # What it does.

    async def register(self, *, expires: int = 3600) -> RequestOutcome:
        """Bind its contact to its address of record; 0 seconds take it away (10.2)."""
        _, _, domain = self._settings.uri.rpartition("@")
        request = self._begin("REGISTER", f"sip:{domain}", remote=self._settings.uri)
        request.add_header("Contact", self._contact)
        request.add_header("Expires", str(expires))
        return await self.send(request)

    async def options(self, uri: str) -> RequestOutcome:
        """Ask a peer what it can do (11)."""
        return await self.send(self._begin("OPTIONS", uri))

    async def message(self, uri: str, text: str) -> RequestOutcome:
        """Send an instant message (RFC 3428)."""
        request = self._begin("MESSAGE", uri)
        request.set_body("text/plain;charset=utf-8", text.encode())
        return await self.send(request)

    async def publish(
        self, document: PresenceDocument | None, *, uri: str = "", entity_tag: str = "", expires: int = 3600
    ) -> RequestOutcome:
        """Publish its own presence or that of `uri`, refresh or remove what has an entity tag (RFC 3903 4)."""
        request = self._begin("PUBLISH", uri or self._settings.uri)
        request.add_header("Event", EVENT)
        request.add_header("Expires", str(expires))
        if entity_tag:
            request.add_header("SIP-If-Match", entity_tag)
        if document is not None:
            request.set_body(CONTENT_TYPE, encode_pidf(document))
        return await self.send(request)

    async def subscribe(self, uri: str, *, expires: int = 3600) -> OutgoingSubscription:
        """Watch a presentity (RFC 3856); its outcome says whether that was accepted."""
        request = self._begin("SUBSCRIBE", uri)
        request.add_header("Contact", self._contact)
        request.add_header("Event", EVENT)
        request.add_header("Accept", CONTENT_TYPE)
        request.add_header("Expires", str(expires))
        return await self._subscriber.subscribe(request, self.send)

    async def unsubscribe(self, subscription: OutgoingSubscription) -> RequestOutcome:
        """Stop watching; the last NOTIFY still comes."""
        return await self._subscriber.refresh(subscription, expires=0)

    async def invite(self, uri: str) -> tuple[RequestOutcome, Call | None]:
        """Call somebody; the call is None where it was not answered (13.2)."""
        request = self._begin("INVITE", uri)
        request.add_header("Contact", self._contact)
        request.set_body(SDP_TYPE, self._calls.offer())
        outcome = await self.send(request)
        if outcome.dialog is None:
            return outcome, None
        return outcome, self._calls.add(request, outcome.dialog, self._settings.outbound_proxy)

    async def hang_up(self, call: Call) -> RequestOutcome:
        """End a call (15.1.1)."""
        return await self._calls.hang_up(call, time_limit=self._settings.time_limit)

    async def send(self, request: Request) -> RequestOutcome:
        """Send a request to the outbound proxy, and once more with credentials if it is challenged (22.2)."""
        send = partial(
            self._sender.send,
            destination=self._settings.outbound_proxy,
            time_limit=self._settings.time_limit,
        )
        outcome = await send(request)
        if outcome.status not in _CHALLENGES or not self._settings.password or outcome.response is None:
            return outcome
        challenge, credentials = _CHALLENGES[outcome.status]
        answer = answer_challenge(
            outcome.response.headers(challenge),
            username=self._user,
            password=self._settings.password,
            method=request.method,
            uri=request.uri,
            body=request.body,
            insist_on=self._settings.insist_on,
        )
        request.remove_first_value("via")
        request.set_header("CSeq", f"{cseq_of(request)[0] + 1} {request.method}")
        request.set_header(credentials, answer)
        return await send(request)

    async def next_request(self) -> Request:
        """Return the next request that came in; it is answered already.

        Raises ConnectionFailed where none comes in time.
        """
        try:
            async with asyncio.timeout(self._settings.time_limit):
                while not self._received:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise ConnectionFailed(f"no request came to {self._settings.uri} in time") from None
        return self._received.popleft()

    # What the endpoint tells.

    def handle_event(self, event: LayerEvent) -> None:
        """Answer requests; hand responses to who waits for them.

        Raises RemoteProtocolError for what is answered by a failure.
        """
        match event:
            case RequestReceived():
                self._receive_request(event.transaction)
            case AckReceived():
                self._calls.receive_ack(event.request)
            case CancelReceived():
                self._answer(event.transaction, 200 if event.cancelled is not None else 481)
            case ResponseReceived() | TransactionTimedOut() | TransportFailed() | TransactionTerminated():
                self._sender.handle_event(event)
            case StrayResponse():
                pass
            case _:
                assert_never(event)

    def flow_opened(self, flow: Flow) -> None:
        """Nothing depends on a connection before its first message."""

    def flow_closed(self, flow: Flow) -> None:
        """Requests that wait on it fail by themselves."""

    # Inside.

    def _receive_request(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        match request.method:
            case "INVITE":
                self._calls.receive_invite(
                    transaction, user=self._user, destination=self._settings.outbound_proxy
                )
            case "BYE":
                self._calls.receive_bye(transaction)
            case "NOTIFY":
                subscription = self._subscriber.find(request)
                if subscription is None:
                    raise RemoteProtocolError("a NOTIFY that nobody asked for", reply="481")
                self._subscriber.receive_notify(subscription, request)
                self._answer(transaction, 200)
            case "MESSAGE" | "OPTIONS":
                self._answer(transaction, 200)
            case _:
                self._answer(transaction, 405)
        self._received.append(request)
        self._changed.set()

    def _answer(self, transaction: ServerTransaction, status: int) -> None:
        response = respond(transaction.request, status, to_tag=self._user)
        if transaction.request.method == "OPTIONS" or status == 405:
            response.add_header("Allow", _ALLOW)
        self._endpoint.send_response(transaction, response)

    def _begin(self, method: str, uri: str, *, remote: str = "") -> Request:
        return self._sender.begin(method, uri, local=self._settings.uri, remote=remote or uri)

    @property
    def _contact(self) -> str:
        return self._sender.contact(self._user, self._settings.outbound_proxy)

    def _port_for(self, destination: Destination | Flow) -> int:
        listener = self._endpoint.addresses.get(destination.transport)
        # Over TLS it listens nowhere: who wants to reach it uses the connection it made (RFC 5626).
        return listener[1] if listener is not None else destination.transport.default_port
