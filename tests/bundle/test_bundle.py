"""Saving and loading: what comes back, what is kept whole, what is refused."""

from __future__ import annotations

import datetime
import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor import _tensors as tensors
from cofactor.api import fit as fitting
from cofactor.bundle import check_writable, config, files, info, manifest, save
from cofactor.bundle.lazy_rows import LaterRows
from cofactor.data.features.with_features import with_features
from cofactor.data.interactions import Interactions
from cofactor.errors import BundleError
from cofactor.recommend.fitted import TRIALS
from cofactor.recommender import Recommender, load
from old_bundles import as_version_4

CONFIGS = {
    "bias": {},
    "als": {"n_factors": 3, "epochs": 2},
    "dot-bias": {"n_factors": 4, "epochs": 2},
    "popular": {},
    "item-cosine": {},
    "ease": {},
}


@pytest.fixture(scope="module")
def rec(toy) -> Recommender:
    return fitting.fit(with_features(toy, item=["genres"]), "bias", seed=3)


@pytest.fixture(scope="module")
def other(toy) -> Recommender:
    return fitting.fit(toy, "bias", seed=4, reg_item=9.0)


def same(a: Recommender, b: Recommender) -> bool:
    users = np.arange(a.data.n_users, dtype=np.int32)
    return np.array_equal(a.model.scores(users), b.model.scores(users))


# ---- there and back


@pytest.mark.parametrize("name", CONFIGS)
def test_there_and_back(toy, tmp_path, name):
    a = fitting.fit(toy, name, seed=3, **CONFIGS[name])
    a.save(tmp_path / "m.cofactor")
    b = cf.load(tmp_path / "m.cofactor", verify=True)
    assert type(b.model) is type(a.model)
    assert b.model.config == a.model.config
    assert same(a, b)
    assert (b.seed, b.metrics) == (a.seed, a.metrics)
    np.testing.assert_equal(b.history, a.history)
    user, item = a.data.user_ids.values[3], a.data.item_ids.values[4]
    assert b.recommend(user=user, n=5).equals(a.recommend(user=user, n=5))
    assert b.recommend(history={item: 5.0}, n=5).equals(a.recommend(history={item: 5.0}, n=5))
    if a.model.task == "rating":
        assert b.predict([(user, item)], interval=True).equals(a.predict([(user, item)], interval=True))


def test_data_come_back(rec, tmp_path):
    save(rec, tmp_path / "m")
    back = load(tmp_path / "m").data
    assert back.to_frame().equals(rec.data.to_frame())
    assert (back.name, back.notes, back.columns) == (rec.data.name, rec.data.notes, rec.data.columns)
    assert back.item_table.equals(rec.data.item_table)
    assert back.user_table is None
    assert back.user_features is None
    assert back.item_features.names == rec.data.item_features.names
    np.testing.assert_array_equal(back.item_features.matrix.indices, rec.data.item_features.matrix.indices)
    np.testing.assert_array_equal(back.item_features.matrix.indptr, rec.data.item_features.matrix.indptr)
    assert not back.values.flags.writeable


@pytest.mark.parametrize(
    "ids",
    [
        pl.Series([3, 1, 2], dtype=pl.Int8),
        pl.Series([2**63, 1, 2], dtype=pl.UInt64),
        pl.Series(["1", "é", ""]),
        pl.Series([datetime.date(2020, 1, d) for d in (1, 2, 3)]),
    ],
    ids=lambda s: str(s.dtype),
)
def test_ids_keep_their_type(rec, tmp_path, ids):
    frame = pl.DataFrame({"user": ids, "item": ["a", "b", "a"], "rating": [1.0, 2.0, 3.0]})
    a = fitting.fit(
        cf.read(frame, user="user", item="item", rating="rating", missing_ids="keep"), "bias", calibrate=False
    )
    save(a, tmp_path / "m")
    b = load(tmp_path / "m")
    assert b.data.user_ids == a.data.user_ids
    assert b.data.user_ids.values.dtype == ids.dtype
    assert b.data.times is None


