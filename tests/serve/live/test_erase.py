"""Forgetting a person: nothing of them in any byte that the server keeps."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor.errors import UnknownIdError
from cofactor.serve import Settings, maintenance
from cofactor.serve.live.live import Live
from serve_tools import client, ok, ratings, refused, waited

WHO = "a-very-particular-person"


def with_a_person(n_users=30, text=True):
    """Ratings of a world in which one user has a particular name, with a table of users."""
    data = ratings(n_users)
    users = data.user_ids.decode(data.users).cast(pl.String).replace({"7": WHO})
    frame = pl.DataFrame(
        {
            "user": users,
            "item": data.item_ids.decode(data.items).cast(pl.String),
            "rating": data.values,
            "time": data.times,
        }
    )
    known = pl.DataFrame({"user": users.unique(maintain_order=True)}).with_row_index("age")
    return cf.read(frame, "user", "item", "rating", "time", users=known)


def everything(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


@pytest.mark.parametrize("model", ["als", "bias", "item-knn", "ease"])
def test_a_recommender_forgets(tmp_path, model):
    rec = cf.fit(with_a_person(), model=model, seed=0)
    code = rec.data.user_ids.code(WHO)
    others = [u for u in rec.data.user_ids.values if u != WHO]
    newer = rec.update([(WHO, "101", 5.0, 0), ("new one", "102", 4.0, 0), ("new two", "103", 4.0, 0)])
    less = newer.forget(WHO)
    assert less.users.code(WHO) == -1
    assert len(less.data) == len(rec.data) - rec.data.by_user.counts[code]
    assert less.data.user_table.row(code, named=True)["age"] is None
    for user in (*others[:5], "new one", "new two"):
        assert less.recommend(user)["item"].to_list() == newer.recommend(user)["item"].to_list()
    with pytest.raises(UnknownIdError):
        less.forget(WHO)
    alone = newer.forget("new one")
    assert alone.users.code("new one") == -1
    assert alone.recommend("new two").equals(newer.recommend("new two"))
    assert len(alone.recommend_all(1)) == len(newer.recommend_all(1)) - 1
    rec.forget(WHO).save(tmp_path / "m.cofactor")
    assert not any(WHO.encode() in data for data in everything(tmp_path).values())
    again = cf.load(tmp_path / "m.cofactor", verify=True).refit()
    assert again.users.code(WHO) == -1


def test_numbers_and_features_are_forgotten_too():
    rec = cf.fit(ratings(), model="als", seed=0).forget(5)
    assert rec.users.code(5) == -1
    assert rec.data.user_ids.values.min() < 0
    with pytest.raises(UnknownIdError):
        rec.recommend(5)
    assert np.isfinite(rec.refit().recommend(6)["score"].to_numpy()).all()


def test_nothing_of_a_person_is_in_any_byte_of_the_state(tmp_path):
    bundle = tmp_path / "m.cofactor"
    cf.fit(with_a_person(), model="als", seed=0).save(bundle)
    folder = Path(f"{bundle}.state")
    with client(bundle) as http:
        events = [{"user": WHO, "item": "101", "rating": 5}, {"user": "2", "item": "104", "rating": 5}]
        ok(http.post("/v1/events", json={"events": events, "key": f"{WHO} 1"}))
        assert http.post("/v1/refit", json={}).status_code == 202
        waited(lambda: ok(http.get("/v1/versions"))["busy"] is None)
        ok(http.post("/v1/events", json={"events": events}))
        lists = ok(http.get("/v1/recommend?user=2"))
        assert any(WHO.encode() in data for data in everything(folder).values())
        said = ok(http.delete(f"/v1/user?user={WHO}"))
        assert (said["deleted"], said["versions"], said["refit"]) == (2, [1, 2], False)
        assert any("version 2 was trained on" in words for words in said["held"])
        assert any("still holds their ratings" in words for words in said["held"])
        for name, data in everything(folder).items():
            assert WHO.encode() not in data, name
        refused(http.get(f"/v1/user?user={WHO}"), 404)
        assert ok(http.get("/v1/recommend?user=2")) == lists
        refused(http.delete(f"/v1/user?user={WHO}"), 404)
        assert ok(http.post("/v1/rollback", json={})) == {"version": 1}
        refused(http.get(f"/v1/recommend?user={WHO}"), 404)
        ok(http.post("/v1/rollback", json={}))
    assert maintenance.check(folder) == maintenance.Report(2, [1, 2], 2, [])
    with client(bundle) as http:
        refused(http.get(f"/v1/user?user={WHO}"), 404)
        assert ok(http.get("/v1/recommend?user=2")) == lists
        assert ok(http.delete("/v1/user?user=2&refit=true"))["refit"] is True
        waited(lambda: ok(http.get("/v1/versions"))["busy"] is None)
        assert ok(http.get("/v1/info"))["version"] == 3


@pytest.mark.parametrize("again", ["reload", "damaged", "experiment"])
def test_who_was_forgotten_does_not_come_back_with_the_bundle(tmp_path, again):
    """Asked for or not: the same file is read again without them; a new one is the user's own."""
    bundle = tmp_path / "m.cofactor"
    cf.fit(with_a_person(), model="bias", seed=0).save(bundle)
    folder = Path(f"{bundle}.state")
    with client(bundle) as http:
        ok(http.post("/v1/events", json={"events": [{"user": "new one", "item": "101", "rating": 5}]}))
        said = ok(http.delete(f"/v1/user?user={WHO}"))
        assert any(f"{bundle} still holds their ratings" in words for words in said["held"])
        lists = ok(http.get("/v1/recommend?user=2"))["recommendations"]
        if again == "reload":
            assert ok(http.post("/v1/reload", json={})) == {"version": 2}
        elif again == "experiment":
            ok(http.post("/v1/experiment", json={"share": 1.0}))
    if again == "damaged":
        (folder / "versions" / "000001.1.cofactor" / "arrays.safetensors").write_bytes(b"")
    with client(bundle) as http:
        assert [v["version"] for v in ok(http.get("/v1/versions"))["versions"]] == [1, 2]
        refused(http.get(f"/v1/recommend?user={WHO}"), 404)
        assert ok(http.get("/v1/recommend?user=2"))["recommendations"] == lists
        assert ok(http.get("/v1/recommend?user=new one"))["version"] == (1 if again == "experiment" else 2)
        for name, data in everything(folder).items():
            assert WHO.encode() not in data, name
        cf.fit(with_a_person(), model="popular", seed=0).save(bundle)
        ok(http.post("/v1/reload", json={}))
        assert ok(http.get(f"/v1/user?user={WHO}"))["total"] > 0


