"""``blend``: a weighted sum of several models' scores, with weights chosen on held-out training rows.

Each model's scores are standardised for each user over the items that the user does not have. The weights come from
bagged greedy selection with replacement (Caruana et al. 2004): each step adds the model that helps NDCG most, which
overfits far less than a free search. Any registered model that sweeps or solves can take part, including rating models.

The held-out rows are those of ``auto-ranking`` (``base/windows.py``): the future if there are times, else random rows
of some users. A model that chooses settings inside training does so once; they are kept for all rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions, Split, csr
from cofactor.errors import BundleError, ConfigError, DataError
from cofactor.model import ChoosesSettings, Cost, Kind, Model, State, TableSize, Task
from cofactor.models import model_class
from cofactor.models.base.age import check_half_life, check_timed, popularity
from cofactor.models.base.arrays import fitted, stored
from cofactor.models.base.config import make_config, option
from cofactor.models.base.cost import GROUPED
from cofactor.models.base.history_ranker import ScoresAsState
from cofactor.models.base.mixing import BLOCK, NEAR, Standing, bagged, joined, mix, ndcg_of, standing_of
from cofactor.models.base.solve import SolveStepper
from cofactor.models.base.stored_rows import LATER, csr_state, stored_csr
from cofactor.models.base.windows import (
    ENOUGH,
    FUTURE,
    PART,
    SCORES,
    WINDOWS,
    comes_next,
    measured_users,
    ranking_windows,
)
from cofactor.models.specs import parse_spec
from cofactor.train.fit_model import fit_model

Array = NDArray[Any]

_NAME = "blend"
DENSE = ("ials", "ease", "slim", "als", "ials:n_factors=32", "svd++")
SPARSE = ("graph-filter", "ease", "ials", "item-cosine")
"""The default models: for tables with more than ``FILLED`` of all pairs, and for others."""
NAMES = ("ials", "ease", "slim", "als", "graph-filter", "item-cosine", "ials:n_factors=32", "svd++")
FIRST = 6
"""Both, in the order of a trained blend's weights. New models are appended, so that older bundles with fewer weights
(at least ``FIRST``) can be opened."""
FILLED = 0.01
_LARGE = 1_000_000
"""From this many rows on, a single window is used: it has enough users."""


_COMPILING = 1.3e8
"""Bytes for compiling the kernels of all parts, as measured relative to the later peak of training."""


@dataclass(frozen=True)
class BlendConfig:
    """Parameters of ``blend``."""

    models: tuple[str, ...] = option(
        (),
        "registered models by name, with settings as in popular:half_life=7; none: six for dense tables, else four",
    )
    weights: tuple[float, ...] = option((), "one per model; none: chosen on held-out rows")
    share: float | None = option(
        None, "share of the rows held out to choose weights; none: the last tenth by time, or a fifth of each user's"
    )
    held_out: str = option(
        "auto", "auto: the future if there are times, else random rows of some users; random: always such rows"
    )
    relevant: float | None = option(
        None,
        "lowest relevant held-out rating; none: the median, or any if each user's last row is held out",
    )
    n: int = option(10, "length of the lists that weights are chosen for")
    rounds: int = option(20, "steps of the greedy selection")
    half_life: float = option(
        0.0, "days after which a row counts half, in models with a half-life; 0: each model's own"
    )

    def __post_init__(self) -> None:
        names = [one.partition(":")[0] for one in self.models]
        if len(set(self.models)) < len(self.models) or _NAME in names:
            raise ConfigError(f"models is {self.models}; name other models, none of them twice")
        if self.weights and (len(self.weights) != len(self.models) or min(self.weights) < 0 or sum(self.weights) <= 0):
            raise ConfigError(
                f"weights is {self.weights}; give one a model, none below 0 and not all 0, or none at all"
            )
        if self.share is not None and not 0 < self.share < 1:
            raise ConfigError(f"share is {self.share}; it must be between 0 and 1")
        if self.held_out not in ("auto", "random"):
            raise ConfigError(f"held_out is {self.held_out!r}; it must be 'auto' or 'random'")
        if self.n < 1 or self.rounds < 1:
            raise ConfigError(f"n={self.n}, rounds={self.rounds}: both must be at least 1")
        check_half_life(self.half_life)

    def for_table(self, ratings: int, users: int, items: int) -> tuple[str, ...]:
        """Return the models that are trained on a table of this size."""
        return self.models or (DENSE if ratings > FILLED * users * items else SPARSE)

    @property
    def names(self) -> tuple[str, ...]:
        """The models that the weights of a trained blend belong to."""
        return self.models or NAMES


class Blend(ScoresAsState):
    """A weighted blend of the scores of several rankers, with weights chosen on held-out rows.

    A user's state is the row of blended scores. ``parts`` are the trained models with a weight above zero.
    """

    name: ClassVar[str] = _NAME
    task: ClassVar[Task] = "ranking"
    kind: ClassVar[Kind] = "solve"
    later: ClassVar[tuple[str, ...]] = LATER
    weighs_rows: ClassVar[bool] = True
    Config = BlendConfig

    def __init__(self, config: BlendConfig | None = None) -> None:
        self.config = config or BlendConfig()
        self.weights: Array | None = None
        self.popularity: Array | None = None
        self.history: CSR | None = None
        self.parts: dict[str, Any] = {}
        self.search: Search | None = None

    @classmethod
    def cost(cls, config: BlendConfig, size: TableSize) -> Cost:
        """Return the cost of the models, trained one after the other, which share the table by user. If weights are
        chosen on held-out rows, the same on the rows of each window comes before, with the scores of all models for a
        block of users."""
        models = config.for_table(size.ratings, size.users, size.items)
        parts = [_trainable(name, config) for name in models]
        costs = [part.cost(settings, size) for part, settings in parts]
        n, searched = size.ratings, not config.weights
        kept, memory = _in_turn(costs, GROUPED * n)
        memory += 4e6  # modules that choose the weights
        if searched:
            share = config.share or (FUTURE if size.timed else PART)
            most = min(max(SCORES // max(size.items, 1), 500), 5000, size.users)
            windows = 1 if n > _LARGE else min(math.ceil(ENOUGH / max(most, 1)), WINDOWS)
            inner = size.part(1 - share)
            left, training = _in_turn([part.cost(settings, inner) for part, settings in parts], GROUPED * inner.ratings)
            block = min(most, max(BLOCK // max(size.items, 1), 1)) * size.items
            near = NEAR * (
                1 + (len(parts) - 1) / 2
            )  # each further model adds about half: the models agree on most items
            listed = 4.0 * len(parts) * most * min(near, size.items)
            rows = (20.0 if size.timed else 12.0) * n
            memory = max(memory, windows * rows + max(training, left + (4 * len(parts) + 14) * block + 2 * listed))
        work = sum(cost.operations for cost in costs) * (2 if searched else 1)
        libraries = max(cost.libraries for cost in costs)
        return Cost(memory, kept, work, f"the sum over {', '.join(models)}", libraries, _COMPILING)

    def stepper(self, data: Interactions, rng: np.random.Generator) -> SolveStepper:
        """Raise ConfigError for a model that does not exist, trains by batches, or cannot score a new user."""
        check_timed(self.name, self.config.half_life, data)
        for name in _taken(self.config, data):
            _trainable(name, self.config)
        self.history = data.by_user._replace(rows=np.empty(0, dtype=np.int64), weights=None)
        self.popularity = popularity(data, self.config.half_life)
        seed = int(rng.integers(2**63))
        return SolveStepper(lambda: self._solve(data, seed))

    def _solve(self, data: Interactions, seed: int) -> None:
        c, self.search = self.config, None
        models = _taken(c, data)
        configs = {name: _trainable(name, c)[1] for name in models}
        if c.weights:
            weights = np.array(c.weights, dtype=np.float64) / sum(c.weights)
        else:
            self.search = chosen_weights(data, c, seed, configs)
            weights = self.search.weights
        by_name = dict(zip(models, weights.tolist()))
        self.weights = np.array([by_name.get(name, 0.0) for name in c.names], dtype=np.float32)
        used = [name for name, weight in zip(c.names, self.weights) if weight > 0]
        self.parts = {name: trained(name, configs[name], data, seed) for name in used}

    def tried(self) -> list[dict[str, Any]]:
        """Return what each part reached alone on the held-out rows, and its weight."""
        found = self.search
        if found is None or found.values is None:
            return []
        metric = f"ndcg@{self.config.n}"
        return [
            {
                "model": name.partition(":")[0],
                "config": ", ".join(name.split(":")[1:]),
                "metric": metric,
                "value": float(value),
                "seconds": None,
                "status": f"weight {weight:.2f}",
                "chosen": bool(weight > 0),
                "held_out": found.held_out,
            }
            for name, value, weight in zip(found.models, found.values, found.weights, strict=True)
        ]

    def user_state(self, users: Array) -> Array:
        """Return float32 (len(users), n_items): their scores."""
        users = np.asarray(users)
        popular = fitted(self.popularity, self.name)
        assert self.history is not None
        rows = self.history.take(np.maximum(users, 0))
        out = self._mixed(rows, lambda model: model.scores(np.maximum(users, 0)))
        out[(users < 0) | (rows.counts == 0)] = popular
        return out

    def fold_in(self, histories: CSR) -> Array:
        """Return float32 (n, n_items): the scores of users with these ratings."""
        popular = fitted(self.popularity, self.name)
        out = self._mixed(histories, lambda model: model.scores_from(model.fold_in(histories)))
        out[histories.counts == 0] = popular
        return out

    def scores_from(self, user_state: Array) -> Array:
        """Return a copy: the state is the scores."""
        return np.array(user_state, dtype=np.float32)

    def _mixed(self, rows: CSR, scores: Any) -> Array:
        weights = dict(zip(self.config.names, fitted(self.weights, self.name)))
        out = np.zeros((rows.n_rows, rows.n_cols), dtype=np.float32)
        for name, model in self.parts.items():
            mix(out, scores(model), rows, weights[name])
        return out

    def shape(self) -> tuple[int, int]:
        """Return (users, items) of the training data."""
        assert self.history is not None
        return self.history.n_rows, self.history.n_cols

    def state(self) -> State:
        """Return ``weights`` (models,), ``popularity``, ``history_...``, and each part's arrays as
        ``<model>.<array>``."""
        weights, popular = fitted(self.weights, self.name), fitted(self.popularity, self.name)
        assert self.history is not None
        parts = {f"{name}.{k}": v for name, model in self.parts.items() for k, v in model.state().items()}
        return {"weights": weights, "popularity": popular, **csr_state(self.history, "history"), **parts}

    @classmethod
    def from_state(cls, config: BlendConfig, state: Mapping[str, Array]) -> Self:
        """Restore the model from its state. Raises BundleError if an array does not fit."""
        model = cls(config)
        weights = stored(state, "weights", np.float32, (None,))
        older = not config.models and FIRST <= len(weights) < len(NAMES)  # versions that had fewer models
        model.weights = np.append(weights, np.zeros(len(NAMES) - len(weights), np.float32)) if older else weights
        if len(model.weights) != len(config.names):
            wanted = len(config.names)
            raise BundleError(f"the array 'weights' of the saved model has {len(weights)} numbers, not {wanted}")
        model.popularity = stored(state, "popularity", np.float32, (None,))
        model.history = stored_csr(state, "history", len(model.popularity))
        for name, weight in zip(config.names, model.weights):
            if weight <= 0:
                continue
            kind, settings = _trainable(name, config)
            own = {k.removeprefix(f"{name}."): v for k, v in state.items() if k.startswith(f"{name}.")}
            part = kind.from_state(settings, own)
            if part.scores(np.zeros(0, dtype=np.int32)).shape[1] != len(model.popularity):
                raise BundleError(f"the part {name!r} of the saved blend was trained on other items")
            model.parts[name] = part
        return model


def _taken(c: BlendConfig, data: Interactions) -> tuple[str, ...]:
    """Return the models that are trained on these rows. If rows have weights and no models are named: those that
    support them."""
    models = c.for_table(len(data), data.n_users, data.n_items)
    if c.models or data.weights is None:
        return models
    return tuple(name for name in models if getattr(_trainable(name, c)[0], "weighs_rows", False))


def _in_turn(costs: Sequence[Cost], shared: float) -> tuple[float, float]:
    """Return the bytes kept by models that are trained one after the other, and their peak. ``shared``: bytes that each
    of them counts but that exist only once."""
    kept = most = shared
    for cost in costs:
        most = max(most, kept - shared + cost.memory)
        kept += max(cost.kept - shared, 0.0)
    return kept, most


def _trainable(spec: str, c: BlendConfig) -> tuple[Any, Any]:
    """Return the class and the config of a part."""
    name, settings = parse_spec(spec)
    kind: Any = model_class(name)
    if not hasattr(kind, "fold_in") or kind.kind == "batch":
        raise ConfigError(f"blend cannot use {name}; it needs models that sweep or solve and can score a new user")
    if c.half_life and any(field.name == "half_life" for field in fields(kind.Config)):
        settings.setdefault("half_life", c.half_life)
    return kind, make_config(kind.Config, settings)


def trained(name: str, config: Any, data: Interactions, seed: int) -> Model:
    """Train the model with these settings on all of ``data``."""
    return fit_model(data, model_class(name.partition(":")[0])(config), seed=seed).model


@dataclass(frozen=True)
class Search:
    """The result of choosing weights. ``weights`` float64 (models,), which sum to 1; ``values``: NDCG of each model
    alone on the rows that were ``held_out`` (in words), None if none could be."""

    models: tuple[str, ...]
    weights: Array
    values: Array | None = None
    held_out: str = ""


def chosen_weights(data: Interactions, c: BlendConfig, seed: int, configs: dict[str, Any]) -> Search:
    """Choose weights by bagged greedy selection on held-out rows.

    ``configs`` has each model's settings. Settings that a model chooses inside training are written into it.
    """
    equal = Search(tuple(configs), np.full(len(configs), 1 / len(configs)))
    if len(data) < 2 or len(configs) == 1:
        return equal
    try:
        windows = ranking_windows(data, seed, c.share, 1 if len(data) > _LARGE else WINDOWS, c.held_out == "auto")
    except DataError:  # too few rows to hold any out
        return equal
    found = [
        standing(window, data, c, seed, configs) for window in reversed(windows)
    ]  # the newest window decides settings
    able = [one for one in found if one is not None]
    if not able:
        return equal
    weights = bagged(able, c.n, np.random.default_rng([seed, 2]), c.rounds)
    every = joined(able)
    values = np.array([np.nanmean(ndcg_of(every, alone, c.n)) for alone in np.eye(len(weights))])
    how = windows[-1].how if len(windows) == 1 else f"{len(windows)} times; the last: {windows[-1].how}"
    return Search(equal.models, weights, values, how)


def standing(window: Split, data: Interactions, c: BlendConfig, seed: int, configs: dict[str, Any]) -> Standing | None:
    """Return the lists of the models, trained on the first part of a window, for the second; None if no user has rows
    in both."""
    train, good = window.train, window.valid
    if data.kind == "ratings" and not (c.relevant is None and comes_next(window)):
        floor = float(np.median(data.values)) if c.relevant is None else c.relevant
        good = good.take(good.values >= floor)
    known = np.bincount(train.users, minlength=data.n_users) > 0
    users = np.unique(good.users)
    users = users[known[users]]
    if not len(users):
        return None
    users = np.sort(np.random.default_rng([seed, 5]).permutation(users)[: measured_users(data)])
    wanted = csr(good.users, good.items, good.values, data.n_users, data.n_items).take(users)
    models = []
    for name, config in configs.items():
        model = trained(name, config, train, seed)
        if isinstance(model, ChoosesSettings):
            configs[name] = model.settled()
        models.append(model.scores)
    return standing_of(models, users, train.by_user.take(users), wanted, wanted.counts)
