"""How fast a peer may send: it is made to wait rather than thrown out (RFC 6120 13.12, 4.9.3.14)."""


class RateLimit:
    """A bucket of bytes that fills at a steady rate.

    Reading from a socket goes on while it holds something; after that the socket is not read, so TCP slows the peer.
    """

    def __init__(self, *, bytes_per_second: float, burst: float, now: float) -> None:
        self._rate = bytes_per_second
        self._burst = burst
        self._left = burst
        self._filled_at = now

    def take(self, size: int, *, now: float) -> float:
        """Take what was read out of the bucket; return for how many seconds not to read, 0 for going on."""
        self._left = min(self._burst, self._left + (now - self._filled_at) * self._rate) - size
        self._filled_at = now
        return -self._left / self._rate if self._left < 0 else 0.0
