"""What is recorded becomes packets whose numbers and sums are right, within bounds, without a connection twice."""

import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.evidence.capture.packets import TcpConversation, pack_address, udp_packet
from harness.evidence.capture.recorder import WireRecorder
from harness.evidence.capture.trace import finish_trace
from harness.evidence.ledger import Ledger
from proxies.observer import ConnectionInfo, Direction

CLIENT, SERVER = ("127.20.0.200", 40000), ("127.20.0.11", 5060)
MOMENT = datetime(2026, 3, 1, 12, 0, 0, 250, tzinfo=UTC)


def connection(
    number: int, local: tuple[str, int], peer: tuple[str, int], listener: str, transport: str = "TCP"
) -> ConnectionInfo:
    return ConnectionInfo(
        id=f"imp1 sip-proxy {number}", node="imp1", service="Cisco SIP Proxy", listener=listener,
        transport=transport, local=local, peer=peer,
    )  # fmt: skip


ACCEPTED = connection(1, SERVER, CLIENT, "TCP Listener")
DIALLED = connection(2, CLIENT, SERVER, "outgoing")


def blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the kinds and bodies of a pcapng file's blocks, and check both lengths of each."""
    data = path.read_bytes()
    while data:
        kind, length = struct.unpack_from("<II", data)
        assert struct.unpack_from("<I", data, length - 4) == (length,)
        yield kind, data[8 : length - 4]
        data = data[length:]


def packets(path: Path) -> list[bytes]:
    found = []
    for kind, body in blocks(path):
        if kind == 6:
            (size,) = struct.unpack_from("<I", body, 12)
            found.append(body[20 : 20 + size])
    return found


def tcp(packet: bytes) -> tuple[int, int, int, int, int, bytes]:
    """Return ports, sequence and acknowledgement numbers, flags and data of a packet, after checking its sums."""
    ip, segment = packet[14:34], packet[34:]
    assert folded(ip) == 0xFFFF
    assert folded(ip[12:20] + struct.pack("!HH", ip[9], len(segment)) + segment) == 0xFFFF
    source, target, sequence, acknowledged, _, flags = struct.unpack_from("!HHIIBB", segment)
    return source, target, sequence, acknowledged, flags, segment[20:]


def folded(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def recorded(*, keep_secrets: bool = False, maximum_bytes: int = 10**6) -> tuple[Ledger, WireRecorder]:
    recorder = WireRecorder(now=lambda: MOMENT, keep_secrets=keep_secrets, maximum_bytes=maximum_bytes)
    return Ledger(now=lambda: MOMENT, tap=recorder), recorder


def write(ledger: Ledger, folder: Path) -> Path:
    path = finish_trace(folder, ledger, addresses={"127.20.0.11": "imp1.lab.example"})
    assert path is not None
    return path


def test_a_conversation_has_its_handshake_its_bytes_and_its_end(tmp_path: Path) -> None:
    ledger, recorder = recorded()
    ledger.opened(ACCEPTED)
    recorder.crossed(ACCEPTED, Direction.RECEIVED, b"ask")
    recorder.crossed(ACCEPTED, Direction.SENT, b"answer")
    ledger.closed(ACCEPTED, "closed by the peer")
    segments = [tcp(packet) for packet in packets(write(ledger, tmp_path))]
    assert [(source, flags, data) for source, _, _, _, flags, data in segments] == [
        (40000, 2, b""), (5060, 18, b""), (40000, 16, b""),
        (40000, 24, b"ask"), (5060, 24, b"answer"),
        (5060, 17, b""), (40000, 17, b""), (5060, 16, b""),
    ]  # fmt: skip
    assert segments[4][3] == segments[3][2] + 3, "the answer acknowledges what was asked"
    assert segments[6][3] == segments[5][2] + 1, "a FIN takes a sequence number"


def test_of_a_connection_that_both_ends_recorded_one_is_written(tmp_path: Path) -> None:
    ledger, recorder = recorded()
    for one in (DIALLED, ACCEPTED):
        ledger.opened(one)
    recorder.crossed(DIALLED, Direction.SENT, b"ask")
    recorder.crossed(ACCEPTED, Direction.RECEIVED, b"ask")
    assert [tcp(packet)[5] for packet in packets(write(ledger, tmp_path))] == [b"", b"", b"", b"ask"]


def test_an_end_that_recorded_nothing_gives_way_to_the_other(tmp_path: Path) -> None:
    ledger, recorder = recorded()
    for one in (DIALLED, ACCEPTED):
        ledger.opened(one)
    recorder.crossed(DIALLED, Direction.SENT, b"ask")
    assert tcp(packets(write(ledger, tmp_path))[-1])[5] == b"ask"


def test_a_datagram_that_both_ends_recorded_is_written_once_with_its_real_port(tmp_path: Path) -> None:
    ledger, recorder = recorded()
    client = connection(1, CLIENT, SERVER, "outgoing", "UDP")
    server = connection(2, SERVER, CLIENT, "UDP Listener", "UDP")
    stranger = ("127.0.0.1", 40001)
    recorder.datagram(client, Direction.SENT, b"one", SERVER)
    recorder.datagram(server, Direction.RECEIVED, b"one", CLIENT)
    recorder.datagram(server, Direction.RECEIVED, b"two", stranger)
    found = packets(write(ledger, tmp_path))
    assert found == [udp_packet(CLIENT, SERVER, b"one"), udp_packet(stranger, SERVER, b"two")]
    udp = found[0][34:]
    assert (
        folded(pack_address(CLIENT[0]) + pack_address(SERVER[0]) + struct.pack("!HH", 17, len(udp)) + udp)
        == 0xFFFF
    )


def test_the_recorder_is_bounded_and_says_what_it_did_not_keep(tmp_path: Path) -> None:
    ledger, recorder = recorded(maximum_bytes=1000)
    ledger.opened(ACCEPTED)
    for _ in range(10):
        recorder.crossed(ACCEPTED, Direction.RECEIVED, bytes(300))
    assert len(recorder.entries) == 3
    assert recorder.not_kept == 8
    path = write(ledger, tmp_path)
    assert b"8 chunks came after the capture was full" in next(body for _, body in blocks(path))


def test_long_writes_are_cut_into_segments(tmp_path: Path) -> None:
    ledger, recorder = recorded()
    ledger.opened(ACCEPTED)
    data = bytes(range(256)) * 400
    recorder.crossed(ACCEPTED, Direction.SENT, data)
    assert b"".join(tcp(packet)[5] for packet in packets(write(ledger, tmp_path))) == data


def test_times_are_those_of_the_lab_and_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    ledger, _ = recorded()
    ledger.opened(ACCEPTED)
    path = write(ledger, tmp_path)
    body = next(body for kind, body in blocks(path) if kind == 6)
    _, high, low = struct.unpack_from("<III", body)
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=high << 32 | low) == MOMENT
    assert path.stat().st_mode & 0o777 == 0o600


