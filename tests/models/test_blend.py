"""blend: standardised scores, weights chosen on held-out rows."""

from __future__ import annotations

import re

import numpy as np
import pytest

import cofactor as cf
from cofactor.data import splits
from cofactor.data.interactions import CSR, csr
from cofactor.errors import BundleError, ConfigError
from cofactor.evaluation.metrics import ndcg
from cofactor.models.base.mixing import Standing, greedy, mix, ndcg_of
from cofactor.models.blend import DENSE, NAMES, SPARSE, Blend, BlendConfig, chosen_weights
from cofactor.models.ease import EaseConfig
from cofactor.models.graph_filter import GraphFilterConfig
from cofactor.models.item_cosine import ItemCosineConfig
from cofactor.models.popular import PopularConfig
from toys import blocks, noise
from toys import trained_ranker as fitted

SOME = ("ease", "item-cosine", "popular")


def random_rows(share: float, seed: int, n_users: int = 50, n_items: int = 30) -> CSR:
    has = np.random.default_rng(seed).random((n_users, n_items)) < share
    has[:, seed] = True
    users, items = np.nonzero(has)
    return csr(users, items, np.ones(len(users)), n_users, n_items)


def standardised(scores: np.ndarray, rows: CSR) -> np.ndarray:
    out = np.zeros_like(scores)
    mix(out, scores, rows)
    return out


def test_standardised_over_the_items_not_seen() -> None:
    rows = random_rows(0.2, 0)
    raw = np.random.default_rng(1).normal(3, 2, (50, 30)).astype(np.float32)
    raw[7] = 4.0
    found = standardised(raw, rows)
    for r in range(50):
        unseen = np.setdiff1d(np.arange(30), rows.row(r)[0])
        spread = raw[r, unseen].std()
        wanted = (raw[r] - raw[r, unseen].mean()) / spread if spread else np.zeros(30)
        np.testing.assert_allclose(found[r], wanted, atol=1e-4)


def standing_of_tables(scores: np.ndarray, wanted: CSR) -> Standing:
    hits = np.zeros(scores.shape[1:], dtype=bool)
    hits[np.repeat(np.arange(wanted.n_rows), wanted.counts), wanted.indices] = True
    return Standing(scores, hits, wanted.counts)


def test_ndcg_is_that_of_the_metrics() -> None:
    wanted = random_rows(0.1, 1)
    wanted = wanted.take(np.arange(50))._replace(
        indptr=np.append(wanted.indptr[:-1], wanted.indptr[-2])
    )  # one has none
    wanted = wanted._replace(indices=wanted.indices[: wanted.indptr[-1]])
    scores = np.random.default_rng(2).normal(size=(3, 50, 30)).astype(np.float32)
    scores[:, :, 25:] = -np.inf
    weights = np.array([0.5, 0.0, 2.0])
    mixed = 0.5 * scores[0] + 2 * scores[2]
    top = np.argsort(-mixed, axis=1)[:, :10]
    hits = np.array([np.isin(top[r], wanted.row(r)[0]) for r in range(50)])
    found = ndcg_of(standing_of_tables(scores, wanted), weights, 10)
    np.testing.assert_allclose(found, ndcg(hits, wanted.counts))
    assert np.isnan(found[49])


def test_greedy_finds_the_planted_weights() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(3, 400, 200)).astype(np.float32)
    best = np.argsort(-(scores[0] + scores[2]), axis=1)[:, :5].ravel()
    wanted = csr(np.repeat(np.arange(400), 5), best, np.ones(2000), 400, 200)
    np.testing.assert_allclose(greedy(standing_of_tables(scores, wanted), 10), [0.5, 0, 0.5], atol=0.051)


def test_chooses_the_model_that_knows() -> None:
    data, _ = blocks()
    configs = {"popular": PopularConfig(), "item-cosine": ItemCosineConfig()}
    weights = chosen_weights(data, BlendConfig(), 0, configs).weights
    assert weights[1] > 0.6
    assert weights.sum() == pytest.approx(1)


def test_is_the_weighted_sum() -> None:
    data = noise()
    model = fitted("blend", data, models=("ease", "popular"), weights=(3.0, 1.0))
    np.testing.assert_allclose(model.weights, [0.75, 0.25])
    users = np.arange(data.n_users)
    parts = [standardised(model.parts[name].scores(users), data.by_user) for name in ("ease", "popular")]
    np.testing.assert_allclose(model.scores(users), 0.75 * parts[0] + 0.25 * parts[1], atol=1e-5)
    np.testing.assert_allclose(model.fold_in(data.by_user), model.scores(users), atol=1e-5)


def test_parts_without_weight_are_left_out() -> None:
    model = fitted("blend", noise(), models=SOME, weights=(1.0, 0.0, 1.0))
    assert list(model.parts) == ["ease", "popular"]
    state = {k: np.array(v) for k, v in model.state().items()}
    again = Blend.from_state(model.config, state)
    np.testing.assert_array_equal(again.scores(np.arange(-1, 9)), model.scores(np.arange(-1, 9)))
    with pytest.raises(BundleError, match="popularity"):
        Blend.from_state(model.config, {k: v for k, v in state.items() if not k.startswith("ease.")})


