"""half_life: rows of rankers weigh less with age, in training and in a user's own history."""

from __future__ import annotations

import numpy as np
import pytest

from cofactor.data.interactions import CSR, Interactions
from cofactor.data.rows.repeats import merged
from cofactor.errors import BundleError, ConfigError
from cofactor.models import model_class
from cofactor.models.base.age import aged, faded, popularity
from toys import interactions, noise
from toys import trained_ranker as fitted

DAY = 86_400
MODELS = ("item-cosine", "ease", "slim", "graph-filter", "ials")
SETTINGS = {
    "graph-filter": {"to_power": 0.0, "low_pass": 0.2},
    "item-cosine": {"shrink": 0.0},
    "ials": {"reg": 1.0, "n_factors": 16},
}


def timed(days: np.ndarray, data: Interactions) -> Interactions:
    return data.replace(times=(days * DAY).astype(np.int64) + 1_500_000_000)


def two_pasts() -> Interactions:
    """Items 0, 1, 2 go together and 3, 4, 5. The last user took 0 a year ago and 3 today."""
    rng = np.random.default_rng(0)
    users, items = [], []
    for user in range(60):
        group = 3 * (user % 2)
        for item in rng.permutation(3)[:2] + group:
            users.append(user)
            items.append(item)
    users += [60, 60]
    items += [0, 3]
    days = np.full(len(users), 1000.0)
    days[-2] = 635.0
    return timed(days, interactions(np.array(users), np.array(items), np.ones(len(users)), 61, 6))


def test_weights_are_halved_with_every_half_life() -> None:
    indptr = np.array([0, 2, 2, 5], dtype=np.int64)
    order = np.array([10, 4, 7, 7, 1], dtype=np.int64) * DAY
    values = np.array([1, 2, 4, 1, 8], dtype=np.float32)
    rows = CSR(indptr, np.arange(5, dtype=np.int32), values, np.empty(0, np.int64), 5, order)
    ages = np.array([0, 6, 0, 0, 6])
    np.testing.assert_allclose(aged(rows, 3.0).values, values * 0.5 ** (ages / 3), rtol=1e-6)
    ages = np.array([0, 6, 3, 3, 9])
    np.testing.assert_allclose(aged(rows, 3.0, 10 * DAY).values, values * 0.5 ** (ages / 3), rtol=1e-6)
    assert aged(rows, 0.0) is rows
    assert aged(rows._replace(order=None), 3.0).values is values
    data = timed(np.array([0.0, 5.0, 10.0]), interactions(np.arange(3), np.array([0, 0, 1]), np.ones(3), 3, 2))
    np.testing.assert_allclose(popularity(data, 5.0), [0.75, 1.0])


@pytest.mark.parametrize("name", MODELS)
def test_what_a_user_did_lately_counts_most(name: str) -> None:
    data, settings = two_pasts(), SETTINGS.get(name, {})
    even = fitted(name, data, **settings).scores(np.array([60]))[0]
    late = fitted(name, data, half_life=30.0, **settings).scores(np.array([60]))[0]
    assert late[[4, 5]].min() > 1.05 * late[[1, 2]].max()
    assert 0.6 < even[[4, 5]].mean() / even[[1, 2]].mean() < 1.6


@pytest.mark.parametrize("name", MODELS)
def test_what_all_did_lately_counts_most(name: str) -> None:
    """Item 0 went with 1 long ago, and goes with 2 now."""
    users = np.repeat(np.arange(40), 2)
    old = users < 20
    items = np.where(np.arange(80) % 2 == 0, 0, np.where(old, 1, 2))
    items = np.append(items, [0, 3, 4])
    users = np.append(users, [40, 41, 41])
    days = np.append(np.where(old, 0.0, 900.0), [900.0, 900.0, 900.0])
    data = timed(days, interactions(users, items, np.ones(len(users)), 42, 5))
    scores = fitted(name, data, half_life=60.0, **SETTINGS.get(name, {})).scores(np.array([40]))[0]
    assert scores[2] > scores[1]


