"""``blend``: a weighted sum of several models' scores, weights chosen on held-out training rows.

Each model's scores are standardised for each user over the items that the user has not. The weights come from greedy
selection with replacement (Caruana et al. 2004): the model that helps NDCG most is added again and again, which
overfits far less than a free search. Any registered model that sweeps or solves can take part, rating models too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions, csr
from cofactor.errors import BundleError, ConfigError
from cofactor.kernels.blend import add_standardised, ndcg_rows
from cofactor.kernels.blocks import over_rows
from cofactor.model import Cost, Kind, Model, State, TableSize, Task
from cofactor.models import model_class
from cofactor.models.base.arrays import fitted, stored
from cofactor.models.base.config import make_config, option
from cofactor.models.base.cost import GROUPED
from cofactor.models.base.rankers import SolveStepper, csr_state, popularity, scored_pairs, stored_csr
from cofactor.models.base.sparse import frozen
from cofactor.models.specs import parse_spec
from cofactor.train.fit_model import fit_model

Array = NDArray[Any]

_NAME = "blend"
_USERS = 3000
"""Users of the held-out rows that are looked at, at most."""


@dataclass(frozen=True)
class BlendConfig:
    """Parameters of ``blend``."""

    models: tuple[str, ...] = option(
        ("ials", "ease", "slim", "als"), "registered models, by name; with settings as in popular:half_life=7"
    )
    weights: tuple[float, ...] = option((), "one a model; none: chosen on held-out rows")
    share: float = option(0.2, "part of the rows held out to choose weights by")
    relevant: float | None = option(None, "held-out ratings from this one up are relevant; none: from the median up")
    n: int = option(10, "length of the lists that weights are chosen for")
    rounds: int = option(20, "steps of the greedy selection")

    def __post_init__(self) -> None:
        names = [one.partition(":")[0] for one in self.models]
        if not self.models or len(set(self.models)) < len(self.models) or _NAME in names:
            raise ConfigError(f"models is {self.models}; name one or more other models, none of them twice")
        if self.weights and (len(self.weights) != len(self.models) or min(self.weights) < 0 or sum(self.weights) <= 0):
            raise ConfigError(
                f"weights is {self.weights}; give one a model, none below 0 and not all 0, or none at all"
            )
        if not 0 < self.share < 1:
            raise ConfigError(f"share is {self.share}; it must be between 0 and 1")
        if self.n < 1 or self.rounds < 1:
            raise ConfigError(f"n={self.n}, rounds={self.rounds}: both must be at least 1")


class Blend:
    """A weighted blend of the scores of several rankers, weights chosen on held-out rows.

    A user's state is the row of blended scores. ``parts`` are the trained models with a weight above zero.
    """

    name: ClassVar[str] = _NAME
    task: ClassVar[Task] = "ranking"
    kind: ClassVar[Kind] = "solve"
    Config = BlendConfig

    def __init__(self, config: BlendConfig | None = None) -> None:
        self.config = config or BlendConfig()
        self.weights: Array | None = None
        self.popularity: Array | None = None
        self.history: CSR | None = None
        self.parts: dict[str, Any] = {}

    @classmethod
    def cost(cls, config: BlendConfig, size: TableSize) -> Cost:
        """That of the models, one after the other; twice, where weights are chosen on held-out rows first."""
        parts = [_trainable(name) for name in config.models]
        costs = [part.cost(settings, size) for part, settings in parts]
        n, searched = size.ratings, not config.weights
        kept = sum(cost.kept for cost in costs) + GROUPED * n
        memory = kept + max(cost.memory - cost.kept for cost in costs)
        if searched:
            rows = n * (20 if size.timed else 12)
            scores = 4 * min(_USERS, size.users) * size.items * (len(costs) + 1)
            inner = [part.cost(settings, size.part(1 - config.share)).memory for part, settings in parts]
            memory = max(memory, rows + scores + max(inner) + GROUPED * n)
        work = sum(cost.operations for cost in costs) * (2 - config.share if searched else 1)
        libraries = max(cost.libraries for cost in costs)
        return Cost(memory, kept, work, f"the sum over {', '.join(config.models)}", libraries)

    def stepper(self, data: Interactions, rng: np.random.Generator) -> SolveStepper:
        """ConfigError for a model that does not exist, trains by batches, or cannot score a new user."""
        for name in self.config.models:
            _trainable(name)
        self.history = data.by_user._replace(rows=np.empty(0, dtype=np.int64))
        self.popularity = popularity(data)
        seed = int(rng.integers(2**63))
        return SolveStepper(lambda: self._solve(data, seed))

    def _solve(self, data: Interactions, seed: int) -> None:
        c = self.config
        given = np.array(c.weights, dtype=np.float64)
        weights = given / given.sum() if c.weights else chosen_weights(data, c, seed)
        self.weights = weights.astype(np.float32)
        used = [name for name, w in zip(c.models, self.weights) if w > 0]
        self.parts = {name: trained(name, data, seed) for name in used}

    def predict(self, users: Array, items: Array, times: Array | None = None) -> Array:
        """float32 (n,): scores of pairs; only their order within a user means something."""
        return scored_pairs(self.scores, users, items)

    def scores(self, users: Array) -> Array:
        """float32 (len(users), n_items); popularity for a user never seen."""
        return self.user_state(users)

    def user_state(self, users: Array) -> Array:
        """float32 (len(users), n_items): their scores."""
        users = np.asarray(users)
        popular = fitted(self.popularity, self.name)
        assert self.history is not None
        rows = self.history.take(np.maximum(users, 0))
        out = self._mixed(rows, lambda model: model.scores(np.maximum(users, 0)))
        out[(users < 0) | (rows.counts == 0)] = popular
        return out

    def fold_in(self, histories: CSR) -> Array:
        """float32 (n, n_items): the scores of users with these ratings."""
        popular = fitted(self.popularity, self.name)
        out = self._mixed(histories, lambda model: model.scores_from(model.fold_in(histories)))
        out[histories.counts == 0] = popular
        return out

    def scores_from(self, user_state: Array) -> Array:
        """The state is the scores: a copy."""
        return np.array(user_state, dtype=np.float32)

    def _mixed(self, rows: CSR, scores: Any) -> Array:
        weights = dict(zip(self.config.models, fitted(self.weights, self.name)))
        out = np.zeros((rows.n_rows, rows.n_cols), dtype=np.float32)
        for name, model in self.parts.items():
            mix(out, scores(model), rows, weights[name])
        return out

    def shape(self) -> tuple[int, int]:
        """(users, items) of the training data."""
        assert self.history is not None
        return self.history.n_rows, self.history.n_cols

    def state(self) -> State:
        """``weights`` (models,), ``popularity``, ``history_...``, and each part's arrays as ``<model>.<array>``."""
        weights, popular = fitted(self.weights, self.name), fitted(self.popularity, self.name)
        assert self.history is not None
        parts = {f"{name}.{k}": v for name, model in self.parts.items() for k, v in model.state().items()}
        return {"weights": weights, "popularity": popular, **csr_state(self.history, "history"), **parts}

    @classmethod
    def from_state(cls, config: BlendConfig, state: Mapping[str, Array]) -> Self:
        """The same model again; BundleError where an array does not fit."""
        model = cls(config)
        model.weights = stored(state, "weights", np.float32, (len(config.models),))
        model.popularity = stored(state, "popularity", np.float32, (None,))
        model.history = stored_csr(state, "history", len(model.popularity))
        for name, weight in zip(config.models, model.weights):
            if weight <= 0:
                continue
            kind, settings = _trainable(name)
            own = {k.removeprefix(f"{name}."): v for k, v in state.items() if k.startswith(f"{name}.")}
            part = kind.from_state(settings, own)
            if part.scores(np.zeros(0, dtype=np.int32)).shape[1] != len(model.popularity):
                raise BundleError(f"the part {name!r} of the saved blend was trained on other items")
            model.parts[name] = part
        return model


