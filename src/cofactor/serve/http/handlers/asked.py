"""What a handler gets: the request and the models; and the limits of one request."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any, NamedTuple

from cofactor.errors import ConfigError
from cofactor.serve.live.live import Live
from cofactor.serve.models.served import Served


class Asked(NamedTuple):
    """A request: its query or body (``what``), the client's scopes, and its id. ``beside`` is a version that answers in
    place of the live one, for a shadow comparison."""

    live: Live
    what: Any
    scopes: frozenset[str]
    request: str
    beside: Served | None = None

    def serving(self, user: Any) -> Served:
        """Return the version that serves a user."""
        return self.live.serving(user) if self.beside is None else self.beside


def within(name: str, count: int, most: int) -> None:
    """Raise ConfigError where one request exceeds a limit of the server's settings."""
    if count > most:
        raise ConfigError(f"{name}: {count:,} in one request; at most {most:,} are allowed: send several requests")


class Clock:
    """The processor time of one request for many lists or predictions."""

    def __init__(self, live: Live) -> None:
        self.most, self.begun = live.settings.work_seconds, time.thread_time()

    def check(self, what: str, done: int) -> None:
        """Raise ConfigError where the time limit is exceeded."""
        if time.thread_time() - self.begun > self.most:
            raise ConfigError(
                f"{what} take more than {self.most:g} s of processor time (the limit was reached after {done}); send"
                " several requests"
            )


def iso(seconds: int) -> str | None:
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="seconds") if seconds >= 0 else None
    except (OverflowError, ValueError, OSError):
        return None
