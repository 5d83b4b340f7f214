"""Faults of a SIP service's requests: answered with 503 in its place (RFC 3261 21.5.4), or never seen."""

import secrets
from collections.abc import Callable
from random import Random

from proxies.sip.messages.message import Request, Response
from proxies.sip.transactions.events import Outgoing
from proxies.sip.transactions.matching import respond
from proxies.sip.transport.dialling import DeliveryFailure
from proxies.sip.transport.flow import Flow
from proxies.sip.transport.transport import SipTransport, TransportHandler


class _Between:
    """A handler that passes on what it does not take."""

    def __init__(self, transport: SipTransport) -> None:
        self._transport = transport
        self._service: TransportHandler = transport.service_handler

    def flow_opened(self, flow: Flow) -> None:
        """Pass on."""
        self._service.flow_opened(flow)

    def message_received(self, message: Request | Response, flow: Flow) -> None:
        """Pass on."""
        self._service.message_received(message, flow)

    def message_sent(self, outgoing: Outgoing, flow: Flow) -> None:
        """Pass on."""
        self._service.message_sent(outgoing, flow)

    def message_failed(self, outgoing: Outgoing, failure: DeliveryFailure) -> None:
        """Pass on."""
        self._service.message_failed(outgoing, failure)

    def flow_closed(self, flow: Flow, failure: DeliveryFailure) -> None:
        """Pass on."""
        self._service.flow_closed(flow, failure)


class Unavailable(_Between):
    """Answers a share of the clients' requests with 503 and Retry-After; the nodes' own pass."""

    def __init__(
        self,
        transport: SipTransport,
        *,
        retry_after: int,
        share: float,
        random: Random,
        is_node: Callable[[str], bool],
    ) -> None:
        super().__init__(transport)
        self._retry_after = retry_after
        self._share = share
        self._random = random
        self._is_node = is_node

    def message_received(self, message: Request | Response, flow: Flow) -> None:
        """Answer in the service's place. An ACK ends our answer to an INVITE and gets none."""
        if not isinstance(message, Request) or self._is_node(flow.peer[0]):
            self._service.message_received(message, flow)
        elif message.method != "ACK":
            if self._random.random() >= self._share:
                self._service.message_received(message, flow)
                return
            response = respond(message, 503, to_tag=secrets.token_hex(8))
            response.add_header("Retry-After", str(self._retry_after))
            self._transport.send(Outgoing(wire=response.encode(), destination=flow, transaction=None))


class Deaf(_Between):
    """Hears nothing: what a link that is lost brings over UDP."""

    def message_received(self, message: Request | Response, flow: Flow) -> None:
        """Drop it."""
