"""Makes `trace.pcapng` of what was recorded: one TCP conversation a connection, verdicts as packet comments."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from certs.storage import write_atomically
from harness.evidence.capture import pcapng
from harness.evidence.capture.messages import Ends, ends, messages_elsewhere
from harness.evidence.capture.packets import TcpConversation, udp_packet
from harness.evidence.capture.recorder import Chunk, Closed, Datagram, Opened, Recorded, WireRecorder
from harness.evidence.ledger import Entry, Judged, Ledger
from harness.expectations import describe_verdict, explanation_lines
from proxies.observer import ConnectionInfo, Direction

TRACE: Final = "trace.pcapng"
"The capture's name in a run's folder."

OUTGOING: Final = "outgoing"

Packet = tuple[datetime, bytes, ConnectionInfo]
Name = tuple[str, tuple[str, int], tuple[str, int]]


def finish_trace(folder: Path, ledger: Ledger, *, addresses: Mapping[str, str]) -> Path | None:
    """Write what a ledger's tap recorded into a run's folder, and forget the TLS secrets; None where it has no tap.

    Readable by this user only: the file holds what decrypts it, and passwords that crossed in the clear.
    `addresses` names the nodes.
    """
    recorder = ledger.tap
    if recorder is None:
        return None
    path = folder / TRACE
    try:
        write_atomically(path, b"".join(_blocks(recorder, ledger.entries(), addresses)))
    finally:
        recorder.close()
    return path


def _blocks(
    recorder: WireRecorder, entries: Iterable[Entry], addresses: Mapping[str, str]
) -> Iterator[bytes]:
    lost = f"{recorder.not_kept} chunks came after the capture was full" if recorder.not_kept else ""
    yield pcapng.section_header(application="imp-harness", comment=lost)
    yield pcapng.interface(
        pcapng.ETHERNET,
        name="lab",
        description="TCP and UDP as they crossed the sockets of the lab; headers are made",
    )
    yield pcapng.interface(
        pcapng.UPPER_PDU, name="messages", description="messages of connections on other ports, decrypted"
    )
    if addresses:
        yield pcapng.names(addresses)
    if secrets := recorder.secrets():
        yield pcapng.tls_secrets(secrets)
    kept = list(entries)
    packets = list(_packets(recorder.entries))
    comments = _comments(packets, kept)
    written = [
        (at, pcapng.packet(at, data, comments=comments.get(place, ())))
        for place, (at, data, _) in enumerate(packets)
    ]
    captured = {ends(entry.connection) for entry in recorder.entries if isinstance(entry, Chunk | Datagram)}
    written += messages_elsewhere(kept, captured, in_the_clear_only=recorder.secrets_file is None)
    yield from (block for _, block in sorted(written, key=lambda one: one[0]))


def _packets(recorded: list[Recorded]) -> Iterator[Packet]:
    kept = _one_end_of_each(recorded)
    senders = {entry.connection.local for entry in recorded if isinstance(entry, Datagram)}
    conversations: dict[str, TcpConversation] = {}
    for entry in recorded:
        connection = entry.connection
        if _name(connection) not in kept:
            continue
        match entry:
            case Datagram():
                there, here = entry.peer, connection.local
                if entry.direction is Direction.RECEIVED and there in senders:
                    continue  # its sender took it down
                sender, receiver = (here, there) if entry.direction is Direction.SENT else (there, here)
                yield entry.at, udp_packet(sender, receiver, entry.data), connection
                continue
            case Opened():
                conversations.pop(connection.id, None)  # a node's process that was started again counts anew
                packets = _conversation(conversations, connection).open()
            case Chunk():
                sender = connection.local if entry.direction is Direction.SENT else connection.peer
                packets = _conversation(conversations, connection).send(sender, entry.data)
            case Closed():
                packets = _conversation(conversations, connection).close(connection.local)
        for data in packets:
            yield entry.at, data, connection


def _conversation(conversations: dict[str, TcpConversation], connection: ConnectionInfo) -> TcpConversation:
    found = conversations.get(connection.id)
    if found is None or {found.client, found.server} != {connection.local, connection.peer}:
        dialled = connection.listener == OUTGOING
        client, server = (
            (connection.local, connection.peer) if dialled else (connection.peer, connection.local)
        )
        found = conversations[connection.id] = TcpConversation(client, server)
    return found


def _name(connection: ConnectionInfo) -> Name:
    """Return what tells a connection from all others, also of a node's process that was started again."""
    return connection.id, connection.local, connection.peer


def _one_end_of_each(recorded: list[Recorded]) -> set[Name]:
    """Return the connections to write: where both ends were recorded, the one that accepted."""
    chunks = {_name(entry.connection) for entry in recorded if isinstance(entry, Chunk)}
    kept: set[Name] = set()
    waiting: dict[tuple[tuple[str, int], tuple[str, int]], ConnectionInfo] = {}
    for entry in recorded:
        connection = entry.connection
        if isinstance(entry, Datagram):
            kept.add(_name(connection))
        if not isinstance(entry, Opened):
            continue
        kept.add(_name(connection))
        other = waiting.pop((connection.peer, connection.local), None)
        if other is None:
            waiting[connection.local, connection.peer] = connection
            continue
        dropped = connection if connection.listener == OUTGOING else other
        heir = other if dropped is connection else connection
        if _name(heir) in chunks or _name(dropped) not in chunks:
            kept.discard(_name(dropped))
        else:
            kept.discard(_name(heir))
    return kept


def _comments(packets: list[Packet], entries: Iterable[Entry]) -> dict[int, list[str]]:
    """Put each verdict to the last packet of its connection that was there when it was made."""
    places: dict[Ends, list[int]] = {}
    for place, (_, _, connection) in enumerate(packets):
        places.setdefault(ends(connection), []).append(place)
    comments: dict[int, list[str]] = {}
    for entry in entries:
        if not isinstance(entry, Judged):
            continue
        own = places.get(ends(entry.connection), [])
        before = bisect_right(own, entry.at, key=lambda place: packets[place][0])
        if before:
            lines = [f"{entry.connection.node}: {describe_verdict(entry.verdict)}"]
            if not entry.verdict.accepted:
                lines += explanation_lines(entry.verdict)
            comments.setdefault(own[before - 1], []).append("\n".join(lines))
    return comments
