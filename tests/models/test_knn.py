"""item-knn and user-knn: kernels against NumPy, what they keep, similarities."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor.data.interactions import csr
from cofactor.kernels.knn import correlate, item_rows, pair_means, user_rows
from cofactor.models import model_class
from cofactor.models.base.sparse import transposed
from cofactor.models.knn.model import ItemKNNConfig
from cofactor.models.knn.rows import narrowed, nearest
from cofactor.testing import toy_ratings
from toys import sparse
from toys import trained as train


@pytest.fixture(scope="module")
def toy():
    return toy_ratings(seed=1)


def test_correlate_is_the_shrunk_correlation():
    rng = np.random.default_rng(1)
    rows = sparse(rng)
    base = transposed(rows)
    out = np.zeros((rows.n_rows, rows.n_rows), np.float32)
    given = (rows.indptr, rows.indices, rows.values, base.indptr, base.indices, base.values, rows.counts)
    correlate(0, rows.n_rows, *given, 5.0, 2.0, out)
    dense, mask = np.zeros((rows.n_rows, rows.n_cols)), np.zeros((rows.n_rows, rows.n_cols), bool)
    for r in range(rows.n_rows):
        cols, values = rows.row(r)
        dense[r, cols], mask[r, cols] = values, True
    for a in range(rows.n_rows):
        for b in range(rows.n_rows):
            both = mask[a] & mask[b]
            x, y, n = dense[a, both], dense[b, both], both.sum()
            plain = x @ y / np.sqrt((x @ x) * (y @ y)) * n / (n + 5.0) if n else 0.0
            assert np.isclose(out[a, b], 0.0 if a == b else max(plain, 0.0) ** 2, atol=1e-6)


def test_pair_means_are_weighted_means_of_what_the_neighbours_have():
    rng = np.random.default_rng(2)
    rows = sparse(rng)
    lists = np.array([[4, 7, -1], [0, 1, 2], [-1, -1, -1]], dtype=np.int32)
    weights = np.array([[0.9, 0.5, 0], [0.3, 0.2, 0.1], [0, 0, 0]], dtype=np.float32)
    which, who = np.repeat([0, 1, 2, -1, 0], 6).astype(np.int32), np.tile([0, 5, 9, 20, 29, -1], 5).astype(np.int32)
    out = np.zeros(len(who), np.float32)
    pair_means(which, lists, weights, who, rows.indptr, rows.indices, rows.values, 0.25, out)
    for n in range(len(who)):
        total, weight = 0.0, 0.25
        if which[n] >= 0 and who[n] >= 0:
            have = dict(zip(*rows.row(who[n])))
            for code, w in zip(lists[which[n]], weights[which[n]]):
                if code in have:
                    total, weight = total + w * have[code], weight + w
        assert np.isclose(out[n], total / weight, atol=1e-6)


def mean_and_biases(state_bias, plain, weights, values, rated, damping):
    """The score of one item: of neighbours with these weights and residuals, those that are rated count."""
    total = weights[rated].sum()
    mean = weights[rated] @ values[rated] / (total + damping) if total > 0 else 0.0
    return mean + plain + state_bias


def test_item_rows_are_biases_and_means_over_rated_neighbours():
    rng = np.random.default_rng(5)
    lists, n_items = sparse(rng, 20, 9, 0.3), 20  # what each of 20 items weighs for 9 of them
    lists = lists._replace(values=np.abs(lists.values))
    states = np.where(rng.random((12, 21)) < 0.3, rng.normal(size=(12, 21)), 0).astype(np.float32)
    states[3, 1:] = 0.0
    plain, out = rng.normal(size=9).astype(np.float32), np.full((12, 9), np.nan, np.float32)
    weights = np.zeros((n_items, 9))
    for item in range(n_items):
        weights[item, lists.row(item)[0]] = lists.row(item)[1]
    item_rows(2, 11, states, lists.indptr, lists.indices, lists.values, plain, np.float32(0.2), out)
    for r in range(2, 11):
        for j in range(9):
            x = states[r, 1:].astype(np.float64)
            assert np.isclose(
                out[r, j], mean_and_biases(states[r, 0], plain[j], weights[:, j], x, x != 0, 0.2), atol=1e-6
            )
    assert np.isnan(out[[0, 1, 11]]).all()


def test_user_rows_are_biases_and_means_over_neighbours_that_rated():
    rng = np.random.default_rng(6)
    rows = sparse(rng, 15, 8, 0.4)
    codes = np.stack([rng.permutation(15)[:5] for _ in range(6)]).astype(np.float32)
    codes[1, 3:], codes[4] = -1, -1
    weights = rng.random((6, 5)).astype(np.float32)
    states = np.concatenate([rng.normal(size=(6, 1)).astype(np.float32), codes, weights], axis=1)
    plain, out = rng.normal(size=8).astype(np.float32), np.full((6, 8), np.nan, np.float32)
    residuals, rated = np.zeros((15, 8)), np.zeros((15, 8), dtype=bool)
    for user in range(15):
        residuals[user, rows.row(user)[0]], rated[user, rows.row(user)[0]] = rows.row(user)[1], True
    user_rows(1, 6, states, rows.indptr, rows.indices, rows.values, plain, np.float32(0.2), out)
    for r in range(1, 6):
        near = codes[r][codes[r] >= 0].astype(int)
        for j in range(8):
            w = weights[r, : len(near)].astype(np.float64)
            wanted = mean_and_biases(states[r, 0], plain[j], w, residuals[near, j], rated[near, j], 0.2)
            assert np.isclose(out[r, j], wanted, atol=1e-6)
    assert np.isnan(out[0]).all()


def test_narrowed_rows_are_those_columns():
    rows = sparse(np.random.default_rng(7))
    dense = np.zeros((rows.n_rows, rows.n_cols), np.float32)
    for r in range(rows.n_rows):
        dense[r, rows.row(r)[0]] = rows.row(r)[1]
    for columns in (np.array([3, 4, 19]), np.array([7, 0]), np.arange(20), np.zeros(0, np.int64)):
        some = narrowed(rows, columns)
        assert some.n_cols == len(columns)
        for r in range(rows.n_rows):
            found = np.zeros(len(columns), np.float32)
            found[some.row(r)[0]] = some.row(r)[1]
            assert np.array_equal(found, dense[r, columns])


def test_a_twin_is_no_neighbour():
    rows = csr(
        np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 0, 1, 0, 1]), np.array([1, 2, 1, 2, 1, 3], np.float32), 3, 2
    )
    near, weights = nearest(rows, transposed(rows), rows.counts, ItemKNNConfig(k=3, shrink=0.0))
    assert near.tolist() == [[2, -1, -1], [2, -1, -1], [0, 1, -1]]
    assert weights[2, 0] == weights[2, 1] > 0


def test_item_similarity_is_the_shrunk_correlation(toy):
    model = train("item-knn", toy.train, shrink=10.0)
    similarity = model.item_similarity(np.arange(40))
    assert np.allclose(similarity, similarity.T, atol=1e-5)
    row, cols = toy.train.by_item, np.array([3, 8])
    left = [dict(zip(row.row(c)[0].tolist(), residuals(model, c))) for c in cols]
    both = sorted(set(left[0]) & set(left[1]))
    x, y = (np.array([values[u] for u in both]) for values in left)
    plain = x @ y / np.sqrt((x @ x) * (y @ y)) * len(both) / (len(both) + 10.0)
    assert similarity[3, 8] == pytest.approx(max(plain, 0.0), abs=1e-4)


def residuals(model, item):
    """What the biases leave of an item's ratings, by rater."""
    users, values = model.by_item.row(item)
    assert (np.diff(users) > 0).all()
    return values.tolist()


