"""The protocols. Read this file first: everything else in cofactor is written against it.

A *model* is a small class over plain NumPy arrays. It makes a *stepper*, which the one training loop
(:class:`cofactor.train.Learner`) drives. It predicts pairs, scores all items for users, and returns its state as named
arrays. Optional protocols, further down, describe what else a model can do; callers check them with ``isinstance``.

Every interface uses NumPy arrays. Users and items are int32 codes (positions in the frozen id maps of the training
data), ratings are float32, times are int64 seconds since 1970-01-01 UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from cofactor._capability import Capability
from cofactor.data.interactions import CSR, Interactions

Array = NDArray[Any]
State = dict[str, Array]
Kind = Literal["batch", "sweep", "solve"]
Task = Literal["rating", "ranking"]


class Hyper(NamedTuple):
    """Hyper-parameters of a ``batch`` stepper for ``n`` consecutive batches.

    ``lr`` and ``momentum`` are float arrays of length ``n``; ``weight_decay`` is decoupled (Loshchilov & Hutter 2019).
    ``sweep`` and ``solve`` steppers ignore all of it.
    """

    lr: Array
    momentum: Array
    weight_decay: float
    batch_size: int


class Stepper:
    """One training run in progress: owns the optimizer or sampler state and writes into the model's arrays.

    Subclass it: ``run``, ``snapshot`` and ``restore`` are required; the rest has defaults.
    """

    interrupt_every: int = 0
    """Number of batches after which the loop checks for Ctrl-C; 0: only after the epoch."""

    def run(self, rows: Array | None, hyper: Hyper | None) -> Array:
        """Train, and return the training losses as a float64 array.

        ``batch`` models: ``rows`` are ``n * batch_size`` positions in the training data; the result is one loss per
        batch (the mean over the batch, before its update). ``sweep`` and ``solve`` models: ``rows`` and ``hyper`` are
        None; the stepper makes one pass and returns an array of one loss, or an empty one without a training loss.
        """
        raise NotImplementedError

    def run_epoch(self, seed: Sequence[int], hyper: Hyper) -> Array | None:
        """Train one epoch in the stepper's own order, drawn from ``seed``, and return losses as :meth:`run` does.

        The default returns None: the stepper uses the loop's order. Called only where no callback handles batches.
        """
        return None

    def flush(self) -> None:
        """Apply pending lazy updates to the weights; called after every epoch."""

    def snapshot(self) -> State:
        """Return copies of all arrays and counters, the model's included, so that training can resume exactly."""
        raise NotImplementedError

    def restore(self, state: Mapping[str, Array]) -> None:
        """Restore a snapshot in place."""
        raise NotImplementedError


@runtime_checkable
class Model(Protocol, metaclass=Capability):
    """The interface of every model. ``config`` is a frozen dataclass: the single source of names, defaults and help."""

    name: ClassVar[str]
    task: ClassVar[Task]
    """``rating``: scores are predicted ratings; ``ranking``: only the order of scores has a meaning."""
    kind: ClassVar[Kind]
    """``batch``: SGD over rows in the order given; ``sweep``: one pass of ALS or Gibbs; ``solve``: closed form."""
    config: Any

    def stepper(self, data: Interactions, rng: np.random.Generator) -> Stepper:
        """Begin training on ``data``: allocate and initialise, without long computation. ``rng`` is the only source of
        randomness."""
        ...

    def predict(self, users: Array, items: Array, times: Array | None = None) -> Array:
        """Return predictions, float32 (n,), for aligned arrays of codes (n,). Code -1 is an unknown id, for which the
        model uses its average (for ratings: biases or the mean). ``times`` is for models that use time."""
        ...

    def scores(self, users: Array) -> Array:
        """Return the score of every item for each user, float32 (len(users), n_items)."""
        ...

    def fold_in(self, histories: CSR) -> Array:
        """Return the states of users who were not in training, from their ratings (CSR over item codes, one row per
        user), with item parameters fixed: an array with one row per history. Each model defines its columns."""
        ...

    def user_state(self, users: Array) -> Array:
        """Return the same states for users of the training data (codes)."""
        ...

    def scores_from(self, user_state: Array) -> Array:
        """Return scores, float32 (len(user_state), n_items), for rows from ``fold_in`` or ``user_state``."""
        ...

    def shape(self) -> tuple[int | None, int]:
        """Return the numbers of (users, items) in training; None for a model that keeps nothing per user."""
        ...

    def state(self) -> State:
        """Return everything learned, as named arrays (0-d for a number), without copying."""
        ...

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Array]) -> Self:
        """Restore a model from its state; BundleError where an array is missing or has a wrong shape or dtype."""
        ...


