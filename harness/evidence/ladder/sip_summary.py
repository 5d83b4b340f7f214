"""SIP and HTTP messages in a few words."""

import re
from typing import Final

_SIP: Final = re.compile(
    r"(?:SIP/2\.0 (?P<status>\d{3}) ?(?P<reason>[^\r\n]*)|(?P<method>[A-Z][\w!%*+'`~.-]*) (?P<uri>\S+) SIP/2\.0)\r?\n"
)
_HTTP: Final = re.compile(r"(?:HTTP/1\.[01] \d{3}[^\r\n]*|[A-Z]+ \S+ HTTP/1\.[01])(?=\r?\n)")
_CSEQ: Final = re.compile(r"(?im)^CSeq\s*:\s*(\d+)\s+(\S+)")
_EVENT: Final = re.compile(r"(?im)^(?:Event|o)\s*:\s*([^\s;]+)")


def summarise_sip(text: str) -> tuple[str, bool] | None:
    """Return the label of a SIP message and whether it refuses something; None where it is no SIP message."""
    start = _SIP.match(text)
    if start is None:
        return None
    head = text.partition("\r\n\r\n")[0]
    cseq = _CSEQ.search(head)
    if start["method"] is not None:
        event = _EVENT.search(head)
        about = f" {event[1]}" if event else ""
        number = f" (CSeq {cseq[1]})" if cseq else ""
        return f"{start['method']}{number}{about} {start['uri']}", False
    about = f" (CSeq {cseq[1]} {cseq[2]})" if cseq else ""
    # A challenge is a step of digest authentication and no refusal (RFC 3261 22).
    refuses = start["status"] >= "300" and start["status"] not in ("401", "407")
    return f"{start['status']} {start['reason']}{about}".replace("  ", " "), refuses


def summarise_http(text: str) -> str | None:
    """Return the start line of an HTTP message; None where it is none."""
    start = _HTTP.match(text)
    return start[0] if start is not None else None
