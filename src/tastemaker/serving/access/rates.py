"""A token bucket: so many requests per second in the long run, and a few more at once.

Source: ITU-T I.371, the generic cell rate algorithm in its form as a continuous-state leaky bucket.
"""

__all__ = ["TokenBucket"]


class TokenBucket:
    """Counts what one key has left. Not safe for threads: it belongs to an event loop.

    Args:
        rate: tokens that come back per second; 0 is without limit.
        burst: tokens that it holds, and begins with.
        now_s: the time of its making, in seconds of a clock that never goes back.
    """

    def __init__(self, rate: float, burst: int, now_s: float) -> None:
        self.rate = rate
        self.burst = burst
        self._left = float(burst)
        self._at_s = now_s

    def take(self, now_s: float) -> float:
        """Take a token.

        Returns:
            0, or the seconds after which there is one when there is none now.
        """
        if not self.rate:
            return 0.0
        self._left = min(float(self.burst), self._left + max(now_s - self._at_s, 0.0) * self.rate)
        self._at_s = now_s
        if self._left < 1.0:
            return (1.0 - self._left) / self.rate
        self._left -= 1.0
        return 0.0

    def spend(self, tokens: int) -> None:
        """Take tokens for what a request turned out to cost; the bucket may owe some after that."""
        if self.rate:
            self._left -= tokens