def test_losses_that_are_not_finite(rec, tmp_path):
    a = Recommender(rec.model, rec.data, metrics={"x": float("nan")}, history=[[0.5, float("nan")]])
    save(a, tmp_path / "m")
    b = load(tmp_path / "m")
    np.testing.assert_equal(b.history, a.history)
    assert np.isnan(b.metrics["x"])


def test_a_diverged_model_is_not_saved(rec, tmp_path):
    state = {name: np.array(array) for name, array in rec.model.state().items()}
    state["item_bias"][2] = np.nan
    broken = type(rec.model)(rec.model.config)
    for name, array in state.items():
        setattr(broken, name, array)
    with pytest.raises(BundleError, match=r"item_bias.*not finite"):
        save(Recommender(broken, rec.data), tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_the_same_model_gives_the_same_bytes(rec, tmp_path):
    save(rec, tmp_path / "a")
    save(rec, tmp_path / "b")
    for name in manifest.FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_arrays_are_plain_safetensors(rec, tmp_path):
    from safetensors.numpy import load_file

    save(rec, tmp_path / "m")
    theirs = load_file(tmp_path / "m" / "arrays.safetensors")
    ours = tensors.views(np.fromfile(tmp_path / "m" / "arrays.safetensors", np.uint8), "x")
    assert set(theirs) == set(ours)
    assert {"model.mean", "data.users", "data.times", "item_features.indptr", "intervals.edges"} <= set(ours)
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name])
        assert array.dtype == theirs[name].dtype
        assert array.flags.aligned
        assert array.flags.writeable


def test_large_arrays_are_mapped(rec, tmp_path, monkeypatch):
    save(rec, tmp_path / "m")
    monkeypatch.setattr("cofactor.bundle.loading.SMALL", 0)
    b = load(tmp_path / "m")
    assert isinstance(b.data.values.base, np.memmap)
    assert isinstance(b.model.item_bias.base, np.memmap)
    assert same(rec, b)
    before = (tmp_path / "m" / "arrays.safetensors").read_bytes()
    b.model.item_bias[0] += 1  # a private copy of the page
    assert (tmp_path / "m" / "arrays.safetensors").read_bytes() == before
    # A weight that was changed is found when asked for; a code that would lead outside an array before it is used.
    changed = bytearray(before)
    start = 8 + int.from_bytes(changed[:8], "little")
    places = json.loads(changed[8:start])
    changed[start + places["model.item_bias"]["data_offsets"][0]] ^= 1
    (tmp_path / "m" / "arrays.safetensors").write_bytes(changed)
    load(tmp_path / "m")
    for check in (load, info):
        with pytest.raises(BundleError, match="changed after it was written"):
            check(tmp_path / "m", verify=True)
    at = start + places["data.items"]["data_offsets"][0]
    changed[at : at + 4] = (25).to_bytes(4, "little")
    (tmp_path / "m" / "arrays.safetensors").write_bytes(changed)
    forged = load(tmp_path / "m")
    assert len(forged.data) == len(rec.data)
    for use in (
        lambda: forged.data.items,
        lambda: forged.recommend(rec.data.user_ids.values[0]),
        lambda: forged.data.take(np.arange(3)),
        lambda: forged.save(tmp_path / "again"),
    ):
        for _ in range(2):
            with pytest.raises(BundleError, match="holds codes that do not exist"):
                use()


def test_mapped_rows_are_interactions_like_others(rec, tmp_path, monkeypatch):
    save(rec, tmp_path / "m")
    monkeypatch.setattr("cofactor.bundle.loading.SMALL", 0)
    data = load(tmp_path / "m").data
    assert isinstance(data, LaterRows)
    assert not data.items.flags.writeable
    assert data.items is data.items
    for part in (data.take(data.values > 3), data.replace(name="other")):
        assert type(part) is Interactions
    assert np.array_equal(data.take(data.values > 3).users, rec.data.users[rec.data.values > 3])
    assert data.to_frame().equals(rec.data.to_frame())


