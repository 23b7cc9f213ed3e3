"""Kernels of ordered histories and of local ridge regression, against plain NumPy."""

import numpy as np
import pytest
from numba import config

from cofactor.data.interactions import CSR
from cofactor.kernels.transitions import history_weights, step_weights
from cofactor.models.base.local_ridge import gram_entries, local_ridge, sparse_gram
from cofactor.models.base.sequences import Sequences
from cofactor.models.next_item.counts import Settings, time_unit, transitions
from cofactor.models.next_item.search import Held, hold_out, ndcg

N_ITEMS = 23


def some_sequences(seed=0, n_users=60):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 12, n_users)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    items = np.concatenate([rng.choice(N_ITEMS, c, replace=False) for c in counts]).astype(np.int32)
    times = np.concatenate([np.sort(rng.integers(0, 50, c)) for c in counts]).astype(np.int64)
    return Sequences(starts, items, times, np.ones(len(items), dtype=np.float32))


def dense(matrix):
    out = np.zeros((matrix.n_rows, matrix.n_cols))
    for row in range(matrix.n_rows):
        others, values = matrix.row(row)
        out[row, others] = values
    return out


def plain_transitions(seqs, steps, s):
    out = np.zeros((N_ITEMS, N_ITEMS))
    counts = np.bincount(seqs.items, minlength=N_ITEMS)
    for lo, hi in zip(seqs.starts[:-1], seqs.starts[1:], strict=True):
        for p in range(lo, hi):
            for q in range(p + 1, min(p + steps, hi - 1) + 1):
                w = float(q - p) ** -s.power * (1 + (seqs.times[q] - seqs.times[p]) / time_unit(seqs)) ** -s.time_power
                out[seqs.items[p], seqs.items[q]] += w
                out[seqs.items[q], seqs.items[p]] += s.backward * w
    rare = np.maximum(counts + s.shrink, 1.0)
    out *= rare[:, None] ** -s.from_power * rare[None, :] ** -s.to_power
    return out / ((out.sum(axis=1) * counts).sum() / counts.sum())


@pytest.mark.parametrize(
    "s", [Settings(), Settings(power=1.0, time_power=0.5, backward=0.0, to_power=0.5), Settings(from_power=0.0)]
)
def test_transitions_are_the_counts_of_plain_numpy(s):
    seqs = some_sequences()
    assert np.allclose(dense(transitions(seqs, N_ITEMS, 4, 500, s)), plain_transitions(seqs, 4, s), rtol=1e-5)


def test_the_largest_transitions_are_kept():
    seqs, s = some_sequences(), Settings(from_power=0.0, to_power=0.0)
    whole = plain_transitions(seqs, 4, s)
    kept = dense(transitions(seqs, N_ITEMS, 4, 5, s))
    for row in range(N_ITEMS):
        assert (kept[row] > 0).sum() == min(5, (whole[row] > 0).sum())
        best = np.sort(whole[row])[::-1][:5].sum()
        assert kept[row].sum() / kept.sum() == pytest.approx(best / np.sort(whole)[:, ::-1][:, :5].sum(), rel=1e-4)


def test_transitions_have_the_same_bits_at_any_number_of_threads(monkeypatch):
    seqs = some_sequences(n_users=4000)
    found = []
    for threads in (1, 4):
        monkeypatch.setattr(config, "NUMBA_NUM_THREADS", threads)
        found.append(transitions(seqs, N_ITEMS, 10, 8, Settings(time_power=0.3)))
    for a, b in zip(found[0][:3], found[1][:3], strict=True):
        assert np.array_equal(a, b)


def test_entries_of_the_same_time_share_their_weight():
    out = np.empty(4)
    step_weights(np.array([1, 5, 5, 9]), 0.5, out)
    assert np.allclose(out, [0.125, 0.375, 0.375, 1.0])
    fast, slow = np.empty(4), np.empty(4)
    history_weights(np.array([1, 5, 5, 9]), np.ones(4, np.float32), 0.5, 1.0, 0.3, fast, slow)
    assert np.allclose(fast, out / out.sum())
    assert np.allclose(slow, 0.3 / 4)


