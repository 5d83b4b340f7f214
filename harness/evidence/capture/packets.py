"""Packets as they would have been on a wire: Ethernet, IPv4, TCP and UDP around recorded bytes."""

import struct
from array import array
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Final

from certs.errors import LocalProtocolError

Address = tuple[str, int]

SEGMENT_SIZE: Final = 32 * 1024
"Bytes of one TCP segment; loopback's are as long."

_WINDOW: Final = 65535
_TCP, _UDP = 6, 17
_FIRST_SEQUENCE_NUMBER: Final = 1_000_000


class Flag(IntFlag):
    """TCP's control bits (RFC 9293 3.1)."""

    FIN = 1
    SYN = 2
    PSH = 8
    ACK = 16


@dataclass(slots=True)
class TcpConversation:
    """Makes the segments of one connection: opened, filled and closed by whoever did so."""

    client: Address
    "Who opened it."

    server: Address
    "Who accepted it."

    _next: dict[Address, int] = field(init=False)

    def __post_init__(self) -> None:
        self._next = {self.client: _FIRST_SEQUENCE_NUMBER, self.server: 2 * _FIRST_SEQUENCE_NUMBER}

    def open(self) -> list[bytes]:
        """Return the three packets of the handshake (RFC 9293 3.5)."""
        return [
            self._segment(self.client, Flag.SYN),
            self._segment(self.server, Flag.SYN | Flag.ACK),
            self._segment(self.client, Flag.ACK),
        ]

    def send(self, sender: Address, data: bytes) -> list[bytes]:
        """Return the packets that carry some bytes."""
        return [
            self._segment(sender, Flag.PSH | Flag.ACK, data[begin : begin + SEGMENT_SIZE])
            for begin in range(0, len(data), SEGMENT_SIZE)
        ]

    def close(self, closer: Address) -> list[bytes]:
        """Return the packets of the end; who closes first was not recorded by the sockets."""
        other = self.server if closer == self.client else self.client
        return [
            self._segment(closer, Flag.FIN | Flag.ACK),
            self._segment(other, Flag.FIN | Flag.ACK),
            self._segment(closer, Flag.ACK),
        ]

    def _segment(self, sender: Address, flags: Flag, data: bytes = b"") -> bytes:
        if sender not in self._next:
            raise LocalProtocolError(f"{sender} is neither {self.client} nor {self.server}")
        receiver = self.server if sender == self.client else self.client
        acknowledged = self._next[receiver] if flags & Flag.ACK else 0
        header = struct.pack(
            "!HHIIBBHHH",
            sender[1],
            receiver[1],
            self._next[sender],
            acknowledged,
            5 << 4,
            flags,
            _WINDOW,
            0,
            0,
        )
        used = len(data) + bool(flags & (Flag.SYN | Flag.FIN))
        self._next[sender] = (self._next[sender] + used) % 2**32
        return _packet(sender[0], receiver[0], _TCP, header, data, checksum_at=16)


def udp_packet(sender: Address, receiver: Address, data: bytes) -> bytes:
    """Return a datagram with its headers (RFC 768)."""
    header = struct.pack("!HHHH", sender[1], receiver[1], 8 + len(data), 0)
    return _packet(sender[0], receiver[0], _UDP, header, data, checksum_at=6)


def pack_address(address: str) -> bytes:
    """Return an IPv4 address as four bytes; zeroes where it is none."""
    parts = address.split(".")
    if len(parts) != 4 or not all(part.isdigit() and int(part) < 256 for part in parts):
        return bytes(4)
    return bytes(map(int, parts))


def _packet(
    sender: str, receiver: str, protocol: int, header: bytes, data: bytes, *, checksum_at: int
) -> bytes:
    source, target = pack_address(sender), pack_address(receiver)
    length = len(header) + len(data)
    pseudo = source + target + struct.pack("!HH", protocol, length)
    checksum = _checksum(pseudo + header + data) or 0xFFFF  # zero would mean none (RFC 768)
    header = header[:checksum_at] + struct.pack("!H", checksum) + header[checksum_at + 2 :]
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0x4000, 64, protocol, 0) + source + target
    ip = ip[:10] + struct.pack("!H", _checksum(ip)) + ip[12:]
    # Locally administered addresses that show whose they are.
    ethernet = b"\x02\x00" + target + b"\x02\x00" + source + b"\x08\x00"
    return ethernet + ip + header + data


def _checksum(data: bytes) -> int:
    """Return the ones' complement sum (RFC 1071); the sum is the same in either byte order, its bytes swapped."""
    words = array("H", data + b"\0" if len(data) % 2 else data)
    words.byteswap() if struct.pack("=H", 1) != struct.pack("!H", 1) else None
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
