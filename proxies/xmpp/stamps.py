"""Points in time as stanzas write them (XEP-0082), and the delay that says when something was sent (XEP-0203)."""

from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from certs.errors import RemoteProtocolError
from proxies.xmpp import namespaces as ns


def format_stamp(at: datetime) -> str:
    """Return a point in time, which is aware, in UTC to the millisecond."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def parse_stamp(text: str) -> datetime:
    """Return the point in time that a text means.

    Raises RemoteProtocolError (`bad-request`) where it means none, or does not say its zone.
    """
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return at.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise RemoteProtocolError(f"{text[:40]!r} is no date and time with a zone", reply="bad-request")


def delay_element(sender: str, at: datetime) -> ET.Element:
    """Return the `<delay/>` that an entity adds to what was sent before."""
    return ET.Element(f"{{{ns.DELAY}}}delay", {"from": sender, "stamp": format_stamp(at)})
