"""A model class under test: the toy data for its task, and ways to train it."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions
from cofactor.model import Hyper, Model, State, Stepper
from cofactor.testing.toy import Toy, toy_blocks, toy_ratings
from cofactor.train import Learner
from cofactor.train.fit_model import fit_model
from cofactor.train.order import epoch_order

Array = NDArray[Any]


@dataclass(frozen=True)
class Subject:
    """``cls`` and a config of it. ``model`` is trained once and shared by the checks, which must not change it."""

    cls: type[Any]
    config: Any

    @cached_property
    def toy(self) -> Toy:
        """Ratings, or blocks of choices for a ranker."""
        return toy_ratings() if self.cls.task == "rating" else toy_blocks()

    @cached_property
    def learn(self) -> Learner:
        """A Learner after training with seed 0."""
        return self.fit(self.toy.train)

    @property
    def model(self) -> Any:
        """The trained model."""
        return self.learn.model

    def fit(self, data: Interactions, seed: int = 0) -> Learner:
        """Train as :func:`cofactor.fit` does: all epochs of the config, the one-cycle policy for batches."""
        return fit_model(data, self.cls(self.config), seed=seed)

    @property
    def batch_size(self) -> int:
        """The batch size of the config."""
        return int(getattr(self.config, "batch_size", 64))

    def begin(self, seed: int = 0) -> tuple[Model, Stepper]:
        """A new model and its stepper on the training part."""
        model = self.cls(self.config)
        return model, model.stepper(self.toy.train, np.random.default_rng(seed))

    def one_pass(self, stepper: Stepper, epoch: int) -> Array:
        """One pass over the training part (at a constant rate, for batches)."""
        if self.cls.kind != "batch":
            return stepper.run(None, None)
        bs = min(self.batch_size, len(self.toy.train))
        n = len(self.toy.train) // bs
        rate = np.full(n, getattr(self.config, "lr", 5e-3) / 2)
        hyper = Hyper(rate, np.full(n, 0.9), getattr(self.config, "weight_decay", 0.01), bs)
        return stepper.run(epoch_order(len(self.toy.train), 0, epoch)[: n * bs], hyper)

    def pairs(self) -> tuple[Array, Array]:
        """Every user with every item: int32 codes."""
        n_users, n_items = self.toy.truth.shape
        users, items = np.indices((n_users, n_items)).reshape(2, -1).astype(np.int32)
        return users, items

    def histories(self) -> CSR:
        """The training ratings of every user."""
        return self.toy.train.histories


def copied(state: State) -> State:
    """A deep copy of named arrays."""
    return copy.deepcopy(dict(state))
