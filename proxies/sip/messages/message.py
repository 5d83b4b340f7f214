"""SIP messages as they are on the wire: a start line, a list of raw header fields, a body (RFC 3261 7).

The layer above reads values lazily and writes bytes; a message that nobody changed goes out byte for byte
as it came in, order, case, folding and all. A test harness must see broken messages and send them, so
nothing here refuses a message for what its header values say. Values are parsed in
`proxies.sip.header_values`.
"""

from collections.abc import Iterable, Iterator
from typing import ClassVar, Final, Self

from certs.errors import LocalProtocolError, RemoteProtocolError

COMPACT_FORMS: Final[dict[str, str]] = {
    "a": "accept-contact", "b": "referred-by", "c": "content-type", "d": "request-disposition",
    "e": "content-encoding", "f": "from", "i": "call-id", "k": "supported", "l": "content-length",
    "m": "contact", "o": "event", "r": "refer-to", "s": "subject", "t": "to", "u": "allow-events",
    "v": "via", "x": "session-expires", "y": "identity",
}  # fmt: skip
"The compact header names of RFC 3261 7.3.3 and of the IANA registry, and what each stands for."

_TOKEN: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.!%*_+`'~")


def encode_text(text: str) -> bytes:
    """Return the bytes that text from `parse_head` was made of, those that are no UTF-8 included."""
    return text.encode("utf-8", "surrogateescape")


def canonical_name(name: str) -> str:
    """Return the lower-case long form of a header name, so `v`, `VIA` and `Via` are one key."""
    lowered = name.strip().lower()
    return COMPACT_FORMS.get(lowered, lowered)


class HeaderField:
    """One header field: its bytes as they came, and its value unfolded (RFC 3261 7.3.1)."""

    __slots__ = ("name", "raw", "value")

    def __init__(self, name: str, value: str, raw: bytes) -> None:
        self.name = name
        "The canonical name: lower case, long form."
        self.value = value
        "The value as text, unfolded, without white space around it."
        self.raw = raw
        "The whole field with its line end, as on the wire."

    @classmethod
    def make(cls, name: str, value: str) -> Self:
        """Return a field to send.

        Raises LocalProtocolError where the value would end the line: header injection never gets out.
        """
        if "\r" in value or "\n" in value or "\r" in name or "\n" in name or ":" in name:
            raise LocalProtocolError(f"a header field cannot hold a line break: {name}: {value!r}")
        return cls(canonical_name(name), value, encode_text(f"{name}: {value}\r\n"))

    def __repr__(self) -> str:
        return f"HeaderField({self.name!r}, {self.value!r})"


class SipMessage:
    """What requests and responses share. Changing it happens before it is sent, by its owner only."""

    __slots__ = ("body", "fields")

    def __init__(self, fields: Iterable[HeaderField], body: bytes) -> None:
        self.fields: list[HeaderField] = list(fields)
        "All header fields in order."
        self.body = body
        "The body's bytes."

    def start_line(self) -> bytes:
        """Return the first line without its line end."""
        raise NotImplementedError

    def header(self, name: str) -> str | None:
        """Return the first value of a header, by its canonical name (`via`, `call-id`), or None."""
        for field in self.fields:
            if field.name == name:
                return field.value
        return None

    def headers(self, name: str) -> Iterator[str]:
        """Yield the values of a header, one a field, in order; commas inside a field stay."""
        return (field.value for field in self.fields if field.name == name)

    def required(self, name: str) -> str:
        """Return the first value of a header.

        Raises RemoteProtocolError (400) where it is missing.
        """
        value = self.header(name)
        if value is None:
            raise RemoteProtocolError(f"the message has no {name} header field")
        return value

    def set_header(self, name: str, value: str) -> None:
        """Replace all fields of a name by one, at the first one's place, or append it."""
        wanted = canonical_name(name)
        made = HeaderField.make(name, value)
        for index, field in enumerate(self.fields):
            if field.name == wanted:
                self.fields[index] = made
                self.fields[index + 1 :] = [f for f in self.fields[index + 1 :] if f.name != wanted]
                return
        self.fields.append(made)

    def add_header(self, name: str, value: str) -> None:
        """Append a field."""
        self.fields.append(HeaderField.make(name, value))

    def insert_header(self, name: str, value: str) -> None:
        """Put a field on top: Via, Record-Route and Route go above their kind (RFC 3261 16.6)."""
        self.fields.insert(0, HeaderField.make(name, value))

    def remove_header(self, name: str) -> None:
        """Drop all fields of a name, which is given in any form."""
        wanted = canonical_name(name)
        self.fields = [field for field in self.fields if field.name != wanted]

    def remove_first_value(self, name: str) -> str | None:
        """Take the topmost value of a comma-separated header away and return it (Via, Route).

        Commas inside quotes and angle brackets do not separate.
        """
        wanted = canonical_name(name)
        for index, field in enumerate(self.fields):
            if field.name == wanted:
                first, rest = split_first(field.value)
                if rest:
                    self.fields[index] = HeaderField.make(field.raw.split(b":", 1)[0].decode().strip(), rest)
                else:
                    del self.fields[index]
                return first
        return None

    def encode(self) -> bytes:
        """Return the bytes to send."""
        return b"".join((self.start_line(), b"\r\n", *(f.raw for f in self.fields), b"\r\n", self.body))

    def set_body(self, content_type: str | None, body: bytes) -> None:
        """Replace the body and set Content-Type and Content-Length to match."""
        self.body = body
        if content_type is not None:
            self.set_header("Content-Type", content_type)
        self.set_header("Content-Length", str(len(body)))


class Request(SipMessage):
    """A request (RFC 3261 7.1)."""

    __slots__ = ("method", "uri", "version")

    def __init__(
        self,
        method: str,
        uri: str,
        fields: Iterable[HeaderField] = (),
        body: bytes = b"",
        *,
        version: str = "SIP/2.0",
    ) -> None:
        super().__init__(fields, body)
        self.method = method
        "The method, case as on the wire: methods are case-sensitive."
        self.uri = uri
        "The Request-URI as text."
        self.version = version
        "The SIP version as text; anything but SIP/2.0 is answered with 505."

    def start_line(self) -> bytes:
        """Return the Request-Line without its line end."""
        return encode_text(f"{self.method} {self.uri} {self.version}")

    def copy(self) -> "Request":
        """Return a request with its own list of the same fields, to change and forward."""
        return Request(self.method, self.uri, self.fields, self.body, version=self.version)

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.uri}>"


class Response(SipMessage):
    """A response (RFC 3261 7.2)."""

    __slots__ = ("reason_phrase", "status")

    REASON_PHRASES: ClassVar[dict[int, str]] = {
        100: "Trying", 180: "Ringing", 181: "Call Is Being Forwarded", 182: "Queued",
        183: "Session Progress",
        200: "OK", 202: "Accepted", 300: "Multiple Choices", 301: "Moved Permanently",
        302: "Moved Temporarily",
        400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
        405: "Method Not Allowed", 406: "Not Acceptable", 407: "Proxy Authentication Required",
        408: "Request Timeout", 412: "Conditional Request Failed", 413: "Request Entity Too Large",
        414: "Request-URI Too Long", 415: "Unsupported Media Type", 416: "Unsupported URI Scheme",
        420: "Bad Extension", 421: "Extension Required", 423: "Interval Too Brief",
        430: "Flow Failed", 440: "Max-Breadth Exceeded", 480: "Temporarily Unavailable",
        481: "Call/Transaction Does Not Exist", 482: "Loop Detected", 483: "Too Many Hops",
        484: "Address Incomplete", 486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here",
        489: "Bad Event", 491: "Request Pending", 493: "Undecipherable", 500: "Server Internal Error",
        501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Server Time-out",
        505: "Version Not Supported", 513: "Message Too Large", 600: "Busy Everywhere", 603: "Decline",
        604: "Does Not Exist Anywhere", 606: "Not Acceptable",
    }  # fmt: skip
    "The reason phrases of RFC 3261 21 and of the event and publication RFCs."

    def __init__(
        self, status: int, reason_phrase: str = "", fields: Iterable[HeaderField] = (), body: bytes = b""
    ) -> None:
        super().__init__(fields, body)
        self.status = status
        "The status code, 100 to 699."
        self.reason_phrase = reason_phrase or self.REASON_PHRASES.get(status, "")
        "The reason phrase; any text, even none."

    def start_line(self) -> bytes:
        """Return the Status-Line without its line end."""
        return encode_text(f"SIP/2.0 {self.status} {self.reason_phrase}")

    def copy(self) -> "Response":
        """Return a response with its own list of the same fields."""
        return Response(self.status, self.reason_phrase, self.fields, self.body)

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.reason_phrase}>"


def split_first(value: str) -> tuple[str, str]:
    """Cut a comma-separated header value after its first item; quotes and <> hide commas."""
    if "," not in value:
        return value.strip(), ""
    quoted = bracketed = escaped = False
    for index, character in enumerate(value):
        if escaped:
            escaped = False
        elif quoted:
            escaped = character == "\\"
            quoted = character != '"'
        elif character == '"':
            quoted = True
        elif character == "<":
            bracketed = True
        elif character == ">":
            bracketed = False
        elif character == "," and not bracketed:
            return value[:index].strip(), value[index + 1 :].strip()
    return value.strip(), ""


def split_values(value: str) -> list[str]:
    """Cut a comma-separated header value into its items."""
    items = []
    rest = value
    while rest:
        first, rest = split_first(rest)
        items.append(first)
    return items


def parse_head(head: bytes) -> Request | Response:
    """Parse a message's start line and header fields; `head` ends before the empty line.

    Lines may end with CRLF or, as many send, LF. The body is set by the caller.
    Raises RemoteProtocolError (400) where start line or a field cannot be told apart.
    """
    lines = head.split(b"\n")
    start = lines[0].rstrip(b"\r")
    if b"\r" in start:
        raise RemoteProtocolError(f"a carriage return inside the start line: {start[:60]!r}")
    fields: list[HeaderField] = []
    index, count = 1, len(lines)
    while index < count:
        line = lines[index]
        index += 1
        if index < count and lines[index][:1] in (b" ", b"\t"):
            parts = [line]
            while index < count and lines[index][:1] in (b" ", b"\t"):
                parts.append(lines[index])
                index += 1
            raw = b"\n".join(parts) + b"\n"
            text = b" ".join(part.strip() for part in parts)
        else:
            raw = line + b"\n"
            text = line
        if not text.strip():
            continue
        name, colon, value = text.partition(b":")
        name = name.rstrip(b" \t")
        if not colon or not name or not _TOKEN.issuperset(name):
            raise RemoteProtocolError(f"not a header field: {text[:60]!r}")
        value = value.strip()
        if b"\r" in value:
            # Some readers take a bare CR for a line end, so passing it on would smuggle fields past others.
            raise RemoteProtocolError(f"a carriage return inside a header field: {text[:60]!r}")
        if not raw.endswith(b"\r\n"):
            raw = raw[:-1] + b"\r\n"
        lowered = name.decode("ascii").lower()
        fields.append(
            HeaderField(COMPACT_FORMS.get(lowered, lowered), value.decode("utf-8", "surrogateescape"), raw)
        )
    return _parse_start_line(start, fields)


def _parse_start_line(start: bytes, fields: list[HeaderField]) -> Request | Response:
    if start[:8].upper() == b"SIP/2.0 ":
        code, _, phrase = start[8:].partition(b" ")
        if len(code) != 3 or not code.isdigit() or not 100 <= int(code) <= 699:
            raise RemoteProtocolError(f"not a Status-Line: {start[:60]!r}")
        response = Response(int(code), fields=fields)
        response.reason_phrase = phrase.decode("utf-8", "surrogateescape")
        return response
    method, _, rest = start.partition(b" ")
    uri, _, version = rest.rpartition(b" ")
    if not method or not uri or not version or not _TOKEN.issuperset(method):
        raise RemoteProtocolError(f"not a Request-Line: {start[:60]!r}")
    if b" " in uri or b"\t" in uri:
        raise RemoteProtocolError(f"white space in the Request-URI: {start[:60]!r}")
    return Request(
        method.decode("ascii"),
        uri.decode("utf-8", "surrogateescape"),
        fields,
        version=version.decode("utf-8", "surrogateescape"),
    )
