"""Metrics: known answers, properties, and agreement with ir-measures (trec_eval) and scikit-learn."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cofactor.evaluation import metrics as m

SHAPES = st.tuples(st.integers(1, 6), st.integers(2, 25), st.integers(1, 30), st.integers(0, 10_000))


def problem(n_users: int, n_items: int, seed: int, tied: bool = False) -> tuple[NDArray, NDArray]:
    """Random scores and relevance marks; ``tied`` makes many scores equal."""
    rng = np.random.default_rng(seed)
    scores = (
        rng.integers(0, 4, (n_users, n_items))
        if tied
        else rng.permuted(np.arange(n_users * n_items)).reshape(n_users, -1)
    )
    return scores.astype(np.float32), rng.random((n_users, n_items)) < 0.3


def hits(scores: NDArray, relevant: NDArray, n: int) -> NDArray:
    top = m.top_n(scores, n)
    rows, cols = np.nonzero(relevant)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(scores)))])
    found = m.hits_of(top, indptr, cols)
    plain = np.array([[i >= 0 and relevant[u, i] for i in row] for u, row in enumerate(top)])
    assert (found == plain).all()
    return found


def test_known_answers() -> None:
    h = np.array([[1, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 0]], dtype=bool)
    r = np.array([3, 1, 0])
    ideal = 1 + 1 / np.log2(3) + 1 / 2
    expected = {
        "ndcg": [1.5 / ideal, 0],
        "recall": [2 / 3, 0],
        "precision": [0.5, 0],
        "map": [(1 + 2 / 3) / 3, 0],
        "mrr": [1, 0],
        "hit_rate": [1, 0],
    }
    for name, metric in m.RANKING.items():
        got = metric(h, r)
        np.testing.assert_allclose(got[:2], expected[name])
        assert np.isnan(got[2]), name


def test_ranking_agrees_with_ir_measures() -> None:
    ir = pytest.importorskip("ir_measures")
    scores, relevant = problem(40, 60, 1)
    relevant[3] = False
    keep = [u for u in range(40) if u != 3]
    qrels = [ir.Qrel(str(u), str(i), int(relevant[u, i])) for u in range(40) for i in range(60)]
    run = [ir.ScoredDoc(str(u), str(i), float(scores[u, i])) for u in range(40) for i in range(60)]
    for n in (1, 5, 10):
        theirs = {
            "ndcg": ir.nDCG @ n,
            "recall": ir.R @ n,
            "precision": ir.P @ n,
            "map": ir.AP @ n,
            "mrr": ir.RR @ n,
            "hit_rate": ir.Success @ n,
        }
        got = hits(scores, relevant, n)
        count = relevant.sum(axis=1)
        for name, measure in theirs.items():
            by_user = {r.query_id: r.value for r in ir.iter_calc([measure], qrels, run)}
            mine = m.RANKING[name](got, count)
            np.testing.assert_allclose(mine[keep], [by_user[str(u)] for u in keep], atol=1e-6, err_msg=f"{name}@{n}")


@pytest.mark.parametrize("tied", [False, True])
def test_ndcg_and_auc_agree_with_scikit_learn(tied: bool) -> None:
    sk = pytest.importorskip("sklearn.metrics")
    scores, relevant = problem(30, 40, 2, tied)
    ours = m.auc(scores, relevant)
    for u in range(30):
        assert ours[u] == pytest.approx(sk.roc_auc_score(relevant[u], scores[u]))
    if not tied:
        got = m.ndcg(hits(scores, relevant, 10), relevant.sum(axis=1))
        assert got.mean() == pytest.approx(sk.ndcg_score(relevant, scores, k=10))


def test_auc_of_few_and_of_many_relevant_items_is_found_alike() -> None:
    sk = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(4)
    scores = rng.integers(0, 9, (12, 60)).astype(np.float32)
    for many in (1, 16, 17, 40):
        relevant = np.argsort(rng.random(scores.shape), axis=1) < many
        for u, value in enumerate(m.auc(scores, relevant)):
            assert value == pytest.approx(sk.roc_auc_score(relevant[u], scores[u]))


def test_auc_leaves_out_what_is_no_candidate() -> None:
    sk = pytest.importorskip("sklearn.metrics")
    scores, relevant = problem(5, 30, 3)
    out = np.random.default_rng(0).random(scores.shape) < 0.3
    masked = np.where(out, -np.inf, scores)
    for u, value in enumerate(m.auc(masked, relevant)):
        assert value == pytest.approx(sk.roc_auc_score(relevant[u][~out[u]], scores[u][~out[u]]))
    assert np.isnan(m.auc(masked, np.zeros_like(relevant))).all()
    assert np.isnan(m.auc(masked, np.ones_like(relevant))).all()


@given(SHAPES)
@settings(max_examples=60, deadline=None)
def test_bounds_perfection_and_permutation(shape: tuple[int, int, int, int]) -> None:
    n_users, n_items, n, seed = shape
    scores, relevant = problem(n_users, n_items, seed)
    count = relevant.sum(axis=1)
    some = count > 0
    got = hits(scores, relevant, n)
    perfect = hits(relevant.astype(np.float32), relevant, n)
    rng = np.random.default_rng(seed)
    items, users = rng.permutation(n_items), rng.permutation(n_users)
    shuffled = hits(scores[users][:, items], relevant[users][:, items], n)
    for name, metric in m.RANKING.items():
        values = metric(got, count)
        assert (np.isnan(values) == ~some).all()
        assert ((values[some] >= 0) & (values[some] <= 1 + 1e-12)).all(), name
        best = metric(perfect, count)
        assert (values[some] <= best[some] + 1e-12).all(), name
        full = some & (count <= n) if name in ("recall", "map") else some
        if name != "precision":
            np.testing.assert_allclose(best[full], 1.0)
        np.testing.assert_array_equal(metric(shuffled, count[users]), values[users])
    area = m.auc(scores, relevant)
    np.testing.assert_array_equal(m.auc(scores[users][:, items], relevant[users][:, items]), area[users])
    np.testing.assert_allclose(m.auc(-scores, relevant), 1 - area)


@given(SHAPES, st.booleans())
@settings(max_examples=60, deadline=None)
def test_top_n_is_a_stable_sort(shape: tuple[int, int, int, int], tied: bool) -> None:
    n_users, n_items, n, seed = shape
    scores, out = problem(n_users, n_items, seed, tied)
    scores -= 2
    scores[out] = -np.inf
    scores[:, 0] = np.nan
    top = m.top_n(scores, n)
    assert top.shape == (n_users, n)
    for u in range(n_users):
        order = np.argsort(-np.nan_to_num(scores[u], nan=-np.inf, neginf=-np.inf), kind="stable")
        kept = [i for i in order if scores[u, i] > -np.inf][:n]
        assert top[u].tolist() == kept + [-1] * (n - len(kept))


def test_top_n_breaks_ties_by_code_with_signed_zeros() -> None:
    assert m.top_n(np.array([[0.0, -0.0, 0.0, -0.0]], dtype=np.float32), 3).tolist() == [[0, 1, 2]]


def test_rating_metrics_agree_with_scikit_learn() -> None:
    sk = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(4)
    truth, predicted = rng.normal(size=500), rng.normal(size=500)
    assert m.mse(truth, predicted) == pytest.approx(sk.mean_squared_error(truth, predicted))
    assert m.rmse(truth, predicted) == pytest.approx(sk.root_mean_squared_error(truth, predicted))
    assert m.mae(truth, predicted) == pytest.approx(sk.mean_absolute_error(truth, predicted))


def test_rating_metrics_do_not_lose_digits_in_float32() -> None:
    truth = np.full(1_000_000, 3.0, dtype=np.float32)
    assert m.rmse(truth, truth + np.float32(0.1)) == pytest.approx(0.1, rel=1e-6)


def test_intervals_known_answers() -> None:
    truth, low, high = np.array([1.0, 2, 3, 4]), np.array([0.0, 2, 4, 0]), np.array([1.0, 3, 5, 2])
    assert m.covered(truth, low, high).tolist() == [True, True, False, False]
    assert m.interval_coverage(truth, low, high) == 0.5
    assert m.interval_width(low, high) == 1.25
    np.testing.assert_allclose(m.interval_scores(truth, low, high, 0.5), [1, 1, 1 + 4 * 1, 2 + 4 * 2])
    assert m.calibration_error(np.array([0.5, 0.9]), np.array([0.6, 0.8])) == pytest.approx(0.1)


def test_interval_score_is_best_at_the_true_quantiles() -> None:
    x = np.random.default_rng(5).normal(size=200_000)
    score = {z: m.interval_scores(x, np.full(len(x), -z), np.full(len(x), z), 0.9).mean() for z in (1.2, 1.645, 2.1)}
    assert score[1.645] < score[1.2]
    assert score[1.645] < score[2.1]


def test_interval_score_agrees_with_pinball_loss() -> None:
    sk = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(6)
    truth, low, width = rng.normal(size=300), rng.normal(size=300) - 1, rng.random(300) * 3
    both = sum(sk.mean_pinball_loss(truth, q, alpha=a) for q, a in ((low, 0.05), (low + width, 0.95)))
    assert m.interval_scores(truth, low, low + width, 0.9).mean() == pytest.approx(2 / 0.1 * both)


def test_beyond_accuracy_known_answers() -> None:
    top = np.array([[0, 1], [0, 2], [0, -1]])
    counts = np.array([8, 4, 0, 2])
    assert m.catalogue_coverage(top, 4) == 0.75
    np.testing.assert_allclose(m.popularity(top, counts), [6, 4, 8])
    np.testing.assert_allclose(m.novelty(top, counts, 8), [0.5, 1.5, 0])
    assert m.gini(np.array([[0, 1], [2, 3]]), 4) == 0
    assert m.gini(np.array([[0], [0], [0], [0]]), 4) == pytest.approx(0.75)
    assert np.isnan(m.gini(np.full((2, 2), -1), 4))
    assert np.isnan(m.popularity(np.full((1, 2), -1), counts)).all()


@given(st.integers(0, 10_000), st.integers(2, 8))
@settings(max_examples=30, deadline=None)
def test_diversity_is_the_mean_pairwise_distance(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.random((12, 5)) * (rng.random((12, 5)) < 0.5)
    top = np.array([rng.permutation(12)[:n] for _ in range(7)])
    top[0, 1:] = -1
    top[1, -1] = -1
    got = m.diversity(top, vectors, block=3)

    def cosine(a: NDArray, b: NDArray) -> float:
        size = np.linalg.norm(a) * np.linalg.norm(b)
        return float(a @ b / size) if size else 0.0

    for row, value in zip(top, got):
        items = row[row >= 0]
        pairs = [1 - cosine(vectors[a], vectors[b]) for i, a in enumerate(items) for b in items[i + 1 :]]
        assert value == pytest.approx(np.mean(pairs)) if pairs else np.isnan(value)


def test_no_warnings_on_empty_input() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        h = np.zeros((2, 3), dtype=bool)
        for metric in m.RANKING.values():
            assert np.isnan(metric(h, np.zeros(2, dtype=int))).all()
        assert m.hits_of(np.array([[0, 1]]), np.array([0, 0]), np.array([], dtype=int)).sum() == 0
