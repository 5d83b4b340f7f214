"""One UDP socket that carries SIP (RFC 3261 18)."""

import asyncio
from collections import OrderedDict
from typing import Protocol, cast

from proxies.observer import ConnectionInfo
from proxies.sip.transport.flow import Flow, Transport


class DatagramOwner(Protocol):
    """Takes what happens on a UDP socket."""

    def describe(
        self, listener: str, transport: Transport, local: tuple[str, int], peer: tuple[str, int]
    ) -> ConnectionInfo:
        """Name a new pair of addresses."""
        ...

    def datagram_received(self, socket: "UdpSocket", peer: tuple[str, int], data: bytes) -> None:
        """A datagram came in."""
        ...

    def datagram_flow_opened(self, flow: Flow) -> None:
        """A pair of addresses was seen for the first time."""
        ...

    def datagram_flow_closed(self, flow: Flow, why: str) -> None:
        """A pair of addresses was forgotten."""
        ...


class UdpSocket(asyncio.DatagramProtocol):
    """A socket and the flow to each peer that it remembers."""

    def __init__(self, owner: DatagramOwner, *, listener: str, maximum_flows: int) -> None:
        self._owner = owner
        self._listener = listener
        self._maximum_flows = maximum_flows
        self._transport: asyncio.DatagramTransport | None = None
        self._flows: OrderedDict[tuple[str, int], Flow] = OrderedDict()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        # A cast: asyncio's own class is no DatagramTransport before Python 3.12.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Hand a datagram on with its source."""
        self._owner.datagram_received(self, addr[:2], data)

    @property
    def address(self) -> tuple[str, int]:
        """The address and port it is bound to."""
        assert self._transport is not None
        name: tuple[str, int] = self._transport.get_extra_info("sockname")[:2]
        return name

    def flow_to(self, peer: tuple[str, int]) -> Flow:
        """Return the flow to a peer; the longest unused one makes room for a new one."""
        flow = self._flows.get(peer)
        if flow is not None:
            self._flows.move_to_end(peer)
            return flow
        if len(self._flows) >= self._maximum_flows:
            _, oldest = self._flows.popitem(last=False)
            self._owner.datagram_flow_closed(oldest, "forgotten for a new peer")
        connection = self._owner.describe(self._listener, Transport.UDP, self.address, peer)
        flow = Flow(connection=connection, transport=Transport.UDP, local=self.address, peer=peer)
        self._flows[peer] = flow
        self._owner.datagram_flow_opened(flow)
        return flow

    def send(self, data: bytes, peer: tuple[str, int]) -> None:
        """Send one datagram; UDP does not tell whether it arrives."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data, peer)

    def close(self) -> None:
        """Close the socket and forget the peers."""
        if self._transport is not None:
            self._transport.close()
        while self._flows:
            _, flow = self._flows.popitem()
            self._owner.datagram_flow_closed(flow, "closed by us")
