"""The tables of users' and rooms' data. Moments are microseconds since 1970, stanzas and lists are JSON."""

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from harness.configuration.database_models import Row


class RosterItemRow(Row):
    """A contact in a user's roster (RFC 6121 2.1.2)."""

    __tablename__ = "im_roster_items"

    user: Mapped[str] = mapped_column(primary_key=True)
    contact: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    groups: Mapped[list[str]]
    subscription: Mapped[str]
    ask: Mapped[bool]
    approved: Mapped[bool]
    version: Mapped[int]


class RosterVersionRow(Row):
    """How often a user's roster was changed (RFC 6121 2.6)."""

    __tablename__ = "im_roster_versions"

    user: Mapped[str] = mapped_column(primary_key=True)
    current: Mapped[int]
    last_removal: Mapped[int]


class SubscriptionRequestRow(Row):
    """A request that waits for the user's answer (RFC 6121 3.1.3)."""

    __tablename__ = "im_subscription_requests"

    user: Mapped[str] = mapped_column(primary_key=True)
    contact: Mapped[str] = mapped_column(primary_key=True)
    request: Mapped[str]


class OfflineMessageRow(Row):
    """A message kept for a user who was not available (XEP-0160)."""

    __tablename__ = "im_offline_messages"

    user: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    received: Mapped[int] = mapped_column(BigInteger)
    message: Mapped[str]


class BlocklistRow(Row):
    """Whom a user has blocked (XEP-0191)."""

    __tablename__ = "im_blocklists"

    user: Mapped[str] = mapped_column(primary_key=True)
    blocked: Mapped[list[str]]


class VcardRow(Row):
    """A user's vCard (XEP-0054)."""

    __tablename__ = "im_vcards"

    user: Mapped[str] = mapped_column(primary_key=True)
    vcard: Mapped[bytes]


class LastActivityRow(Row):
    """When and how a user was last available (XEP-0012)."""

    __tablename__ = "im_last_activity"

    user: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[str]


class PepNodeRow(Row):
    """A node that a user has (XEP-0163); its configuration and its members as JSON."""

    __tablename__ = "im_pep_nodes"

    user: Mapped[str] = mapped_column(primary_key=True)
    node: Mapped[str] = mapped_column(primary_key=True)
    configuration: Mapped[str]
    members: Mapped[list[str]]


class PublishedItemRow(Row):
    """An item that a user published (XEP-0163); `number` orders a node's items, `published` is when."""

    __tablename__ = "im_published_items"

    user: Mapped[str] = mapped_column(primary_key=True)
    node: Mapped[str] = mapped_column(primary_key=True)
    item: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)
    published: Mapped[int] = mapped_column(BigInteger)
    payload: Mapped[bytes]


class RoomRow(Row):
    """A persistent room (XEP-0045)."""

    __tablename__ = "im_rooms"

    room: Mapped[str] = mapped_column(primary_key=True)
    configuration: Mapped[str]
    affiliations: Mapped[dict[str, str]]
    subject: Mapped[str]


class ArchiveRow(Row):
    """A message in an archive (XEP-0313)."""

    __tablename__ = "im_archive"

    owner: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    stamp: Mapped[int] = mapped_column(BigInteger)
    peer: Mapped[str]
    peer_resource: Mapped[str]
    message: Mapped[bytes]


class ArchivePreferencesRow(Row):
    """What a user wants archived (XEP-0313 section 7)."""

    __tablename__ = "im_archive_preferences"

    owner: Mapped[str] = mapped_column(primary_key=True)
    default: Mapped[str]
    always: Mapped[list[str]]
    never: Mapped[list[str]]
