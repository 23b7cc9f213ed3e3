"""The network of ``neural`` as plain arrays: lists and fold-in without torch.

A user's row enters the network only through the first layer, where it is added to the item's part. The items' part is
therefore computed once, and a list costs only the later layers. Batch normalisation, which is fixed after training, is
folded into the next layer. The later layers are one kernel (``kernels/relu_net.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cofactor._blas import one_thread
from cofactor.data.interactions import CSR
from cofactor.kernels import relu_net
from cofactor.kernels.blocks import over_rows
from cofactor.kernels.products import dots
from cofactor.models.dot_bias.fold_in import Loss, losses_of
from cofactor.models.neural.saved import NORM

if TYPE_CHECKING:
    from torch import nn

Array = NDArray[Any]

PIECE = 1 << 16
"""Number of values that go through the sigmoid at once: they stay in the cache."""
PAIRS = 4096
"""Number of pairs that are predicted at once."""
PRIOR_ROWS = 10_000
"""Maximal number of rows behind the users' prior."""
EPS = 1e-5
"""The constant that batch normalisation adds to a variance."""
STEPS = 8
"""Maximal number of Gauss-Newton steps."""
HALVINGS = 8
SEEN = 0.005
"""Directions that move the first layer by less than this fraction of the strongest one are left out."""
TOLERANCE = 1e-3
"""A history is solved when a step lowers its objective by less than this fraction."""


class Net(NamedTuple):
    """The network in arrays.

    ``user_in`` (d, h): the map from a user's row to the first layer; ``items`` (n_items, h): each item's part of the
    first layer, biases included; ``layers``: weights (in, out) and biases (out,) of the later ones, with a ReLU before
    each. float32. ``rank`` (n_items,): the items' positions when similar ones are put together. ``y_range``: of the
    sigmoid. ``tiles``: the cached tiles of all items (see :func:`scores`).
    """

    user_in: Array
    items: Array
    layers: tuple[tuple[Array, Array], ...]
    y_range: tuple[float, float] | None
    rank: Array
    tiles: tuple[Array, Array] | None = None


class Prior(NamedTuple):
    """The prior of users in the first layer: ``base + basis t`` (h,) with ``t`` (r,) standard normal.

    The row itself is ``mean + back t``. Directions that hardly affect the first layer stay at the mean. float32.
    """

    base: Array
    basis: Array
    mean: Array
    back: Array


def net_of(module: nn.Module) -> Net | None:
    """Return copies of the arrays of an ``EmbeddingNN`` in eval mode; None if it was altered or is on another
    device."""
    from torch import nn

    from cofactor.models.torch import layers

    if type(module) is not layers.EmbeddingNN or not module.settings["usual"]:
        return None
    parts = [part for block in module.layers for part in (block if isinstance(block, nn.Sequential) else [block])]
    kinds = [type(part) for part in parts if not isinstance(part, (nn.Dropout, nn.BatchNorm1d))]
    hidden = [nn.Linear, nn.ReLU] * len(module.settings["layers"])
    if kinds != [*hidden, nn.Linear, *([layers.SigmoidRange] if module.settings["y_range"] is not None else [])]:
        return None
    if any(part.eps != EPS for part in parts if isinstance(part, nn.BatchNorm1d)):
        return None
    tensors = module.state_dict()
    if any(tensor.device.type != "cpu" for tensor in tensors.values()):
        return None
    return net_from({name: tensor.numpy() for name, tensor in tensors.items()}, module.settings["y_range"])


@one_thread()
def net_from(arrays: Mapping[str, Array], y_range: tuple[float, float] | None) -> Net:
    """Return the network from the named parameters and buffers of an ``EmbeddingNN``."""
    users, items = (arrays[f"embeds.{side}.weight"].astype(np.float64) for side in (0, 1))
    scale, shift = np.ones(users.shape[1] + items.shape[1]), np.zeros(users.shape[1] + items.shape[1])
    made: list[tuple[Array, Array]] = []
    while (name := f"layers.{len(made)}") + ".0.weight" in arrays:
        weight = arrays[name + ".0.weight"].astype(np.float64)
        bias = arrays.get(name + ".0.bias", np.zeros(len(weight)))
        made.append(((weight * scale).T, weight @ shift + bias))
        scale, shift = np.ones(len(weight)), np.zeros(len(weight))
        if name + ".2.weight" in arrays:
            gain, lift, mean, var = (arrays[f"{name}.2.{what}"].astype(np.float64) for what in NORM)
            scale = gain / np.sqrt(var + EPS)
            shift = lift - mean * scale
    (first, bias), k = made[0], users.shape[1]
    later = tuple((weight.astype(np.float32), bias.astype(np.float32)) for weight, bias in made[1:])
    brought = (items @ first[k:] + bias).astype(np.float32)
    net = Net(first[:k].astype(np.float32), brought, later, y_range, np.argsort(near(brought)))
    return net._replace(tiles=_tiles(net, np.arange(len(brought))))