class TableSize(NamedTuple):
    """The size of a table, which determines the cost of training.

    ``ratings``, ``users``, ``items``: their numbers. ``pairs_by_user``, ``pairs_by_item``: the sums over users (items)
    of their squared numbers of ratings. ``timed``: whether there are times.
    """

    ratings: int
    users: int
    items: int
    pairs_by_user: float
    pairs_by_item: float
    timed: bool

    def part(self, share: float) -> TableSize:
        """Return the size of a random ``share`` of the rows."""
        pairs = (self.pairs_by_user * share**2, self.pairs_by_item * share**2)
        return TableSize(round(self.ratings * share), self.users, self.items, *pairs, self.timed)


class Cost(NamedTuple):
    """The cost of training on one core.

    ``memory``: peak bytes beside the table. ``kept``: the bytes that remain after training, groupings of the table
    included. ``operations``: nanoseconds on a core like a laptop's. ``formula``: how they grow, as text. ``libraries``:
    bytes of libraries loaded at first use. ``compiling``: bytes for compilation where numba's cache lacks the kernels.
    """

    memory: float
    kept: float
    operations: float
    formula: str
    libraries: float = 0.0
    compiling: float = 5.6e7


@runtime_checkable
class HasCost(Protocol, metaclass=Capability):
    """Optional (all registered models have it): the cost of training, from counted bytes and measured operations.

    It is used by ``cofactor check``, to refuse training that does not fit in memory, and to try cheap models first.
    """

    @classmethod
    def cost(cls, config: Any, size: TableSize) -> Cost:
        """Return the cost of one training with this config. The memory is an upper bound, and a close one."""
        ...


@runtime_checkable
class HasLoss(Protocol, metaclass=Capability):
    """Optional: the model computes its own loss, such as a user's PyTorch loss. Others use ``config.loss``, else
    MSE."""

    def loss(self, data: Interactions) -> float: ...


class Interval(NamedTuple):
    """Predictions with bounds that should contain ``level`` of the true ratings; three float32 arrays (n,)."""

    mean: Array
    low: Array
    high: Array


@runtime_checkable
class Posterior(Protocol, metaclass=Capability):
    """Optional: the model has a posterior. Other models get intervals from held-out residuals."""

    def predict_interval(self, users: Array, items: Array, level: float, times: Array | None = None) -> Interval:
        """Return bounds for pairs of codes (n,) that should contain ``level`` of the true ratings."""
        ...

    def interval_from(self, user_state: Array, level: float) -> Interval:
        """Return bounds of every item for user states: three float32 arrays (len(user_state), n_items)."""
        ...

    def draw_from(self, user_state: Array, rng: np.random.Generator) -> Array:
        """Return the scores of one posterior draw, float32 (len(user_state), n_items)."""
        ...


@runtime_checkable
class ScoresSome(Protocol, metaclass=Capability):
    """Optional: scoring an item is expensive, so filters are applied before scoring."""

    def scores_among(self, user_state: Array, items: Array) -> Array:
        """Return these columns (distinct codes) of ``scores_from``, float32 (len(user_state), len(items)), with the
        same bits."""
        ...


@runtime_checkable
class ChoosesSettings(Protocol, metaclass=Capability):
    """Optional: training chooses some settings that the config leaves open."""

    def settled(self) -> Any:
        """Return the config after training, with the chosen settings filled in."""
        ...


@runtime_checkable
class TriesParts(Protocol, metaclass=Capability):
    """Optional: the model tries several models or settings in training and reports them."""

    def tried(self) -> list[dict[str, Any]]:
        """Return a row for each part: ``model``, ``config``, ``metric``, ``value``, ``seconds``, ``status``, ``chosen``
        and ``held_out`` (a text about the rows it was measured on); empty where nothing was tried."""
        ...


@runtime_checkable
class SumsHistory(Protocol, metaclass=Capability):
    """Optional: a score is a sum over the entries of the history, plus a part that does not depend on it."""

    def history_terms(self, history: CSR, items: Array) -> Array:
        """Return what each entry of the single row of ``history`` adds to the scores, float64 (len(items), n)."""
        ...


@runtime_checkable
class LeavesOut(Protocol, metaclass=Capability):
    """Optional: leaving out a user's ratings one by one is cheaper than folding in each shortened history."""

    def scores_without(self, history: CSR, positions: Array, items: Array) -> Array:
        """Return scores, float64 (len(items), 1 + len(positions)): for the single row of ``history``, then for the row
        without each of its entries at ``positions``. The average user's part stays (``StartsFromAverage``)."""
        ...


