"""The rankers: planted truth, fold-in, state, determinism at 1 and 2 threads."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from cofactor.data.interactions import csr
from cofactor.errors import BundleError, ConfigError, NotFittedError
from cofactor.model import HasFactors, HasSimilarity, Model
from cofactor.models import model_class
from cofactor.models.base.stored_rows import stored_csr
from cofactor.models.base.strength import strengths
from cofactor.models.ials import IalsConfig
from toys import RANKERS, blocks, noise
from toys import SMALL_RANKERS as SMALL
from toys import interactions as table
from toys import trained_ranker as fitted

PERSONAL = [name for name in RANKERS if name != "popular"]


# Every ranker


@pytest.mark.parametrize("name", RANKERS)
def test_protocols_and_shapes(name: str) -> None:
    data = noise()
    model = fitted(name, data)
    assert isinstance(model, Model)
    assert model.task == "ranking"
    assert model.name == name
    users = np.array([3, -1, 0])
    scores = model.scores(users)
    assert scores.shape == (3, data.n_items)
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(np.argsort(-scores[1]), np.argsort(-np.bincount(data.items, minlength=40)))
    everybody, everything = (a.ravel() for a in np.meshgrid(users, np.arange(data.n_items), indexing="ij"))
    pairs = model.predict(everybody, everything)
    assert pairs.dtype == np.float32
    np.testing.assert_allclose(pairs.reshape(3, -1), scores, rtol=1e-5, atol=1e-6)
    assert model.predict(np.array([0, -1]), np.array([-1, -1])).tolist() == [0, 0]
    np.testing.assert_array_equal(model.scores_from(model.user_state(users)), scores)


@pytest.mark.parametrize("name", PERSONAL)
def test_finds_the_item_left_out(name: str) -> None:
    data, left = blocks()
    model = fitted(name, data)
    scores = model.scores(np.arange(data.n_users))
    scores[data.users, data.items] = -np.inf
    np.testing.assert_array_equal(scores.argmax(axis=1), left)


@pytest.mark.parametrize("name", PERSONAL)
def test_fold_in_of_a_new_user_finds_the_group(name: str) -> None:
    data, _ = blocks()
    model = fitted(name, data)
    history = csr(np.array([0, 0, 0]), np.array([12, 14, 17]), np.ones(3), 1, data.n_items)
    scores = model.scores_from(model.fold_in(history))[0]
    scores[history.indices] = -np.inf
    assert set(np.argsort(-scores)[:9].tolist()) == set(range(12, 24)) - {12, 14, 17}
    nothing = csr(np.array([], np.int32), np.array([], np.int32), np.array([]), 1, data.n_items)
    np.testing.assert_array_equal(model.scores_from(model.fold_in(nothing)), model.scores(np.array([-1])))


@pytest.mark.parametrize("name", RANKERS)
def test_state_round_trip(name: str) -> None:
    data = noise()
    model = fitted(name, data)
    state = {k: np.array(v) for k, v in model.state().items()}
    again = type(model).from_state(model.config, state)
    users = np.arange(-1, data.n_users)
    np.testing.assert_array_equal(again.scores(users), model.scores(users))
    for array in [name for name in state if name.rpartition(".")[2] not in getattr(model, "later", ())]:
        with pytest.raises(BundleError, match=array.split(".")[-1].split("_")[0]):
            type(model).from_state(model.config, {k: v for k, v in state.items() if k != array})
    with pytest.raises(NotFittedError, match=name):
        type(model)().scores(users)


@pytest.mark.parametrize("name", RANKERS)
def test_stepper_restores(name: str) -> None:
    data = noise()
    cls = model_class(name)
    whole = cls(cls.Config(**SMALL.get(name, {})))
    stepper = whole.stepper(data, np.random.default_rng(0))
    stepper.run(None, None)
    snapshot = stepper.snapshot()
    if whole.kind == "sweep":
        stepper.run(None, None)
    other = cls(cls.Config(**SMALL.get(name, {})))
    later = other.stepper(data, np.random.default_rng(0))
    later.restore(snapshot)
    if other.kind == "sweep":
        later.run(None, None)
    np.testing.assert_array_equal(other.scores(np.arange(5)), whole.scores(np.arange(5)))


@pytest.mark.parametrize("name", RANKERS)
def test_one_user_one_item(name: str) -> None:
    model = fitted(name, table([0], [0], [4.0], 1, 1))
    assert np.isfinite(model.scores(np.array([0, -1]))).all()


DIGEST = """
import hashlib, sys
import numpy as np
sys.path.insert(0, {tests!r})
from toys import RANKERS, trained_ranker as fitted, noise
data = noise(900, 300, 0.1)
for name in RANKERS:
    print(name, hashlib.sha256(fitted(name, data).scores(np.arange(900)).tobytes()).hexdigest())
