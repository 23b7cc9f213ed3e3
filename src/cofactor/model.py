"""The protocols. Read this page first: everything else in cofactor is written against it.

A *model* is a small class over plain NumPy arrays. It makes a *stepper*, which the one training loop
(:class:`cofactor.train.Learner`) drives; it predicts pairs, scores whole rows, and gives its state as named arrays.
What a model can do besides that is said by the optional protocols further down; callers ask with ``isinstance``.

NumPy at every boundary. Users and items are int32 codes (positions in the frozen id maps of the training data),
ratings float32, times int64 seconds since 1970-01-01 UTC.
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
    """What the loop tells a ``batch`` stepper for a run of ``n`` consecutive batches.

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
    """After how many batches the loop looks for Ctrl-C; 0: after the epoch."""

    def run(self, rows: Array | None, hyper: Hyper | None) -> Array:
        """Train, and return the training losses as a float64 array.

        ``batch`` models: ``rows`` are ``n * batch_size`` positions into the training data; returns one loss per batch
        (the mean over the batch, before that batch's update). ``sweep`` and ``solve`` models: ``rows`` and ``hyper``
        are None; one pass is made, and an array of one loss (or of none, where there is no training loss) is returned.
        """
        raise NotImplementedError

    def run_epoch(self, seed: Sequence[int], hyper: Hyper) -> Array | None:
        """Train one epoch in an order of the stepper's own, drawn from ``seed``; returns losses as :meth:`run` does.

        None, the default: the stepper wants rows in the loop's order. Called only where no callback looks at batches.
        """
        return None

    def flush(self) -> None:
        """Bring weights that are kept lazily up to date; called after every epoch."""

    def snapshot(self) -> State:
        """Copies of every array and counter needed to go on later as if never interrupted (model arrays included)."""
        raise NotImplementedError

    def restore(self, state: Mapping[str, Array]) -> None:
        """Put a snapshot back, in place."""
        raise NotImplementedError


@runtime_checkable
class Model(Protocol, metaclass=Capability):
    """What every model offers. ``config`` is a frozen dataclass: the single source of names, defaults and help."""

    name: ClassVar[str]
    task: ClassVar[Task]
    """``rating``: scores are predicted ratings; ``ranking``: only their order means something."""
    kind: ClassVar[Kind]
    """``batch``: SGD over rows in the order given; ``sweep``: one pass of ALS or Gibbs; ``solve``: closed form."""
    config: Any

    def stepper(self, data: Interactions, rng: np.random.Generator) -> Stepper:
        """Begin to learn from ``data``: allocate, initialise, compute nothing long. All chance comes from ``rng``."""
        ...

    def predict(self, users: Array, items: Array, times: Array | None = None) -> Array:
        """float32 predictions for aligned arrays of codes (n,). Code -1 is an id never seen: the model falls back to
        what it knows without it (for ratings: biases or the mean). ``times`` is for models that use time."""
        ...

    def scores(self, users: Array) -> Array:
        """float32 (len(users), n_items): the score of every item for each of a block of users."""
        ...

    def fold_in(self, histories: CSR) -> Array:
        """The state of users who were not in training, from their ratings (CSR over item codes, one row per user), with
        the items held fixed: an array with one row per history. What its columns mean is the model's own."""
        ...

    def user_state(self, users: Array) -> Array:
        """The same representation for users of the training data (codes)."""
        ...

    def scores_from(self, user_state: Array) -> Array:
        """float32 (len(user_state), n_items) for rows from ``fold_in`` or ``user_state``."""
        ...

    def shape(self) -> tuple[int | None, int]:
        """(users, items) of the training data; None for a model that keeps nothing per user."""
        ...

    def state(self) -> State:
        """Everything learned, as named arrays (a 0-d array for a number). Not copied."""
        ...

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Array]) -> Self:
        """The same model again. Raises BundleError where an array is missing or of the wrong shape or dtype."""
        ...


