"""Matching of a blocklist (XEP-0191 section 4)."""

from proxies.xmpp.jid import Jid


def is_blocked(blocked: frozenset[Jid], other: Jid) -> bool:
    """Whether a blocklist names an address, by itself or by a part of it."""
    return bool(blocked) and not blocked.isdisjoint(
        (other, other.bare, Jid("", other.domainpart, other.resourcepart), Jid("", other.domainpart))
    )
