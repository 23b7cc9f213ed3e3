"""A coroutine that is begun at once: where it waits for nothing, nothing has to be set up for its waiting."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any


class Begun:
    """``done`` with its ``value``, or to be awaited for it. To give every message a limit of time costs as much as to
    send it, and nearly none of them waits."""

    __slots__ = ("_first", "_of", "done", "value")

    def __init__(self, of: Coroutine[Any, Any, Any]) -> None:
        self._of, self._first, self.done, self.value = of, None, False, None
        try:
            self._first = of.send(None)
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