class TableSize(NamedTuple):
    """What the cost of training depends on.

    ``ratings``, ``users``, ``items``: how many. ``pairs_by_user``, ``pairs_by_item``: the sums over users (items) of
    their squared numbers of ratings. ``timed``: whether there are times.
    """

    ratings: int
    users: int
    items: int
    pairs_by_user: float
    pairs_by_item: float
    timed: bool

    def part(self, share: float) -> TableSize:
        """The size of a random part of the rows."""
        pairs = (self.pairs_by_user * share**2, self.pairs_by_item * share**2)
        return TableSize(round(self.ratings * share), self.users, self.items, *pairs, self.timed)


class Cost(NamedTuple):
    """What training takes on one core.

    ``memory``: bytes at most beside the table; ``kept``: those of them that stay, groupings of the table included;
    ``operations``: nanoseconds of a laptop-like core; ``formula``: what they grow with, in words; ``libraries``: bytes
    of what is loaded the first time; ``compiling``: bytes that numba takes where the kernels are not in its cache yet.
    """

    memory: float
    kept: float
    operations: float
    formula: str
    libraries: float = 0.0
    compiling: float = 5.6e7


@runtime_checkable
class HasCost(Protocol, metaclass=Capability):
    """Optional (registered models all have it): what training would cost, from counted bytes and measured operations.

    For ``cofactor check``, for the refusal of what does not fit in memory, and for trying cheap models first.
    """

    @classmethod
    def cost(cls, config: Any, size: TableSize) -> Cost:
        """For one training with this config. The memory is never under what is used, and little above."""
        ...


@runtime_checkable
class HasLoss(Protocol, metaclass=Capability):
    """Optional: the model knows its own loss (a user's PyTorch loss, say). Others: ``config.loss``, or else MSE."""

    def loss(self, data: Interactions) -> float: ...


class Interval(NamedTuple):
    """Predictions with bounds that should hold ``level`` of true ratings; three float32 arrays (n,)."""

    mean: Array
    low: Array
    high: Array


@runtime_checkable
class Posterior(Protocol, metaclass=Capability):
    """Optional: the model knows how sure it is (others get intervals from held-out residuals)."""

    def predict_interval(self, users: Array, items: Array, level: float, times: Array | None = None) -> Interval:
        """Bounds for pairs of codes (n,) that should hold ``level`` of true ratings."""
        ...

    def interval_from(self, user_state: Array, level: float) -> Interval:
        """The same for every item, for any user state: three float32 arrays (len(user_state), n_items)."""
        ...

    def draw_from(self, user_state: Array, rng: np.random.Generator) -> Array:
        """float32 (len(user_state), n_items): scores by one draw from the posterior."""
        ...


@runtime_checkable
class ScoresSome(Protocol, metaclass=Capability):
    """Optional: scoring an item is expensive, so filters are applied before scoring."""

    def scores_among(self, user_state: Array, items: Array) -> Array:
        """float32 (len(user_state), len(items)): these columns (codes, none twice) of ``scores_from``, with the same
        bits."""
        ...


@runtime_checkable
class ChoosesSettings(Protocol, metaclass=Capability):
    """Optional: some settings that the config leaves open are chosen inside training."""

    def settled(self) -> Any:
        """The config with what was chosen in place of what was left open; after training."""
        ...


@runtime_checkable
class TriesParts(Protocol, metaclass=Capability):
    """Optional: what was tried inside training is worth a look."""

    def tried(self) -> list[dict[str, Any]]:
        """A line for each part: ``model``, ``config``, ``metric``, ``value``, ``seconds``, ``status``, ``chosen`` and
        ``held_out`` (the rows it was measured on, in words); empty where nothing was tried."""
        ...


@runtime_checkable
class SumsHistory(Protocol, metaclass=Capability):
    """Optional: a score is a sum over the entries of the history, and of what does not depend on it."""

    def history_terms(self, history: CSR, items: Array) -> Array:
        """float64 (len(items), n): what each entry of the one row of ``history`` adds to the scores of items."""
        ...


@runtime_checkable
class LeavesOut(Protocol, metaclass=Capability):
    """Optional: leaving out a user's ratings one by one costs less than folding in every history that remains."""

    def scores_without(self, history: CSR, positions: Array, items: Array) -> Array:
        """float64 (len(items), 1 + len(positions)): the scores of items for the one row of ``history``, then for the
        same without each of its entries at ``positions``. What the average user adds stays (``StartsFromAverage``)."""
        ...


