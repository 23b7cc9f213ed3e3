"""Connections on which nothing is asked are closed: each holds a descriptor, of which there are only so many."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


class IdleTimeoutProtocol(H11Protocol):
    """HTTP/1.1 with an end to waiting for the head of a request, the first one included. Heads have 64 kB at most."""

    patience = 15.0
    """Seconds. A connection is closed when no request began for once to twice this time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Look at it after a while."""
        super().connection_made(transport)
        self.loop.call_later(self.patience, self._look, None)

    def _look(self, before: Any) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is before and (before is None or before.response_complete):
            self.transport.close()
        else:
            self.loop.call_later(self.patience, self._look, self.cycle)
