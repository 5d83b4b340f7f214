"""Acknowledged stanzas, and a stream that goes on over another connection (XEP-0198 1.6)."""

import secrets
from collections import deque
from typing import Final

from certs.errors import RemoteProtocolError
from proxies.xmpp.conditions import StreamErrorCondition
from proxies.xmpp.stanza import Stanza

_MODULUS: Final = 2**32
"Counters wrap around (XEP-0198 4)."


class HandledCountTooHighError(RemoteProtocolError):
    """The peer acknowledges stanzas that it was never sent (XEP-0198 4)."""

    def __init__(self, handled: int, sent: int) -> None:
        super().__init__(
            f"{handled} stanzas acknowledged and {sent} sent", reply=StreamErrorCondition.UNDEFINED_CONDITION
        )
        self.handled = handled
        "What the peer says."
        self.sent = sent
        "What is true."


class ManagedStanzas:
    """The counters and unacknowledged stanzas of one managed stream; they outlive its connections."""

    def __init__(
        self, *, maximum_unacknowledged: int, resumption_id: str = "", maximum_time: float = 0
    ) -> None:
        self.resumption_id = resumption_id
        "By what the stream can be resumed; empty where it cannot."
        self.maximum_time = maximum_time
        "Seconds for which the receiving entity keeps it; 0 where it does not say."
        self._maximum = maximum_unacknowledged
        self._handled = 0
        self._acknowledged = 0
        self._unacknowledged: deque[Stanza] = deque()

    @property
    def handled(self) -> int:
        """How many stanzas of the peer were handled, as `h` says it."""
        return self._handled

    @property
    def sent(self) -> int:
        """How many stanzas were sent, as the peer counts them."""
        return (self._acknowledged + len(self._unacknowledged)) % _MODULUS

    @property
    def unacknowledged(self) -> tuple[Stanza, ...]:
        """What was sent and not acknowledged, the oldest first."""
        return tuple(self._unacknowledged)

    @property
    def waiting(self) -> bool:
        """Whether anything is not acknowledged."""
        return bool(self._unacknowledged)

    @property
    def overflowed(self) -> bool:
        """Whether the peer acknowledges too little; nothing more should be sent."""
        return len(self._unacknowledged) > self._maximum

    def handle_stanza(self) -> None:
        """Count a stanza that was received."""
        self._handled = (self._handled + 1) % _MODULUS

    def send_stanza(self, stanza: Stanza) -> None:
        """Keep a stanza until it is acknowledged."""
        self._unacknowledged.append(stanza)

    def acknowledge(self, handled: int) -> None:
        """Forget what the peer has handled.

        Raises HandledCountTooHighError where it cannot have.
        """
        number = (handled - self._acknowledged) % _MODULUS
        if number > len(self._unacknowledged):
            raise HandledCountTooHighError(handled, self.sent)
        for _ in range(number):
            self._unacknowledged.popleft()
        self._acknowledged = handled


def make_resumption_id() -> str:
    """Return an id that cannot be guessed (XEP-0198 3)."""
    return secrets.token_urlsafe(18)


def parse_count(text: str | None) -> int:
    """Return the value of an `h` attribute.

    Raises RemoteProtocolError where it is none.
    """
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 10 or int(text) >= _MODULUS:
        raise RemoteProtocolError(
            f"h={text!r} is no count of stanzas", reply=StreamErrorCondition.POLICY_VIOLATION
        )
    return int(text)
