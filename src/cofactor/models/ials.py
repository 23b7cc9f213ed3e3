"""``ials``: least squares on all pairs, chosen and not, by alternating sweeps (Hu, Koren & Volinsky 2008).

The regularisation grows with the number of ratings, which makes the model competitive (Rendle, Krichene, Zhang & Koren
2021). Each sweep improves the last by a few steps of conjugate gradients per row (Takács et al. 2011), in the basis in
which the part of the missing pairs is diagonal (``kernels/ials/cg.py``). Folded-in users get the exact minimum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from cofactor._blas import one_thread
from cofactor.data.interactions import CSR, Interactions, csr
from cofactor.errors import ConfigError
from cofactor.kernels.blocks import over_rows
from cofactor.kernels.ials.blocks import solve_rows
from cofactor.kernels.ials.cg import improve_rows
from cofactor.kernels.products import dots
from cofactor.kernels.sums import CHUNK, Node, chunks, merged, nodes_of, row_sum, total
from cofactor.model import Cost, Hyper, State, Stepper, TableSize
from cofactor.models.base.age import (
    aged,
    check_half_life,
    check_timed,
    faded,
    half_life_option,
    newest_entry,
    popularity,
)
from cofactor.models.base.arrays import fitted
from cofactor.models.base.average import spread_as, start_weight, trust
from cofactor.models.base.config import Search, option
from cofactor.models.base.cost import COMPILED, GROUPED, GROUPING, TURNED, WORK
from cofactor.models.base.factor_ranker import FactorRanker
from cofactor.models.base.left_out import minima_without
from cofactor.models.base.propensity import check_propensity, debiased, item_worth, propensity_option
from cofactor.models.base.sparse import frozen, transposed
from cofactor.models.base.stored_rows import LATER, stored_average
from cofactor.models.base.strength import check_min_weight, strength_of, weighted_with_dislikes

Array = NDArray[Any]

LANES = 16
_SINGLES = 200
"""Users with one rating whose scores say how far those of the average user are to be spread."""
_SMALL = 100_000_000
"""Up to how many multiplications of a table with itself threads do not pay."""
_BLOCK = 1 << 13
"""Number of rows of a table that are copied at a time."""


@dataclass(frozen=True)
class IalsConfig:
    """Parameters of ``ials``."""

    n_factors: int | None = option(
        None,
        "length of the embeddings; none: 64, or 256 for sparse data with over 10,000 items",
        Search(16, 256, log=True),
    )
    epochs: int = option(12, "sweeps over users and items", Search(5, 30))
    alpha: float | None = option(
        None,
        "how much more a row counts than a missing pair; none: from 4 to 20, by the density",
        Search(0.1, 30.0, log=True),
    )
    reg: float | None = option(
        None,
        "regularisation of a row with an average number of ratings; none: from 20 to 30",
        Search(0.5, 200.0, log=True),
    )
    nu: float | None = option(
        None, "regularisation grows with the number of ratings to this power; none: from 0.5 to 1", Search(0.0, 1.0)
    )
    min_rating_weight: float = option(
        0.0, "weight of the lowest rating; the highest has 1; below 0: a dislike", Search(0.0, 1.0)
    )
    half_life: float = half_life_option()
    propensity: float = propensity_option()
    steps: int = option(2, "steps of conjugate gradients per row in a sweep")

    def __post_init__(self) -> None:
        check_min_weight(self.min_rating_weight, -1.0)
        check_half_life(self.half_life)
        check_propensity(self.propensity)
        if self.n_factors == 0 or min(self.n_factors or 1, self.epochs, self.steps) < 1:
            raise ConfigError(
                f"n_factors={self.n_factors}, epochs={self.epochs}, steps={self.steps}: all must be at least 1"
            )
        open = (1.0 if value is None else value for value in (self.alpha, self.reg))
        if not (min(open) > 0 and (self.nu is None or self.nu >= 0)):
            raise ConfigError(f"alpha={self.alpha}, reg={self.reg}, nu={self.nu}: they must be above 0 (nu may be 0)")

    def for_table(self, ratings: int, users: int, items: int) -> Constants:
        """Return the constants for a table of this size. Those that are None depend on the density.

        In a dense table, missing items were often passed over, so a row counts little more than a missing pair. In a
        sparse table, they were not seen. The rule was found on MovieLens, last.fm, Amazon and Gowalla, inside their
        training rows.
        """
        density = max(ratings, 1) / max(users * items, 1)
        sparse = float(np.clip(np.log10(DENSE / density), 0.0, 1.0))
        return Constants(
            factors_for(users, items, density) if self.n_factors is None else self.n_factors,
            float(np.clip(4.0 * (DENSE / density) ** 0.4, 4.0, 20.0)) if self.alpha is None else self.alpha,
            20.0 + 10.0 * sparse if self.reg is None else self.reg,
            0.5 + 0.5 * sparse if self.nu is None else self.nu,
        )


class Constants(NamedTuple):
    """The constants that ``IalsConfig`` derives from the table."""

    n_factors: int
    alpha: float
    reg: float
    nu: float


DENSE = 0.05
"""Share of all pairs from which a table counts as dense."""
FACTORS, MANY_FACTORS, MANY, SPARSE = 64, 256, 10_000, 0.002
"""Factors of most tables, and of those with more than ``MANY`` items of which fewer than ``SPARSE`` of all pairs are
there; not so many that a table takes more than ``LARGEST`` numbers."""
LARGEST = 1 << 28


def factors_for(users: int, items: int, density: float) -> int:
    """Return the default length of the embeddings."""
    if items <= MANY or density >= SPARSE:
        return FACTORS
    return int(np.clip(LARGEST // (users + items) // 16 * 16, FACTORS, MANY_FACTORS))


class Ials(FactorRanker):
    """Implicit ALS (Hu, Koren & Volinsky, 2008; Rendle et al., 2021): factors from all pairs, weighted.

    There are no biases: ``item_bias`` is zero. ``user_factors`` start from ``average`` (``base/average.py``).
    """

    name: ClassVar[str] = "ials"
    Config = IalsConfig
    later = LATER
    weighs_rows: ClassVar[bool] = True

    def __init__(self, config: IalsConfig | None = None) -> None:
        super().__init__(config or IalsConfig())
        self.average: Array | None = None
        self._gram: Array | None = None

    @classmethod
    def cost(cls, config: IalsConfig, size: TableSize) -> Cost:
        """Both groupings of the table, with weights; tables of a multiple of 16 columns, and those of the model; parts
        of the product of a table with itself."""
        n, rows, k = (
            size.ratings,
            size.users + size.items,
            config.for_table(size.ratings, size.users, size.items).n_factors,
        )
        wide = -(-k // LANES) * LANES
        tables = 4 * rows * wide + 4 * k * (size.users + (size.items if k != wide else 0))
        kept = (GROUPED + TURNED + 4) * n + tables
        memory = max((GROUPED + GROUPING + 8) * n + 4 * k * rows, kept + 4 * n) + 64 * rows + WORK + 128 * wide**2
        work = config.epochs * ((1 + config.steps) * 0.4 * n * k + 0.1 * rows * k**2)
        return Cost(memory, kept, work, f"{config.epochs} sweeps x (n k + (U+I) k^2), k={k}", COMPILED)

    def _row_worth(self) -> Array | None:
        power = self.config.propensity
        return item_worth(fitted(self.popularity, self.name), power) if power else None

    def _constants(self) -> Constants:
        users, items = len(self.factors("user")), len(self.factors("item"))
        return self.config.for_table(round(float(fitted(self.mean_count, self.name)) * users), users, items)  # type: ignore[no-any-return]

    def stepper(self, data: Interactions, rng: np.random.Generator) -> IalsStepper:
        """Start with random items, and users at zero. Raises ConfigError if a half-life is set and there are no
        times."""
        check_timed(self.name, self.config.half_life, data)
        return IalsStepper(self, data, rng)

    def fold_in(self, histories: CSR) -> Array:
        """Return float32 (n, k): the exact minimum for users with these ratings, starting from the average user."""
        minima = self._minima(self._weighed(histories))
        return started(minima, histories.counts, fitted(self.average, self.name))

    @one_thread()
    def scores_without(self, history: CSR, positions: Array, items: Array) -> Array:
        """Return float64 (len(items), 1 + len(positions)): the scores of the exact minimum, and of that without each
        entry (``base/left_out.py``). The average user's part stays."""
        table, at, wanted = self.factors("item"), np.asarray(positions, dtype=np.int64), np.asarray(items)
        rows, k = self._weighed(history), table.shape[1]
        each = np.ones(len(rows.indices)) if rows.weights is None else rows.weights
        ridge = self._ridges(np.concatenate([rows.totals, rows.totals - each[at]]))
        weights = np.float32(self._constants().alpha) * rows.values
        states = minima_without(table[rows.indices], weights, self._product()[:k, :k], ridge, at)
        for place in np.flatnonzero(at == newest_entry(history, self.config.half_life)):  # ages begin with another
            states[1 + place] = self._minima(self._weighed(history.without_each(at[[place]])))[1]
        states += start_weight(history.counts)[0] * fitted(self.average, self.name)
        if not states[0].any():  # nothing counts: popularity
            return np.repeat(fitted(self.popularity, self.name)[wanted, None].astype(np.float64), len(states), axis=1)
        return np.asarray(table[wanted].astype(np.float64) @ states.T)

    def _weighed(self, histories: CSR) -> CSR:
        rows = weighted_with_dislikes(histories, fitted(self.range, self.name), self.config.min_rating_weight)
        return aged(debiased(rows, self._row_worth()), self.config.half_life)

    def _ridges(self, totals: Array) -> Array:
        c = self._constants()
        return ridges(totals, float(fitted(self.mean_count, self.name)), c.reg, c.nu)

    def _product(self) -> Array:
        if self._gram is None:
            self._gram = gram(padded(self.factors("item")))
        return self._gram

    def _minima(self, rows: CSR) -> Array:
        """Return float32 (n, k): the exact minima of weighed rows."""
        items = self.factors("item")
        table = padded(items)
        out = np.zeros((rows.n_rows, table.shape[1]), dtype=np.float32)
        arrays = (table, self._product(), self._ridges(rows.totals), out)
        improve(rows, self._constants().alpha, *arrays, width=table.shape[1])
        return out[:, : items.shape[1]]

    def average_part(self, history: CSR, items: Array) -> Array:
        """Return float64 (len(items),): the average user's contribution to the scores of one history."""
        weight = float(start_weight(history.counts)[0])
        factors = self.factors("item")[np.asarray(items)].astype(np.float64)
        return np.asarray(weight * (factors * fitted(self.average, self.name)).sum(axis=1))

    def state(self) -> State:
        """Return the state of factor models, and ``average``."""
        return {**super().state(), "average": fitted(self.average, self.name)}

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Array]) -> Self:
        """Restore the model from its state. Raises BundleError if an array does not fit."""
        model: Self = super().from_state(config, state)
        model.average = stored_average(state, model.factors("item").shape[1])
        return model


