"""Where a SIP message begins and ends, in a byte stream and in a datagram (RFC 3261 18.3)."""

from dataclasses import dataclass
from typing import Final

from certs.errors import RemoteProtocolError
from proxies.sip.messages.message import Request, Response, parse_head

MAXIMUM_HEAD: Final = 64 * 1024
"Bytes of start line and header fields."

MAXIMUM_BODY: Final = 1024 * 1024
"Bytes of a body on a stream."


class FramingError(RemoteProtocolError):
    """No message can be cut here; on a stream nothing after it can be either."""

    def __init__(self, message: str, *, reply: str = "400", request: Request | None = None) -> None:
        super().__init__(message, reply=reply)
        self.request = request
        "The request whose head could be read, so that it can be answered."


@dataclass(frozen=True, slots=True)
class KeepAlivePing:
    """The peer asks whether the connection lives (RFC 5626 3.5.1)."""


@dataclass(frozen=True, slots=True)
class KeepAlivePong:
    """The peer's answer to our ping."""


FramerEvent = Request | Response | KeepAlivePing | KeepAlivePong
"What a stream holds."


class StreamFramer:
    """Cuts the bytes of one TCP or TLS connection into messages and keep-alives.

    Who opened the connection pings, the other answers (RFC 5626 3.5.1): so `dialled` says whether CRLF is a pong,
    or CRLF CRLF a ping. After an error the framer gives nothing more.
    """

    def __init__(
        self, *, dialled: bool = False, maximum_head: int = MAXIMUM_HEAD, maximum_body: int = MAXIMUM_BODY
    ) -> None:
        self._keep_alive = b"\r\n" if dialled else b"\r\n\r\n"
        self._dialled = dialled
        self._maximum_head = maximum_head
        self._maximum_body = maximum_body
        self._buffer = bytearray()
        self._searched = 0
        self._ended = False
        self._failed = False
        # A message whose head is whole and whose body is still coming, and how long that is.
        self._head: Request | Response | None = None
        self._body_length = 0

    def receive_data(self, data: bytes) -> None:
        """Take bytes as they come."""
        if not self._failed:
            self._buffer += data

    def receive_eof(self) -> None:
        """The peer will send no more."""
        self._ended = True

    def next_event(self) -> FramerEvent | None:
        """Return the next message or keep-alive, or None until more bytes arrive.

        Raises FramingError where the stream cannot be cut, and where it ends inside a message.
        """
        if self._failed:
            return None
        try:
            event = self._keep_alive_event() or self._message()
        except FramingError:
            self._fail()
            raise
        except RemoteProtocolError as error:
            self._fail()
            raise FramingError(str(error), reply=error.reply) from error
        if event is None and self._ended and (self._buffer.strip() or self._head is not None):
            self._fail()
            raise FramingError("the stream ended inside a message")
        return event

    def _keep_alive_event(self) -> FramerEvent | None:
        if self._head is not None or not self._buffer.startswith(b"\r\n"):
            return None
        if self._buffer.startswith(self._keep_alive):
            del self._buffer[: len(self._keep_alive)]
            self._searched = 0
            return KeepAlivePong() if self._dialled else KeepAlivePing()
        if len(self._buffer) >= len(self._keep_alive):
            # Empty lines in front of a start line are overlooked (RFC 3261 7.5).
            del self._buffer[:2]
            self._searched = 0
            return self._keep_alive_event()
        return None

    def _message(self) -> FramerEvent | None:
        if self._head is None and not self._take_head():
            return None
        if len(self._buffer) < self._body_length:
            return None
        message, self._head = self._head, None
        assert message is not None
        message.body = bytes(self._buffer[: self._body_length])
        del self._buffer[: self._body_length]
        return message

    def _take_head(self) -> bool:
        if b"\r\n\r\n".startswith(self._buffer):
            return False  # the beginning of a keep-alive, perhaps
        if self._buffer[0] < 0x20 and self._buffer[0] not in b"\t\r\n":
            # A TLS ClientHello on a plain port, say: waiting for its empty line helps nobody.
            raise FramingError(f"no SIP message begins with {bytes(self._buffer[:8])!r}")
        end, after = _find_empty_line(self._buffer, self._searched)
        if end < 0:
            if len(self._buffer) > self._maximum_head:
                raise FramingError(f"more than {self._maximum_head} bytes without an empty line", reply="513")
            self._searched = max(0, len(self._buffer) - 3)
            return False
        if end > self._maximum_head:
            raise FramingError(f"a head of {end} bytes, and {self._maximum_head} are allowed", reply="513")
        head = parse_head(bytes(self._buffer[:end]))
        del self._buffer[:after]
        self._searched = 0
        length = content_length(head)
        if length is None:
            raise FramingError("Content-Length is missing on a stream", request=_request(head))
        if length > self._maximum_body:
            raise FramingError(
                f"a body of {length} bytes, and {self._maximum_body} are allowed",
                reply="413",
                request=_request(head),
            )
        self._head, self._body_length = head, length
        return True

    def _fail(self) -> None:
        self._failed = True
        self._buffer.clear()
        self._head = None


def parse_datagram(data: bytes) -> Request | Response:
    """Parse the message that a datagram holds (RFC 3261 18.3): a Content-Length cuts what is too long.

    Raises FramingError where there is no message or its body is cut short.
    """
    data = data.lstrip(b"\r\n")
    end, after = _find_empty_line(data, 0)
    if end < 0:
        raise FramingError("the datagram has no empty line")
    try:
        message = parse_head(data[:end])
    except RemoteProtocolError as error:
        raise FramingError(str(error), reply=error.reply) from error
    message.body = data[after:]
    length = content_length(message)
    if length is not None:
        if length > len(message.body):
            raise FramingError(
                f"Content-Length is {length}, the datagram holds {len(message.body)}",
                request=_request(message),
            )
        message.body = message.body[:length]
    return message


def content_length(message: Request | Response) -> int | None:
    """Return what Content-Length says, or None where there is none (RFC 3261 20.14).

    Raises FramingError where it is no number, or said twice and not the same: two readers of one stream would
    cut it in different places.
    """
    values = set(message.headers("content-length"))
    if not values:
        return None
    value = values.pop()
    if values or not (value.isascii() and value.isdecimal()) or len(value) > 10:
        raise FramingError(f"Content-Length is wrong: {value[:20]!r}", request=_request(message))
    return int(value)


def _request(message: Request | Response) -> Request | None:
    return message if isinstance(message, Request) else None


def _find_empty_line(data: bytes | bytearray, start: int) -> tuple[int, int]:
    """Return where the head ends and where the body starts, or -1 twice; lines may end with LF alone."""
    crlf = data.find(b"\n\r\n", start)
    # Only what lies in front counts: the messages behind this one are not searched each time.
    lf = data.find(b"\n\n", start, crlf if crlf >= 0 else len(data))
    if lf >= 0:
        return lf + 1, lf + 2
    return (crlf + 1, crlf + 3) if crlf >= 0 else (-1, -1)
