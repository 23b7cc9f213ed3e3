"""Deleting a user's newer ratings leaves exactly what folding in all others would, and folds in nothing again."""

from __future__ import annotations

import numpy as np
import pytest

from cofactor.serve import Settings
from cofactor.serve.live.live import Live
from cofactor.serve.models.served import updated
from cofactor.serve.storage.rows import Event
from cofactor.serve.storage.store import Store
from serve_tools import saved, waited


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serve")
    return {ids: saved(folder, name=f"{ids}.cofactor", text_ids=ids == "text") for ids in ("int", "text")}


@pytest.fixture
def live(bundles, tmp_path, monkeypatch, request):
    monkeypatch.setattr("cofactor.serve.live.live._FOLLOW_EVERY", getattr(request, "param", 3600.0))
    found = Live(Settings(bundles["int"], state=tmp_path / "state", watch=False))
    found.open()
    yield found
    found.close()


def check_same(live):
    """The served model is the one that folds in what the store holds."""
    events = live.store.events()[0]
    expected, found = updated(live.now.base, events) if events else live.now.base, live.now.rec
    assert found.updates.n_ratings == expected.updates.n_ratings
    assert found.updates.new_ids == expected.updates.new_ids
    assert dict(found.updates.new_codes) == dict(expected.updates.new_codes)
    assert sorted(found.updates.users) == sorted(expected.updates.users)
    for code, user in found.updates.users.items():
        assert user.code == code
        np.testing.assert_array_equal(user.newer, expected.updates.users[code].newer)
        np.testing.assert_allclose(user.state, expected.updates.users[code].state)
    for user in {event.user for event in events}:
        assert found.recommend(user, n=5).to_dicts() == expected.recommend(user, n=5).to_dicts()


@pytest.mark.parametrize("seed", range(4))
def test_what_is_left_is_what_folding_in_the_others_gives(live, seed, monkeypatch):
    rng, read = np.random.default_rng(seed), []
    events = live.store.events
    monkeypatch.setattr(live.store, "events", lambda after=0, most=None: read.append(after) or events(after, most))
    users = [1, 2, 3, 5, 1001, 1002, 1003, 1004]
    for _ in range(12):
        numbers = zip(rng.choice(users, 9).tolist(), rng.integers(100, 125, 9).tolist(), rng.integers(1, 6, 9).tolist())
        live.tell([Event(user, item, float(rating), k) for k, (user, item, rating) in enumerate(numbers)])
        live.forget(int(rng.choice(users)))
    assert 0 not in read  # nothing was folded in again
    read.clear()
    check_same(live)
    live.store.expire(4)
    live._rebuild()
    assert 0 in read
    check_same(live)


def test_what_an_unknown_user_deletes_is_nothing(live):
    live.tell([Event(5, 101, 5.0, 0)])
    before = live.store.position()
    assert live.forget(4040) == live.forget("nobody") == 0
    assert live.store.position() == before


@pytest.mark.parametrize("live", [0.02], indirect=True)
def test_a_deletion_by_another_process_is_followed(live, monkeypatch):
    live.tell([Event(user, 101 + user % 7, 4.0, 0) for user in (1, 2, 1001, 1002)])
    other = Store(live.settings.state_folder, lock=False)
    monkeypatch.setattr(live, "_caught_up", lambda served: served)  # nothing is folded in again
    other.forget(1001)
    other.forget(2)
    waited(lambda: live.now.erasures == 2)
    other.close()
    check_same(live)


def test_ratings_that_came_after_a_deletion_stay(live):
    """Another process deleted a user's ratings, and the same user sent others here before that was noticed."""
    live.tell([Event(user, 101, 4.0, 0) for user in (1, 1001)])
    other = Store(live.settings.state_folder, lock=False)
    other.forget(1001)
    other.close()
    live.tell([Event(1001, 105, 2.0, 0)])
    live._rebuild()
    check_same(live)
    assert live.now.rec.updates.n_ratings == 2


def test_text_ids_are_found_too(bundles, tmp_path):
    live = Live(Settings(bundles["text"], state=tmp_path / "state", watch=False))
    live.open()
    live.tell([Event(user, "101", 4.0, 0) for user in ("1", "2", "ünï\0", "new")])
    for user in ("ünï\0", "1"):
        assert live.forget(user) == 1
        check_same(live)
    live.close()
