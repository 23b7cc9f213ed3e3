"""The automatic choice: best on held-out rows, never worse than the simplest, the same at any speed of the machine."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest

import cofactor
from cofactor.data import splits
from cofactor.data.interactions import Interactions
from cofactor.errors import ConfigError, DataError
from cofactor.evaluation import evaluate
from cofactor.fitting.estimate import table_size
from cofactor.models.base import mixing
from cofactor.selection.budget import counted
from cofactor.selection.choose import ChoiceWarning, auto_candidates, choose, inner_splits, trial_notes
from cofactor.selection.subsamples import few_users, random_rows, some_users
from toys import TableModel as Table
from toys import noise
from toys import random_ratings as ratings

TRUTH = np.random.default_rng(11).normal(3, 1, (200, 150))
DAY = 86_400


def data(seed: int = 0) -> Interactions:
    base = ratings(200, 150, seed, density=0.3)
    values = TRUTH[base.users, base.items].astype(np.float32)
    return base.replace(values=values)


def clicks(n_users: int = 300, n_items: int = 200, seed: int = 0, times: bool = False) -> Interactions:
    """Users and items in four groups: who is in a group takes its items, so that item-item models win."""
    rng = np.random.default_rng(seed)
    alike = (np.arange(n_users) % 4)[:, None] == (np.arange(n_items) % 4)[None, :]
    users, items = np.nonzero(rng.random((n_users, n_items)) < np.where(alike, 0.2, 0.01))
    frame = pl.DataFrame({"user": users, "item": items})
    if times:
        frame = frame.with_columns(time=pl.Series(rng.integers(1_500_000_000, 1_500_000_000 + 100 * DAY, len(users))))
    return cofactor.read(frame)


class Fits:
    """A fit whose models miss the truth by a given error."""

    def __init__(self, errors: dict[str, float], task: str = "rating") -> None:
        self.errors, self.task = errors, task
        self.trained: list[tuple[str, int]] = []

    def __call__(self, train: Interactions, *, model: str, seed: int, **config: Any) -> Table:
        self.trained.append((model, len(train)))
        if self.errors[model] < 0:
            raise DataError("it needs times")
        wrong = np.random.default_rng(seed).normal(0, self.errors[model], TRUTH.shape)
        return Table(TRUTH + wrong, self.task)


def test_the_best_is_taken() -> None:
    fits = Fits({"bias": 0.5, "als": 0.3, "dot-bias": 0.4})
    found = choose(data(), candidates=["bias", "als", "dot-bias"], fit=fits, budget_seconds=float("inf"))
    assert found.model == "als"
    assert found.frame["status"].to_list() == ["tried"] * 3
    assert found.metrics == {"inner_rmse": pytest.approx(0.3, rel=0.1)}
    assert [rows for _, rows in fits.trained] == [round(0.9 * len(data()))] * 3


def test_never_worse_than_the_simplest_and_ties_go_to_the_simpler() -> None:
    pool = ["bias", "als", "dot-bias"]

    def taken(*errors: float) -> str:
        fits = Fits(dict(zip(pool, errors)))
        return choose(data(), candidates=pool, fit=fits, budget_seconds=float("inf")).model

    assert taken(0.3, 0.4, 0.5) == "bias"
    assert taken(0.3, 0.29999, 0.4) == "bias"
    assert taken(0.5, 0.3, 0.29999) == "als"
    assert taken(0.5, 0.3, 0.29) == "dot-bias"
    assert taken(0.3, -1, 0.2) == "dot-bias"  # als cannot be trained here
    with pytest.raises(DataError, match="needs times"):
        taken(-1, 0.1, 0.1)


def test_without_a_finite_figure_there_is_no_choice() -> None:
    class Lost(Fits):
        def __call__(self, train: Interactions, *, model: str, seed: int, **config: Any) -> Table:
            return Table(np.full(TRUTH.shape, np.nan), "rating")

    with pytest.raises(DataError, match=r"no candidate gave a finite rmse.*bias: skipped: no finite rmse"):
        choose(data(), candidates=["bias", "als"], fit=Lost({}))
    with pytest.raises(DataError, match=r"none of the .* has a rating of 99"):
        choose(data(), "ranking", candidates=["popular", "item-cosine"], relevant=99)


def test_rankers() -> None:
    fits = Fits({"popular": 2.0, "ease": 0.2}, task="ranking")
    found = choose(data(), "ranking", candidates=["popular", ("ease", {"reg": 9.0})], fit=fits)
    assert (found.model, found.config) == ("ease", {"reg": 9.0})
    assert list(found.metrics) == ["inner_ndcg@10"]


def test_the_future_is_held_out_where_there_are_times() -> None:
    timed, plain = clicks(times=True), clicks()
    windows = inner_splits(timed, "ranking", 0)
    assert len(windows) == 3
    for window in windows:
        assert window.train.times is not None
        assert window.valid.times is not None
        assert window.train.times.max() < window.valid.times.min()
    assert all(one.how.startswith("random: ") for one in inner_splits(plain, "ranking", 0))
    ordered = timed.replace(times=np.argsort(np.argsort(timed.times)) - np.zeros(len(timed), dtype=np.int64))
    order = np.lexsort((ordered.times, ordered.users))
    starts = np.flatnonzero(np.diff(ordered.users[order], prepend=-1))
    position = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    numbered = ordered.take(order).replace(times=position)
    lasts = inner_splits(numbered, "ranking", 0)
    assert len(lasts) == 3
    for one in lasts:
        assert one.how.startswith("leave last: the last 1 ")
        assert (np.bincount(one.valid.users) <= 1).all()
    for data, word in ((timed, "rolling"), (plain, "random")):
        found = choose(data, "ranking", candidates=["popular", "item-cosine"])
        assert word in found.frame["held_out"][0]
        assert word in found.notes[0]
    with pytest.raises(DataError, match="too few"):
        inner_splits(plain.take(np.arange(9)), "ranking", 0)


def test_of_the_last_row_of_each_user_every_one_counts_however_it_was_rated() -> None:
    rows = noise(60, 40, 0.3)
    times = np.arange(len(rows))
    numbered = rows.replace(times=times - np.repeat(rows.by_user.indptr[:-1], rows.by_user.counts), kind="ratings")
    timed = numbered.replace(times=np.random.default_rng(1).permutation(times) * DAY + 1_500_000_000)
    grades = np.random.default_rng(0).integers(1, 6, len(rows)).astype(np.float32)

    def reached(data: Interactions, relevant: float | None) -> tuple[float, str]:
        pool = ["popular", "item-cosine"]
        found = choose(data.replace(values=grades), "ranking", candidates=pool, relevant=relevant).frame
        return found["value"].to_list()[1], found["held_out"][0]

    of_all, how = reached(numbered, None)
    assert "every row counts" in how
    assert of_all == reached(numbered, 1.0)[0] != reached(numbered, 4.0)[0]
    by_threshold, how = reached(timed, None)
    assert "every row counts" not in how
    assert by_threshold == reached(timed, 4.0)[0] != reached(timed, 1.0)[0]


def test_recent_forms_of_popular_are_candidates_where_time_is_long_enough() -> None:
    names = auto_candidates("ranking", clicks(times=True))
    assert names[0] == "popular"
    assert [n for n in names if "half_life" in n] == [f"popular:half_life={h}" for h in (1, 2, 4, 7)]
    assert not [n for n in auto_candidates("ranking", clicks()) if "half_life" in n]


def test_a_fad_is_found_by_recency() -> None:
    rng = np.random.default_rng(3)
    n = 6000
    day = rng.integers(0, 64, n)
    item = np.where(rng.random(n) < 0.7, day // 2, rng.integers(0, 64, n))  # each two days have their own hit
    frame = pl.DataFrame({"user": rng.integers(0, 200, n), "item": item, "time": 1_500_000_000 + day * DAY})
    rows = cofactor.read(frame.unique(["user", "item"], maintain_order=True))
    names = [name for name in auto_candidates("ranking", rows) if name.startswith("popular")]
    found = choose(rows, "ranking", candidates=[*names, "item-cosine"])
    taken = found.config["models"] if found.model == "blend" else [*found.config]
    assert found.model == "popular" or found.model == "blend"
    assert any("half_life" in one for one in taken)


def slowed(factor: float) -> Any:
    """A clock that runs so much faster than work gets done: each look at it costs seconds."""
    count = itertools.count()
    return lambda: factor * next(count)


@pytest.mark.parametrize(
    "budget", [pytest.param(0.05, marks=pytest.mark.slow), 2.0, pytest.param(None, marks=pytest.mark.slow)]
)
def test_the_choice_does_not_depend_on_the_clock(budget: float | None) -> None:
    frames = []
    for factor in (0.0, 1.0, 1e4):
        found = choose(
            clicks(),
            "ranking",
            candidates=["popular", "item-cosine", "ials:epochs=2"],
            budget_seconds=budget,
            clock=slowed(factor),
        )
        frames.append(found.frame.drop("seconds"))
        assert found.frame["seconds"].drop_nulls().min() == factor
    assert frames[0].equals(frames[1])
    assert frames[0].equals(frames[2])
    assert not frames[0].filter("chosen")["model"].is_in(["popular"]).any()


@pytest.mark.slow
def test_the_choice_does_not_depend_on_the_load() -> None:
    def once() -> pl.DataFrame:
        found = choose(clicks(), "ranking", candidates=["popular", "item-cosine", "ials:epochs=2"], budget_seconds=0.3)
        return found.frame.drop("seconds")

    idle = once()
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        assert once().equals(idle)
    finally:
        for process in busy:
            process.kill()
            process.wait()


def test_only_the_simplest_is_said_loudly() -> None:
    with pytest.warns(ChoiceWarning, match=r"ONLY popular WAS TRIED: the budget left no room for .*item-cosine"):
        found = choose(clicks(), "ranking", budget_seconds=0)
    assert found.model == "popular"
    assert found.notes == trial_notes(found.frame)
    assert "--budget" in found.notes[-1]
    with pytest.warns(ChoiceWarning):
        rec = cofactor.fit(clicks(), model="auto-ranking", budget_seconds=0)
    assert rec.name == "popular"


@pytest.mark.parametrize("model", ["auto", "auto-ranking"])
@pytest.mark.parametrize("timed", [False, True])
def test_where_no_list_can_be_measured_the_simplest_is_taken(model: str, timed: bool) -> None:
    frame = pl.DataFrame({"user": np.arange(60), "item": np.arange(60) % 7, "time": 1_600_000_000 + np.arange(60)})
    data = cofactor.read(frame, user="user", item="item", rating=False, time="time" if timed else None)
    with pytest.warns(
        ChoiceWarning, match="Rankers could not be compared, so popular was chosen: no list can be measu"
    ):
        rec = cofactor.fit(data, model=model)
    assert rec.name == "popular"
    assert rec.trials is not None
    assert rec.trials.filter("chosen")["model"].to_list() == ["popular"]
    assert not [name for name in rec.metrics if name.startswith("inner")]
    assert len(rec.recommend(history=[0], n=3))


def test_a_number_of_trials() -> None:
    found = choose(clicks(), "ranking", trials=2)
    assert found.frame["status"].to_list().count("tried") >= 2
    assert found.frame.filter(pl.col("status").str.contains("the budget is 2 trials")).height >= 2
    assert "The budget left out" in found.notes[-1]
    with pytest.warns(ChoiceWarning):
        rec = cofactor.fit(clicks(), model="auto-ranking", budget=1)
    assert rec.name == "popular"
    for bad in (0, 1.5, True):
        with pytest.raises(ConfigError, match="budget is"):
            cofactor.fit(clicks(), model="auto-ranking", budget=bad)  # type: ignore[arg-type]


def test_a_large_table_is_tried_on_a_sample_of_users() -> None:
    pool = ["popular", "item-cosine", "ials"]
    whole = sum(counted(name, {}, table_size(clicks(3000, 200)))[0] for name in pool)
    found = choose(clicks(3000, 200), "ranking", candidates=pool, budget_seconds=1.2 * whole)
    assert found.plan.share < 1
    assert found.frame["status"].to_list()[:3] == ["tried"] * 3
    assert "on a sample of" in found.notes[0]
    assert found.model != "popular"


def test_less_effort_is_not_tried_where_more_fits() -> None:
    pool: list[Any] = ["bias", "als:epochs=1", "als"]
    found = choose(data(), candidates=pool, fit=Fits({"bias": 0.5, "als": 0.1}))
    assert found.frame["status"].to_list() == ["tried", "skipped: tried with more effort", "tried"]


def test_the_choice_is_deterministic() -> None:
    first, again = (choose(data(), candidates=["bias"], seed=3) for _ in range(2))
    assert first.frame.drop("seconds").equals(again.frame.drop("seconds"))
    assert first.frame["value"][0] != choose(data(), candidates=["bias"], seed=4).frame["value"][0]


def test_parts_of_a_table() -> None:
    whole = data()
    split = random_rows(whole, 0.1, 0)
    keys = [set(zip(p.users.tolist(), p.items.tolist())) for p in (split.train, split.valid)]
    assert not keys[0] & keys[1]
    assert len(keys[0] | keys[1]) == len(whole)
    assert len(random_rows(whole, 0.1, 0, at_most=50).valid) == 50
    few = few_users(split, 20, 1)
    assert len(np.unique(few.valid.users)) == 20
    assert few.train is split.train
    for user in np.unique(few.valid.users):
        assert (few.valid.users == user).sum() == (split.valid.users == user).sum()
    assert few_users(split, 1000, 1) is split
    some = some_users(split, 0.25, 1)
    kept = np.unique(some.train.users)
    assert len(kept) == 50
    assert len(some.train) == np.isin(split.train.users, kept).sum()
    assert set(some.valid.users) <= set(kept)


def test_a_blend_of_trained_rankers_is_what_blend_gives() -> None:
    found = choose(clicks(times=False), "ranking", candidates=["popular", "item-cosine", "ease", "ials"])
    line = found.frame.row(-1, named=True)
    assert line["model"] == "blend"
    assert line["status"].startswith("tried")


def test_parts_of_a_blend_keep_what_they_chose_on_random_rows() -> None:
    found = choose(clicks(times=False), "ranking", candidates=["popular", "graph-filter", "ials"])
    shown = found.frame.row(-1, named=True)["config"]
    assert ("graph-filter:to_power=" in shown) == ("graph-filter" in shown)
    assert "low_pass=" in shown
    by_time = choose(clicks(times=True), "ranking", candidates=["popular", "graph-filter", "ials"])
    assert "to_power" not in by_time.frame.row(-1, named=True)["config"]  # the newest rows may say something else


def test_weights_of_a_blend_are_found_and_measured_on_other_users() -> None:
    rng = np.random.default_rng(0)
    n_users, width = 400, 60
    relevant = np.ones(n_users, dtype=np.int64)
    hits = np.zeros((n_users, width), dtype=bool)
    hits[np.arange(n_users), rng.integers(0, width, n_users)] = True
    signal = hits.astype(np.float32)
    scores = np.stack([signal + rng.normal(0, 0.7, hits.shape) for _ in range(2)] + [rng.normal(0, 1, hits.shape)])
    standing = mixing.Standing(scores.astype(np.float32), hits, relevant)
    found = mixing.mixture([standing], seed=0)
    assert found.weights.sum() == pytest.approx(1)
    assert found.weights[2] < 0.15
    assert min(found.weights[:2]) > 0.3
    assert found.as_good
    single = [mixing.ndcg_of(standing, np.eye(3)[k], 10).mean() for k in range(3)]
    assert found.value > max(single)
    useless = mixing.Standing(rng.normal(0, 1, (3, n_users, width)).astype(np.float32), hits, relevant)
    useless.scores[0] += 3 * hits
    alone = mixing.mixture([useless], seed=0)
    assert alone.weights[0] > 0.7
    split = mixing.mixture([standing.take(np.arange(0, 400, 2)), standing.take(np.arange(1, 400, 2))], seed=0)
    assert split.weights == pytest.approx(found.weights, abs=0.2)
    assert mixing.joined([standing.take(np.arange(9)), standing.take(np.arange(9, 400))]).relevant.shape == (400,)


def planted(n_users: int, quality: Sequence[float], seed: int) -> mixing.Standing:
    """Users with one hit among sixty items, which models see more or less clearly; their errors are mostly the same."""
    rng = np.random.default_rng(seed)
    hits = np.zeros((n_users, 60), dtype=bool)
    hits[np.arange(n_users), rng.integers(0, 60, n_users)] = True
    shared = rng.normal(0, 0.84**0.5, hits.shape)
    scores = np.stack([q * hits + shared + rng.normal(0, 0.4, hits.shape) for q in quality])
    return mixing.Standing(scores.astype(np.float32), hits, np.ones(n_users, dtype=np.int64))


def test_of_few_users_a_blend_is_as_good_as_the_best_single_model_on_others(monkeypatch: pytest.MonkeyPatch) -> None:
    quality = (0.1, 1.0, 1.2, 2.0)
    others = planted(2000, quality, 99)
    best = mixing.ndcg_of(others, np.eye(4)[3], 10).mean()

    def gain() -> float:
        """Beside the best, of choices on forty users each: the mean."""
        found = [mixing.mixture([planted(40, quality, seed)], seed).weights for seed in range(5)]
        if mixing.FLOOR:  # nothing is gained from what knows nothing
            assert all(weights[0] == 0 for weights in found)
        return float(np.mean([mixing.ndcg_of(others, weights, 10).mean() for weights in found]) / best - 1)

    assert (new := gain()) > -0.007
    monkeypatch.setattr(mixing, "AHEAD", 0.0)
    monkeypatch.setattr(mixing, "FLOOR", 0.0)
    assert gain() < new


def test_single_models_are_ahead_where_few_users_are_measured_alone() -> None:
    few, many = planted(100, (1.0, 3.0), 0), planted(mixing.ENOUGH, (1.0, 3.0), 0)
    rng = np.random.default_rng(0)
    assert mixing.head_start([few], 10, rng) == pytest.approx([0, mixing.AHEAD * (1 - 100 / mixing.ENOUGH)])
    halves = [few.take(np.arange(50)), few.take(np.arange(50, 100))]
    assert mixing.head_start(halves, 10, rng).sum() == pytest.approx(mixing.head_start([few], 10, rng).sum())
    assert not mixing.head_start([many], 10, rng).any()
    junk = planted(100, (0.0, 4.0), 1)
    assert mixing.worth_mixing([junk], 10).tolist() == [1]
    assert mixing.worth_mixing([planted(mixing.ENOUGH, (0.0, 4.0), 1)], 10).tolist() == [0, 1]
    blind = mixing.Standing(np.zeros_like(few.scores), np.zeros_like(few.hits), few.relevant)
    found = mixing.mixture([blind], 0)  # nobody has a hit: weights all the same, and a figure
    assert found.weights.sum() == pytest.approx(1)
    assert found.value == 0


def test_standing_holds_what_full_scores_would_list() -> None:
    rows = noise(40, 30, 0.3)
    users = np.arange(40, dtype=np.int32)
    rng = np.random.default_rng(1)
    tables = [rng.normal(0, 1, (40, 30)).astype(np.float32) for _ in range(3)]
    seen = rows.by_user
    held = random_rows(rows, 0.3, 1).valid
    wanted = held.by_user
    counts = wanted.counts
    found = mixing.standing_of([lambda u, t=t: t[u] for t in tables], users, seen, wanted, counts)
    standard = []
    for table in tables:
        masked = table.copy().astype(np.float64)
        masked[rows.users, rows.items] = np.nan
        standard.append((masked - np.nanmean(masked, 1, keepdims=True)) / np.nanstd(masked, 1, keepdims=True))
    weights = np.array([0.5, 0.3, 0.2])
    summed = sum(w * s for w, s in zip(weights, standard))
    values = mixing.ndcg_of(found, weights, 5)
    goal = np.zeros((40, 30), dtype=bool)
    goal[held.users, held.items] = True
    for u in range(40):
        best = np.argsort(-np.nan_to_num(summed[u], nan=-np.inf), kind="stable")[:5]
        gain = sum(goal[u, i] / math.log2(k + 2) for k, i in enumerate(best))
        ideal = sum(1 / math.log2(k + 2) for k in range(min(counts[u], 5)))
        assert values[u] == pytest.approx(gain / ideal if counts[u] else np.nan, nan_ok=True)


def test_bad_input() -> None:
    with pytest.raises(ConfigError, match="must be 'rating' or 'ranking'"):
        choose(data(), "both")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="no candidate"):
        choose(data(), candidates=[])


def test_what_was_tried_goes_into_the_bundle(tmp_path: Any) -> None:
    rec = cofactor.fit(clicks(), model="auto-ranking", budget=3)
    rec.save(tmp_path / "m.cofactor")
    again = cofactor.load(tmp_path / "m.cofactor")
    assert rec.trials is not None
    assert again.trials is not None
    assert again.trials.equals(rec.trials)
    assert rec.recommend(user=1)["item"].equals(again.recommend(user=1)["item"])


@pytest.mark.slow
def test_on_the_demo_the_choice_of_rankers_beats_recent_popularity(demo: Interactions) -> None:
    split = splits.temporal(demo, 0.2)
    names = [name for name in auto_candidates("ranking", split.train) if name.startswith("popular")] + ["item-cosine"]
    found = choose(split.train, "ranking", candidates=names)
    auto = cofactor.fit(split.train, model=found.model, **found.config)
    recent = cofactor.fit(split.train, model="popular", half_life=7)
    got, base = (evaluate(rec, split, ["ndcg"], relevant=0, draws=0)["value"][0] for rec in (auto, recent))
    assert got > base


def test_settings_are_chosen_on_the_oldest_window_and_kept() -> None:
    found: list[dict[str, Any]] = []

    def fit(train: Interactions, *, model: str, seed: int, **config: Any) -> Any:
        found.append(config)
        return cofactor.fit(train, model=model, seed=seed, calibrate=False, **config).model

    choose(clicks(times=True), "ranking", candidates=["graph-filter"], fit=fit)
    assert [sorted(config) for config in found] == [[], ["low_pass", "to_power"], ["low_pass", "to_power"]]
    found.clear()
    choose(clicks(), "ranking", candidates=["graph-filter"], fit=fit)
    assert found == [{}] * len(found)


@pytest.mark.parametrize("few", [True, False])
def test_where_users_take_again_what_they_had_random_rows_decide(few):
    rng = np.random.default_rng(0)
    users, items = (part.ravel() for part in np.meshgrid(np.arange(12), np.arange(6)))
    users, items = np.concatenate([users, rng.integers(0, 12, 300)]), np.concatenate([items, rng.integers(0, 6, 300)])
    times = 1_400_000_000 + 100_000 * np.arange(len(users))
    if few:  # a user or two take something new in the last windows
        times = rng.permutation(times)
    data = cofactor.read(pl.DataFrame({"user": users, "item": items, "time": times}))
    rec = cofactor.fit(data, model="auto-ranking", verbose=False)
    assert ("random" in rec.trials["held_out"][0]) == (not few)
    assert len(rec.recommend(3, n=3, seen=True)) == 3
    assert len(cofactor.fit(data, model="blend").recommend(3, n=3, seen=True)) == 3


@pytest.mark.filterwarnings("ignore:ONLY")
def test_a_caller_may_say_what_was_held_out() -> None:
    data = noise(60, 40, 0.3)
    timed = data.replace(times=np.random.default_rng(0).permutation(len(data)) * 86_400 + 1_500_000_000)
    ways = {"random": "random", "last": "leave last", "future": "rolling"}
    for held_out, way in ways.items():
        rec = cofactor.fit(timed, model="auto-ranking", budget=1, held_out=held_out)
        assert way in rec.trials["held_out"][0]
    assert "random" in cofactor.fit(splits.random(timed), model="auto-ranking", budget=1).trials["held_out"][0]
    with pytest.raises(ConfigError, match="give one of random, last, future"):
        cofactor.fit(timed, model="auto-ranking", held_out="past")
    with pytest.raises(ConfigError, match="held_out is an option of auto-ranking"):
        cofactor.fit(timed, held_out="last")