def near(rows: Array, few: int = 16) -> Array:
    """Return the row numbers in an order that puts similar rows together: they are halved at the median of the column
    that varies most, and so on (Bentley 1975), until at most ``few`` are left."""

    def halved(codes: Array) -> list[Array]:
        if len(codes) <= few:
            return [codes]
        column = rows[codes, rows[codes].var(axis=0).argmax()]
        half = -(-len(codes) // (2 * few)) * few
        order = np.argpartition(column, half - 1)
        return halved(codes[order[:half]]) + halved(codes[order[half:]])

    return np.concatenate(halved(np.arange(len(rows))))


@one_thread()
def feature_prior(net: Net, table: Array) -> Prior:
    """Return the prior from the users' rows (n, d): a normal with their mean and covariance."""
    some = np.linspace(0, len(table) - 1, min(len(table), PRIOR_ROWS)).astype(np.int64)
    trained = table[some].astype(np.float64)
    mean = trained.mean(axis=0)
    away = trained - mean
    spread = away.T @ away / max(len(some) - 1, 1)
    spread[np.diag_indices(len(mean))] += 1e-6 + 1e-4 * spread.diagonal().mean()
    root = np.linalg.cholesky(spread)
    left, size, right = np.linalg.svd(net.user_in.T @ root, full_matrices=False)
    seen = size > SEEN * size[0]
    basis, back = (left * size)[:, seen], (root @ right.T)[:, seen]
    return Prior(*(a.astype(np.float32) for a in (mean @ net.user_in, basis, mean, back)))


def predict(net: Net, prior: Prior, table: Array, users: Array, items: Array) -> Array:
    """Return float32 (n,): the prediction for each pair of codes; -1 means the mean row."""
    out = np.empty(len(users), np.float32)
    mean = net.items.mean(axis=0)
    with one_thread():
        for start in range(0, len(users), PAIRS):
            who, what = users[start : start + PAIRS], items[start : start + PAIRS]
            rows, x = table[np.maximum(who, 0)], net.items[np.maximum(what, 0)]
            rows[who < 0], x[what < 0] = prior.mean, mean
            x += rows @ net.user_in
            for weight, bias in net.layers:
                x = np.maximum(x, 0, out=x) @ weight
                x += bias
            out[start : start + PAIRS] = x[:, 0]
    if net.y_range is not None:
        _squash(out, *net.y_range)
    return out


def scores(net: Net, states: Array, items: Array | None = None) -> Array:
    """Return float32 (len(states), n_items): the prediction for every item, for users with these rows; or only for
    ``items`` (codes, one column each), with the same bits.

    Each user is computed separately by one thread, so the bits depend neither on threads nor on the other users.
    """
    first = dots(np.asarray(states, np.float32), np.ascontiguousarray(net.user_in.T))
    codes = np.arange(len(net.items)) if items is None else np.asarray(items, np.int64)
    out = np.empty((len(first), len(codes)), np.float32)
    if net.layers:
        kept = net.tiles if items is None else None
        arrays = (*(kept or _tiles(net, codes)), *_weights(net))

    def work(start: int, stop: int) -> None:
        part = slice(start, stop)
        if net.layers:
            relu_net.outputs(first[part], *arrays, out[part])
        else:
            np.add(first[part], net.items[codes, 0], out=out[part])
        if net.y_range is not None:
            _squash(out[part], *net.y_range)

    over_rows(work, np.arange(len(first) + 1) * len(codes))
    return out


def _tiles(net: Net, codes: Array) -> tuple[Array, Array]:
    """Return the first layer of these items in tiles of similar ones, (tiles, h, lanes), and the position of each in
    ``codes``."""
    lanes = relu_net.LANES
    order = np.argsort(net.rank[codes], kind="stable")
    places = np.concatenate([order, np.full(-len(order) % lanes, -1)])
    tiles = net.items[codes[places]].reshape(len(places) // lanes, lanes, net.items.shape[1])
    return np.ascontiguousarray(tiles.transpose(0, 2, 1)), places


def _weights(net: Net) -> tuple[Array, Array, Array]:
    """Return widths, weights and biases of the layers in the kernel's form."""
    columns = relu_net.COLUMNS
    parts = []
    for weight, _ in net.layers[:-1]:
        wide = np.pad(weight, ((0, 0), (0, -weight.shape[1] % columns)))
        parts.append(wide.reshape(len(weight), -1, columns).transpose(1, 0, 2).ravel())
    widths = np.array([len(weight) for weight, _ in net.layers], np.int64)
    return widths, np.concatenate([*parts, net.layers[-1][0].ravel()]), np.concatenate([bias for _, bias in net.layers])


def _squash(x: Array, low: float, high: float) -> None:
    """Apply the sigmoid with these bounds in place, in one pass through the cache for each few thousand numbers."""
    flat = x.reshape(-1)
    with np.errstate(over="ignore"):
        for start in range(0, len(flat), PIECE):
            part = flat[start : start + PIECE]
            np.exp(np.negative(part, out=part), out=part)
            part += 1
            np.divide(np.float32(high - low), part, out=part)
            part += np.float32(low)


def fold_in(net: Net, prior: Prior, histories: CSR, loss: str, weight: float) -> Array:
    """Return rows, float32 (B, d), for users with these ratings, with all else fixed.

    Each is the minimum of the loss over the history plus ``weight`` times a normal prior, that of the trained users. It
    is found by Gauss-Newton steps. Without ratings it is the mean row.
    """
    found = np.tile(prior.mean, (histories.n_rows, 1))
    with one_thread():
        for r in np.flatnonzero(histories.counts).tolist():
            codes, ratings = histories.row(r)
            of = losses_of(ratings.astype(np.float64), loss, net.y_range)
            found[r] += prior.back @ _solved(net, net.items[codes] + prior.base, prior.basis, of, weight)
    return found


@one_thread()
def _solved(net: Net, items: Array, basis: Array, loss: Loss, weight: float) -> Array:
    """Return the t (r,) of one history. ``items`` (n, h): its items in the first layer, with the mean user."""
    t, cost = np.zeros(basis.shape[1]), np.inf
    out, passed = forward(net, items)
    total, first, second = loss(out.astype(np.float64))
    for _ in range(STEPS):
        gain, cost = cost - total, total
        if gain < TOLERANCE * cost:
            break
        jacobian = np.broadcast_to(gradients(net, passed), items.shape) @ basis
        slope = jacobian.T @ first + 2 * weight * t
        curvature = ((jacobian.T * second.astype(np.float32)) @ jacobian).astype(np.float64)
        curvature[np.diag_indices(len(t))] += 2 * weight
        step = np.linalg.solve(curvature, slope)
        for _ in range(HALVINGS):
            tried = t - step
            out, passed = forward(net, items + basis @ tried.astype(np.float32))
            total, first, second = loss(out.astype(np.float64))
            total += weight * float(tried @ tried)
            if total <= cost:
                t = tried
                break
            step /= 2
        else:
            break
    return t


@one_thread()
def forward(net: Net, x: Array) -> tuple[Array, list[Array]]:
    """Return outputs (n,) before the sigmoid for the first layer's ``x`` (n, h), and where each ReLU was active."""
    passed = []
    for weight, bias in net.layers:
        passed.append((x > 0).astype(np.float32))
        x = np.maximum(x, 0) @ weight + bias
    return x[:, 0], passed


@one_thread()
def gradients(net: Net, passed: list[Array]) -> Array:
    """Return the gradients (n, h) of the outputs by ``x``; (1, 1) of ones without hidden layers."""
    found = np.ones((1, 1), np.float32)
    for (weight, _), on in zip(reversed(net.layers), reversed(passed)):
        found = (found @ weight.T) * on
    return found
