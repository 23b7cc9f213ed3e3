"""The average content of the kept samples of ``bayes-mf``, in a form to inspect: biases and a few factors.

Within a sample, factors may be rotated, and shifted against the biases, without changing a prediction. Biases are
therefore defined as main effects (what the average user gives an item, and how much more a user gives the average
item), and factors as the leading singular vectors of the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cofactor._blas import one_thread

Array = NDArray[Any]
F32 = np.float32


class Account(NamedTuple):
    """In rating units: biases (n + 1,), the last for an unknown id, and factors (n, k), the strongest first.

    ``user_mean`` and ``turn`` convert the vectors of any user to factors: ``(vectors - user_mean) @ turn`` is (n, k);
    ``of_mean`` (count * k,) and ``level`` their biases (see ``user_parts``).
    """

    user_bias: Array
    item_bias: Array
    user_factors: Array
    item_factors: Array
    user_mean: Array
    turn: Array
    of_mean: Array
    level: float


@one_thread()
def account(a: Mapping[str, Array], count: int, k: int) -> Account:
    """Compute the account of the first ``count`` kept samples. Users and items count equally in all averages."""
    users, items = a["user_factors"][:, : count * k], a["item_factors"][:, : count * k]
    of_user, of_item = (a[f"{which}_bias"][:, :count].mean(axis=1, dtype=np.float64) for which in ("user", "item"))
    user_mean, item_mean = _mean(users[:-1]), _mean(items[:-1])
    level = float(of_user[:-1].mean()) if len(of_user) > 1 else 0.0
    of_item += level + items @ user_mean / count
    of_user += (users - user_mean) @ item_mean / count - level
    left, right = leading_factors(users[:-1], items[:-1], user_mean, item_mean, k)
    scale = float(a["scale"])
    root = np.sqrt(scale / count)
    basis = right / np.maximum((right.astype(np.float64) ** 2).sum(0), 1e-30)
    turn = root * (items[:-1].T @ basis - np.outer(item_mean, basis.sum(0)))
    biases = _single(scale * of_user), _single(scale * of_item)
    factors = _single(root * left), _single(root * right)
    return Account(*biases, *factors, user_mean, _single(turn), _single(scale * item_mean / count), scale * level)


def _single(x: Array) -> Array:
    return np.asarray(x, dtype=F32)


@one_thread()
def user_parts(parts: Account, vector: Array, bias: float) -> tuple[float, Array]:
    """Return (bias, factors (k,)), in rating units, of a user with the ``vector`` (count * k,) of all samples and the
    ``bias`` (in rating units) of a user state."""
    off = vector - parts.user_mean
    return bias + float(off @ parts.of_mean) - parts.level, off @ parts.turn


@one_thread()
def leading_factors(users: Array, items: Array, user_mean: Array, item_mean: Array, k: int) -> tuple[Array, Array]:
    """Return the best rank-``k`` approximation of ``(users - user_mean) @ (items - item_mean).T``, as tables n x k and
    m x k.

    Randomised subspace iteration (Halko, Martinsson & Tropp 2011) with fixed numbers. The sign of each column makes the
    items' largest entry positive.
    """

    def times(table: Array, mean: Array, x: Array) -> Array:
        return np.asarray(table @ x - mean @ x)

    def transposed(table: Array, mean: Array, x: Array) -> Array:
        return np.asarray(table.T @ x - np.outer(mean, x.sum(0)))

    size = min(k + 10, users.shape[0], items.shape[0])
    probe = np.random.default_rng(0).standard_normal((items.shape[0], size)).astype(F32)
    for _ in range(4):
        basis, _ = np.linalg.qr(times(users, user_mean, transposed(items, item_mean, probe)))
        probe, _ = np.linalg.qr(times(items, item_mean, transposed(users, user_mean, basis)))
    seen = times(users, user_mean, transposed(items, item_mean, probe))
    left, strength, right = np.linalg.svd(seen, full_matrices=False)
    top = min(k, len(strength))
    root = np.sqrt(strength[:top])
    of_users, of_items = left[:, :top] * root, (probe @ right[:top].T) * root
    sign = np.sign(of_items[np.abs(of_items).argmax(0), np.arange(top)])
    missing = ((0, 0), (0, k - top))
    return np.pad(of_users * sign, missing), np.pad(of_items * sign, missing)


def _mean(table: Array) -> Array:
    return np.asarray(table.mean(axis=0, dtype=np.float64) if len(table) else np.zeros(table.shape[1])).astype(F32)
