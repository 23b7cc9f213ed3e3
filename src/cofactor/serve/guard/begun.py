"""A coroutine that is started at once, so that one that does not wait needs no timeout."""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from typing import Any, cast


class Begun:
    """A started coroutine: either ``done`` with a ``value``, or to be awaited.

    Setting a timeout for a message costs as much as sending it, and almost no message waits.
    """

    __slots__ = ("_first", "_of", "done", "value")

    def __init__(self, of: Awaitable[Any]) -> None:
        self._of = cast(Any, of)  # a coroutine; ASGI's types promise only an Awaitable
        self.done = False
        self.value: Any = None
        self._first: Any = None
        try:
            self._first = self._of.send(None)
        except StopIteration as end:
            self.done, self.value = True, end.value

    def __await__(self) -> Generator[Any, Any, Any]:
        """Run the rest of the coroutine."""
        waits = self._first
        while not self.done:
            raised: BaseException | None = None
            try:
                got = yield waits
            except BaseException as exc:  # such as a cancellation
                raised = exc
            try:
                waits = self._of.send(got) if raised is None else self._of.throw(raised)
            except StopIteration as end:
                self.done, self.value = True, end.value
        return self.value
