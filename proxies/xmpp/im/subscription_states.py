"""The nine states of a presence subscription and their changes (RFC 6121 appendix A)."""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

from proxies.xmpp.im.interfaces import Subscription


class SubscriptionState(Enum):
    """What a user's server knows of the user and one contact (A.1): subscription, Pending Out, Pending In."""

    NONE = (Subscription.NONE, False, False)
    NONE_PENDING_OUT = (Subscription.NONE, True, False)
    NONE_PENDING_IN = (Subscription.NONE, False, True)
    NONE_PENDING_OUT_IN = (Subscription.NONE, True, True)
    TO = (Subscription.TO, False, False)
    TO_PENDING_IN = (Subscription.TO, False, True)
    FROM = (Subscription.FROM, False, False)
    FROM_PENDING_OUT = (Subscription.FROM, True, False)
    BOTH = (Subscription.BOTH, False, False)

    @property
    def subscription(self) -> Subscription:
        """Who gets whose presence."""
        return self.value[0]

    @property
    def pending_out(self) -> bool:
        """Whether the user's request waits for the contact's answer."""
        return self.value[1]

    @property
    def pending_in(self) -> bool:
        """Whether the contact's request waits for the user's answer."""
        return self.value[2]


S = SubscriptionState

# A pair that is not here changes nothing. What the user sends, appendix A.2:
OUTBOUND: Final[Mapping[tuple[str, SubscriptionState], SubscriptionState]] = MappingProxyType(
    {
        ("subscribe", S.NONE): S.NONE_PENDING_OUT,
        ("subscribe", S.NONE_PENDING_IN): S.NONE_PENDING_OUT_IN,
        ("subscribe", S.FROM): S.FROM_PENDING_OUT,
        ("unsubscribe", S.NONE_PENDING_OUT): S.NONE,
        ("unsubscribe", S.NONE_PENDING_OUT_IN): S.NONE_PENDING_IN,
        ("unsubscribe", S.TO): S.NONE,
        ("unsubscribe", S.TO_PENDING_IN): S.NONE_PENDING_IN,
        ("unsubscribe", S.FROM_PENDING_OUT): S.FROM,
        ("unsubscribe", S.BOTH): S.FROM,
        ("subscribed", S.NONE_PENDING_IN): S.FROM,
        ("subscribed", S.NONE_PENDING_OUT_IN): S.FROM_PENDING_OUT,
        ("subscribed", S.TO_PENDING_IN): S.BOTH,
        ("unsubscribed", S.NONE_PENDING_IN): S.NONE,
        ("unsubscribed", S.NONE_PENDING_OUT_IN): S.NONE_PENDING_OUT,
        ("unsubscribed", S.TO_PENDING_IN): S.TO,
        ("unsubscribed", S.FROM): S.NONE,
        ("unsubscribed", S.FROM_PENDING_OUT): S.NONE_PENDING_OUT,
        ("unsubscribed", S.BOTH): S.TO,
    }
)

# What the contact sends, appendix A.3; only what changes the state is delivered:
INBOUND: Final[Mapping[tuple[str, SubscriptionState], SubscriptionState]] = MappingProxyType(
    {
        ("subscribe", S.NONE): S.NONE_PENDING_IN,
        ("subscribe", S.NONE_PENDING_OUT): S.NONE_PENDING_OUT_IN,
        ("subscribe", S.TO): S.TO_PENDING_IN,
        ("unsubscribe", S.NONE_PENDING_IN): S.NONE,
        ("unsubscribe", S.NONE_PENDING_OUT_IN): S.NONE_PENDING_OUT,
        ("unsubscribe", S.TO_PENDING_IN): S.TO,
        ("unsubscribe", S.FROM): S.NONE,
        ("unsubscribe", S.FROM_PENDING_OUT): S.NONE_PENDING_OUT,
        ("unsubscribe", S.BOTH): S.TO,
        ("subscribed", S.NONE_PENDING_OUT): S.TO,
        ("subscribed", S.NONE_PENDING_OUT_IN): S.TO_PENDING_IN,
        ("subscribed", S.FROM_PENDING_OUT): S.BOTH,
        ("unsubscribed", S.NONE_PENDING_OUT): S.NONE,
        ("unsubscribed", S.NONE_PENDING_OUT_IN): S.NONE_PENDING_IN,
        ("unsubscribed", S.TO): S.NONE,
        ("unsubscribed", S.TO_PENDING_IN): S.NONE_PENDING_IN,
        ("unsubscribed", S.FROM_PENDING_OUT): S.FROM,
        ("unsubscribed", S.BOTH): S.FROM,
    }
)

SUBSCRIPTION_TYPES: Final = frozenset({"subscribe", "subscribed", "unsubscribe", "unsubscribed"})
"The presence types that manage a subscription (RFC 6121 3)."

ALWAYS_ROUTED: Final = frozenset({"subscribe", "unsubscribe"})
"Those that go to the contact even when nothing changes here (tables 2 and 3), so that both sides agree again."