@pytest.mark.parametrize("name", MODELS)
def test_a_long_half_life_is_none(name: str) -> None:
    data = noise()
    data = timed(np.random.default_rng(1).random(len(data)) * 100, data)
    settings = SETTINGS.get(name, {})
    plain, slow = fitted(name, data, **settings), fitted(name, data, half_life=1e7, **settings)
    users = np.arange(-1, 20)
    np.testing.assert_allclose(slow.scores(users), plain.scores(users), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", [*MODELS, "blend"])
def test_times_are_kept_with_the_model(name: str) -> None:
    data = noise()
    data = timed(np.random.default_rng(1).random(len(data)) * 100, data)
    model = fitted(name, data, half_life=20.0, **SETTINGS.get(name, {}))
    again = type(model).from_state(model.config, model.state())
    users = np.arange(-1, 20)
    np.testing.assert_array_equal(again.scores(users), model.scores(users))
    np.testing.assert_array_equal(again.fold_in(data.histories), model.fold_in(data.histories))
    if name not in ("ials", "blend"):
        np.testing.assert_allclose(model.fold_in(data.histories), model.scores(np.arange(data.n_users)), rtol=1e-5)
        with pytest.raises(BundleError, match="history_order"):
            type(model).from_state(model.config, {k: v for k, v in model.state().items() if k != "history_order"})


@pytest.mark.parametrize("name", [*MODELS, "blend"])
def test_bad_half_lives(name: str) -> None:
    with pytest.raises(ConfigError, match="half_life is -1"):
        model_class(name).Config(half_life=-1.0)
    with pytest.raises(ConfigError, match=f"{name} with a half_life needs times"):
        fitted(name, noise(), half_life=3.0)


def test_a_blend_hands_it_to_its_models() -> None:
    data = noise()
    data = timed(np.random.default_rng(1).random(len(data)) * 100, data)
    model = fitted("blend", data, half_life=20.0, models=("ease", "als", "item-cosine:half_life=5"), weights=(1, 1, 1))
    assert model.parts["ease"].config.half_life == 20
    assert model.parts["item-cosine:half_life=5"].config.half_life == 5


@pytest.mark.parametrize("policy", ["sum", "count"])
def test_each_event_of_a_sum_weighs_by_its_own_age(policy: str) -> None:
    rng = np.random.default_rng(1)
    n = 400
    events = interactions(rng.integers(0, 12, n), rng.integers(0, 6, n), rng.integers(1, 4, n).astype(float), 12, 6)
    events = timed(rng.integers(0, 300, n).astype(float), events).replace(kind="counts")
    data = merged(events, policy)
    recent = faded(data, 30.0)
    now = int(events.times.max())
    pair_age = 0.5 ** ((now - data.times) / (30 * DAY))
    amounts = events.values if policy == "sum" else np.ones(n)
    each = amounts * 0.5 ** ((now - events.times) / (30 * DAY))
    for row, (user, item) in enumerate(zip(data.users, data.items)):
        wanted = each[(events.users == user) & (events.items == item)].sum()
        np.testing.assert_allclose(recent.values[row] * pair_age[row], wanted, rtol=1e-5)
    assert np.array_equal(recent.users, data.users)
    assert np.array_equal(recent.times, data.times)
    for same in (faded(data, 0.0), faded(events, 30.0), faded(merged(events, "last"), 30.0)):
        assert same.unmerged is None or same.duplicates == "last" or same is data


@pytest.mark.parametrize("name", MODELS)
def test_repeats_long_ago_teach_less_than_lately(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tables of the same sums and the same last events, of which the repeats are old or new."""
    monkeypatch.setattr("cofactor.models.base.strength.FLOORS", (0.2,))
    rng = np.random.default_rng(2)
    users, items = np.repeat(np.arange(80), 4), np.concatenate([rng.permutation(10)[:4] for _ in range(80)])
    found = []
    for ago in (1.0, 900.0):
        often = items < 3
        every = np.concatenate([users, *[users[often]] * 9]), np.concatenate([items, *[items[often]] * 9])
        days = np.concatenate([np.full(len(users), 1000.0), np.full(9 * int(often.sum()), 1000.0 - ago)])
        data = timed(days, interactions(*every, np.ones(len(days)), 80, 10)).replace(kind="events")
        data = merged(data, "sum")
        assert data.values.max() == 10
        model = fitted(name, data, half_life=20.0, **SETTINGS.get(name, {}))
        again = model.scores_from(model.fold_in(data.histories.take(np.arange(5))))
        np.testing.assert_allclose(model.scores(np.arange(5)), again, atol=0.05 if name == "ials" else 1e-4)
        found.append(model.scores(np.arange(80)))
    assert np.abs(found[0] - found[1]).max() > 1e-3
