"""The protocols. Read this page first: everything else in cofactor is written against it.

A *model* is a small class over plain NumPy arrays. It makes a *stepper*, which the one training loop
(:class:`cofactor.train.Learner`) drives; it predicts pairs, scores whole rows, and gives its state as named arrays.
What a model can do besides that is said by the optional protocols further down; callers ask with ``isinstance``.

NumPy at every boundary. Users and items are int32 codes (positions in the frozen id maps of the training data),
ratings float32, times int64 seconds since 1970-01-01 UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions

Array = NDArray[Any]
State = dict[str, Array]
Kind = Literal["batch", "sweep", "solve"]
Task = Literal["rating", "ranking"]


@dataclass(frozen=True, slots=True)
class Hyper:
    """What the loop tells a ``batch`` stepper for a run of ``n`` consecutive batches.

    ``lr`` and ``mom`` are float arrays of length ``n``; ``wd`` is the decoupled weight decay; ``bs`` the batch size.
    ``sweep`` and ``solve`` steppers ignore all of it.
    """

    lr: Array
    mom: Array
    wd: float
    bs: int


class Stepper(Protocol):
    """One training run in progress: owns the optimizer or sampler state and writes into the model's arrays.

    Three optional attributes are looked for: ``chunk``, the number of batches after which the loop wants to hear of
    Ctrl-C; ``flush()``, which brings weights that are kept lazily up to date, and is called after every epoch; and,
    where nobody looks at batches, ``whole(seed, hyper)``, which trains an epoch in an order of its own, drawn from
    ``seed``, and gives losses as ``run`` does (or None: then it wants rows).
    """

    kind: Kind
    """``batch``: SGD over rows in the order given; ``sweep``: one pass of ALS or Gibbs; ``solve``: closed form."""

    def run(self, rows: Array | None, hyper: Hyper | None) -> Array:
        """Train, and give the training losses as a float64 array.

        ``batch``: ``rows`` are ``n * bs`` positions into the training data, one loss a batch comes back (mean over the
        batch, before that batch's update). ``sweep`` and ``solve``: ``rows`` and ``hyper`` are None, one pass is made,
        an array of one loss (or of none, where the model has no training loss) comes back.
        """
        ...

    def snapshot(self) -> State:
        """Copies of every array and counter needed to go on later as if never interrupted (model arrays included)."""
        ...

    def restore(self, state: Mapping[str, Array]) -> None:
        """Put a snapshot back, in place."""
        ...


@runtime_checkable
class Model(Protocol):
    """What every model offers. ``config`` is a frozen dataclass: the single source of names, defaults and help."""

    name: ClassVar[str]
    task: ClassVar[Task]
    """``rating``: scores are predicted ratings; ``ranking``: only their order means something."""
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

    def state(self) -> State:
        """Everything learned, as named arrays (a 0-d array for a number). Not copied."""
        ...

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Array]) -> Self:
        """The same model again. Raises BundleError where an array is missing or of the wrong shape or dtype."""
        ...


@runtime_checkable
class HasLoss(Protocol):
    """Optional: the model knows its own loss (a user's PyTorch loss, say). Others: ``config.loss``, or else MSE."""

    def loss(self, data: Interactions) -> float: ...


@runtime_checkable
class FoldIn(Protocol):
    """Optional, but expected: users that were not in training get scores without any retraining."""

    def fold_in(self, histories: CSR) -> Array:
        """What the model would know of users with these ratings (CSR over item codes, a row a user), items held fixed:
        an array with one row for each history, whatever its columns mean to the model."""
        ...

    def user_state(self, users: Array) -> Array:
        """The same representation for users of the training data."""
        ...

    def scores_from(self, user_state: Array) -> Array:
        """float32 (len(user_state), n_items) for rows from ``fold_in`` or ``user_state``."""
        ...


class Interval(NamedTuple):
    """Predictions with bounds that should hold ``level`` of true ratings; three float32 arrays (n,)."""

    mean: Array
    low: Array
    high: Array


@runtime_checkable
class Posterior(Protocol):
    """Optional: the model knows how sure it is (others get intervals from held-out residuals)."""

    def predict_interval(self, users: Array, items: Array, level: float, times: Array | None = None) -> Interval: ...


@runtime_checkable
class ScoresSome(FoldIn, Protocol):
    """Optional: the score of an item costs so much that filters are looked at first."""

    def scores_among(self, user_state: Array, items: Array) -> Array:
        """float32 (len(user_state), len(items)): these columns (codes, none twice) of ``scores_from``, with the same
        bits."""
        ...


@runtime_checkable
class LeavesOut(FoldIn, Protocol):
    """Optional: leaving out a user's ratings one by one costs less than folding in every history that remains."""

    def scores_without(self, history: CSR, positions: Array, item: int) -> Array:
        """float64 (1 + len(positions),): the score of an item for the one row of ``history``, then for the same without
        each of its entries at ``positions``."""
        ...


@runtime_checkable
class FoldedPosterior(FoldIn, Protocol):
    """Optional: how sure the model is for any user state, so for users that were folded in as well."""

    def interval_from(self, user_state: Array, level: float) -> Interval:
        """Bounds as in ``Posterior``, for every item: three float32 arrays (len(user_state), n_items)."""
        ...

    def draw_from(self, user_state: Array, rng: np.random.Generator) -> Array:
        """float32 (len(user_state), n_items): scores by one draw from the posterior."""
        ...


class Terms(NamedTuple):
    """An account of one prediction in the model's own link space. ``names`` and ``values`` align; the link of their sum
    is the prediction exactly. ``link`` is ``identity`` or ``sigmoid`` (then ``y_range`` bounds it)."""

    names: tuple[str, ...]
    values: Array
    link: Literal["identity", "sigmoid"]
    y_range: tuple[float, float] | None


@runtime_checkable
class Additive(Protocol):
    """Optional: predictions are a sum of named terms (global, user, item, factor 0, factor 1, ...)."""

    def terms(self, user: int, item: int, time: int | None = None) -> Terms: ...


@runtime_checkable
class FoldedAdditive(FoldIn, Protocol):
    """Optional: the same account for any user state, so for users that were folded in as well."""

    def terms_from(self, user_state: Array, item: int) -> Terms:
        """As ``Additive.terms``, for one row of a user state (d,) and an item of the training data."""
        ...


@runtime_checkable
class HasFactors(Protocol):
    """Optional: vectors and biases that can be looked at. float32; ``bias`` is (n,), ``factors`` (n, k)."""

    def factors(self, which: Literal["user", "item"]) -> Array: ...

    def bias(self, which: Literal["user", "item"]) -> Array: ...


@runtime_checkable
class HasSimilarity(Protocol):
    """Optional: the model's own idea of which items go together (neighbourhood models, EASE, SLIM)."""

    def item_similarity(self, items: Array) -> Array:
        """float32 (len(items), n_items); larger is nearer."""
        ...


@runtime_checkable
class HasVectors(FoldIn, Protocol):
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
