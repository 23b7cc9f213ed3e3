"""Trust in change: trials on the latest events, two versions beside each other, what came of lists, drift."""

from __future__ import annotations

import numpy as np
import pytest

import cofactor as cf
from cofactor.errors import ConfigError
from cofactor.serve import Settings, maintenance
from cofactor.serve.experiments import experiment, outcomes
from cofactor.serve.live import drift, trial
from cofactor.serve.live.changing import NotBetter
from cofactor.serve.live.live import Live
from cofactor.serve.storage.rows import Event
from cofactor.serve.storage.store import Store
from serve_tools import client, ok, ratings, refused, saved, waited


def told(n, seed=1, users=40, good=True, first_user=1):
    """Events of the world of ``ratings``: users like every second item; or the other way round."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        user, item = int(rng.integers(users)), int(rng.integers(25))
        likes = ((user % 2) == (item % 2)) == good
        found.append(
            Event(
                user + first_user, 100 + item, float(rng.integers(4, 6) if likes else rng.integers(1, 3)), 1_700_000_000
            )
        )
    return found


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Bundles of a model that knows tastes and of one that does not."""
    folder = tmp_path_factory.mktemp("world")
    return {name: saved(folder, name, f"{name}.cofactor") for name in ("als", "bias", "popular")}


# ---- trials


def test_a_trial_tells_the_better_model(world):
    als, bias = cf.load(world["als"]), cf.load(world["bias"])
    events = told(400)
    found = trial.tried(bias, als, events)
    assert found.metric == "rmse"
    assert found.low > 0
    assert found.low < found.gain < found.high
    back = trial.tried(als, bias, events)
    assert (back.gain, back.low, back.high) == pytest.approx((-found.gain, -found.high, -found.low))
    same = trial.tried(als, als, events)
    assert (same.gain, same.low, same.high) == (0, 0, 0)
    lists = trial.tried(cf.load(world["popular"]), als, events)
    assert lists.metric == "ndcg@10"
    assert lists.users >= 20
    assert 0 <= lists.live <= 1


def test_the_figures_of_a_trial_are_those_of_a_plain_loop(world):
    als, bias = cf.load(world["als"]), cf.load(world["bias"])
    events = told(300)
    found = trial.tried(bias, als, events)
    pairs = {(e.user, e.item): e.rating for e in events}
    data = ratings()
    known = set(zip(data.user_ids.decode(data.users), data.item_ids.decode(data.items), strict=True))
    pairs = {pair: value for pair, value in pairs.items() if pair not in known}
    for rec, figure in ((bias, found.live), (als, found.candidate)):
        off = [rec.predict([pair])["prediction"][0] - value for pair, value in pairs.items()]
        assert figure == pytest.approx(np.sqrt(np.mean(np.square(off))), rel=1e-6)
    assert found.events == len(pairs)
    assert found.users == len({user for user, _ in pairs})


def test_what_a_model_has_learned_says_nothing(world):
    als = cf.load(world["als"])
    events = told(100)
    knows = als.update([tuple(e) for e in events])
    assert trial.tried(als, knows, events) is None
    assert "0 users" in trial.refused("better", None)
    assert trial.refused("not-worse", None) is trial.refused("nothing", None) is None


def opened(bundle, tmp_path, **more):
    live = Live(Settings(bundle, state=tmp_path / "state", watch=False, **more))
    live.open()
    return live


def test_what_is_not_better_does_not_go_live(world, tmp_path):
    live = opened(world["als"], tmp_path, require="better")
    live.tell(told(400))
    with pytest.raises(NotBetter, match="not significantly better: rmse"):
        live.reload(world["bias"])
    assert (live.now.version, live.now.rec.name) == (1, "als")
    assert live.reload(world["bias"], force=True) == 2
    assert live.reload(world["als"]) == 3
    assert "better by" in live.last_trial
    live.close()
    assert maintenance.check(tmp_path / "state").wrong == []


def test_a_refit_is_tried_on_events_that_it_has_not_learned(world, tmp_path, monkeypatch):
    live = opened(world["als"], tmp_path, require="better")
    live.tell(told(300, good=False, first_user=1000))  # people with whom the model's items go otherwise
    seen = []
    compare = trial.tried
    monkeypatch.setattr(trial, "tried", lambda a, b, e: seen.append((a, b, e)) or compare(a, b, e))
    live.refit()
    waited(lambda: live.busy is None)
    before, after, events = seen[0]
    assert len(events) == 60
    learned = set(
        zip(after.data.user_ids.decode(after.data.users), after.data.item_ids.decode(after.data.items), strict=True)
    )
    fresh = {(e.user, e.item) for e in events} - {
        (e.user, e.item) for e in told(300, good=False, first_user=1000)[:240]
    }
    assert fresh
    assert not fresh & learned
    assert before.updates.n_ratings > 0
    assert live.now.version == 1 + (live.last_error is None)  # whatever it said was done
    live.close()