def test_one_seed_one_result() -> None:
    a, b = (fitted("blend", noise(), seed=4, models=SOME) for _ in range(2))
    np.testing.assert_array_equal(a.weights, b.weights)
    np.testing.assert_array_equal(a.scores(np.arange(9)), b.scores(np.arange(9)))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"models": ("ease", "ease")}, "twice"),
        ({"models": ("blend",)}, "other models"),
        ({"models": SOME, "weights": (1.0,)}, "one a model"),
        ({"models": SOME, "weights": (1.0, -1.0, 1.0)}, "below 0"),
        ({"share": 1.5}, "share"),
        ({"held_out": "past"}, "held_out is 'past'"),
    ],
)
def test_bad_settings(values: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        BlendConfig(**values)


def test_models_that_cannot_take_part() -> None:
    with pytest.raises(ConfigError, match="blend cannot use dot-bias"):
        fitted("blend", noise(), models=("ease", "dot-bias"))
    with pytest.raises(ConfigError, match="no model 'eaze'"):
        fitted("blend", noise(), models=("eaze",))


def test_a_model_that_tells_nothing_is_not_chosen() -> None:
    """Of a constant model's equal scores the first item comes first, which here happens to be the wanted one."""
    scores = np.zeros((2, 3, 4), dtype=np.float32)
    scores[1] = [0.0, 3.0, 2.0, 1.0]
    wanted = csr(np.arange(3, dtype=np.int32), np.zeros(3, np.int32), np.ones(3, np.float32), 3, 4)
    np.testing.assert_array_equal(greedy(standing_of_tables(scores, wanted), 2, 5), [0, 1])


def test_models_follow_the_table() -> None:
    assert BlendConfig().for_table(6_000, 943, 600) == DENSE
    assert BlendConfig().for_table(800_000, 30_000, 41_000) == SPARSE
    assert BlendConfig(models=("ease",)).for_table(10, 10, 10) == ("ease",)
    model = fitted("blend", noise(), models=())
    assert model.weights.shape == (len(NAMES),)
    assert set(model.parts) <= set(DENSE)
    again = Blend.from_state(model.config, model.state())
    np.testing.assert_array_equal(again.scores(np.arange(9)), model.scores(np.arange(9)))


def test_where_rows_have_weights_models_that_do_not_know_them_are_left_out() -> None:
    data = noise()
    weighed = data.replace(weights=np.linspace(0.5, 1.5, len(data)).astype(np.float32))
    parts = fitted("blend", weighed, models=()).search.models
    assert parts == tuple(name for name in DENSE if name != "svd++")


def test_a_bundle_of_a_version_with_fewer_models_opens() -> None:
    model = fitted("blend", noise(), models=())
    state = dict(model.state())
    older = state | {"weights": np.array([0.7, 0.3, 0, 0, 0, 0], np.float32)}
    older |= {f"{name}.{k}": v for name in ("ials", "ease") for k, v in fitted(name, noise()).state().items()}
    assert list(Blend.from_state(model.config, older).parts) == ["ials", "ease"]
    with pytest.raises(BundleError, match="'weights' of the saved model has 3 numbers"):
        Blend.from_state(model.config, state | {"weights": np.ones(3, np.float32)})


def test_what_is_chosen_inside_training_is_chosen_once() -> None:
    configs = {"ease": EaseConfig(neighbours=5), "graph-filter": GraphFilterConfig(), "popular": PopularConfig()}
    chosen_weights(noise(), BlendConfig(), 0, configs)
    assert configs["ease"].local_reg is not None
    assert configs["graph-filter"].to_power is not None
    assert configs["graph-filter"].low_pass is not None
    assert configs["popular"] == PopularConfig()


def test_the_future_is_held_out_where_there_are_times() -> None:
    """Half of the items are taken early, half late: popularity of late is what tells the future."""
    data = noise(200, 60, 0.3)
    times = np.where(data.items < 30, 0, 200) * 86_400 + np.arange(len(data)) * 60
    order = np.argsort(times)
    data = data.take(order).replace(times=times[order].astype(np.int64))
    recent = "popular:half_life=2"
    assert fitted("blend", data, models=("popular", recent)).weights[1] > 0.7
    assert splits.auto(data).how.startswith("temporal")
    assert fitted("blend", data, models=("popular", recent), held_out="random").weights[1] < 0.7


def test_it_says_what_it_held_out() -> None:
    timed = noise(80).replace(times=np.arange(len(noise(80))) * 86_400)
    for data, words in ((timed, "by time|temporal|rolling"), (noise(80), "random")):
        rec = cf.fit(data, model="blend", models=SOME, seed=0)
        assert rec.trials is not None
        assert rec.trials["model"].to_list() == list(SOME)
        assert re.search(words, rec.trials["held_out"][0])
        weights = dict(zip(rec.model.config.names, rec.model.weights.tolist(), strict=True))
        for name, status, chosen, value in rec.trials.select("model", "status", "chosen", "value").rows():
            assert status == f"weight {weights[name]:.2f}"
            assert chosen == (weights[name] > 0)
            assert 0 <= value <= 1
    given = cf.fit(noise(), model="blend", models=("ease", "popular"), weights=(0.5, 0.5), seed=0)
    assert given.trials is None


@pytest.mark.parametrize("unseen", [0, 1, 2])
def test_what_is_left_for_a_user_of_nearly_everything_is_no_rounding(unseen):
    """Nothing differs among so few items, so nothing is there to be stretched."""
    n = 900
    scores = np.random.default_rng(0).normal(5, 3, (1, n)).astype(np.float32)
    scores[:, n - unseen :] = 0.1
    rows = csr(np.zeros(n - unseen, int), np.arange(n - unseen), np.ones(n - unseen), 1, n)
    out = np.zeros((1, n), dtype=np.float32)
    mix(out, scores, rows)
    assert not out.any()


def test_two_items_that_differ_are_stretched():
    n = 900
    scores = np.random.default_rng(0).normal(5, 3, (1, n)).astype(np.float32)
    scores[0, -2:] = 0.1, 0.2
    out = np.zeros((1, n), dtype=np.float32)
    mix(out, scores, csr(np.zeros(n - 2, int), np.arange(n - 2), np.ones(n - 2), 1, n))
    np.testing.assert_allclose(out[0, -2:], [-1, 1], atol=1e-5)
