"""Limits on the chunks of a body.

Parsing a chunk of one byte costs as much as parsing one of thousands. A chunk that is longer than any body may be is
refused when its size is announced.
"""

from __future__ import annotations

from typing import Any

import h11

SPARE, LEAST = 2000, 64
"""Number of chunks of any size in a body, and the mean bytes of further ones."""


class LimitedChunks(h11.Connection):
    """The parser of a connection; RemoteProtocolError where a body has too many small chunks, or one above ``most``
    bytes (then it is ``too_long``)."""

    _left, too_long = float(SPARE), False

    def __init__(self, head: int, most: int) -> None:
        super().__init__(h11.SERVER, head)
        self._most = most

    def next_event(self) -> Any:
        """Return the next event, as :meth:`h11.Connection.next_event`."""
        event = super().next_event()
        rest = getattr(self._reader, "_bytes_in_chunk", None)  # of the chunk; None where the body has no chunks
        if rest is not None and rest + (len(event.data) if isinstance(event, h11.Data) else 0) > self._most:
            self.too_long = True
            raise h11.RemoteProtocolError("a chunk of the body is too long")
        if isinstance(event, h11.Data):
            self._left += len(event.data) / LEAST - 1
            if self._left < 0:
                raise h11.RemoteProtocolError("the chunks of the body are too small")
        elif isinstance(event, h11.Request):
            self._left = float(SPARE)
        return event
