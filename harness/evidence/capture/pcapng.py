"""The blocks of a pcapng file (draft-ietf-opsawg-pcapng)."""

import struct
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from harness.evidence.capture.packets import pack_address

ETHERNET: Final = 1
"LINKTYPE_ETHERNET."

UPPER_PDU: Final = 252
"LINKTYPE_WIRESHARK_UPPER_PDU: a payload with the name of the dissector it is for."

_SECTION_HEADER, _INTERFACE, _NAMES, _PACKET, _SECRETS = 0x0A0D0D0A, 1, 4, 6, 10
_TLS_KEY_LOG: Final = 0x544C534B
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_COMMENT, _HARDWARE, _APPLICATION = 1, 2, 4
_IF_NAME, _IF_DESCRIPTION, _IF_RESOLUTION = 2, 3, 9

_PDU_DISSECTOR, _PDU_SOURCE, _PDU_TARGET, _PDU_PORT_TYPE, _PDU_SOURCE_PORT, _PDU_TARGET_PORT = (
    12,
    20,
    21,
    24,
    25,
    26,
)
_PDU_TCP: Final = 2


def section_header(*, application: str, comment: str = "") -> bytes:
    """Return the block that a file begins with (4.1)."""
    options = _text_option(_COMMENT, comment) + _text_option(_APPLICATION, application)
    return _block(_SECTION_HEADER, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1), options)


def interface(link_type: int, *, name: str, description: str) -> bytes:
    """Return the block of an interface (4.2) whose times are microseconds."""
    options = _text_option(_IF_NAME, name) + _text_option(_IF_DESCRIPTION, description)
    options += _option(_IF_RESOLUTION, b"\x06")
    return _block(_INTERFACE, struct.pack("<HHI", link_type, 0, 0), options)


def tls_secrets(key_log: bytes) -> bytes:
    """Return the block that lets Wireshark decrypt (4.7)."""
    return _block(_SECRETS, struct.pack("<II", _TLS_KEY_LOG, len(key_log)) + _padded(key_log))


def names(by_address: Mapping[str, str]) -> bytes:
    """Return the block that names addresses (4.5)."""
    records = b""
    for address, name in by_address.items():
        value = pack_address(address) + name.encode() + b"\0"
        records += struct.pack("<HH", 1, len(value)) + _padded(value)
    return _block(_NAMES, records + bytes(4))


def packet(at: datetime, data: bytes, *, interface_number: int = 0, comments: Iterable[str] = ()) -> bytes:
    """Return the block of one packet (4.3)."""
    since = at - _EPOCH
    microseconds = (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds
    head = struct.pack(
        "<IIIII", interface_number, microseconds >> 32, microseconds & 0xFFFFFFFF, len(data), len(data)
    )
    return _block(_PACKET, head + _padded(data), b"".join(_text_option(_COMMENT, one) for one in comments))


def exported_pdu(dissector: str, source: tuple[str, int], target: tuple[str, int], data: bytes) -> bytes:
    """Return a payload with tags that say who sent it and which dissector reads it: Wireshark's exported PDU."""
    return b"".join(
        (
            _tag(_PDU_DISSECTOR, _padded(dissector.encode())),
            _tag(_PDU_SOURCE, pack_address(source[0])),
            _tag(_PDU_TARGET, pack_address(target[0])),
            _tag(_PDU_PORT_TYPE, struct.pack("!I", _PDU_TCP)),
            _tag(_PDU_SOURCE_PORT, struct.pack("!I", source[1])),
            _tag(_PDU_TARGET_PORT, struct.pack("!I", target[1])),
            _tag(0, b""),
            data,
        )
    )


def _block(kind: int, body: bytes, options: bytes = b"") -> bytes:
    if options:
        body += options + bytes(4)
    length = 12 + len(body)
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def _text_option(code: int, text: str) -> bytes:
    return _option(code, text.encode()[:0xFFFC]) if text else b""


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _padded(value: bytes) -> bytes:
    return value + bytes(-len(value) % 4)


def _tag(number: int, value: bytes) -> bytes:
    return struct.pack("!HH", number, len(value)) + value