class IalsStepper(Stepper):
    """Owns tables of a multiple of 16 columns. The model's arrays are written after each sweep."""

    def __init__(self, model: Ials, data: Interactions, rng: np.random.Generator) -> None:
        count = len(data) if data.weights is None else float(np.sum(data.weights, dtype=np.float64))
        c = model.config.for_table(round(count), data.n_users, data.n_items)
        self.model, self.constants = model, c
        half_life = model.config.half_life
        model.range, model.popularity = strength_of(data), popularity(data, half_life)
        rows = data.histories if half_life else _grouped(data)
        rows = weighted_with_dislikes(rows, model.range, model.config.min_rating_weight)
        self.by_user = debiased(rows, model._row_worth())
        if half_life and data.times is not None and len(data):
            recent = faded(data, half_life)
            today = self.by_user
            if recent is not data:
                today = weighted_with_dislikes(recent.histories, model.range, model.config.min_rating_weight)
                today = debiased(today, model._row_worth())
            self.by_item = transposed(aged(today, half_life, int(data.times.max())))
            self.by_user = aged(self.by_user, half_life)
        else:
            self.by_item = transposed(self.by_user)
        for side in (self.by_user, self.by_item):  # arrays that only this stepper uses
            np.multiply(side.values, np.float32(c.alpha), out=side.values)
        model.item_bias = np.zeros(data.n_items, dtype=np.float32)
        model.user_factors = np.zeros((data.n_users, c.n_factors), dtype=np.float32)
        start = start_items(rng, self.by_item.counts, c.n_factors)
        model.item_factors = start
        self.users = padded(model.user_factors.copy())  # the model's own: started from the average user
        self.items = padded(model.item_factors)
        self.user_ridge, self.item_ridge = (
            ridges(r.totals, count / max(r.n_rows, 1), c.reg, c.nu) for r in (self.by_user, self.by_item)
        )
        model.mean_count = np.array(count / max(data.n_users, 1))
        self._write()

    def run(self, rows: Array | None, hyper: Hyper | None) -> Array:
        """One sweep over the users, one over the items; returns the objective, with its penalties, a training row."""
        self._improve(self.by_user, self.items, self.product, self.user_ridge, self.users)
        penalty = total(penalty_nodes(self.users, self.user_ridge))
        losses = self._improve(self.by_item, self.users, gram(self.users), self.item_ridge, self.items)
        self._write()
        return np.array([(row_sum(losses) + penalty) / max(len(self.by_user.indices), 1)])

    def _improve(self, rows: CSR, other: Array, product: Array, ridge: Array, factors: Array) -> Array:
        turn, spectrum = basis(product, self.constants.n_factors)
        turn_rows(other, turn)
        turn_rows(factors, turn)
        return improve(rows, 1.0, other, spectrum, ridge, factors, steps=self.model.config.steps)

    def snapshot(self) -> State:
        """Return copies of both tables."""
        return {"users": self.users.copy(), "items": self.items.copy()}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Restore a snapshot."""
        self.users[:], self.items[:] = state["users"], state["items"]
        self._write()

    def _write(self) -> None:
        k, c, counts = self.constants.n_factors, self.constants, self.by_user.counts
        mean = float(fitted(self.model.mean_count, "ials"))
        self.product = gram(self.items)  # the next sweep begins with it
        average = average_user(self.users, self.items, self.product, counts, self.by_item.counts, c, mean)[:k]
        started(self.users[:, :k], counts, average, fitted(self.model.user_factors, "ials"))
        fitted(self.model.item_factors, "ials")[:] = self.items[:, :k]
        self.model.average, self.model._gram = average, None


def _grouped(data: Interactions) -> CSR:
    """Return the rows by user. If they are not grouped yet, the grouping is for this training alone, since every array
    of a large table counts."""
    if "by_user" in vars(data) or data.weights is not None:
        return data.by_user
    rows = csr(data.users, data.items, data.values, data.n_users, data.n_items)
    return rows._replace(rows=np.empty(0, dtype=np.int64))


def started(users: Array, counts: Array, average: Array, out: Array | None = None) -> Array:
    """Return float32 (n, k): users with this many ratings, started from the average user. Users without ratings stay
    zero. ``out``: the array to write to."""
    found = np.empty(users.shape, dtype=np.float32) if out is None else out
    weight = np.where(counts > 0, start_weight(counts), np.float32(0.0))
    for lo in range(0, len(users), _BLOCK):
        part = slice(lo, lo + _BLOCK)
        np.add(users[part], weight[part, None] * average, out=found[part])
    return found


def average_user(
    users: Array, items: Array, product: Array, user_counts: Array, item_counts: Array, c: Constants, mean_count: float
) -> Array:
    """float32 (k,): the mean of the users' factors, of a length that spreads its scores over the items as those of a
    user with a single rating are spread, times the ``trust`` in them (``base/average.py``). Such ratings are taken from
    items evenly along all ratings. ``product``: ``gram(items)``."""
    mean = mean_row(users, user_counts > 0) if user_counts.any() else users[0]
    ends = np.cumsum(item_counts)
    if not len(ends) or not ends[-1]:
        return np.zeros(users.shape[1], dtype=np.float32)
    at = np.searchsorted(ends, (np.arange(_SINGLES) + 0.5) / _SINGLES * ends[-1], side="right").astype(np.int32)
    found = singles(items[at], product, c, mean_count)
    centre = items.mean(axis=0, dtype=np.float64)
    spread = product.astype(np.float64) / len(items) - centre[:, None] * centre[None, :]
    some = np.flatnonzero(user_counts > 0)
    others = users[some[np.linspace(0, len(some) - 1, min(_SINGLES, len(some))).astype(np.int64)]] - mean

    @one_thread()
    def deviations(rows: Array) -> Array:
        """Of the scores of each user over the items."""
        square = ((rows @ spread) * rows).sum(axis=1)
        return np.asarray(np.sqrt(np.maximum(square, 0.0)))

    chance = float(np.sqrt(np.square(deviations(others)).mean() / len(some)))
    more = np.float32(trust(item_counts, len(some)))
    return more * spread_as(mean, deviations(found), float(deviations(mean[None])[0]), chance)


@one_thread()
def singles(items: Array, gram: Array, c: Constants, mean_count: float) -> Array:
    """Return float32 (n, k): users who have exactly one of ``items`` (n, k) each (Sherman & Morrison)."""
    ridge = float(ridges(np.ones(1), mean_count, c.reg, c.nu)[0])
    solved = np.linalg.solve(gram.astype(np.float64) + ridge * np.eye(len(gram)), items.T.astype(np.float64)).T
    bent = (solved * items).sum(axis=1, keepdims=True)
    return np.asarray(c.alpha / (1 + c.alpha * bent) * solved, dtype=np.float32)


def mean_row(table: Array, some: Array) -> Array:
    """Return float32 (k,): the mean of ``some`` rows (bool), with one block of them in memory at a time."""
    found = np.zeros(table.shape[1])
    for lo in range(0, len(table), _BLOCK):
        found += table[lo : lo + _BLOCK][some[lo : lo + _BLOCK]].sum(axis=0, dtype=np.float64)
    return np.asarray(found / np.count_nonzero(some), dtype=np.float32)


def padded(table: Array) -> Array:
    """Return the table with zero columns up to a multiple of 16, or the table itself if it has that width already."""
    n, k = table.shape
    if k % LANES == 0 and table.flags.c_contiguous:
        return table
    wide = np.zeros((n, -(-k // LANES) * LANES), dtype=np.float32)
    wide[:, :k] = table
    return wide


def ridges(counts: Array, mean: float, reg: float, nu: float) -> Array:
    """Return float32 (n,): ``reg * ((1 + count) / (1 + mean count)) ** nu``."""
    scaled: Array = reg * ((1.0 + counts) / (1.0 + mean)) ** nu
    return scaled.astype(np.float32)


def start_items(rng: np.random.Generator, counts: Array, k: int) -> Array:
    """Return float32 (n, k): small random factors for items with ratings, zeros for the others."""
    start = rng.standard_normal((len(counts), k), dtype=np.float32)
    start *= np.float32(0.1 / np.sqrt(k)) * (counts > 0)[:, None]
    return start


def gram(table: Array) -> Array:
    """``table.T @ table``: the same bits at any number of threads."""
    return np.ascontiguousarray(total(gram_nodes(table)))


@one_thread()
def basis(gram: Array, k: int) -> tuple[Array, Array]:
    """Return (turn, spectrum): the eigenvectors of ``gram`` (its first ``k`` rows and columns; the others are zeros) as
    rows, float32 like it, and the eigenvalues, float32 (n,)."""
    turn, spectrum = np.zeros_like(gram), np.zeros(len(gram), dtype=np.float32)
    values, vectors = np.linalg.eigh(gram[:k, :k].astype(np.float64))
    turn[:k, :k], spectrum[:k] = vectors.T, np.maximum(values, 0.0)
    return turn, spectrum


def turn_rows(table: Array, turn: Array) -> None:
    """Rotate the rows of a table into the basis of the rows of ``turn``, in place, one block at a time. Products of two
    rotated tables do not change."""
    for lo in range(0, len(table), _BLOCK):
        table[lo : lo + _BLOCK] = dots(table[lo : lo + _BLOCK], turn)


@one_thread()
def gram_nodes(table: Array, first: int = 0) -> list[Node]:
    """The same as sums over chunks of rows (``kernels/sums.py``); ``first``: the number of the first chunk. Blocks of
    chunks are shared out among threads, each with a BLAS of one thread."""
    parts, found = chunks(len(table)), {}

    @one_thread()
    def work(lo: int, hi: int) -> None:
        found[lo] = nodes_of((table[part].T @ table[part] for part in parts[lo:hi]), first + lo)

    over_rows(work, np.arange(len(parts) + 1) * (CHUNK * table.shape[1] ** 2), 0, _SMALL)
    return merged(node for lo in sorted(found) for node in found[lo])


def penalty_nodes(table: Array, ridge: Array, first: int = 0) -> list[Node]:
    """Return sums over rows of ``ridge * |x|²``, float64, in the same way."""
    leaves = (
        np.einsum("nk,nk,n->", table[part], table[part], ridge[part], dtype=np.float64) for part in chunks(len(table))
    )
    return nodes_of(leaves, first)


def improve(
    rows: CSR,
    alpha: float,
    other: Array,
    gram: Array,
    ridge: Array,
    factors: Array,
    *,
    steps: int = 0,
    width: int = 0,
) -> Array:
    """Make one pass over all rows. Returns the remainder of each row's sum, float64 (n,).

    With ``steps`` of conjugate gradients, ``other`` and ``factors`` are in the basis of the eigenvectors of ``other``'s
    product with itself, and ``gram`` holds its eigenvalues (k,). With blocks of ``width``, ``gram`` is the product.
    """
    losses = np.zeros(rows.n_rows)
    weights = rows.values if alpha == 1.0 else rows.values * np.float32(alpha)
    indptr, indices, weights, other, gram, ridge = frozen(rows.indptr, rows.indices, weights, other, gram, ridge)

    def work(first: int, last: int) -> None:
        if steps:
            improve_rows(first, last, indptr, indices, weights, other, gram, ridge, steps, factors, losses)
        else:
            solve_rows(first, last, indptr, indices, weights, other, gram, ridge, width, factors, losses)

    over_rows(work, rows.indptr, per_row=16)
    return losses