def test_the_figure_of_a_tried_refit_travels_with_it(world, tmp_path):
    live = opened(world["als"], tmp_path, require="not-worse")
    for n in (300, 600):
        live.tell(told(n))
        live.refit()
        waited(lambda: live.busy is None)
    assert live.now.version == 3
    figures = live.now.base.figures
    second = cf.load(live.kept.place(live.kept.version(2))).figures
    live.close()
    assert figures["metric"].to_list() == ["rmse"]
    assert second["metric"].to_list() == ["rmse"]
    assert figures["rows"][0] != second["rows"][0]  # of other rows, so the two are not held against each other
    line = figures.row(0, named=True)
    assert line["low"] < line["value"] < line["high"]
    assert line["n_rows"] >= line["n_users"] > 0
    assert "trained without these rows" in line["note"]


def test_a_bundle_that_is_refused_is_so_after_a_restart_too(world, tmp_path):
    place = tmp_path / "m.cofactor"
    cf.load(world["als"]).save(place)
    live = opened(place, tmp_path, require="better")
    live.tell(told(400))
    live.close()
    cf.load(world["bias"]).save(place)
    for _ in range(2):
        live = opened(place, tmp_path, require="better")
        assert (live.now.version, live.now.rec.name) == (1, "als")
        live.close()
    live = opened(place, tmp_path)
    assert live.now.rec.name == "als"  # it was refused once; reload says otherwise
    assert live.reload() == 2
    live.close()


# ---- two versions


def test_users_are_spread_by_a_stable_hash():
    one = experiment.Experiment("a", 2, 0.3, "ab", 0.0)
    taken = [user for user in range(20_000) if one.takes(user)]
    assert abs(len(taken) / 20_000 - 0.3) < 0.012
    assert taken == [user for user in range(20_000) if one.takes(user)]
    other = [user for user in range(20_000) if one._replace(id="b").takes(user)]
    assert abs(len(set(taken) & set(other)) / 20_000 - 0.09) < 0.01  # another experiment draws others
    assert not any(one._replace(share=0.0).takes(user) for user in range(100))
    assert all(one._replace(share=1.0).takes(user) for user in range(100))


def test_a_share_of_the_users_gets_the_other_version(world, tmp_path):
    with client(world["als"], state=tmp_path / "s") as http:
        live = http.app.state.live
        found = ok(http.post("/v1/experiment", json={"path": str(world["popular"]), "share": 0.5}))["experiment"]
        assert found["version"] == 2
        assert ok(http.get("/v1/info"))["version"] == 1
        second = live.second.experiment
        for user in range(1, 41):
            for _ in range(2):  # the second one is an answer that was kept
                assert ok(http.get(f"/v1/recommend?user={user}"))["version"] == 1 + second.takes(user)
            assert ok(http.post("/v1/recommend", json={"user": user}))["version"] == 1 + second.takes(user)
        chosen = next(user for user in range(1, 41) if second.takes(user))
        best = ok(http.get(f"/v1/recommend?user={chosen}"))["recommendations"][0]["item"]
        ok(http.post("/v1/events", json={"events": [{"user": chosen, "item": best, "rating": 1}]}))
        assert best not in [r["item"] for r in ok(http.get(f"/v1/recommend?user={chosen}"))["recommendations"]]
        assert ok(http.delete("/v1/events", params={"user": chosen})) == {"deleted": 1}
        assert best in [r["item"] for r in ok(http.get(f"/v1/recommend?user={chosen}"))["recommendations"]]
        refused(http.post("/v1/experiment", json={"version": 1}), 422, "is live")
        refused(http.post("/v1/experiment", json={"version": 9}), 404)
    with client(world["als"], state=tmp_path / "s") as http:  # it outlives a restart
        live = http.app.state.live
        waited(lambda: live.second is not None, 5)
        assert live.second.experiment == second
        assert ok(http.post("/v1/rollback", json={"version": 2})) == {"version": 2}
        assert live.second is None
        assert ok(http.get("/v1/recommend?user=1"))["version"] == 2
        assert ok(http.delete("/v1/experiment")) == {"ended": None}