def plain_places(held, s, steps, near):
    places = []
    h = held.histories
    weights = 0.5 ** ((h.times.max() - h.times) / 86_400 / s.half_life) if s.half_life else np.ones(len(h.times))
    recent = np.bincount(h.items, weights, minlength=N_ITEMS)
    for user, target in zip(held.users, held.targets, strict=True):
        mine = slice(h.starts[user], h.starts[user + 1])
        items = h.items[mine]
        fast, slow = np.empty(len(items)), np.empty(len(items))
        history_weights(h.times[mine], h.values[mine], s.decay, 1.0, s.share, fast, slow)
        scores = fast @ steps[items] + slow @ near[items] + s.popular * recent / recent.sum()
        scores[items] = -np.inf
        places.append(1 + (scores > scores[target] + 1e-7).sum())
    return np.array(places)


@pytest.mark.parametrize("half_life", [0.0, 7.0, 0.5])
def test_ndcg_of_held_out_rows_is_that_of_plain_numpy(half_life):
    seqs = some_sequences(n_users=200)
    seqs = seqs._replace(times=seqs.times * 86_400)
    held = hold_out(seqs.take(np.flatnonzero(seqs.counts)), 500, np.random.default_rng(0))
    assert isinstance(held, Held)
    s = Settings(popular=0.5, half_life=half_life)
    steps = transitions(held.histories, N_ITEMS, 4, 500, s)
    near = steps._replace(values=steps.values[::-1].copy())
    places = plain_places(held, s, dense(steps), dense(near))
    wanted = np.where(places <= 20, 1 / np.log2(places + 1.0), 0).mean()
    assert ndcg(held, N_ITEMS, s, steps, near) == pytest.approx(wanted, abs=2e-3)


def test_held_out_rows_are_the_last_of_each_user_and_not_in_the_history():
    seqs = some_sequences(n_users=200)
    held = hold_out(seqs.take(np.flatnonzero(seqs.counts)), 500, np.random.default_rng(0))
    several = seqs.counts > 1
    assert len(held.users) == several.sum()
    assert sorted(held.targets) == sorted(seqs.items[seqs.starts[1:] - 1][several])
    assert len(held.histories.items) == len(seqs.items) - (seqs.counts > 0).sum()


def some_rows(seed=1, n_users=300):
    rng = np.random.default_rng(seed)
    table = (rng.random((n_users, N_ITEMS)) < 0.2) * rng.random((n_users, N_ITEMS))
    users, items = np.nonzero(table)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=n_users))]).astype(np.int64)
    values = table[users, items].astype(np.float32)
    return CSR(indptr, items.astype(np.int32), values, np.empty(0, np.int64), N_ITEMS), table


def test_the_sparse_gram_matrix():
    rows, table = some_rows()
    gram = sparse_gram(rows, gram_entries(rows))
    assert np.allclose(dense(gram), table.T @ table, atol=1e-5)
    assert all((np.diff(gram.row(i)[0]) > 0).all() for i in range(N_ITEMS))


@pytest.mark.parametrize("k", [5, 22])
def test_local_ridge_is_a_ridge_regression_on_the_nearest(k):
    rows, table = some_rows()
    gram, penalty = table.T @ table, np.linspace(1, 3, N_ITEMS)
    found = dense(local_ridge(sparse_gram(rows, gram_entries(rows)), k, penalty.astype(np.float32), 1.0))
    cosine = gram / (np.sqrt(np.outer(np.diag(gram), np.diag(gram))) + 1.0)
    np.fill_diagonal(cosine, -1)
    for i in range(N_ITEMS):
        near = np.sort(np.argsort(-cosine[i], kind="stable")[:k])
        weights = np.linalg.solve(gram[np.ix_(near, near)] + np.diag(penalty[near]), gram[near, i])
        wanted = np.zeros(N_ITEMS)
        wanted[near] = weights
        assert np.allclose(found[:, i], wanted, atol=2e-4)


def test_local_ridge_has_the_same_bits_at_any_number_of_threads(monkeypatch):
    rows, _ = some_rows(n_users=3000)
    found = []
    for threads in (1, 4):
        monkeypatch.setattr(config, "NUMBA_NUM_THREADS", threads)
        gram = sparse_gram(rows, gram_entries(rows))
        found.append(local_ridge(gram, 7, np.ones(N_ITEMS, np.float32)))
    for a, b in zip(found[0][:3], found[1][:3], strict=True):
        assert np.array_equal(a, b)


def test_the_weight_of_a_long_past_is_0_and_not_subnormal():
    fast, slow = np.empty(400), np.empty(400)
    history_weights(np.arange(400), np.ones(400, np.float32), 0.5, 1.0, 0.3, fast, slow)
    assert (fast[-90:] > 0).all()
    assert (fast[:300] == 0).all()
    assert np.allclose(slow, 0.3 / 400)