def test_a_module_of_your_own(toy, tmp_path):
    torch = pytest.importorskip("torch")
    from cofactor.models.torch.module import TorchModule, TorchModuleConfig
    from cofactor.train import Learner

    class Dot(torch.nn.Module):
        def __init__(self, n_users, n_items):
            super().__init__()
            self.u, self.i = torch.nn.Embedding(n_users, 3), torch.nn.Embedding(n_items, 3)

        def forward(self, x):
            return (self.u(x[:, 0]) * self.i(x[:, 1])).sum(1)

    learn = Learner(toy, TorchModule(TorchModuleConfig(), Dot), seed=0, verbose=False)
    learn.fit_one_cycle(1, 5e-3)
    a = Recommender.from_learner(learn)
    save(a, tmp_path / "m")
    with pytest.raises(BundleError, match="module"):
        load(tmp_path / "m")
    assert same(a, load(tmp_path / "m", module=Dot))
    save(fitting.fit(toy, "bias", calibrate=False), tmp_path / "b")
    with pytest.raises(BundleError, match="load it without module="):
        load(tmp_path / "b", module=Dot)


# ---- info, versions


def test_info_loads_no_arrays(rec, tmp_path, monkeypatch):
    save(rec, tmp_path / "m")
    monkeypatch.setattr(tensors, "views", None)
    monkeypatch.setattr(tensors, "mapped", None)
    facts = info(tmp_path / "m")
    assert facts["model"] == "bias"
    assert facts["data"]["rows"] == len(rec.data)
    assert facts["data"]["item_features"] == len(rec.data.item_features.names)
    assert facts["config"] == {"epochs": 10, "reg_user": 4.0, "reg_item": 2.0}
    assert facts["bytes"] == sum((tmp_path / "m" / name).stat().st_size for name in manifest.FILES)
    json.dumps(facts, allow_nan=False)


def test_what_auto_tried_is_kept(rec, tmp_path):
    lines = [
        ("bias", "", "rmse", 1.5, 0.1, "tried", True, "random"),
        ("als", "epochs=3", "rmse", None, None, "skipped", False, "random"),
    ]
    tried = pl.DataFrame(lines, schema=TRIALS, orient="row")
    save(Recommender(rec.model, rec.data, trials=tried), tmp_path / "m")
    assert load(tmp_path / "m").trials.equals(tried)
    assert info(tmp_path / "m")["trials"] == tried.to_dicts()
    m = json.loads((tmp_path / "m" / "manifest.json").read_text(encoding="utf-8"))
    for bad, words in (
        ({"value": "good"}, "'value'"),
        ({"more": 1}, "unknown field 'more'"),
        ({"chosen": 1}, "chosen"),
    ):
        (tmp_path / "m" / "manifest.json").write_bytes(manifest.dump({**m, "trials": [m["trials"][0] | bad]}))
        with pytest.raises(BundleError, match=words):
            load(tmp_path / "m")