def test_others_of_the_state_see_the_experiment(world, tmp_path):
    one = opened(world["als"], tmp_path)
    two = Live(Settings(world["als"], state=tmp_path / "state", watch=False, leads=False, joins=True))
    two.open()
    one.begin_experiment(None, world["popular"], 1.0, "ab")
    waited(lambda: two.second is not None, 5)
    one.tell([Event(7, 101, 5.0, 5)])
    waited(lambda: two.serving(7).rec.updates.n_ratings == 1, 5)
    assert two.serving(7).rec.name == "popular"
    assert two.serving(None).rec.name == "als"
    one.erase(7)
    waited(lambda: two.serving(8).rec.users.code(7) < 0, 10)
    one.end_experiment()
    waited(lambda: two.second is None, 5)
    for live in (two, one):
        live.close()
    assert maintenance.check(tmp_path / "state").wrong == []


def test_in_the_shadow_nobody_sees_it(world, tmp_path):
    with client(world["als"], state=tmp_path / "s") as http:
        ok(http.post("/v1/experiment", json={"path": str(world["popular"]), "share": 1.0, "mode": "shadow"}))
        assert {ok(http.get(f"/v1/recommend?user={user}"))["version"] for user in range(1, 9)} == {1}
        count = "cofactor_shadow_overlap_count "
        waited(lambda: count in (text := http.get("/metrics").text) and float(text.split(count)[1].split()[0]) > 0, 10)
        assert "cofactor_experiment_version 2.0" in http.get("/metrics").text


# ---- what came of lists


def test_lists_that_were_shown_and_liked_are_counted_by_version(world, tmp_path):
    with client(world["als"], state=tmp_path / "s") as http:
        ok(http.post("/v1/experiment", json={"path": str(world["popular"]), "share": 0.5}))
        shown = {}
        for user in range(1, 21):
            answer = http.get(f"/v1/recommend?user={user}&n=5", headers={"x-request-id": f"list-{user}"})
            found = ok(answer)
            items = [row["item"] for row in found["recommendations"]]
            shown[user] = found["version"], answer.headers["x-request-id"], items
            event = {"what": "shown", "request": f"list-{user}", "version": found["version"], "items": items}
            assert ok(http.post("/v1/feedback", json={"events": [event]})) == {"accepted": 1}
            assert ok(http.post("/v1/feedback", json={"events": [event]})) == {"accepted": 0}
        for user in (1, 2, 3, 4):
            _, request, items = shown[user]
            react = [{"what": "clicked", "request": request, "item": items[user - 1]}]
            react += [{"what": "bought", "request": request, "item": items[user - 1]}] if user < 3 else []
            assert ok(http.post("/v1/feedback", json={"events": react})) == {"accepted": len(react)}
        refused(http.post("/v1/feedback", json={"events": [{"what": "clicked", "request": "?", "item": 1}]}), 404)
        wrong = {"what": "clicked", "request": "list-1", "item": 9}
        refused(http.post("/v1/feedback", json={"events": [wrong]}), 404, "is not in the list")
        seen = {row["version"]: row for row in ok(http.get("/v1/outcomes"))["versions"]}
        gains = {user: 1 / np.log2(user + 1) for user in (1, 2, 3, 4)}
        for version in (1, 2):
            mine = [user for user in shown if shown[user][0] == version]
            liked = [user for user in (1, 2, 3, 4) if user in mine]
            row = seen[version]
            assert row["lists"] == len(mine)
            assert row["hit_rate"] == pytest.approx(len(liked) / len(mine))
            assert row["ndcg"] == pytest.approx(sum(gains[user] for user in liked) / len(mine))
            assert row["bought"] == sum(user < 3 for user in liked)
            assert row["clicked"] == sum(user >= 3 for user in liked)
            assert row["coverage"] == len({item for user in mine for item in shown[user][2]}) / 25
            assert f'cofactor_lists_shown{{version="{version}"}} {len(mine)}.0' in http.get("/metrics").text
        compared = ok(http.get("/v1/outcomes"))["difference"]["hit_rate"]
        assert compared[0] == pytest.approx(seen[2]["hit_rate"] - seen[1]["hit_rate"])
        assert compared[1] < compared[0] < compared[2]
        assert {row["version"] for row in ok(http.get("/v1/outcomes"))["days"]} == {1, 2}
    report = maintenance.copy(tmp_path / "s", tmp_path / "copy")
    assert report.wrong == []
    store = Store(tmp_path / "copy")
    assert [one.lists for one in outcomes.outcomes(store)[0]] == [seen[1]["lists"], seen[2]["lists"]]
    store.close()


