"""Who may do what in a room (XEP-0045 section 5): the document's tables, and the checks that read them."""

from collections.abc import Mapping
from typing import Final

from certs.errors import RemoteProtocolError
from proxies.xmpp.muc.values import Affiliation, Role, RoomConfiguration

_A, _R = Affiliation, Role

# Section 5.1.2: the role one enters with, in an unmoderated and in a moderated room. An outcast does not enter.
INITIAL_ROLES: Final[Mapping[Affiliation, tuple[Role, Role]]] = {
    _A.OWNER: (_R.MODERATOR, _R.MODERATOR),
    _A.ADMIN: (_R.MODERATOR, _R.MODERATOR),
    _A.MEMBER: (_R.PARTICIPANT, _R.PARTICIPANT),
    _A.NONE: (_R.PARTICIPANT, _R.VISITOR),
}

# Section 5.2.1: between which affiliations one may move others. Those who are not here may move nobody.
AFFILIATION_CHANGES: Final[Mapping[Affiliation, frozenset[Affiliation]]] = {
    _A.OWNER: frozenset(Affiliation),
    _A.ADMIN: frozenset({_A.MEMBER, _A.NONE, _A.OUTCAST}),
}

# Section 5.1.1: the affiliation that a moderator needs for a change of role. Any other pair is no change.
ROLE_CHANGES: Final[Mapping[tuple[Role, Role], Affiliation]] = {
    (_R.VISITOR, _R.PARTICIPANT): _A.NONE,  # grant voice, 8.3
    (_R.PARTICIPANT, _R.VISITOR): _A.NONE,  # revoke voice, 8.4
    (_R.VISITOR, _R.MODERATOR): _A.ADMIN,  # grant moderator status, 9.6
    (_R.PARTICIPANT, _R.MODERATOR): _A.ADMIN,
    (_R.MODERATOR, _R.PARTICIPANT): _A.ADMIN,  # revoke moderator status, 9.7
    (_R.MODERATOR, _R.VISITOR): _A.ADMIN,
    (_R.VISITOR, _R.NONE): _A.NONE,  # kick, 8.2
    (_R.PARTICIPANT, _R.NONE): _A.NONE,
    (_R.MODERATOR, _R.NONE): _A.NONE,
}


def initial_role(affiliation: Affiliation, configuration: RoomConfiguration) -> Role:
    """Return the role that a user enters with (5.1.2)."""
    return INITIAL_ROLES[affiliation][configuration.moderated]


def check_affiliation_change(actor: Affiliation, old: Affiliation, new: Affiliation) -> None:
    """Raise RemoteProtocolError where somebody may not change another one's affiliation so (5.2.1)."""
    reach = AFFILIATION_CHANGES.get(actor)
    if reach is None:
        raise RemoteProtocolError(f"affiliation {actor} changes nobody's affiliation", reply="forbidden")
    if old not in reach or new not in reach:
        raise RemoteProtocolError(f"affiliation {actor} cannot make {old} {new}", reply="not-allowed")


def check_role_change(actor: tuple[Role, Affiliation], target: tuple[Role, Affiliation], new: Role) -> None:
    """Raise RemoteProtocolError where an occupant may not give another one a role (5.1.1).

    `actor` and `target` are their roles and affiliations.
    """
    if actor[0] is not Role.MODERATOR:
        raise RemoteProtocolError(f"a {actor[0]} changes nobody's role", reply="forbidden")
    needed = ROLE_CHANGES.get((target[0], new))
    if needed is None:
        raise RemoteProtocolError(f"a {target[0]} cannot be made {new}", reply="bad-request")
    if actor[1].rank < needed.rank:
        raise RemoteProtocolError(f"making a {target[0]} {new} takes an {needed}", reply="not-allowed")
    if target[1].rank > actor[1].rank:
        raise RemoteProtocolError(f"affiliation {target[1]} is above {actor[1]}", reply="not-allowed")
    if new is not Role.NONE and target[1].is_admin:
        raise RemoteProtocolError(f"an {target[1]} is always a moderator", reply="not-allowed")  # 8.4, 9.7
