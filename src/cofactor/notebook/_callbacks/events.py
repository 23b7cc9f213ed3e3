"""The events of training at which callbacks are called, and the exceptions that end a part of it early."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cofactor.notebook._fastcore.texts import class2attr

__all__ = [
    "Callback",
    "CancelBackwardException",
    "CancelBatchException",
    "CancelEpochException",
    "CancelFitException",
    "CancelStepException",
    "CancelTrainException",
    "CancelValidException",
    "event",
]

EVENTS = (
    *("after_create", "before_fit", "before_epoch", "before_train", "before_batch", "after_pred", "after_loss"),
    *("before_backward", "after_cancel_backward", "after_backward", "before_step", "after_cancel_step", "after_step"),
    *("after_cancel_batch", "after_batch", "after_cancel_train", "after_train", "before_validate"),
    *("after_cancel_validate", "after_validate", "after_cancel_epoch", "after_epoch", "after_cancel_fit", "after_fit"),
)
INNER = frozenset(EVENTS[4:15])
"""Events inside a batch."""
SEEN_BY_EPOCH = frozenset(
    {
        "after_create",
        "before_fit",
        "before_epoch",
        "before_train",
        "after_validate",
        "after_epoch",
        "after_cancel_fit",
        "after_fit",
    }
)
"""Events that a run of whole epochs has too. Callbacks with any other event make training go batch by batch."""


LOOP = {
    "Start Fit": ("before_fit",),
    "Start Epoch Loop": ("before_epoch",),
    "Start Train": ("before_train",),
    "Start Batch Loop": (*EVENTS[4:14], "after_batch"),
    "End Batch Loop": (),
    "End Train": ("after_cancel_train", "after_train"),
    "Start Valid": ("before_validate",),
    "Start Batch Loop ": ("**CBs same as train batch**",),
    "End Batch Loop ": (),
    "End Valid": ("after_cancel_validate", "after_validate"),
    "End Epoch Loop": ("after_cancel_epoch", "after_epoch"),
    "End Fit": ("after_cancel_fit", "after_fit"),
}
"""The parts of training in order, with the events at the start and end of each."""


def loop_lines(callbacks: Callable[[str], Any]) -> list[str]:
    """Return the loop as text: each event, with its callbacks."""
    lines, depth = [], 0
    for part, moments in LOOP.items():
        depth -= 2 * part.startswith("End")
        lines.append(" " * depth + part.strip())
        depth += 2 * part.startswith("Start")
        lines += [f"{' ' * depth} - {m:15}: {list(callbacks(m))}" for m in moments]
    return lines


class event:
    """All events as attributes."""


for _name in EVENTS:
    setattr(event, _name, _name)


class CancelFitException(Exception):
    """Ends training; continues at ``after_cancel_fit``."""


class CancelEpochException(Exception):
    """Skip the rest of the epoch."""


class CancelTrainException(Exception):
    """Skip the rest of the epoch's training."""


class CancelValidException(Exception):
    """Skip the rest of the validation."""


class CancelBatchException(Exception):
    """Skip the rest of the batch."""


class CancelStepException(Exception):
    """Skip the optimizer's step."""


class CancelBackwardException(Exception):
    """Skip the backward pass."""


def at(*names: str) -> Callable[[type], type]:
    """Decorator: give a callback methods that do nothing at events that the Learner handles itself. A subclass may call
    them by ``super()``, and ``show_training_loop`` shows them."""

    def decorate(kind: type) -> type:
        for name in names:
            if name not in vars(kind):
                setattr(kind, name, _nothing)
        return kind

    return decorate


def _nothing(self: Any) -> None:
    """Do nothing: the Learner does it."""


class Callback:
    """Override any of the events: ``before_fit``, ``before_epoch``, ``before_batch``, ``after_pred``, ``after_loss``,
    ``after_batch``, ``after_epoch``, ``after_fit``, ... (all in ``event``).

    ``self.learn`` is the Learner. Its attributes are also available from ``self``: ``xb``, ``yb``, ``pred``, ``loss``,
    ``epoch``, ``iter``, ``opt``. Set them on ``self.learn``. ``order`` sorts the callbacks. Events inside a batch make
    training go batch by batch, which is slower.
    """

    order: float = 0
    learn: Any = None
    run = run_train = run_valid = True
    remove_on_fetch = False

    def __init__(self, **kwargs: Any) -> None:
        for name, function in kwargs.items():
            if name not in EVENTS:
                raise TypeError(f"Callback has no event {name!r}; there are: {', '.join(EVENTS)}")
            setattr(self, name, function.__get__(self) if hasattr(function, "__get__") else function)

    def __call__(self, event_name: str) -> Any:
        inner = event_name in INNER
        training = getattr(self.learn, "training", True)
        wanted = not inner or (self.run_train and training) or (self.run_valid and not training)
        found = None
        if (
            self.run
            and wanted
            and (method := getattr(self, event_name, None) if self.has(event_name) else None) is not None
        ):
            found = method()
        if event_name == "after_fit":
            self.run = True
        return found

    def has(self, event_name: str) -> bool:
        """Return whether it does something at this event."""
        return event_name in self.__dict__ or hasattr(type(self), event_name)

    @property
    def name(self) -> str:
        """Its name as an attribute of the Learner."""
        return class2attr(self, "Callback")

    def __repr__(self) -> str:
        return type(self).__name__

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in EVENTS or self.__dict__.get("learn") is None:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        return getattr(self.learn, name)

    @property
    def by_batch(self) -> bool:
        """Whether it has an event that a run of whole epochs lacks."""
        return any(self.has(name) for name in EVENTS if name not in SEEN_BY_EPOCH)