def test_an_older_format_is_brought_up_to_date(rec, tmp_path):
    save(rec, tmp_path / "m")
    as_version_4(tmp_path / "m")
    m = json.loads((tmp_path / "m" / "manifest.json").read_text(encoding="utf-8"))
    m["format_version"] = 1
    del m["trials"]
    (tmp_path / "m" / "manifest.json").write_bytes(manifest.dump(m))
    assert same(rec, load(tmp_path / "m"))
    m["format_version"] = 0
    del m["task"], m["data"]["notes"]
    for facts in m["files"].values():
        facts["sha"] = facts.pop("blake2b")
    (tmp_path / "m" / "manifest.json").write_bytes(manifest.dump(m))
    back = load(tmp_path / "m")
    assert same(rec, back)
    assert back.data.notes == ()
    assert info(tmp_path / "m")["format_version"] == manifest.VERSION
    del m["data"]
    (tmp_path / "m" / "manifest.json").write_bytes(manifest.dump(m))
    with pytest.raises(BundleError, match="version 0"):
        load(tmp_path / "m")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format_version": 99}, "format version 99"),
        ({"format_version": True}, "format version True"),
        ({"model": "oracle"}, "oracle.*does not have"),
        ({"task": "ranking"}, "ranking"),
        ({"surprise": 1}, "unknown field 'surprise'"),
        ({"config": {"epochs": 10, "depth": 2}}, "no parameter 'depth'"),
        ({"config": {"epochs": "10"}}, "'epochs' is '10'"),
        ({"config": {"epochs": -1}}, "epochs is -1"),
        ({"metrics": {"rmse": "good"}}, "metrics must be numbers"),
        ({"seed": 1.5}, "seed"),
    ],
    ids=str,
)
def test_manifests_that_are_refused(rec, tmp_path, change, words):
    save(rec, tmp_path / "m")
    place = tmp_path / "m" / "manifest.json"
    m = json.loads(place.read_text(encoding="utf-8"))
    place.write_text(json.dumps({**m, **change}))
    if "format_version" not in change:
        with pytest.raises(BundleError, match="changed after it was written"):
            load(tmp_path / "m")
    place.write_bytes(manifest.dump({**m, **change}))
    with pytest.raises(BundleError, match=words):
        load(tmp_path / "m")


def test_types_of_parameters():
    fits = config.fits
    assert fits(1, float)
    assert not fits(True, float)
    assert not fits(True, int)
    assert fits(None, float | None)
    assert fits((1.0, 2), tuple[float, float] | str)
    assert not fits((1.0,), tuple[float, float])
    assert fits((1, 2, 3), tuple[int, ...])
    assert not fits(1e308 * 10, float)


# ---- nothing is lost


def test_what_is_no_bundle_is_left_alone(rec, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "letter").write_text("mine")
    for name in ("file", "folder"):
        for act in (lambda p: save(rec, p), check_writable):
            with pytest.raises(BundleError, match="not a saved model"):
                act(tmp_path / name)
        with pytest.raises(BundleError):
            load(tmp_path / name)
    assert (
        (tmp_path / "file").read_text(encoding="utf-8")
        == (tmp_path / "folder" / "letter").read_text(encoding="utf-8")
        == "mine"
    )
    for act in (lambda p: save(rec, p), check_writable):
        with pytest.raises(BundleError, match="create it first"):
            act(tmp_path / "none" / "m")
        with pytest.raises(BundleError, match="not a directory"):
            act(tmp_path / "file" / "m")
    with pytest.raises(BundleError, match="there is no such folder"):
        load(tmp_path / "nowhere")
    check_writable(tmp_path / "new")