@runtime_checkable
class LeavesOutOfKnown(Protocol, metaclass=Capability):
    """Optional, beside ``LeavesOut``: faster for users of the training data, by what training found about them."""

    def scores_without_of(self, user: int, history: CSR, positions: Array, items: Array) -> Array:
        """As ``scores_without`` of the history of the user with this code."""
        ...


@runtime_checkable
class LeavesOutSlowly(Protocol, metaclass=Capability):
    """Optional, beside ``LeavesOut``: leaving out ratings of a long history takes too long for a list."""

    def seconds_without(self, n: int) -> float:
        """Return about how many seconds one core takes to leave out each of ``n`` entries once."""
        ...


@runtime_checkable
class StartsFromAverage(Protocol, metaclass=Capability):
    """Optional: scores start from the average user's, whose weight decreases as more is known about a user."""

    def average_part(self, history: CSR, items: Array) -> Array:
        """Return what the average user adds to the scores, float64 (len(items),), for the single row of ``history``."""
        ...


@runtime_checkable
class GradientSteps(Protocol, metaclass=Capability):
    """Optional, of a config: the model learns by gradient steps, so a fold-in takes many passes over a history."""

    lr: float


class Terms(NamedTuple):
    """The terms of one prediction, in the model's link space. ``names`` and ``values`` are aligned; the link of the sum
    of the values equals the prediction exactly. ``link`` is ``identity`` or ``sigmoid`` (scaled to ``y_range``)."""

    names: tuple[str, ...]
    values: Array
    link: Literal["identity", "sigmoid"]
    y_range: tuple[float, float] | None


@runtime_checkable
class Additive(Protocol, metaclass=Capability):
    """Optional: predictions are a sum of named terms (global, user, item, factor 0, factor 1, ...)."""

    def terms(self, user: int, item: int, time: int | None = None) -> Terms:
        """Return the terms for codes of the training data."""
        ...

    def terms_from(self, user_state: Array, item: int) -> Terms:
        """Return the terms for one user state (d,), of a folded-in user too, and an item of the training data."""
        ...


@runtime_checkable
class HasFactors(Protocol, metaclass=Capability):
    """Optional: the model has vectors and biases to show, float32; ``bias`` is (n,), ``factors`` (n, k)."""

    def factors(self, which: Literal["user", "item"]) -> Array: ...

    def bias(self, which: Literal["user", "item"]) -> Array: ...


@runtime_checkable
class HasSimilarity(Protocol, metaclass=Capability):
    """Optional: the model has its own item similarities (neighbourhood models, EASE, SLIM)."""

    def item_similarity(self, items: Array) -> Array:
        """Return similarities, float32 (len(items), n_items); larger is more similar."""
        ...


@runtime_checkable
class HasVectors(Model, Protocol):
    """Optional: scores are a dot product (or increase with one), so that an index can search for the best items."""

    def query_vectors(self, user_state: Array) -> Array:
        """Return query vectors, float32 (len(user_state), d). A row of zeros: this user's scores are not a dot
        product."""
        ...

    def item_vectors(self) -> Array:
        """Return item vectors, float32 (n_items, d), with the bias as a part: dot products order items as scores do."""
        ...

    def scores_at(self, user_state: Array, items: Array) -> Array:
        """Return for each row the scores of its own ``items``, float32 (len(user_state), m), equal to ``scores_from``
        up to rounding."""
        ...


@runtime_checkable
class DropsUsers(Protocol, metaclass=Capability):
    """Optional: fold-ins and scores do not need the training users, so the model can drop them."""

    def without_users(self) -> Self:
        """Return the model without rows for training users; its fold-ins have the same bits."""
        ...


CommonRows = tuple[Array, Array]
"""Codes of the ids that two models share: (in the new model, in the old model)."""


@runtime_checkable
class WarmStart(Protocol, metaclass=Capability):
    """Optional: the model can begin training from the parameters of an earlier model."""

    def begin_from(self, stepper: Stepper, old: Self, users: CommonRows, items: CommonRows) -> bool:
        """Write the rows of ``old`` into a run that has not begun, and return whether that was possible."""
        ...


@runtime_checkable
class HasItemVectors(Protocol, metaclass=Capability):
    """Optional: the model has item vectors to compare two trained models by, but not to show."""

    def item_embedding(self) -> Array:
        """Return the vectors, float32 (n_items, k)."""
        ...
