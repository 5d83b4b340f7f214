"""What User Options shows of a user's data, read from the cluster's database."""

from dataclasses import dataclass

from sqlalchemy import select

from harness.configuration.database import Database
from harness.im_store.models import BlocklistRow, RosterItemRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A line of the user's contact list."""

    address: str
    "The contact's address."

    name: str
    "What the user calls the contact."

    groups: tuple[str, ...]
    "The groups that the user put the contact in."

    subscription: str
    "Who sees whose presence: `none`, `to`, `from` or `both` (RFC 6121 2.1.2.5)."


@dataclass(frozen=True, slots=True, kw_only=True)
class UserOptions:
    """A user's own settings."""

    address: str
    "The user's SIP and XMPP address."

    home_node: str
    "The short name of the node that the user is assigned to."

    contacts: tuple[Contact, ...]
    "The contact list."

    blocked: tuple[str, ...]
    "Whom the user has blocked."


async def read_user_options(database: Database, address: str, home_node: str) -> UserOptions:
    """Return what is kept of a user. Raises ConfigError where the database cannot be read."""
    async with database.read() as session:
        contacts = await session.scalars(
            select(RosterItemRow).where(RosterItemRow.user == address).order_by(RosterItemRow.contact)
        )
        blocklist = await session.get(BlocklistRow, address)
        return UserOptions(
            address=address,
            home_node=home_node,
            contacts=tuple(
                Contact(
                    address=row.contact,
                    name=row.name,
                    groups=tuple(row.groups),
                    subscription=row.subscription,
                )
                for row in contacts
            ),
            blocked=tuple(blocklist.blocked) if blocklist is not None else (),
        )
