"""Two ends that speak SIP over real sockets: each answers what it gets and keeps what it is told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trustme

from certs.credential import Credential
from proxies.clock import LoopClock
from proxies.sip.messages.message import Request, Response
from proxies.sip.transactions.events import LayerEvent, RequestReceived, ResponseReceived, TransportFailed
from proxies.sip.transactions.matching import respond
from proxies.sip.transport.endpoint import SipEndpoint
from proxies.sip.transport.flow import Destination, Flow, Transport
from proxies.sip.transport.settings import SipListenerSettings, TransportLimits, TransportSettings
from proxies.tls import TlsClientSettings, TlsServerSettings, TrustPolicy
from tests.integration.recording import LabNames, RecordingObserver, until

NAMES = {"imp1.example": "127.9.2.1", "imp2.example": "127.9.2.2", "cucm1.example": "127.9.2.3"}
_BRANCHES = iter(range(10**9))


def credential(authority: trustme.CA, name: str) -> Credential:
    """Return a credential for a node: its name and address, as the lab's nodes have."""
    leaf = authority.issue_cert(name, NAMES[name], common_name=name, key_type=trustme.KeyType.ECDSA)
    chain = b"".join(pem.bytes() for pem in leaf.cert_chain_pems)
    return Credential(chain_pem=chain, key_pem=leaf.private_key_pem.bytes())


class AnsweringUser:
    """Answers every request by 200 and keeps the rest."""

    def __init__(self) -> None:
        self.endpoint: SipEndpoint | None = None
        self.requests: list[Request] = []
        self.flows: list[Flow] = []
        self.open: list[Flow] = []
        self.responses: list[Response] = []
        self.failures: list[TransportFailed] = []

    def handle_event(self, event: LayerEvent) -> None:
        match event:
            case RequestReceived():
                self.requests.append(event.request)
                self.flows.append(event.flow)
                self.answer(event)
            case ResponseReceived():
                self.responses.append(event.response)
            case TransportFailed():
                self.failures.append(event)
            case _:
                pass

    def answer(self, event: RequestReceived) -> None:
        assert self.endpoint is not None
        self.endpoint.send_response(event.transaction, respond(event.request, 200, to_tag="peer"))

    def flow_opened(self, flow: Flow) -> None:
        self.open.append(flow)

    def flow_closed(self, flow: Flow) -> None:
        self.open.remove(flow)


@dataclass
class Peer:
    """One running end."""

    name: str
    user: AnsweringUser
    endpoint: SipEndpoint
    observer: RecordingObserver
    clock: LoopClock

    @property
    def address(self) -> str:
        return NAMES[self.name]

    def at(self, transport: Transport, *, server_name: str = "") -> Destination:
        """Return where others reach it."""
        port = self.endpoint.addresses[transport][1]
        return Destination(transport=transport, host=self.name, port=port, server_name=server_name)

    def options(self, to: Destination, *, via: str = "", body: bytes = b"") -> Request:
        """Return an OPTIONS whose Via names this peer's listener, unless given."""
        if not via:
            listening = self.endpoint.addresses.get(to.transport, (self.address, 5060))
            via = f"{self.address}:{listening[1]};rport"
        request = Request("OPTIONS", f"sip:{to.host}")
        request.add_header("Via", f"SIP/2.0/{to.transport} {via};branch=z9hG4bK{next(_BRANCHES)}")
        request.add_header("From", f"<sip:{self.name}>;tag=1")
        request.add_header("To", f"<sip:{to.host}>")
        request.add_header("Call-ID", f"call@{self.name}")
        request.add_header("CSeq", "1 OPTIONS")
        request.add_header("Max-Forwards", "70")
        request.set_body("text/plain", body)
        return request

    async def ask(self, to: Destination, *, via: str = "", body: bytes = b"") -> Response:
        """Send an OPTIONS and return the answer."""
        before = len(self.user.responses)
        self.endpoint.send_request(self.options(to, via=via, body=body), to)
        await until(lambda: len(self.user.responses) > before)
        return self.user.responses[-1]

    async def fail(self, to: Destination) -> TransportFailed:
        """Send an OPTIONS that cannot arrive and return why."""
        before = len(self.user.failures)
        self.endpoint.send_request(self.options(to), to)
        await until(lambda: len(self.user.failures) > before)
        return self.user.failures[-1]


@dataclass
class SipLab:
    """Makes peers that trust one authority."""

    authority: trustme.CA = field(default_factory=lambda: trustme.CA(key_type=trustme.KeyType.ECDSA))
    clock: LoopClock = field(default_factory=LoopClock)

    @asynccontextmanager
    async def peer(
        self,
        name: str,
        *,
        certificate_name: str = "",
        mutual: bool = True,
        limits: TransportLimits | None = None,
        transports: tuple[Transport, ...] = tuple(Transport),
        ping_interval: float | None = None,
        user: AnsweringUser | None = None,
    ) -> AsyncIterator[Peer]:
        own = credential(self.authority, certificate_name or name)
        trust = TrustPolicy(certificates=(self.authority.cert_pem.bytes(),))
        server = TlsServerSettings(credential=own, require_client_certificate=mutual, trust=trust)
        settings = TransportSettings(
            node=name,
            service="Cisco SIP Proxy",
            address=NAMES[name],
            listeners=tuple(
                SipListenerSettings(
                    name=transport,
                    transport=transport,
                    port=0,
                    tls=server if transport is Transport.TLS else None,
                )
                for transport in transports
            ),
            tls_client=TlsClientSettings(trust=trust, credential=own),
            limits=limits or TransportLimits(),
            ping_interval=ping_interval,
        )
        user, observer = user or AnsweringUser(), RecordingObserver()
        endpoint = SipEndpoint(
            settings, user=user, resolver=LabNames(NAMES), clock=self.clock, observer=observer
        )
        user.endpoint = endpoint
        await endpoint.start()
        try:
            yield Peer(name, user, endpoint, observer, self.clock)
        finally:
            await endpoint.stop()
