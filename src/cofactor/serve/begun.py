"""A coroutine that is begun at once: where it waits for nothing, nothing has to be set up for its waiting."""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from typing import Any, cast


class Begun:
    """``done`` with its ``value``, or to be awaited for it. To give every message a limit of time costs as much as to
    send it, and nearly none of them waits."""

    __slots__ = ("_first", "_of", "done", "value")

    def __init__(self, of: Awaitable[Any]) -> None:
        self._of = cast(Any, of)  # a coroutine: what ASGI promises is less
        self.done = False
        self.value: Any = None
        self._first: Any = None
        try:
            self._first = self._of.send(None)
        except StopIteration as end:
            self.done, self.value = True, end.value

    def __await__(self) -> Generator[Any, Any, Any]:
        """What is left of it."""
        waits = self._first
        while not self.done:
            raised: BaseException | None = None
            try:
                got = yield waits
            except BaseException as exc:  # cancelled, say
                raised = exc
            try:
                waits = self._of.send(got) if raised is None else self._of.throw(raised)
            except StopIteration as end:
                self.done, self.value = True, end.value
        return self.value
