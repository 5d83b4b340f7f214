"""Events as services take them down, for tests of what is made of them."""

import itertools
from datetime import UTC, datetime, timedelta

from certs.verdict import Reason, Side, Verdict
from harness.evidence.decoding import Event
from harness.evidence.ledger import Ledger, encode_entry
from proxies.observer import ConnectionInfo, Direction

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Exchange:
    """A ledger whose time goes on by a millisecond at each entry."""

    def __init__(self) -> None:
        ticks = itertools.count()
        self.ledger = Ledger(now=lambda: START + timedelta(milliseconds=next(ticks)))

    def open(
        self,
        id_: str,
        local: tuple[str, int],
        peer: tuple[str, int],
        *,
        listener: str = "outgoing",
        transport: str = "TCP",
        service: str = "Cisco SIP Proxy",
    ) -> ConnectionInfo:
        connection = ConnectionInfo(
            id=id_,
            node=id_.partition(" ")[0],
            service=service,
            listener=listener,
            transport=transport,
            local=local,
            peer=peer,
        )
        self.ledger.opened(connection)
        return connection

    def pair(
        self, *, transport: str = "TCP", service: str = "Cisco SIP Proxy"
    ) -> tuple[ConnectionInfo, ConnectionInfo]:
        """A connection from imp1 to imp2, observed at both ends."""
        imp1, imp2 = ("127.20.0.11", 40000), ("127.20.0.12", 5062)
        accepted = self.open(
            "imp2 a 1", imp2, imp1, listener="Peer Auth", transport=transport, service=service
        )
        dialled = self.open("imp1 b 2", imp1, imp2, transport=transport, service=service)
        return dialled, accepted

    def send(self, sender: ConnectionInfo, receiver: ConnectionInfo, wire: bytes) -> None:
        """A message that both ends take down."""
        self.ledger.message(sender, Direction.SENT, wire)
        self.ledger.message(receiver, Direction.RECEIVED, wire)

    @property
    def events(self) -> list[Event]:
        return [encode_entry(entry) for entry in self.ledger.entries()]


def accepted(side: Side) -> Verdict:
    return Verdict(accepted=True, reason=Reason.ACCEPTED, side=side, tls_version="TLSv1.3")


def refused(reason: Reason, side: Side, *, sent: str = "", received: str = "") -> Verdict:
    return Verdict(
        accepted=False,
        reason=reason,
        side=side,
        tls_version="TLSv1.3",
        alert_sent=sent,
        alert_received=received,
        rule="the rule",
        remedy="the remedy",
    )


OPTIONS = b"OPTIONS sip:imp2.lab.example SIP/2.0\r\nCSeq: 7 OPTIONS\r\nContent-Length: 0\r\n\r\n"
OK = b"SIP/2.0 200 OK\r\nCSeq: 7 OPTIONS\r\nContent-Length: 0\r\n\r\n"