def test_saving_through_a_link(rec, other, tmp_path):
    save(rec, tmp_path / "v1")
    (tmp_path / "current").symlink_to(tmp_path / "v1")
    save(other, tmp_path / "current")
    assert (tmp_path / "current").is_symlink()
    assert same(other, load(tmp_path / "current"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["current", "v1"]


@pytest.mark.parametrize("after", [0, 1, 300, 5000])
def test_a_full_disk(rec, other, tmp_path, monkeypatch, after):
    save(rec, tmp_path / "m")
    left = [after]
    write = files._Hashed.write

    def full(self, data):
        left[0] -= len(memoryview(data).cast("B"))
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(self, data)

    monkeypatch.setattr(files._Hashed, "write", full)
    with pytest.raises(BundleError, match="No space left on device"):
        save(other, tmp_path / "m")
    assert [p.name for p in tmp_path.iterdir()] == ["m"]
    assert same(rec, load(tmp_path / "m", verify=True))


def test_a_limit_on_the_size_of_files(rec, other, tmp_path):
    save(rec, tmp_path / "m")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(BundleError, match="File too large"):
            save(other, tmp_path / "m")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [p.name for p in tmp_path.iterdir()] == ["m"]
    assert same(rec, load(tmp_path / "m", verify=True))


@pytest.mark.slow
@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "aside"])
def test_killed_at_any_step(rec, other, tmp_path, monkeypatch, exchange):
    """A copy of the folder before and after every step that touches the disk is what a kill would have left."""
    work, left = tmp_path / "work", tmp_path / "left"
    work.mkdir()
    left.mkdir()
    save(rec, work / "m")
    if not exchange:
        monkeypatch.setattr(files, "_exchange", lambda a, b: False)
    shots = []

    def watched(call):
        def step(*args, **kwargs):
            for _ in range(2):
                shots.append(left / str(len(shots)))
                shutil.copytree(work, shots[-1])
                if _ == 0:
                    result = call(*args, **kwargs)
            return result

        return step

    with monkeypatch.context() as m:
        m.setattr(files.os, "rename", watched(os.rename))
        m.setattr(files.os, "fsync", watched(os.fsync))
        m.setattr(files._Hashed, "write", watched(files._Hashed.write))
        m.setattr(files, "_exchange", watched(files._exchange))
        m.setattr(files.shutil, "rmtree", watched(shutil.rmtree))
        save(other, work / "m")
    assert same(other, load(work / "m"))
    assert len(shots) > 30
    seen = set()
    for shot in shots:
        found = load(shot / "m", verify=True)
        assert same(found, rec) or same(found, other)
        seen.add(same(found, other))
        # A later save works, and tidies up.
        save(other, shot / "m")
        assert [p.name for p in shot.iterdir()] == ["m"]
        assert same(load(shot / "m"), other)
    assert seen == {True, False}


CHILD = """
import sys
from cofactor.recommender import load
from cofactor.bundle import save
a, b = load(sys.argv[1]), load(sys.argv[2])
print("ready", flush=True)
while True:
    save(a, sys.argv[3])
    save(b, sys.argv[3])
"""


@pytest.mark.slow
def test_kill_9(rec, other, tmp_path):
    save(rec, tmp_path / "a")
    save(other, tmp_path / "b")
    for wait in (0.003, 0.02, 0.05):
        place = tmp_path / f"m{wait}"
        save(rec, place)
        args = [sys.executable, "-c", CHILD, str(tmp_path / "a"), str(tmp_path / "b"), str(place)]
        child = subprocess.Popen(args, stdout=subprocess.PIPE, text=True)
        assert child.stdout.readline() == "ready\n"
        time.sleep(wait)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        found = load(place, verify=True)
        assert same(found, rec) or same(found, other)


def test_a_save_in_progress_is_not_tidied_away(rec, other, tmp_path):
    save(rec, tmp_path / "m")
    with files.replaced(tmp_path / "m") as scratch:
        save(other, tmp_path / "m")
        assert scratch.is_dir()
        shutil.copytree(tmp_path / "m", scratch, dirs_exist_ok=True)
    assert same(other, load(tmp_path / "m"))
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_loading_while_it_is_replaced(rec, other, tmp_path, monkeypatch):
    save(rec, tmp_path / "m")
    regular = files.regular
    calls = []

    def slow(folder, name, *more):
        calls.append(name)
        if len(calls) == 2:
            save(other, tmp_path / "m")
        return regular(folder, name, *more)

    monkeypatch.setattr(files, "regular", slow)
    assert same(load(tmp_path / "m"), other)


def test_strict_json():
    for text in (b'{"a": 1, "a": 2}', b'{"a": NaN}', b"[" * 200_000, b"\xff", b"", b"1" * 10_000):
        with pytest.raises(BundleError):
            tensors.parse_json(text, "it")


def test_glob_characters_in_names(rec, tmp_path):
    place = Path(tmp_path / "m[1]*?")
    save(rec, place)
    save(rec, place)
    assert same(load(place), rec)