def _trainable(spec: str) -> tuple[Any, Any]:
    """The class and the config of a part."""
    name, settings = parse_spec(spec)
    kind: Any = model_class(name)
    if not hasattr(kind, "fold_in") or kind.kind == "batch":
        raise ConfigError(f"blend cannot use {name}: it takes models that sweep or solve and can score a new user")
    return kind, make_config(kind.Config, settings)


def trained(spec: str, data: Interactions, seed: int) -> Model:
    """The model with its settings, trained on all of ``data``."""
    kind, config = _trainable(spec)
    return fit_model(data, kind(config), seed=seed).model


def mix(out: Array, scores: Array, rows: CSR, weight: float = 1.0) -> None:
    """Add to ``out`` ``weight`` times the scores: each row with mean 0 and deviation 1 over the items that are not in
    ``rows``."""
    given = (*frozen(np.ascontiguousarray(scores, np.float32), rows.indptr, rows.indices), np.float32(weight), out)
    over_rows(lambda a, b: add_standardised(a, b, *given), rows.indptr, per_row=rows.n_cols)


def chosen_weights(data: Interactions, c: BlendConfig, seed: int) -> Array:
    """float64 (models,): weights by greedy selection on a held-out share of the rows; they sum to 1."""
    rng = np.random.default_rng([seed, 2])
    held = np.zeros(len(data), dtype=np.bool_)
    held[rng.permutation(len(data))[: round(len(data) * c.share)]] = True
    inner, rest = data.take(~held), data.take(held)
    floor = float(np.median(data.values)) if c.relevant is None else c.relevant
    good = rest.take(rest.values >= floor)
    users = np.unique(good.users)
    if not len(inner) or not len(users):
        return np.full(len(c.models), 1 / len(c.models))
    users = np.sort(rng.permutation(users)[:_USERS])
    seen = inner.by_user.take(users)
    wanted = csr(good.users, good.items, good.values, data.n_users, data.n_items).take(users)
    scores = np.zeros((len(c.models), len(users), data.n_items), dtype=np.float32)
    for m, name in enumerate(c.models):
        mix(scores[m], trained(name, inner, seed).scores(users), seen)
    return greedy(scores, seen, wanted, c.n, c.rounds)


def greedy(scores: Array, seen: CSR, wanted: CSR, n: int, rounds: int) -> Array:
    """float64 (models,): how often each was added, over ``rounds``. Of equal ones the first is taken.

    A model that tells no item from another (a rating model where all ratings are alike) is never added.
    """
    counts = np.zeros(len(scores))
    values = np.full(len(scores), -1.0)
    tells = [m for m in range(len(scores)) if scores[m].any()]
    for _ in range(rounds):
        for m in tells:
            counts[m] += 1
            values[m] = mean_ndcg(scores, counts, seen, wanted, n)
            counts[m] -= 1
        counts[int(values.argmax())] += 1
    weights: Array = counts / counts.sum()
    return weights


def mean_ndcg(scores: Array, weights: Array, seen: CSR, wanted: CSR, n: int) -> float:
    """Mean NDCG over the rows, for these weights."""
    out = np.empty(seen.n_rows)
    over_rows(
        lambda a, b: ndcg_rows(a, b, scores, weights, seen.indptr, seen.indices, wanted.indptr, wanted.indices, n, out),
        seen.indptr,
        per_row=seen.n_cols,
    )
    return float(out.mean())
