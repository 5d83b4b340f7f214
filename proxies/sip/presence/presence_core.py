"""Publications and watchers of a presence server, without sockets (RFC 3903, RFC 3856, RFC 6665)."""

import secrets
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from certs.errors import RemoteProtocolError
from proxies.sip.messages.pidf import PresenceDocument, compose

EVENT: Final = "presence"
"The event package (RFC 3856 6.1)."


class SubscriptionState(StrEnum):
    """The states that Subscription-State names (RFC 6665 4.1.3); this server asks nobody, so none is pending."""

    ACTIVE = "active"
    TERMINATED = "terminated"


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceLimits:
    """How long and how much the server keeps."""

    default_expires: int = 3600
    "Seconds that a subscription or publication lasts where the peer names none (RFC 3856 6.4)."

    minimum_expires: int = 60
    "The shortest time that is granted; less is answered by 423, 0 ends it."

    maximum_expires: int = 86400
    "The longest time that is granted; more is cut."

    maximum_publications: int = 10_000
    "Publications kept; further ones are answered by 503."

    maximum_subscriptions: int = 10_000
    "Subscriptions kept; further ones are answered by 503."

    def grant(self, expires: int | None) -> int:
        """Return the seconds that are granted for what a peer asks.

        Raises RemoteProtocolError (423) where it is too short.
        """
        if expires is None:
            return self.default_expires
        if 0 < expires < self.minimum_expires:
            raise RemoteProtocolError(
                f"{expires} seconds are less than {self.minimum_expires}, the least that is granted",
                reply="423",
            )
        return min(expires, self.maximum_expires)


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """One piece of event state (RFC 3903 4)."""

    presentity: str
    "The address of record it is about."

    document: PresenceDocument
    "What was published."

    expires_at: float
    "When it lapses, in the caller's monotonic seconds."


@dataclass(slots=True, kw_only=True)
class Subscription:
    """One watcher of one presentity; the core alone changes it."""

    key: Hashable
    "What the caller knows it by: its dialog."

    presentity: str
    "Who is watched."

    expires_at: float
    "When it lapses, in the caller's monotonic seconds."

    state: SubscriptionState = SubscriptionState.ACTIVE
    "Active until its end."


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyNeeded:
    """A NOTIFY is to be sent (RFC 6665 4.2.2)."""

    key: Hashable
    "The subscription's key."

    state: SubscriptionState
    "For Subscription-State."

    expires: int
    "Seconds left, for the `expires` parameter; 0 when terminated."

    reason: str = ""
    "Why it ended, for the `reason` parameter."

    document: PresenceDocument = field(repr=False)
    "The full state (RFC 3856 6.6.2 leaves no partial one)."


class PresenceCore:
    """Who published what, and who must hear of it. Time is an argument, in monotonic seconds."""

    def __init__(
        self,
        *,
        limits: PresenceLimits = PresenceLimits(),
        make_etag: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self.limits = limits
        "What is granted and kept."
        self._make_etag = make_etag
        self._publications: dict[str, Publication] = {}
        self._subscriptions: dict[Hashable, Subscription] = {}
        self._events: deque[NotifyNeeded] = deque()

    def publish(
        self,
        presentity: str,
        document: PresenceDocument | None,
        *,
        if_match: str | None,
        expires: int | None,
        now: float,
    ) -> tuple[str, int]:
        """Create, refresh, modify or remove a publication (RFC 3903 4, table 1); return entity tag and seconds.

        Raises RemoteProtocolError: 400 for an initial publication without a body, 412 for an entity tag that
        is not known here, 423 for too short a time, 503 where too much is kept already.
        """
        self.handle_timer(now=now)
        granted = self.limits.grant(expires)
        if if_match is None:
            if document is None:
                raise RemoteProtocolError("an initial PUBLISH carries a document", reply="400")
            if len(self._publications) >= self.limits.maximum_publications:
                raise RemoteProtocolError("too many publications are kept", reply="503")
            publication = Publication(presentity=presentity, document=document, expires_at=now + granted)
        else:
            known = self._publications.get(if_match)
            if known is None or known.presentity != presentity:
                raise RemoteProtocolError(f"no publication has the entity tag {if_match!r}", reply="412")
            del self._publications[if_match]
            publication = replace(known, document=document or known.document, expires_at=now + granted)
        etag = self._make_etag()
        if granted:
            self._publications[etag] = publication
        if document is not None or not granted:
            self._notify_watchers(presentity, now=now)
        return etag, granted

    def subscribe(self, key: Hashable, presentity: str, *, expires: int | None, now: float) -> int:
        """Start, refresh or end a subscription; return the seconds granted. A NOTIFY follows at once (4.2.1.4).

        Raises RemoteProtocolError: 423 for too short a time, 503 where there are too many.
        """
        self.handle_timer(now=now)
        granted = self.limits.grant(expires)
        subscription = self._subscriptions.get(key)
        if subscription is None:
            if len(self._subscriptions) >= self.limits.maximum_subscriptions:
                raise RemoteProtocolError("too many subscriptions are kept", reply="503")
            subscription = Subscription(key=key, presentity=presentity, expires_at=now + granted)
            self._subscriptions[key] = subscription
        subscription.expires_at = now + granted
        if granted:
            self._notify(subscription, now=now)
        else:
            self._end(subscription, "timeout", now=now)
        return granted

    def forget(self, key: Hashable) -> None:
        """Drop a subscription whose watcher is gone: its NOTIFY failed (4.2.2)."""
        self._subscriptions.pop(key, None)

    def next_event(self) -> NotifyNeeded | None:
        """Return the next NOTIFY to send, or None."""
        return self._events.popleft() if self._events else None

    def next_timer(self) -> float | None:
        """Return when `handle_timer` is due, or None."""
        times = [
            *(publication.expires_at for publication in self._publications.values()),
            *(subscription.expires_at for subscription in self._subscriptions.values()),
        ]
        return min(times, default=None)

    def handle_timer(self, *, now: float) -> None:
        """Let lapse what has lapsed."""
        lapsed = [etag for etag, p in self._publications.items() if p.expires_at <= now]
        presentities = {self._publications.pop(etag).presentity for etag in lapsed}
        for subscription in [s for s in self._subscriptions.values() if s.expires_at <= now]:
            self._end(subscription, "timeout", now=now)
        for presentity in sorted(presentities):
            self._notify_watchers(presentity, now=now)

    def stop(self, *, now: float) -> None:
        """End all subscriptions: the server goes down, watchers may come back (RFC 6665 4.1.3)."""
        for subscription in [*self._subscriptions.values()]:
            self._end(subscription, "deactivated", now=now)

    def _end(self, subscription: Subscription, reason: str, *, now: float) -> None:
        del self._subscriptions[subscription.key]
        subscription.state = SubscriptionState.TERMINATED
        self._notify(subscription, reason=reason, now=now)

    def _notify_watchers(self, presentity: str, *, now: float) -> None:
        for subscription in self._subscriptions.values():
            if subscription.presentity == presentity:
                self._notify(subscription, now=now)

    def _notify(self, subscription: Subscription, *, reason: str = "", now: float) -> None:
        presentity = subscription.presentity
        publications = [p.document for p in self._publications.values() if p.presentity == presentity]
        ended = subscription.state is SubscriptionState.TERMINATED
        self._events.append(
            NotifyNeeded(
                key=subscription.key,
                state=subscription.state,
                expires=0 if ended else round(subscription.expires_at - now),
                reason=reason,
                document=compose(presentity, reversed(publications)),
            )
        )