def test_secrets_are_kept_to_whole_lines_and_forgotten_at_the_end(tmp_path: Path) -> None:
    ledger, recorder = recorded(keep_secrets=True)
    assert recorder.secrets_file is not None
    secrets = Path(recorder.secrets_file)
    with secrets.open("a") as file:
        file.write("CLIENT_RANDOM 00 11\nCLIENT_RANDOM 0")
    path = write(ledger, tmp_path)
    (body,) = (body for kind, body in blocks(path) if kind == 10)
    assert body[8:].rstrip(b"\0") == b"CLIENT_RANDOM 00 11\n"
    assert not secrets.exists()


def test_a_ledger_without_a_tap_leaves_no_capture(tmp_path: Path) -> None:
    assert finish_trace(tmp_path, Ledger(), addresses={}) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("address", ["", "imp1.lab.example", "::1", "300.1.1.1"])
def test_what_is_no_ipv4_address_is_zeroes(address: str) -> None:
    assert pack_address(address) == bytes(4)
    assert TcpConversation((address, 1), SERVER).open()


def test_messages_of_a_node_whose_bytes_are_not_here_stand_beside(tmp_path: Path) -> None:
    ledger, recorder = recorded(keep_secrets=True)
    other = connection(3, SERVER, ("127.0.0.1", 40009), "TCP Listener")
    for one in (ACCEPTED, other):
        ledger.opened(one)
        ledger.message(one, Direction.RECEIVED, b"OPTIONS sip:lab.example SIP/2.0\r\n\r\n")
    recorder.crossed(ACCEPTED, Direction.RECEIVED, b"OPTIONS sip:lab.example SIP/2.0\r\n\r\n")
    interfaces = [
        struct.unpack_from("<I", body)[0] for kind, body in blocks(write(ledger, tmp_path)) if kind == 6
    ]
    assert interfaces.count(1) == 1, "the one that was not captured"


def test_an_id_that_is_used_again_is_another_conversation(tmp_path: Path) -> None:
    ledger, recorder = recorded()
    again = connection(1, SERVER, ("127.20.0.201", 40002), "TCP Listener")
    for one in (ACCEPTED, again):
        ledger.opened(one)
        recorder.crossed(one, Direction.RECEIVED, b"ask")
    recorder.crossed(ACCEPTED, Direction.SENT, b"late")
    assert [tcp(packet)[5] for packet in packets(write(ledger, tmp_path)) if tcp(packet)[5]] == [
        b"ask",
        b"ask",
        b"late",
    ]
