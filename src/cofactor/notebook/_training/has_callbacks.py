"""The callbacks of a Learner: adding and removing them, and calling them in order."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Self

from cofactor import train
from cofactor.errors import ConfigError
from cofactor.notebook._callbacks.events import EVENTS, Callback, loop_lines
from cofactor.notebook._callbacks.recorder import Recorder
from cofactor.notebook._fastcore.lists import L
from cofactor.notebook._keywords import part_of
from cofactor.notebook._training.bridge import OfCore


@part_of("Learner")
class HasCallbacks:
    """The callbacks of a Learner, in ``cbs`` and under their names."""

    cbs: Any

    def add_cbs(self, cbs: Any) -> Self:
        """Add callbacks."""
        for cb in L(cbs):
            self.add_cb(cb)
        return self

    def add_cb(self, cb: Any) -> Self:
        """Add a callback (an object, or a class that needs no arguments)."""
        cb = self._checked(cb)
        cb.learn = self
        self.__dict__[cb.name] = cb
        self.cbs.append(cb)
        return self

    def remove_cbs(self, cbs: Any) -> Self:
        """Remove callbacks."""
        for cb in L(cbs):
            self.remove_cb(cb)
        return self

    def remove_cb(self, cb: Any) -> Self:
        """Remove a callback (the object, or all of a class)."""
        if isinstance(cb, type):
            return self.remove_cbs([c for c in self.cbs if isinstance(c, cb)])
        if cb in list(self.cbs):
            self.cbs[:] = [c for c in self.cbs if c is not cb]
            name: str = cb.name
            cb.learn = None
            if self.__dict__.get(name) is cb and not isinstance(cb, Recorder):
                del self.__dict__[name]
        return self

    @contextlib.contextmanager
    def added_cbs(self, cbs: Any) -> Iterator[Self]:
        """Add these callbacks inside ``with``."""
        made = [self._checked(c) for c in L(cbs)]
        self.add_cbs(made)
        try:
            yield self
        finally:
            self.remove_cbs(made)

    @contextlib.contextmanager
    def removed_cbs(self, cbs: Any) -> Iterator[Self]:
        """Remove these callbacks inside ``with``."""
        gone = L(cbs)
        self.remove_cbs(gone)
        try:
            yield self
        finally:
            self.add_cbs(gone)

    def _checked(self, cb: Any) -> Any:
        if isinstance(cb, type) and issubclass(cb, (Callback, train.Callback)):
            cb = cb()
        if isinstance(cb, train.Callback):
            return OfCore(cb)
        if not isinstance(cb, Callback):
            raise ConfigError(
                f"{type(cb).__name__} is not a callback of cofactor; subclass cofactor.notebook.Callback "
                "(before_fit, before_epoch, before_batch, after_batch, after_epoch, after_fit, ...)"
            )
        return cb

    def ordered_cbs(self, event: str) -> L:
        """Return the callbacks that have an event, in order."""
        return L([c for c in self.cbs.sorted("order") if c.has(event)])

    def __call__(self, event_name: Any) -> None:
        for name in L(event_name):
            if name not in EVENTS:
                raise ConfigError(f"there is no event {name!r}; there are: {', '.join(EVENTS)}")
            for cb in self.cbs.sorted("order"):
                if cb.learn is self:
                    cb(name)

    def show_training_loop(self) -> None:
        """Print the events of training with their callbacks."""
        print("\n".join(loop_lines(self.ordered_cbs)))
