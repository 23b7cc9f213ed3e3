"""Memory that requests share: bytes of bodies that arrive, or of answers that leave, each with an end to its time."""

from __future__ import annotations

import asyncio


class Budget:
    """At most ``most`` bytes at once. Whoever needs more makes the largest one end (the oldest of these): one that
    fills it and then does nothing locks nobody out."""

    def __init__(self, most: int) -> None:
        self.most, self.used = most, 0
        self._held: dict[asyncio.Timeout, int] = {}

    def take(self, holder: asyncio.Timeout, size: int) -> None:
        """``size`` bytes more for a holder, which is the limit of its time; that of another one may end now."""
        self._held[holder] = self._held.get(holder, 0) + size
        self.used += size
        while self.used > self.most:
            largest = max(self._held, key=lambda one: self._held[one])
            self.give_back(largest)
            if not largest.expired():
                largest.reschedule(0.0)

    def give_back(self, holder: asyncio.Timeout) -> bool:
        """A holder needs nothing any more; whether it had not been made to end before."""
        size = self._held.pop(holder, None)
        self.used -= size or 0
        return size is not None
