"""``TrainingRun``: the part of a Learner that callbacks and the learning-rate finder use."""

from __future__ import annotations

from typing import Protocol

from cofactor.data.interactions import Interactions
from cofactor.model import Model, Stepper
from cofactor.train.recorder import Recorder


class TrainingRun(Protocol):
    """A run in progress. Setting ``stop`` ends it after the current epoch."""

    model: Model
    train: Interactions
    valid: Interactions | None
    recorder: Recorder
    seed: int
    bs: int
    epoch: int
    stop: bool

    @property
    def stepper(self) -> Stepper: ...