@pytest.mark.parametrize("when", ["started", "asked"])
def test_nothing_of_a_person_is_in_what_a_killed_process_left(tmp_path, when):
    """Of a save that was under way, of a version that was not live yet; and a store that was repaired is named."""
    bundle = tmp_path / "m.cofactor"
    cf.fit(with_a_person(), model="bias", seed=0).save(bundle)
    versions = Path(f"{bundle}.state") / "versions"
    left = (
        ".refit.7f.cofactor.0123456789ab.tmp", ".000001.1.cofactor.previous", "refit.7f.cofactor", "000007.cofactor",
        f"new.{os.getpid():x}.cofactor",
    )  # fmt: skip
    others = (".mine.0123456789ab.tmp", "keep", ".000001.1.cofactor.bak")
    with client(bundle) as http:
        aside = versions.parent / "events.sqlite.damaged-01234567"
        aside.write_bytes(WHO.encode())
        for name in (*left, *others):
            shutil.copytree(bundle, versions / name)
        if when == "asked":
            said = ok(http.delete(f"/v1/user?user={WHO}"))
            assert any(str(aside) in words for words in said["held"])
    with client(bundle):
        assert {p.name for p in versions.iterdir()} - {"000001.cofactor", "000001.1.cofactor"} == set(others)


def test_other_processes_forget_too(tmp_path):
    bundle = tmp_path / "m.cofactor"
    cf.fit(with_a_person(), model="als", seed=0).save(bundle)
    one = Live(Settings(bundle, watch=False))
    one.open()
    two = Live(Settings(bundle, watch=False, leads=False, joins=True))
    two.open()
    one.erase(WHO)
    waited(lambda: two.now.rec.users.code(WHO) < 0, 30)
    two.close()
    one.close()


def test_other_processes_forget_whenever_they_look(tmp_path, monkeypatch):
    """Between the deletion of the events and the writing of the versions, too."""
    bundle = tmp_path / "m.cofactor"
    cf.fit(with_a_person(), model="bias", seed=0).save(bundle)
    monkeypatch.setattr("cofactor.serve.live.live._FOLLOW_EVERY", 3600.0)
    one = Live(Settings(bundle, watch=False))
    one.open()
    two = Live(Settings(bundle, watch=False, leads=False, joins=True))
    two.open()
    real = one.kept.rewrite
    monkeypatch.setattr(one.kept, "rewrite", lambda *args: (two._look(), real(*args)))
    one.erase(WHO)
    assert two.now.rec.users.code(WHO) >= 0
    two._look()
    assert two.now.rec.users.code(WHO) < 0
    assert one.now.rec.users.code(WHO) < 0
    two.close()
    one.close()


def test_people_are_forgotten_on_a_full_disk(tmp_path, monkeypatch):
    """The reserve is given back when there is no space for the deletion."""
    from cofactor.serve.storage.store import Store
    from cofactor.serve.storage.transactions import StoreError

    bundle = tmp_path / "m.cofactor"
    cf.fit(with_a_person(), model="als", seed=0).save(bundle)
    real = Store._write
    with client(bundle) as http:
        ok(http.post("/v1/events", json={"events": [{"user": WHO, "item": "101", "rating": 5}]}))
        reserve = Path(f"{bundle}.state") / "reserve"
        assert reserve.stat().st_size == 1 << 20

        def full(self, *args, **kwargs):
            if reserve.exists():
                raise StoreError("database or disk is full")
            return real(self, *args, **kwargs)

        monkeypatch.setattr(Store, "_write", full)
        refused(http.post("/v1/events", json={"events": [{"user": "2", "item": "101", "rating": 5}]}), 503, "full")
        assert ok(http.delete(f"/v1/events?user={WHO}")) == {"deleted": 1}


