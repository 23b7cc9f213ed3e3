"""``graph-filter`` against plain NumPy, its singular vectors, its choice inside training, its bits."""

import numpy as np
import pytest
from numba import config

from cofactor.data.interactions import CSR
from cofactor.errors import ConfigError
from cofactor.models.base.inner import hold_entries, inner_ndcg
from cofactor.models.base.neighbours import walks
from cofactor.models.base.sparse import times
from cofactor.models.base.spectrum import right_singular
from cofactor.models.ease import Ease, EaseConfig, near_of, near_weights
from cofactor.models.graph_filter import GraphFilter, GraphFilterConfig, low_pass
from cofactor.testing import model_checks, toy_blocks
from toys import noise, trained_ranker

N_USERS, N_ITEMS = 150, 40


def some_rows(seed=0, n_users=N_USERS):
    rng = np.random.default_rng(seed)
    table = (rng.random((n_users, N_ITEMS)) < np.linspace(0.05, 0.4, N_ITEMS)) * rng.uniform(0.2, 1, (n_users, N_ITEMS))
    users, items = np.nonzero(table)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=n_users))]).astype(np.int64)
    table = table.astype(np.float32)
    return CSR(indptr, items.astype(np.int32), table[users, items], np.empty(0, np.int64), N_ITEMS), table.astype(float)


def dense(matrix):
    out = np.zeros((matrix.n_rows, matrix.n_cols))
    for row in range(matrix.n_rows):
        others, values = matrix.row(row)
        out[row, others] = values
    return out


def test_walks_are_products_of_plain_numpy():
    rows, table = some_rows()
    users, items = table.sum(axis=1), table.sum(axis=0)
    wanted = (table.T * users**-0.8) @ table * items[:, None] ** -0.7 * items[None, :] ** -0.2
    np.fill_diagonal(wanted, 0)
    assert np.allclose(dense(walks(rows, 0.7, 0.2, 0.8, 100)), wanted, rtol=1e-4, atol=1e-7)
    kept = dense(walks(rows, 0.7, 0.2, 0.8, 5))
    assert ((kept > 0).sum(axis=1) == 5).all()
    assert np.allclose(kept.sum(axis=1), np.sort(wanted, axis=1)[:, -5:].sum(axis=1), rtol=1e-4)


def test_singular_vectors_are_those_of_numpy():
    rows, table = some_rows()
    vectors, values = right_singular(rows, 12, np.random.default_rng(0), passes=8)
    _, wanted, turned = np.linalg.svd(table, full_matrices=False)
    assert np.allclose(values, wanted[:12], rtol=1e-3)
    assert np.allclose(vectors.T @ vectors, np.eye(12), atol=1e-4)
    assert np.abs(vectors[:, :3].T @ turned[:3].T).diagonal() == pytest.approx(np.ones(3), abs=1e-3)


def test_no_more_singular_vectors_than_there_are():
    table = np.outer([1, 1, 2, 0, 1], [1, 0, 1, 1]).astype(np.float32)
    users, items = np.nonzero(table)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=5))]).astype(np.int64)
    rows = CSR(indptr, items.astype(np.int32), table[users, items], np.empty(0, np.int64), 4)
    vectors, values = right_singular(rows, 3, np.random.default_rng(0))
    assert vectors.shape == (4, 1)
    assert values == pytest.approx(np.linalg.norm(table), rel=1e-5)


def test_the_low_pass_filter_is_a_projection():
    rows, table = some_rows()
    inward, outward = low_pass(rows, GraphFilterConfig(n_factors=100), np.random.default_rng(0))
    users, items = table.sum(axis=1), table.sum(axis=0)
    normal = table * users[:, None] ** -0.5 * items[None, :] ** -0.5
    rank = np.linalg.matrix_rank(normal)
    _, _, turned = np.linalg.svd(normal)
    projection = turned[:rank].T @ turned[:rank]
    wanted = items[:, None] ** -0.5 * projection * items[None, :] ** 0.5
    assert np.allclose(inward @ outward.T, wanted, atol=2e-3)


def test_scores_are_the_sum_of_both_filters():
    data = toy_blocks().train
    model = GraphFilter(GraphFilterConfig(to_power=0.2, low_pass=0.5, n_factors=8))
    model.stepper(data, np.random.default_rng(0)).run(None, None)
    rows = data.by_user.take(np.arange(20))
    plain = dense(rows._replace(values=np.ones_like(rows.values)))
    wanted = plain @ dense(model.weights) + plain @ model.inward.astype(float) @ model.outward.T
    wanted += 3 / (2 + rows.counts[:, None]) * model.average
    assert np.allclose(model.scores(np.arange(20)), wanted, atol=1e-4)
    assert model.chosen == (0.2, 0.5)


