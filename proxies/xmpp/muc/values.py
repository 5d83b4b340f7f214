"""Words and values of multi-user chat (XEP-0045): roles, affiliations, a room's configuration, what is stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from proxies.xmpp.jid import Jid


class Affiliation(StrEnum):
    """A user's lasting relation to a room (section 5.2)."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    NONE = "none"
    OUTCAST = "outcast"

    @property
    def rank(self) -> int:
        """How far up it is: the owner is highest."""
        return _AFFILIATION_RANKS[self]

    @property
    def is_admin(self) -> bool:
        """Whether it has the privileges of an admin, as an owner also has."""
        return self in (Affiliation.OWNER, Affiliation.ADMIN)


_AFFILIATION_RANKS: Final = {
    each: rank
    for rank, each in enumerate(
        (Affiliation.OUTCAST, Affiliation.NONE, Affiliation.MEMBER, Affiliation.ADMIN, Affiliation.OWNER)
    )
}


class Role(StrEnum):
    """What an occupant may do in a room until leaving it (section 5.1)."""

    MODERATOR = "moderator"
    PARTICIPANT = "participant"
    VISITOR = "visitor"
    NONE = "none"


class Whois(StrEnum):
    """Who may see the occupants' real addresses (`muc#roomconfig_whois`)."""

    MODERATORS = "moderators"
    ANYONE = "anyone"


class StatusCode(StrEnum):
    """What a presence or message of the room tells beyond its words (section 15.6.2)."""

    NON_ANONYMOUS = "100"
    CONFIGURATION_CHANGED = "104"
    SELF_PRESENCE = "110"
    LOGGING_ENABLED = "170"
    LOGGING_DISABLED = "171"
    NOW_NON_ANONYMOUS = "172"
    NOW_SEMI_ANONYMOUS = "173"
    ROOM_CREATED = "201"
    NICKNAME_CHANGED_BY_SERVICE = "210"
    BANNED = "301"
    NEW_NICKNAME = "303"
    KICKED = "307"
    AFFILIATION_CHANGED = "321"
    MEMBERS_ONLY = "322"
    SERVICE_SHUTDOWN = "332"
    REMOVED_BY_ERROR = "333"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomConfiguration:
    """What an owner can set on a room (section 15.5.3)."""

    name: str = ""
    "`muc#roomconfig_roomname`: the room's name for people."

    description: str = ""
    "`muc#roomconfig_roomdesc`."

    persistent: bool = False
    "`muc#roomconfig_persistentroom`: it outlives its last occupant, and the service's restart."

    public: bool = True
    "`muc#roomconfig_publicroom`: it is among the service's items."

    moderated: bool = False
    "`muc#roomconfig_moderatedroom`: only those with voice may speak."

    members_only: bool = False
    "`muc#roomconfig_membersonly`: only members may enter."

    password: str = field(default="", repr=False)
    "`muc#roomconfig_roomsecret`: what one must know to enter; empty where there is no password."

    whois: Whois = Whois.MODERATORS
    "`muc#roomconfig_whois`: who sees real addresses."

    maximum_users: int = 0
    "`muc#roomconfig_maxusers`: 0 for no limit but the service's."

    change_subject: bool = False
    "`muc#roomconfig_changesubject`: whether every occupant may set the subject."

    allow_invites: bool = True
    "`muc#roomconfig_allowinvites`: whether every occupant may invite, into a members-only room too."

    logging: bool = False
    "`muc#roomconfig_enablelogging`: its messages are archived (XEP-0313)."

    @property
    def non_anonymous(self) -> bool:
        """Whether everybody sees real addresses."""
        return self.whois is Whois.ANYONE


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSubject:
    """A room's subject (section 8.1)."""

    text: str
    "What it says; empty when somebody took it away."

    nickname: str
    "Who set it."

    set_at: datetime
    "When, in UTC."


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomRecord:
    """What is stored of a persistent room."""

    jid: Jid
    "The room's address."

    configuration: RoomConfiguration = RoomConfiguration()
    "How its owner configured it."

    affiliations: Mapping[Jid, Affiliation] = field(default_factory=dict)
    "Affiliations other than none, by bare address."

    subject: RoomSubject | None = None
    "The subject, or None where there never was one."


class RoomStore(Protocol):
    """Keeps the persistent rooms. Reads come from memory; writes are persisted behind."""

    def rooms(self) -> Sequence[RoomRecord]:
        """Return all rooms that are kept."""
        ...

    def save_room(self, record: RoomRecord) -> None:
        """Keep a room as it is now."""
        ...

    def delete_room(self, room: Jid) -> None:
        """Forget a room; nothing happens where it is not kept."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MucSettings:
    """What a Text Conference Manager is started with."""

    domain: str
    "The service's address, as `conference.lab.example`, prepared."

    name: str = "Text Conferencing"
    "The service's name in service discovery."

    maximum_rooms: int = 1500
    "Rooms at a time."

    maximum_occupants: int = 1000
    "Occupants of one room, whatever its owner says."

    maximum_affiliations: int = 5000
    "Users with an affiliation in one room."

    history_length: int = 20
    "Messages that a new occupant is shown."