@pytest.mark.parametrize("damage", ["removed", "changed"])
def test_a_version_that_cannot_be_read_keeps_nobody_from_being_forgotten(tmp_path, damage):
    """It is removed, and an experiment with it ends; for a user whom nobody knows nothing is."""
    cf.fit(with_a_person(), model="bias", seed=0).save(tmp_path / "m.cofactor")
    cf.fit(with_a_person(), model="popular", seed=0).save(tmp_path / "other.cofactor")
    with client(tmp_path / "m.cofactor", state=tmp_path / "s") as http:
        ok(http.post("/v1/experiment", json={"path": str(tmp_path / "other.cofactor"), "share": 0.5}))
        place = tmp_path / "s" / "versions" / "000002.cofactor"
        if damage == "removed":
            shutil.rmtree(place)
        else:
            (place / "manifest.json").write_text("{}")
        refused(http.delete("/v1/user?user=nobody"), 404)
        assert ok(http.get("/v1/outcomes"))["experiment"] is not None
        said = ok(http.delete(f"/v1/user?user={WHO}"))
        assert any("version 2 could not be read and was removed" in one for one in said["held"])
        assert [one["version"] for one in ok(http.get("/v1/versions"))["versions"]] == [1]
        assert ok(http.get("/v1/outcomes"))["experiment"] is None
        refused(http.get(f"/v1/user?user={WHO}"), 404)
        assert not place.exists()
    assert not any(WHO.encode() in data for data in everything(tmp_path / "s").values())


def test_who_was_forgotten_stays_so_when_an_older_backup_is_restored(tmp_path, typed):
    """From newer ratings and versions, by the notes of the state that went on; who came back since is kept."""
    bundle = tmp_path / "m.cofactor"
    cf.fit(with_a_person(), model="als", seed=0).save(bundle)
    folder = Path(f"{bundle}.state")
    new = {"user": "came-later", "item": "104", "rating": 5}
    with client(bundle) as http:
        events = [{"user": WHO, "item": "101", "rating": 5}, {"user": "2", "item": "104", "rating": 5}, new]
        ok(http.post("/v1/events", json={"events": events}))
        maintenance.copy(folder, tmp_path / "monday")
        ok(http.delete(f"/v1/user?user={WHO}"))
        assert ok(http.delete("/v1/events?user=came-later")) == {"deleted": 1}
        ok(http.post("/v1/events", json={"events": [new]}))
        maintenance.copy(folder, tmp_path / "tuesday")
        ok(http.delete("/v1/events?user=2"))
        notes = len(http.app.state.live.store.erased())
        assert ok(http.delete("/v1/events?user=nobody")) == {"deleted": 0}
        assert len(http.app.state.live.store.erased()) == notes == 3
        for data in everything(folder).values():
            assert WHO.encode() not in data
    status, said, wrong = typed("state", "restore", str(tmp_path / "monday"), str(tmp_path / "plain"))
    assert status == 0, wrong
    assert "--erased-in" in said
    there = ("--erased-in", str(folder))
    status, said, wrong = typed("state", "restore", str(tmp_path / "monday"), str(tmp_path / "again"), *there)
    assert status == 0, wrong
    said = " ".join(said.split())
    assert "0 newer ratings and versions [1]" in said
    assert "versions [1] no longer hold" in said
    for name, data in everything(tmp_path / "again").items():
        assert WHO.encode() not in data, name
        assert b"came-later" not in data, name
    assert maintenance.check(tmp_path / "again").wrong == []
    assert typed("state", "restore", str(tmp_path / "tuesday"), str(tmp_path / "later"), *there)[0] == 0
    assert any(b"came-later" in data for data in everything(tmp_path / "later").values())  # they came back
    assert maintenance.check(tmp_path / "later").events == 1
    with client(bundle, state=tmp_path / "again") as http:
        refused(http.get(f"/v1/recommend?user={WHO}"), 404)
        ok(http.post("/v1/events", json={"events": [{"user": WHO, "item": "101", "rating": 5}]}))  # comes back
    status, said, wrong = typed(
        "state", "restore", str(tmp_path / "again"), str(tmp_path / "third"), "--erased-in", str(tmp_path / "again")
    )
    assert any(WHO.encode() in data for data in everything(tmp_path / "third").values())
    cf.fit(ratings(), model="als", seed=0).save(tmp_path / "o.cofactor")
    with client(tmp_path / "o.cofactor"):
        pass
    other = str(tmp_path / "o.cofactor.state")
    status, said, wrong = typed(
        "state", "restore", str(tmp_path / "monday"), str(tmp_path / "wrong"), "--erased-in", other
    )
    assert (status, "is not a backup of the state" in wrong) == (2, True)