def test_the_same_bits_at_any_number_of_threads(monkeypatch):
    rows, _ = some_rows(n_users=3000)
    found = []
    for threads in (1, 4):
        monkeypatch.setattr(config, "NUMBA_NUM_THREADS", threads)
        found.append((walks(rows, 0.7, 0.2, 1.0, 7).values, right_singular(rows, 8, np.random.default_rng(0))[0]))
    assert np.array_equal(found[0][0], found[1][0])
    assert np.array_equal(found[0][1], found[1][1])


def test_entries_held_out_inside_training():
    rows, _ = some_rows()
    split = hold_entries(rows, 50, 0.2, np.random.default_rng(0))
    assert 40 <= len(split.users) <= 50
    held = rows.counts - split.rows.counts
    assert (held[np.setdiff1d(np.arange(N_USERS), split.users)] <= 10).all()
    for row, user in enumerate(split.users):
        mine = set(rows.row(user)[0].tolist())
        seen, wanted = set(split.seen.row(row)[0].tolist()), set(split.wanted.row(row)[0].tolist())
        assert not seen & wanted
        assert seen | wanted <= mine
        assert held[user] == max(round(0.2 * len(mine)), 1)
        assert (split.wanted.row(row)[1] >= 0.5 * rows.values.max()).all()
    perfect = np.stack([times(split.wanted, np.eye(N_ITEMS, dtype=np.float32))])
    assert inner_ndcg(split, perfect, np.ones(1)) == pytest.approx(1.0)


def test_ease_on_nearest_items_is_a_weighted_ridge_regression():
    rows, table = some_rows()
    k = N_ITEMS - 1
    found = dense(near_weights(rows, k, EaseConfig(local_reg=3.0, dropout=0.25), np.random.default_rng(0))[0])
    lengths = np.maximum((table > 0).sum(axis=1), 1)
    gram = (table.T * lengths**-0.5) @ table
    penalized = gram + np.diag(3.0 + np.diag(gram) / 3)
    for i in (0, 7, N_ITEMS - 1):
        others = np.delete(np.arange(N_ITEMS), i)
        others = others[gram[i, others] > 0]
        wanted = np.zeros(N_ITEMS)
        wanted[others] = np.linalg.solve(penalized[np.ix_(others, others)], gram[others, i])
        assert np.allclose(found[:, i], wanted, atol=1e-4)


def test_ease_with_dropout_adds_to_the_diagonal():
    data = toy_blocks().train
    model = Ease(EaseConfig(dropout=0.5, reg=10.0))
    model.stepper(data, np.random.default_rng(0)).run(None, None)
    table = np.zeros((data.n_users, data.n_items))
    table[data.users, data.items] = 1
    gram = table.T @ table
    inverse = np.linalg.inv(gram + np.diag(10.0 + np.diag(gram)))
    wanted = -inverse / np.diag(inverse)
    np.fill_diagonal(wanted, 0)
    assert np.allclose(model.weights, wanted, atol=1e-4)


def test_ease_takes_neighbours_by_itself_where_there_are_many_items():
    assert near_of(EaseConfig(), 8_000) == 0
    assert near_of(EaseConfig(), 8_001) == 150
    assert near_of(EaseConfig(neighbours=0), 20_000) == 0
    assert near_of(EaseConfig(max_gb=0.1), 7_000) == 150
    with pytest.raises(ConfigError, match="raise max_gb"):
        near_weights(some_rows()[0], 5, EaseConfig(max_gb=1e-6), np.random.default_rng(0))


@pytest.mark.parametrize("check", model_checks(Ease, EaseConfig(neighbours=12)), ids=str)
def test_ease_with_neighbours_conforms(check):
    check()


def test_rp3beta_is_two_steps_with_popularity_held_back():
    """Against the dense arithmetic of Paudel et al. (2017), with alpha 1."""
    data = noise(40, 15, 0.3)
    x = np.zeros((40, 15))
    x[data.users, data.items] = 1.0
    users, items = np.maximum(x.sum(1, keepdims=True), 1), x.sum(0)
    wanted = (x.T / items[:, None]) @ (x / users) / items[None, :] ** 0.3
    np.fill_diagonal(wanted, 0)
    model = trained_ranker("item-cosine", data, weighting="rp3beta", b=0.3, neighbours=15, min_rating_weight=1.0)
    np.testing.assert_allclose(dense(model.weights), wanted, rtol=1e-4, atol=1e-7)
    few = trained_ranker("item-cosine", data, weighting="rp3beta", b=0.3, neighbours=3, min_rating_weight=1.0)
    few = dense(few.weights)
    assert ((few > 0).sum(axis=1) == 3).all()
    assert (few[few > 0] == dense(model.weights)[few > 0]).all()