"""


def test_same_bits_at_one_and_two_threads() -> None:
    said = []
    for threads in ("1", "2"):
        env = {**os.environ, "NUMBA_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        code = DIGEST.format(tests=os.path.dirname(os.path.dirname(__file__)))
        said.append(
            subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
        )
    assert said[0] == said[1]
    assert len(said[0].splitlines()) == len(RANKERS)


# What they share


def test_rating_weights() -> None:
    values = np.array([1, 2, 3, 4, 5, 9], dtype=np.float32)
    np.testing.assert_allclose(strengths(values, np.array([1, 5]), 0.2), [0.2, 0.4, 0.6, 0.8, 1, 1], rtol=1e-6)
    assert strengths(values, np.array([1, 5]), 1.0).tolist() == [1] * 6
    assert strengths(values, np.array([3, 3]), 0.0).tolist() == [1] * 6


def test_stored_csr_refuses_nonsense() -> None:
    good = {
        "m_indptr": np.array([0, 1, 2]),
        "m_indices": np.array([0, 1], np.int32),
        "m_values": np.ones(2, np.float32),
    }
    assert stored_csr(good, "m", 2).n_rows == 2
    for bad in (
        {"m_indices": np.array([0, 2], np.int32)},
        {"m_indptr": np.array([0, 3, 2])},
        {"m_indptr": np.array([1, 2])},
    ):
        with pytest.raises(BundleError, match="sparse"):
            stored_csr({**good, **bad}, "m", 2)


# popular


def test_popular_counts_and_forgets() -> None:
    day = 86_400
    data = table([0, 1, 2, 0], [0, 0, 0, 1], [5, 5, 1, 5], 3, 2, np.array([0, 0, 0, 60]) * day)
    np.testing.assert_allclose(fitted("popular", data).popularity, [1, 1 / 3], rtol=1e-6)
    np.testing.assert_allclose(fitted("popular", data, half_life=20.0).popularity, [3 / 8, 1], rtol=1e-6)
    np.testing.assert_allclose(fitted("popular", data, min_rating_weight=0.0).popularity, [1, 0.5], rtol=1e-6)
    with pytest.raises(ConfigError, match="times"):
        fitted("popular", noise(), half_life=5.0)


def test_similarity_and_factors_are_offered() -> None:
    for name in set(PERSONAL) - {"blend"}:
        model = fitted(name, noise())
        assert isinstance(model, (HasSimilarity, HasFactors))
        if isinstance(model, HasSimilarity):
            rows = model.item_similarity(np.array([4, -1]))
            assert rows.shape == (2, 40)
            assert rows[0].any()
            assert not rows[1].any()


@pytest.mark.parametrize("name", ["bpr", "warp"])
def test_fold_in_does_not_depend_on_the_block(name: str) -> None:
    data = noise()
    model = fitted(name, data, epochs=10)
    together = model.fold_in(data.by_user)
    np.testing.assert_array_equal(model.fold_in(data.by_user.take(np.array([9, 4]))), together[[9, 4]])
    scores = model.scores_from(together)
    has = np.zeros(scores.shape, dtype=bool)
    has[data.users, data.items] = True
    assert scores[has].mean() > scores[~has].mean()


def test_user_who_has_everything() -> None:
    data = table([0] * 4 + [1], [0, 1, 2, 3, 0], np.ones(5), 2, 4)
    for name in RANKERS:
        assert np.isfinite(fitted(name, data).scores(np.array([0, 1]))).all()


def test_constants_of_ials_follow_the_density():
    dense, sparse = IalsConfig().for_table(100_000, 943, 1682), IalsConfig().for_table(810_128, 29_858, 40_981)
    assert tuple(dense) == (64, 4.0, 20.0, 0.5)
    assert sparse == (256, pytest.approx(20.0, rel=0.1), 30.0, 1.0)
    given = IalsConfig(n_factors=8, alpha=1.0, reg=2.0, nu=0.25)
    assert tuple(given.for_table(810_128, 29_858, 40_981)) == (8, 1.0, 2.0, 0.25)
    assert IalsConfig().for_table(0, 0, 0).n_factors == 64
    assert IalsConfig().for_table(10**8, 5_000_000, 500_000).n_factors == 64
