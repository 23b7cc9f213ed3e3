"""``next-item``: transition counts between the items of ordered histories, with neighbours and recent popularity.

The score of an item is the sum of three parts: the transition weights from each item of the history, newest first with
a decay; the ridge weights (neighbours) of all items of the history, equally; and popularity. Every constant is chosen
inside training, on each user's last row (``search.py``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions
from cofactor.errors import BundleError, ConfigError
from cofactor.kernels.blocks import over_rows
from cofactor.kernels.group import SMALL
from cofactor.kernels.transitions import history_weights, score_rows
from cofactor.model import Cost, State, TableSize
from cofactor.models.base.age import popularity
from cofactor.models.base.arrays import fitted, stored
from cofactor.models.base.cost import COMPILED, COMPILING, GROUPED, GROUPING
from cofactor.models.base.history_ranker import HistoryRanker
from cofactor.models.base.local_ridge import HEADS, LONG
from cofactor.models.base.sequences import Sequences, sequences, training_sequences
from cofactor.models.base.solve import SolveStepper
from cofactor.models.base.sparse import frozen
from cofactor.models.base.stored_rows import csr_state, stored_csr
from cofactor.models.base.strength import like_strengths, strength_of
from cofactor.models.next_item.config import NextItemConfig
from cofactor.models.next_item.counts import Settings, neighbours, recent_scores, transitions
from cofactor.models.next_item.search import SLOW, choose, some_users

Array = NDArray[Any]


class NextItem(HistoryRanker):
    """Transition counts with decaying histories, mixed with ridge neighbours and popularity.

    ``weights``: transitions, CSR (n_items, n_items); ``near``: neighbours, the same; ``recent`` float32 (n_items,):
    recent popularity, at its weight; ``constants`` float64 (2,): decay of the history, weight of the neighbours. A
    user's state is the row of scores.
    """

    name: ClassVar[str] = "next-item"
    Config = NextItemConfig
    ordered = True
    weighs_rows = False  # a transition is a pair of rows
    from_average = False  # recent popularity is a part of its scores
    average_part = None  # type: ignore[assignment]
    scores_without = None  # type: ignore[assignment]  # each entry's weight depends on the others: see history_terms

    def __init__(self, config: NextItemConfig | None = None) -> None:
        super().__init__(config or NextItemConfig())
        self.near: CSR | None = None
        self.recent: Array | None = None
        self.constants: Array | None = None
        self.chosen: Settings | None = None

    @classmethod
    def cost(cls, config: NextItemConfig, size: TableSize) -> Cost:
        """Return the cost: the table by user, in order, and by item; transitions; then the sparse Gram matrix of the
        items, if it fits."""
        n, items = size.ratings, float(size.items)
        steps = min(2.0 * config.steps * n, min(config.transitions, items) * items, size.pairs_by_user or np.inf)
        near = min(config.neighbours, items) * items
        different = items**2 * -np.expm1(-size.pairs_by_user / max(items**2, 1.0))  # of pairs spread evenly
        gram = float(different) if config.neighbours else 0.0
        if 8e-9 * (gram + near) > config.max_gb:
            gram = near = 0.0
        near = min(near, gram)
        kept = (GROUPED + 16) * n + 8 * (steps + near)
        heads = 4 * min(items, HEADS, gram / LONG) ** 2
        memory = (GROUPED + GROUPING + 72) * n + 40 * items
        memory += 50 * min(n, SMALL)  # NumPy groups small tables, in more memory
        memory += max(40 * steps, 8 * (steps + gram) + 40 * near + heads)
        sample = min(n, config.max_rows)
        work = 6.0 * config.steps * (n + 40 * sample) + 10 * gram + 0.2 * near * config.neighbours**2
        work += 40.0 * min(config.users, size.users) * (items + 500)
        return Cost(memory, kept, work, "ratings x steps; items x neighbours^3", COMPILED, COMPILING + 3.5e7)

    def stepper(self, data: Interactions, rng: np.random.Generator) -> SolveStepper:
        """Create the stepper. Nothing is counted before the first run."""
        if self.config.half_life and data.times is None:
            raise ConfigError("next-item with a half_life needs times; name the time column, or set half_life=0")
        self.history = data.histories._replace(rows=np.empty(0, dtype=np.int64))
        self.popularity, self.range = popularity(data), strength_of(data)
        seed = int(rng.integers(2**63))
        return SolveStepper(lambda: self._solve(data, seed))

    def settled(self) -> NextItemConfig:
        """Return the config with the constants that training chose."""
        assert self.chosen is not None, "settings are chosen in training"
        return dataclasses.replace(self.config, **dataclasses.asdict(self.chosen))  # type: ignore[no-any-return]

    def _solve(self, data: Interactions, seed: int) -> None:
        c, n = self.config, data.n_items
        seqs = training_sequences(data)
        seqs = seqs._replace(values=like_strengths(seqs.values, fitted(self.range, self.name), c.min_rating_weight))
        rng = np.random.default_rng([seed, 1])
        s = choose(seqs.take(some_users(seqs.counts, c.max_rows, rng)), n, c, data.times is not None, rng)
        self.weights = transitions(seqs, n, c.steps, c.transitions, s)
        self.near = neighbours(seqs, n, c.neighbours if s.share else 0, c.reg, c.max_gb)
        self.recent = recent_scores(seqs, n, s)
        self.constants = np.array([s.decay, s.share if len(self.near.indices) else 0.0])
        self.chosen = s

    def user_state(self, users: Array) -> Array:
        """Return float32 (len(users), n_items): their scores."""
        users = np.asarray(users)
        fitted(self.popularity, self.name)
        assert self.history is not None
        if not self.history.n_rows:
            return np.repeat(fitted(self.popularity, self.name)[None], len(users), axis=0)
        out = self.fold_in(self.history.take(np.maximum(users, 0)))
        out[users < 0] = self.popularity
        return out

    def fold_in(self, histories: CSR) -> Array:
        """Return float32 (n, n_items): the scores of users with these histories. Without ``order``, all entries count
        as equally recent."""
        popular, decay, share = fitted(self.popularity, self.name), *self._constants()
        rows = self._sequences(histories)
        out = np.empty((histories.n_rows, len(popular)), dtype=np.float32)
        t, near = self._matrices()
        arrays: tuple[Any, ...] = (
            *frozen(rows.starts, rows.items, rows.times, rows.values),
            decay,
            SLOW,
            share,
            *frozen(t.indptr, t.indices, t.values, near.indptr, near.indices, near.values),
            *frozen(fitted(self.recent, self.name)),
            out,
        )
        over_rows(lambda a, b: score_rows(a, b, *arrays), rows.starts, per_row=len(popular))
        out[(rows.counts == 0) | ~out.any(axis=1)] = popular
        return out

    def history_terms(self, history: CSR, items: Array) -> Array:
        """Return float64 (len(items), n): the contribution of each entry of one history to the scores of ``items``.

        The rest of a score is popularity.
        """
        decay, share = self._constants()
        t, near = self._matrices()
        rows = self._sequences(history)
        n = len(rows.items)
        fast, slow = np.empty(n), np.empty(n)
        times, values = frozen(rows.times, rows.values)
        history_weights(times, values, decay, SLOW, share, fast, slow)
        each = np.empty((len(items), n))
        for k, code in enumerate(rows.items.tolist()):
            each[:, k] = fast[k] * _entries(t, code, items) + slow[k] * _entries(near, code, items)
        out = np.empty_like(each)
        out[:, _by_age(history)] = each
        return out

    def _sequences(self, histories: CSR) -> Sequences:
        rows = sequences(histories)
        limits = fitted(self.range, self.name)
        weights = like_strengths(rows.values, limits, self.config.min_rating_weight)
        return rows._replace(values=weights)

    def _constants(self) -> tuple[float, float]:
        found = fitted(self.constants, self.name)
        return float(found[0]), float(found[1])

    def _matrices(self) -> tuple[CSR, CSR]:
        fitted(self.constants, self.name)
        assert isinstance(self.weights, CSR)
        assert self.near is not None
        return self.weights, self.near

    def state(self) -> State:
        """``weights_...`` and ``near_...`` (CSR), ``history_...`` (CSR, and ``history_order``), ``popularity``,
        ``recent``, ``range`` and ``constants``."""
        recent, constants = fitted(self.recent, self.name), fitted(self.constants, self.name)
        _, near = self._matrices()
        mine = {"recent": recent, "constants": constants}
        return {**super().state(), **csr_state(near, "near"), **mine}

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Array]) -> Self:
        """Restore the model from its state. Raises BundleError if an array does not fit."""
        model: Self = super().from_state(config, state)
        assert model.popularity is not None
        n = len(model.popularity)
        model.recent = stored(state, "recent", np.float32, (n,))
        model.constants = stored(state, "constants", np.float64, (2,))
        if not 0 < model.constants[0] <= 1 or model.constants[1] < 0:
            raise BundleError(f"the constants of the saved model are {model.constants}; the decay lies between 0 and 1")
        model.near = stored_csr(state, "near", n)
        if model.near.n_rows != n or not isinstance(model.weights, CSR):
            raise BundleError(f"the neighbours of the saved model have {model.near.n_rows} rows for {n} items")
        return model


def _by_age(history: CSR) -> Array:
    """Return the positions of the entries of one history, oldest first, as ``sequences`` orders them."""
    if history.order is None:
        return np.arange(len(history.indices))
    return np.lexsort((history.order, np.zeros(len(history.indices))))


def _entries(matrix: CSR, row: int, columns: Array) -> Array:
    """Return float64: some entries of a row; 0 for those that do not exist."""
    others, values = matrix.row(row)
    if not len(others):
        return np.zeros(len(columns))
    at = np.minimum(np.searchsorted(others, columns), len(others) - 1)
    return np.where(others[at] == columns, values[at], 0.0).astype(np.float64)
