"""What the instant messaging and presence part of an XCP router is started with."""

from collections.abc import Callable
from dataclasses import dataclass

from proxies.xmpp.jid import Jid


@dataclass(frozen=True, slots=True, kw_only=True)
class ImSettings:
    """Who is at home here, what the server says of itself, and the limits for one user."""

    domains: frozenset[str]
    "The presence domains that this node answers for, prepared."

    is_home: Callable[[Jid], bool]
    "Whether a bare address is that of a user whose home is this node."

    software_name: str = "Cisco IM and Presence"
    "The name in a software version answer (XEP-0092) and in the server's identity."

    software_version: str = "9.0.1"
    "The version in a software version answer."

    caps_node: str = "urn:x-imp-harness:router"
    "The URI that names the software in entity capabilities (XEP-0115)."

    maximum_sessions: int = 20
    "Sessions one user may have at a time."

    maximum_roster_items: int = 2000
    "Contacts in one roster; the product's contact list limit is far below."

    maximum_roster_name: int = 1023
    "Characters in the name of a contact or group (RFC 6121 2.3.3)."

    maximum_roster_groups: int = 50
    "Groups that one contact may be in."

    maximum_subscription_requests: int = 1000
    "Requests that wait for one user's answer."

    maximum_offline_messages: int = 500
    "Messages kept for a user who is not available (XEP-0160)."

    maximum_blocked: int = 1000
    "Addresses one user may block (XEP-0191)."

    maximum_directed_presences: int = 500
    "Entities that one resource may have sent directed presence to (RFC 6121 4.6)."

    maximum_vcard: int = 256 * 1024
    "Octets of one vCard (XEP-0054)."