@runtime_checkable
class LeavesOutOfKnown(Protocol, metaclass=Capability):
    """Optional, beside ``LeavesOut``: it takes less for a user of the training data, of whom something was found."""

    def scores_without_of(self, user: int, history: CSR, positions: Array, items: Array) -> Array:
        """As ``scores_without`` of the history of the user with this code."""
        ...


@runtime_checkable
class LeavesOutSlowly(Protocol, metaclass=Capability):
    """Optional, beside ``LeavesOut``: for a long history that takes too long for a list."""

    def seconds_without(self, n: int) -> float:
        """About how long it takes on one core to leave out each of ``n`` entries once."""
        ...


@runtime_checkable
class StartsFromAverage(Protocol, metaclass=Capability):
    """Optional: scores start from those of the average user, which count less the more of a user is known."""

    def average_part(self, history: CSR, items: Array) -> Array:
        """float64 (len(items),): what the average user adds to the scores for the one row of ``history``."""
        ...


@runtime_checkable
class GradientSteps(Protocol, metaclass=Capability):
    """Optional, of a config: the model learns by gradient steps, so a fold-in takes many passes over a history."""

    lr: float


class Terms(NamedTuple):
    """An account of one prediction in the model's own link space. ``names`` and ``values`` align; the link of their sum
    is the prediction exactly. ``link`` is ``identity`` or ``sigmoid`` (then ``y_range`` bounds it)."""

    names: tuple[str, ...]
    values: Array
    link: Literal["identity", "sigmoid"]
    y_range: tuple[float, float] | None


@runtime_checkable
class Additive(Protocol, metaclass=Capability):
    """Optional: predictions are a sum of named terms (global, user, item, factor 0, factor 1, ...)."""

    def terms(self, user: int, item: int, time: int | None = None) -> Terms:
        """For codes of the training data."""
        ...

    def terms_from(self, user_state: Array, item: int) -> Terms:
        """For one row of a user state (d,), so for users who were folded in too, and an item of the training data."""
        ...


@runtime_checkable
class HasFactors(Protocol, metaclass=Capability):
    """Optional: vectors and biases that can be looked at. float32; ``bias`` is (n,), ``factors`` (n, k)."""

    def factors(self, which: Literal["user", "item"]) -> Array: ...

    def bias(self, which: Literal["user", "item"]) -> Array: ...


@runtime_checkable
class HasSimilarity(Protocol, metaclass=Capability):
    """Optional: the model's own idea of which items go together (neighbourhood models, EASE, SLIM)."""

    def item_similarity(self, items: Array) -> Array:
        """float32 (len(items), n_items); larger is nearer."""
        ...


@runtime_checkable
class HasVectors(Model, Protocol):
    """Optional: scores that are a dot product (or rise with one), so that an index can look for the best items."""

    def query_vectors(self, user_state: Array) -> Array:
        """float32 (len(user_state), d). A row of zeros: this user's scores are no dot product."""
        ...

    def item_vectors(self) -> Array:
        """float32 (n_items, d), the bias among them: the order of the dot products is the order of the scores."""
        ...

    def scores_at(self, user_state: Array, items: Array) -> Array:
        """float32 (len(user_state), m): what ``scores_from`` gives, up to rounding, for each row's own ``items``."""
        ...


@runtime_checkable
class DropsUsers(Protocol, metaclass=Capability):
    """Optional: folding in and scoring need nothing of the users of training, so that the model can do without them."""

    def without_users(self) -> Self:
        """The same model with no row for any user of training; its fold-ins have the same bits."""
        ...


CommonRows = tuple[Array, Array]
"""Codes of the ids that two models share: (in the new one, in the old one)."""


@runtime_checkable
class WarmStart(Protocol, metaclass=Capability):
    """Optional: the model knows how to begin training with what an earlier one learned."""

    def begin_from(self, stepper: Stepper, old: Self, users: CommonRows, items: CommonRows) -> bool:
        """Write the rows of ``old`` into a run that has not begun; whether that could be done."""
        ...


@runtime_checkable
class HasItemVectors(Protocol, metaclass=Capability):
    """Optional: item vectors by which two trained models are compared, though nobody is shown them."""

    def item_embedding(self) -> Array:
        """float32 (n_items, k)."""
        ...
