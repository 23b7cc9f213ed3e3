"""A limit on the chunks of a body: parsing a chunk of one byte costs as much as parsing one of thousands."""

from __future__ import annotations

from typing import Any

import h11

SPARE, LEAST = 2000, 64
"""Number of chunks of any size in a body, and the mean bytes of further ones."""


class LimitedChunks(h11.Connection):
    """The parser of a connection; RemoteProtocolError where a body has too many small chunks."""

    _left = float(SPARE)

    def next_event(self) -> Any:
        """Return the next event, as :meth:`h11.Connection.next_event`."""
        event = super().next_event()
        if isinstance(event, h11.Data):
            self._left += len(event.data) / LEAST - 1
            if self._left < 0:
                raise h11.RemoteProtocolError("the chunks of the body are too small")
        elif isinstance(event, h11.Request):
            self._left = float(SPARE)
        return event
