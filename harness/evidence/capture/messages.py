"""Messages on ports for which Wireshark knows no protocol, written a second time by the protocol's name.

Wireshark decrypts TLS on every port and finds XMPP in it, and HTTP anywhere; but it takes bytes for SIP, or for XMPP
in the clear, on their registered ports only, and no capture can tell it otherwise. So such messages are packets of an
interface of their own, each with its dissector's name.
"""

from collections.abc import Iterable, Iterator, Set
from datetime import datetime
from typing import Final

from harness.evidence.capture import pcapng
from harness.evidence.ladder.sip_summary import summarise_sip
from harness.evidence.ledger import Entry, Judged, MessageSeen
from proxies.observer import ConnectionInfo, Direction

SIP_PORTS: Final = {"UDP": 5060, "TCP": 5060, "TLS": 5061}
"The ports on which tshark reads SIP without being told."

XMPP_PORT: Final = 5222
"The port on which it reads XMPP in the clear."

INTERFACE: Final = 1
"The number of the interface in the file."


Ends = frozenset[tuple[str, int]]
"The two addresses of a connection, whichever end tells of it."


def ends(connection: ConnectionInfo) -> Ends:
    """Return a connection's two addresses."""
    return frozenset((connection.local, connection.peer))


def messages_elsewhere(
    entries: Iterable[Entry], captured: Set[Ends], *, in_the_clear_only: bool
) -> Iterator[tuple[datetime, bytes]]:
    """Yield the blocks of messages on other ports, with their times, and of connections that are not captured.

    Of a connection whose bytes are not there its messages are: a node's process may have ended before it handed
    them over.
    `in_the_clear_only` leaves out what TLS protected, for a capture that is not to be decrypted. Of a message that
    both ends took down the sender's is kept.
    """
    kept = list(entries)
    senders = {
        (entry.connection.local, entry.connection.peer)
        for entry in kept
        if isinstance(entry, MessageSeen) and entry.direction is Direction.SENT
    }
    secured: set[str] = set()
    for entry in kept:
        if isinstance(entry, Judged) and entry.verdict.tls_version:
            secured.add(entry.connection.id)
        if not isinstance(entry, MessageSeen):
            continue
        connection, is_sent = entry.connection, entry.direction is Direction.SENT
        is_secured = connection.id in secured
        dissector = _dissector(entry, is_secured=is_secured, is_captured=ends(connection) in captured)
        if dissector is None or (is_secured and in_the_clear_only):
            continue
        if not is_sent and (connection.peer, connection.local) in senders:
            continue
        source, target = (
            (connection.local, connection.peer) if is_sent else (connection.peer, connection.local)
        )
        data = pcapng.exported_pdu(dissector, source, target, entry.wire)
        yield entry.at, pcapng.packet(entry.at, data, interface_number=INTERFACE)


def _dissector(entry: MessageSeen, *, is_secured: bool, is_captured: bool) -> str | None:
    """Return who should read a message that is not read as it is."""
    connection = entry.connection
    if summarise_sip(entry.wire[:4096].decode("utf-8", "replace")) is not None:
        return None if is_captured and _uses(connection, SIP_PORTS.get(connection.transport, 0)) else "sip"
    if "XCP" not in connection.service or "Web" in connection.service:
        return None
    return None if is_captured and (is_secured or _uses(connection, XMPP_PORT)) else "xmpp"


def _uses(connection: ConnectionInfo, port: int) -> bool:
    return port in (connection.local[1], connection.peer[1])