@pytest.mark.parametrize("name", ["item-knn", "user-knn"])
def test_what_was_kept_for_some_items_goes_when_the_model_learns_again(name, toy):
    items, model, other = np.array([1, 4, 9]), train(name, toy.train), train(name, toy.train.take(slice(0, None, 2)))
    states = other.user_state(np.arange(10))
    model.scores_among(model.user_state(np.arange(10)), items)
    model.scores(np.arange(10))
    model.learn(other.by_user, other.by_item)
    model.base = other.base
    assert np.array_equal(model.scores_among(states, items), other.scores_among(states, items))
    assert np.array_equal(model.scores_from(states), other.scores_from(states))


@pytest.mark.parametrize("name", ["item-knn", "user-knn"])
def test_knn_counts_repeated_pairs_once_with_their_mean(name):
    """Items known by title come twice for some users: pairs and whole rows must still say the same."""
    rng = np.random.default_rng(1)
    frame = pl.DataFrame({"u": rng.integers(0, 30, 400), "i": rng.integers(0, 25, 400), "r": rng.integers(1, 6, 400)})
    data = cf.read(frame, user="u", item="i", rating="r", duplicates="all")
    pairs = data.users.astype(np.int64) * data.n_items + data.items
    assert len(np.unique(pairs)) < len(data)
    model = model_class(name)()
    model.stepper(data, np.random.default_rng(0)).run(None, None)
    users, items = np.divmod(np.arange(data.n_users * data.n_items), data.n_items)
    low, high = data.values.min(), data.values.max()
    whole = np.clip(model.scores(np.arange(data.n_users)), low, high).reshape(-1)
    np.testing.assert_allclose(model.predict(users, items), whole, atol=1e-5)
    one = np.flatnonzero(pairs == pairs[np.flatnonzero(np.bincount(pairs)[pairs] > 1)[0]])
    row = model.by_user.take(data.users[one[:1]])
    bias, mean = model.base.bias("user")[data.users[one[0]]], model.base.mean
    expected = data.values[one].mean() - mean - bias - model.base.bias("item")[data.items[one[0]]]
    assert row.values[row.indices == data.items[one[0]]] == pytest.approx(expected, abs=1e-5)