def test_feedback_is_taken_all_or_none(world, tmp_path):
    with client(world["als"], state=tmp_path / "s") as http:
        good = {"what": "shown", "request": "a", "version": 1, "items": [101]}
        for wrong, status in (
            ({"what": "clicked", "request": "b", "item": 101}, 404),
            (good | {"request": "c", "version": 7}, 404),
            (good | {"items": []}, 422),
            (good | {"what": "seen"}, 422),
        ):
            refused(http.post("/v1/feedback", json={"events": [good, wrong]}), status)
        assert ok(http.get("/v1/outcomes"))["versions"] == []


# ---- drift


def test_drift_is_seen_and_its_absence_too(world):
    rec = cf.load(world["als"])
    data = rec.data
    rng = np.random.default_rng(3)
    rows = rng.integers(0, len(data), 1000)
    alike = [Event(1, int(data.item_ids.values[int(data.items[r])]), float(data.values[r]), 0) for r in rows]
    found = drift.drift(rec, alike)
    assert (found.alarms, found.unknown) == ([], 0)
    assert max(found.items, found.ratings) < 0.1
    worse = drift.drift(rec, [e._replace(rating=1.0) for e in alike])
    assert worse.ratings > 0.25
    assert "differ from those of the training data" in worse.alarms[0]
    strange = drift.drift(rec, [e._replace(item=5000) for e in alike])
    assert strange.unknown == 1
    assert any("100% of the last" in text for text in strange.alarms)
    rare = np.argsort(data.by_item.counts)[:2]
    few = drift.drift(rec, [e._replace(item=int(data.item_ids.values[int(rare[0])])) for e in alike])
    assert few.items > 0.25
    assert drift.drift(rec, []).alarms == []


def test_the_first_events_are_counted_at_once(world, tmp_path):
    """A page that says "no newer ratings" after sixty of them would be wrong."""
    with client(world["als"], state=tmp_path / "state") as http:
        assert ok(http.get("/v1/outcomes"))["drift"]["events"] == 0
        for n in (1, 60):
            events = [{"user": e.user, "item": e.item, "rating": e.rating} for e in told(n, seed=n, first_user=100 * n)]
            before = ok(http.get("/v1/outcomes"))["drift"]["events"]
            ok(http.post("/v1/events", json={"events": events}))
            assert ok(http.get("/v1/outcomes"))["drift"]["events"] > before


def test_alarms_of_counts_speak_of_values():
    data = cf.read(ratings().to_frame(), count="rating")
    rec = cf.fit(data, model="item-cosine")
    said = drift.drift(rec, [e._replace(rating=50.0) for e in told(400)]).alarms
    assert any(text.startswith("the values of the last 400 events differ") for text in said)
    assert not [text for text in said if "rating" in text]


def test_psi_of_known_histograms():
    p, q = np.array([50.0, 50.0]), np.array([25.0, 75.0])
    assert drift.psi(p, p) == 0
    expected = (0.2525 - 0.5) * np.log(0.2525 / 0.5) + (0.7475 - 0.5) * np.log(0.7475 / 0.5)
    assert drift.psi(p, q) == pytest.approx(expected, rel=0.01)


def test_settings_of_a_trial(tmp_path):
    with pytest.raises(ConfigError, match="require"):
        Settings(tmp_path / "m", require="best")


def test_versions_carry_what_their_trial_showed(world, tmp_path):
    with client(world["als"], state=tmp_path / "state", require="not-worse") as http:
        events = [e._asdict() for e in told(400, first_user=1000)]
        ok(http.post("/v1/events", json={"events": [{k: e[k] for k in ("user", "item", "rating")} for e in events]}))
        assert http.post("/v1/refit", json={}).status_code == 202
        waited(lambda: ok(http.get("/v1/versions"))["busy"] is None)
        rows = {row["version"]: row for row in ok(http.get("/v1/versions"))["versions"]}
    assert rows[1]["trial"] is None
    if 2 in rows:  # it was not worse
        found = rows[2]["trial"]
        assert found["metric"] == "rmse"
        assert found["low"] <= found["gain"] <= found["high"]
        assert found["users"] >= trial.LEAST
