"""The client side of a user agent: a request goes out, its final response comes back (RFC 3261 8.1, 13.2)."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, assert_never

from certs.errors import RemoteProtocolError
from certs.verdict import Verdict
from proxies.sip.dialogs.dialogs import Dialog
from proxies.sip.messages.message import HeaderField, Request, Response, split_first
from proxies.sip.transactions.events import (
    ClientTransaction,
    ResponseReceived,
    TransactionTerminated,
    TransactionTimedOut,
    TransportFailed,
)
from proxies.sip.transactions.matching import MAGIC_COOKIE, cseq_of, tag_of
from proxies.sip.transport.endpoint import SipEndpoint
from proxies.sip.transport.flow import Destination, Flow, Transport

_NO_ANSWER: Final = 408
_NO_WAY: Final = 503

ClientEvent = ResponseReceived | TransactionTimedOut | TransportFailed | TransactionTerminated
"What the transaction layer tells about requests that we sent."


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOutcome:
    """How a request ended."""

    status: int
    "The final status. 408 and 503 also stand for no answer and no way to the peer (RFC 3261 8.1.3.1)."

    reason: str
    "The reason phrase, or why there was no response."

    response: Response | None = None
    "The final response; None where none came."

    verdict: Verdict | None = None
    "Who refused whom, where a handshake decided."

    dialog: Dialog | None = field(default=None, repr=False)
    "The dialog that a 2xx for INVITE made; its ACK has been sent."

    @property
    def warning(self) -> str:
        """The Warning of the final response, which says who refused and why; empty without one (20.43)."""
        return (self.response.header("warning") if self.response is not None else None) or ""

    @property
    def accepted(self) -> bool:
        """Whether the final status is a 2xx."""
        return 200 <= self.status < 300


@dataclass(slots=True, eq=False)
class _Pending:
    outcome: asyncio.Future[RequestOutcome]
    provisional: bool = False
    acks: dict[str, Request] = field(default_factory=dict)

    def end(self, outcome: RequestOutcome) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)


class RequestSender:
    """Sends requests over an endpoint and gives each its outcome."""

    def __init__(
        self, endpoint: SipEndpoint, *, address: str, port_for: Callable[[Destination | Flow], int]
    ) -> None:
        self._endpoint = endpoint
        self._address = address
        self._port_for = port_for
        self._pending: dict[ClientTransaction, _Pending] = {}

    def contact(self, user: str, destination: Destination | Flow) -> str:
        """Return a Contact value under which a peer reaches a user here."""
        transport = destination.transport.lower()
        return f"<sip:{user}@{self._address}:{self._port_for(destination)};transport={transport}>"

    def begin(self, method: str, uri: str, *, local: str, remote: str) -> Request:
        """Return a new request outside any dialog (8.1.1), without Via and Contact.

        `local` and `remote` are the URIs of From and To.
        """
        fields = [
            HeaderField.make("Max-Forwards", "70"),
            HeaderField.make("From", f"<{local}>;tag={secrets.token_hex(6)}"),
            HeaderField.make("To", f"<{remote}>"),
            HeaderField.make("Call-ID", f"{secrets.token_hex(10)}@{self._address}"),
            HeaderField.make("CSeq", f"1 {method}"),
            HeaderField.make("Content-Length", "0"),
        ]
        return Request(method, uri, fields)

    def add_via(self, request: Request, destination: Destination | Flow) -> None:
        """Put our Via on top, with a new branch; over TLS its connection may be used both ways (RFC 5923)."""
        transport = destination.transport
        sent_by = f"{self._address}:{self._port_for(destination)}"
        parameters = "rport;alias" if transport is Transport.TLS else "rport"
        branch = MAGIC_COOKIE + secrets.token_hex(10)
        request.insert_header("Via", f"SIP/2.0/{transport} {sent_by};{parameters};branch={branch}")

    async def send(
        self, request: Request, destination: Destination | Flow, *, time_limit: float
    ) -> RequestOutcome:
        """Send a request and wait for its end; past the limit an INVITE that rings is cancelled (9.1)."""
        self.add_via(request, destination)
        pending = _Pending(asyncio.get_running_loop().create_future())
        transaction = self._endpoint.send_request(request, destination)
        self._pending[transaction] = pending
        try:
            async with asyncio.timeout(time_limit):
                return await pending.outcome
        except TimeoutError:
            if request.method == "INVITE" and pending.provisional:
                self._endpoint.send_request(_cancel(request), transaction.target)
            return RequestOutcome(status=_NO_ANSWER, reason=f"no final response in {time_limit:g} s")

    def close(self) -> None:
        """Give up what still waits."""
        for pending in self._pending.values():
            pending.end(RequestOutcome(status=_NO_WAY, reason="the service stopped"))
        self._pending.clear()

    def handle_event(self, event: ClientEvent) -> None:
        """Take what the transaction layer tells of requests; one that was not sent here is overlooked."""
        transaction = event.transaction
        if not isinstance(transaction, ClientTransaction):
            return
        pending = self._pending.get(transaction)
        if pending is None:
            return
        match event:
            case ResponseReceived():
                self._receive_response(transaction, pending, event.response)
            case TransactionTimedOut():
                pending.end(RequestOutcome(status=_NO_ANSWER, reason="no answer from the peer"))
            case TransportFailed():
                pending.end(RequestOutcome(status=_NO_WAY, reason=event.reason, verdict=event.verdict))
            case TransactionTerminated():
                del self._pending[transaction]
            case _:
                assert_never(event)

    def _receive_response(
        self, transaction: ClientTransaction, pending: _Pending, response: Response
    ) -> None:
        if response.status < 200:
            pending.provisional = True
            return
        dialog = None
        if transaction.request.method == "INVITE" and response.status < 300:
            try:
                dialog = self._acknowledge(transaction, pending, response)
            except RemoteProtocolError as error:
                pending.end(RequestOutcome(status=502, reason=str(error), response=response))
                return
        pending.end(
            RequestOutcome(
                status=response.status, reason=response.reason_phrase, response=response, dialog=dialog
            )
        )

    def _acknowledge(
        self, transaction: ClientTransaction, pending: _Pending, response: Response
    ) -> Dialog | None:
        """Send the ACK of a 2xx, again for each repetition (13.2.2.4); end the call of a second branch."""
        tag = tag_of(response.required("to"))
        known = pending.acks.get(tag)
        if known is not None:
            self._endpoint.send_stateless(known, transaction.target)
            return None
        dialog = Dialog.as_uac(transaction.request, response)
        ack = dialog.make_ack(cseq_of(transaction.request)[0])
        self.add_via(ack, transaction.target)
        pending.acks[tag] = ack
        self._endpoint.send_stateless(ack, transaction.target)
        if pending.outcome.done():
            # Another branch answered first, or nobody waits any more.
            bye = dialog.make_request("BYE")
            self.add_via(bye, transaction.target)
            self._endpoint.send_request(bye, transaction.target)
        return dialog


def _cancel(invite: Request) -> Request:
    """Return the CANCEL of an INVITE (9.1): its topmost Via, the same number."""
    via, _ = split_first(invite.required("via"))
    kept = [field for field in invite.fields if field.name in ("route", "from", "to", "call-id")]
    return Request(
        "CANCEL",
        invite.uri,
        [
            HeaderField.make("Via", via),
            HeaderField.make("Max-Forwards", "70"),
            *kept,
            HeaderField.make("CSeq", f"{cseq_of(invite)[0]} CANCEL"),
            HeaderField.make("Content-Length", "0"),
        ],
    )
