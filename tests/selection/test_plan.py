"""What an automatic choice tries: within the budget of counted work, one of each family, cheapest first."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cofactor.selection.plan import Cost, Plan, make_plan

FAMILIES = ["popularity", "popularity", "neighbours", "factors", "linear", "linear"]
COSTS = [
    Cost(0.06, 0.06, 0.3),
    Cost(0.06, 0.06, 0.3),
    Cost(4, 4, 0.3),
    Cost(8, 8, 0.3),
    Cost(2200, 2200, 1, 5e9),
    Cost(1000, 1000, 1, 10e9),
]


def plan(seconds: float | None = None, **given: object) -> Plan:
    return make_plan(COSTS, FAMILIES, seconds=seconds, memory=8e9, **given)  # type: ignore[arg-type]


def test_with_room_for_all_every_candidate_is_tried_on_all_users_and_windows() -> None:
    found = make_plan(COSTS, FAMILIES, seconds=math.inf, windows=3)
    assert found.order == (0, 1, 2, 3, 5, 4)  # cheapest first
    assert (found.share, found.windows, found.skipped) == (1.0, 3, {})


def test_fewer_windows_then_a_sample_of_users_then_fewer_families() -> None:
    assert [(plan(s, windows=3).share, plan(s, windows=3).windows) for s in (60, 40, 20)] == [
        (1.0, 3),
        (1.0, 1),
        (0.5, 1),
    ]
    assert plan(20).order == (0, 1, 2, 3)
    assert 2 in plan(5).order
    assert "about 8.0 s, the budget is 5.0 s" in plan(5).skipped.get(3, "") or 3 in plan(5).too_dear
    assert plan(1).order == (0, 1)
    assert plan(0).order == (0,)


def test_what_does_not_fit_in_memory_or_budget_says_so() -> None:
    assert plan(60).skipped[5] == "skipped: needs 9.3 GB of memory, there are 7.5"
    assert plan(60).skipped[4] == "skipped: training takes about 2,200 s, the budget is 60.0 s"


def test_a_family_that_cannot_be_afforded_is_tried_where_a_sample_is_cheap() -> None:
    costs = [Cost(0.1, 0.1, 0.1), Cost(1, 1, 0.1), Cost(100, 1, 0.1)]
    found = make_plan(costs, ["a", "b", "c"], seconds=30)
    assert found.order == (0, 1, 2)
    assert found.too_dear == {2}
    assert found.work + costs[1].fit <= 30


def test_the_default_budget_grows_with_the_table() -> None:
    large = [Cost(1, 1, 1), Cost(100, 80, 1), Cost(130, 100, 1), Cost(5000, 5000, 1)]
    found = make_plan(large, ["a", "b", "c", "d"])
    assert found.order == (0, 1, 2)
    assert 60 < found.budget < 900
    assert make_plan(COSTS, FAMILIES, memory=8e9).budget == 60


def test_it_grows_so_that_all_users_are_tried_and_a_blend_can_be_taken() -> None:
    costs = [Cost(0.1, 0.1, 1), *(Cost(fit, fit, 1) for fit in (5, 40, 15, 10))]
    families = ["p", "a", "b", "c", "d"]
    before, now = (make_plan(costs, families, whole=whole) for whole in (60, 180))
    assert before.share < 1
    assert (now.share, now.budget, now.left) == (1.0, pytest.approx(70.1 + 5 + 70), pytest.approx(70))
    assert make_plan([*costs, Cost(300, 300, 1)], [*families, "e"], whole=180).budget > 180  # too large for all users
    assert make_plan(COSTS, FAMILIES, memory=8e9, whole=180).budget == 60


def test_among_rankers_all_users_come_before_all_candidates() -> None:
    costs = [Cost(0.1, 0.1, 1), Cost(10, 10, 1), Cost(20, 20, 1), Cost(22, 22, 1)]
    families = ["p", "a", "b", "b"]
    more, whole = (make_plan(costs, families, whole=whole) for whole in (60, 180))
    assert (more.order, more.share) == ((0, 1, 2, 3), 0.5)
    assert (whole.order, whole.share) == ((0, 1, 2), 1.0)
    assert whole.skipped == {3: "skipped: the budget of 63.1 s was used up by cheaper models"}
    assert whole.too_dear == frozenset()


def test_a_number_of_trials_takes_the_cheapest() -> None:
    found = plan(trials=3)
    assert found.order == (0, 1, 2)
    assert found.skipped[3] == "skipped: the budget is 3 trials"
    assert plan(trials=100).order == (0, 1, 2, 3, 4)


@settings(max_examples=200, deadline=None)
@given(
    fits=st.lists(st.floats(0.01, 500), min_size=1, max_size=9),
    seconds=st.one_of(st.none(), st.floats(0, 300)),
    windows=st.integers(1, 3),
    data=st.data(),
)
def test_the_work_never_exceeds_the_budget(
    fits: list[float], seconds: float | None, windows: int, data: st.DataObject
) -> None:
    costs = [Cost(fit, 0.8 * fit, 0.1 + 0.01 * fit) for fit in [0.01, *fits]]
    families = ["base", *(data.draw(st.sampled_from("abc")) for _ in fits)]
    found = make_plan(costs, families, seconds=seconds, windows=windows)
    assert found.order[0] == 0
    assert len(set(found.order)) == len(found.order)
    assert set(found.order) | set(found.skipped) == set(range(len(costs)))
    able = [k for k in found.order if k not in found.too_dear]
    if len(found.order) > 1:
        assert found.work + max(costs[k].fit for k in able) <= found.budget * (1 + 1e-9)
    if seconds is None and min(fits) < 100:
        assert len(able) > 1  # never the baseline alone
    assert found == make_plan(costs, families, seconds=seconds, windows=windows)


@pytest.mark.parametrize("seconds", [None, 60.0, 600.0])
def test_one_of_each_family_is_tried_where_the_budget_allows_their_training(seconds: float | None) -> None:
    costs = [Cost(1, 1, 1), *(Cost(fit, fit, 1) for fit in (30, 35, 40, 45))]
    found = make_plan(costs, ["p", "a", "b", "c", "d"], seconds=seconds)
    assert found.order == ((0, 1, 2, 3) if seconds == 60 else (0, 1, 2, 3, 4))
    assert found.share < 1 or seconds == 600


def test_the_dearest_is_only_compared_before_the_sample_gets_small() -> None:
    costs = [Cost(1, 1, 1), Cost(3, 3, 1), Cost(8, 8, 1), Cost(36, 36, 1), Cost(53, 52, 1)]
    found = make_plan(costs, ["p", "a", "b", "c", "d"], seconds=60)
    assert found.order == (0, 1, 2, 3, 4)
    assert found.too_dear == {4}
    assert found.share == 0.125
    assert found.work + 36 <= 60


def test_a_small_sample_has_fewer_users_to_measure_on() -> None:
    costs = [Cost(0.1, 0.1, 2.0, crowd=10), Cost(3, 3, 2.0, crowd=10)]
    assert make_plan(costs, ["p", "a"], seconds=4).order == (0, 1)
    assert make_plan([dataclasses.replace(cost, crowd=math.inf) for cost in costs], ["p", "a"], seconds=4).order == (0,)
