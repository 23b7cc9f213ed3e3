"""A memory budget shared by requests, for incoming bodies or outgoing answers."""

from __future__ import annotations

import asyncio


class Budget:
    """A budget of ``most`` bytes at once.

    When it is exceeded, the largest holder (of equal ones the oldest) is timed out, so that an idle holder that fills
    the budget cannot lock others out.
    """

    def __init__(self, most: int) -> None:
        self.most, self.used = most, 0
        self._held: dict[asyncio.Timeout, int] = {}

    def take(self, holder: asyncio.Timeout, size: int) -> None:
        """Add ``size`` bytes for a holder, which is its timeout; this may expire another holder's timeout."""
        self._held[holder] = self._held.get(holder, 0) + size
        self.used += size
        while self.used > self.most:
            largest = max(self._held, key=lambda one: self._held[one])
            self.give_back(largest)
            if not largest.expired():
                largest.reschedule(0.0)

    def give_back(self, holder: asyncio.Timeout) -> bool:
        """Release a holder's bytes; return False where it had been timed out before."""
        size = self._held.pop(holder, None)
        self.used -= size or 0
        return size is not None
