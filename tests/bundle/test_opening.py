"""Opening a bundle: from a place that cannot be written to, and without what opening does not need."""

from __future__ import annotations

import copy
import errno
import gc
import io
import json
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor import api as fitting
from cofactor.bundle import files, id_tables, manifest, save
from cofactor.data.ids import IdMap
from cofactor.data.interactions import Interactions
from cofactor.errors import BundleError, DataError
from cofactor.recommender import Recommender, load


@pytest.fixture(scope="module")
def rec(toy) -> Recommender:
    return fitting.fit(toy, "bias", seed=3)


def ran(code: str, *arguments: object) -> dict:
    """What a fresh process prints, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


READ_ONLY = """
import json, os, sys
from pathlib import Path
import numpy as np
import cofactor as cf
import cofactor.bundle.bundle as bundle
from cofactor.errors import BundleError

shelf = Path(sys.argv[1])
bundle.SMALL = 0  # all arrays are mapped
first = cf.load(shelf / "m")  # imports and compiles what there is to import and compile
first.recommend(first.data.user_ids.values[0])
first.save(sys.argv[2])
if os.geteuid() == 0:  # to whom no permission applies
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
found = {}
try:
    (shelf / "probe").touch()
except OSError as exc:
    found["probe"] = type(exc).__name__
rec = cf.load(shelf / "m")
user = rec.data.user_ids.values[0]
found["mapped"] = isinstance(rec.model.item_bias.base, np.memmap) and isinstance(rec.data.values.base, np.memmap)
found["list"] = rec.recommend(user, n=5)["item"].to_list()
for name in ("m", "new"):
    try:
        rec.save(shelf / name)
    except BundleError as exc:
        found[name] = str(exc)
print(json.dumps(found))
"""


def test_a_directory_that_cannot_be_written_to(rec, tmp_path):
    with tempfile.TemporaryDirectory() as name:  # pytest's own folder is closed to other users
        shelf = Path(name) / "shelf"
        shelf.mkdir()
        save(rec, shelf / "m")
        before = {p.name: p.read_bytes() for p in (shelf / "m").iterdir()}
        try:
            for place in shelf.rglob("*"):
                place.chmod(0o555 if place.is_dir() else 0o444)
            shelf.chmod(0o555)
            Path(name).chmod(0o755)
            found = ran(READ_ONLY, shelf, tmp_path / "copy")
            assert {p.name for p in shelf.iterdir()} == {"m"}
            assert {p.name: p.read_bytes() for p in (shelf / "m").iterdir()} == before
        finally:
            for place in (shelf, shelf / "m"):
                place.chmod(0o755)
    assert found["probe"] == "PermissionError"  # or nothing was tested
    assert found["mapped"]
    assert found["list"] == rec.recommend(rec.data.user_ids.values[0], n=5)["item"].to_list()
    for new in ("m", "new"):
        assert found[new] == f"cannot write {shelf / new}: no permission to write in {shelf}"


def test_a_file_system_that_cannot_be_written_to(rec, tmp_path, monkeypatch):
    save(rec, tmp_path / "m")

    def read_only(path, mode=0o777, **more):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(os, "mkdir", read_only)
    load(tmp_path / "m")
    for name in ("m", "new"):
        with pytest.raises(
            BundleError, match=f"cannot write .*{name}: Read-only file system; what was there before is"
        ):
            save(rec, tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == ["m"]
    load(tmp_path / "m", verify=True)


def test_opening_imports_no_more_than_it_needs(rec, tmp_path):
    assert rec.intervals is not None
    save(rec, tmp_path / "m")
    code = (
        "import sys, json, cofactor as cf; cf.load(sys.argv[1]);"
        "print(json.dumps([m for m in ('cofactor.evaluation', 'cofactor.train', 'narwhals', 'torch', 'scipy.stats',"
        " 'cofactor.data.read', 'cofactor.evaluation.diff', 'cofactor.kernels.similarity') if m in sys.modules]))"
    )
    assert ran(code, tmp_path / "m") == []


def test_a_change_is_told_before_what_it_breaks(rec, tmp_path, monkeypatch):
    """The digest of a file is looked at before what is in it."""
    save(rec, tmp_path / "m")
    for name in manifest.FILES:
        content = (tmp_path / "m" / name).read_bytes()
        for broken in (b"X" * 16 + content[16:], content[:-8] + b"\xff" * 8):
            (tmp_path / "m" / name).write_bytes(broken)
            with pytest.raises(BundleError, match=f"{name} of .* was changed after it was written"):
                load(tmp_path / "m")
        (tmp_path / "m" / name).write_bytes(content)
    load(tmp_path / "m")


TABLES = {"users.parquet": ("user_ids", "user_table"), "items.parquet": ("item_ids", "item_table")}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("kind", ["changed", "forged", "other"])
def test_ids_of_a_large_bundle_are_checked_when_first_used(rec, tmp_path, monkeypatch, name, kind):
    save(rec, tmp_path / "m")
    place = tmp_path / "m" / name
    content = place.read_bytes()
    m = json.loads((tmp_path / "m" / "manifest.json").read_text())
    words = "cannot be read"
    if kind == "other":  # one id more, and a footer that says so
        held = io.BytesIO()
        n = m["data"]["users" if name == "users.parquet" else "items"] + 1
        id_tables.write(held, IdMap(pl.Series(np.arange(n)), "user"), None)
        content, words = held.getvalue(), f"holds {n} rows, not {n - 1}"
    else:
        content = content[:-8] + b"\xff" * 8
    place.write_bytes(content)
    if kind == "changed":
        words = f"{name} of .* was changed after it was written"
    else:
        m["files"][name] = {"bytes": len(content), "blake2b": files.digest_of(content)}
        (tmp_path / "m" / "manifest.json").write_bytes(manifest.dump(m))
    with pytest.raises(BundleError, match=words):
        load(tmp_path / "m")
    monkeypatch.setattr("cofactor.bundle.bundle.SMALL", 0)
    with pytest.raises(BundleError, match=words):
        load(tmp_path / "m", verify=True)
    found = load(tmp_path / "m")
    assert (found.data.n_users, found.data.n_items) == (rec.data.n_users, rec.data.n_items)
    uses = [lambda field=field: getattr(found.data, field) for field in TABLES[name]]
    uses += [
        lambda: found.data.take(np.arange(2)),
        lambda: found.save(tmp_path / "again"),
        lambda: copy.copy(found.data),
    ]
    uses += [lambda: found.similar_items(rec.data.item_ids.values[0])] if name == "items.parquet" else []
    uses += [lambda: found.recommend(rec.data.user_ids.values[0])]
    for use in uses * 2:
        with pytest.raises(BundleError, match=words):
            use()
    assert not (tmp_path / "again").exists()


def test_what_is_small(rec, tmp_path, monkeypatch):
    """Arrays up to the limit and tables up to a quarter of it are read at once, each file by its own size."""
    save(rec, tmp_path / "m")
    m = json.loads((tmp_path / "m" / "manifest.json").read_text())
    arrays, users, items = (m["files"][name]["bytes"] for name in manifest.FILES)
    assert users < items

    def opened(limit):
        monkeypatch.setattr("cofactor.bundle.bundle.SMALL", limit)
        data = load(tmp_path / "m").data
        unread = {k for k in ("user_ids", "item_ids") if isinstance(vars(data)[k], id_tables.Unread)}
        assert data.item_ids == rec.data.item_ids
        return isinstance(data.values.base, np.memmap), unread

    assert opened(arrays)[0] is False
    assert opened(arrays - 1)[0] is True
    assert opened(4 * items)[1] == set()
    assert opened(4 * items - 1)[1] == {"item_ids"}
    assert opened(4 * users - 1)[1] == {"user_ids", "item_ids"}


def test_more_ids_than_bytes_are_refused_at_once(toy, tmp_path, monkeypatch):
    """Rows by user or item have an entry for each of them, whether or not their names are ever read."""
    save(fitting.fit(toy, "popular", calibrate=False), tmp_path / "m")
    monkeypatch.setattr("cofactor.bundle.bundle.SMALL", 0)
    m = json.loads((tmp_path / "m" / "manifest.json").read_text())
    size = m["files"]["users.parquet"]["bytes"]
    for users, fine in ((size, True), (size + 1, False), ((1 << 31) - 1, False)):
        m["data"]["users"] = users
        (tmp_path / "m" / "manifest.json").write_bytes(manifest.dump(m))
        if fine:
            assert load(tmp_path / "m").data.n_users == size
            continue
        with pytest.raises(BundleError, match=f"cannot hold {users:,} rows in {size:,} bytes"):
            load(tmp_path / "m")


def test_a_large_bundle_that_is_replaced_after_opening_stays_as_it_was(rec, toy, tmp_path, monkeypatch):
    save(rec, tmp_path / "m")
    monkeypatch.setattr("cofactor.bundle.bundle.SMALL", 0)
    found = load(tmp_path / "m")
    fewer = toy.take(toy.items < 5)
    fewer = fitting.fit(cf.read(fewer.to_frame()), "bias", calibrate=False)
    save(fewer, tmp_path / "m")
    assert load(tmp_path / "m").data.user_ids == fewer.data.user_ids
    assert len(fewer.data.item_ids) < len(rec.data.item_ids)
    assert (found.data.item_ids, found.data.user_ids) == (rec.data.item_ids, rec.data.user_ids)
    assert found.data.item_table.equals(rec.data.item_table)
    user = rec.data.user_ids.values[0]
    assert found.recommend(user, n=5).equals(rec.recommend(user, n=5))
    save(found, tmp_path / "m")  # over the other again
    assert load(tmp_path / "m", verify=True).data.item_ids == rec.data.item_ids


def test_files_of_a_large_bundle_are_let_go(rec, tmp_path, monkeypatch):
    def held() -> int:
        return len([fd for fd in Path("/proc/self/fd").iterdir() if str(tmp_path) in os.path.realpath(fd)])

    if not Path("/proc/self/fd").exists():
        pytest.skip("which files are open is not known here")
    save(rec, tmp_path / "m")
    monkeypatch.setattr("cofactor.bundle.bundle.SMALL", 0)
    found = load(tmp_path / "m")
    before = held()
    assert before >= 2
    assert len(found.data.user_ids) == found.data.n_users
    assert len(found.data.item_table) == found.data.n_items
    assert held() == before - 2
    found = load(tmp_path / "m")  # and dropped unread
    del found
    gc.collect()
    assert held() == 0


def test_verified_at_once_nothing_is_left_for_later(rec, tmp_path, monkeypatch):
    save(rec, tmp_path / "m")
    monkeypatch.setattr("cofactor.bundle.bundle.SMALL", 0)
    assert type(load(tmp_path / "m", verify=True).data) is Interactions
    forged = json.loads((tmp_path / "m" / "manifest.json").read_text())
    arrays = bytearray((tmp_path / "m" / "arrays.safetensors").read_bytes())
    start = 8 + int.from_bytes(arrays[:8], "little")
    at = start + json.loads(arrays[8:start])["data.users"]["data_offsets"][0]
    arrays[at : at + 4] = (1 << 20).to_bytes(4, "little")
    (tmp_path / "m" / "arrays.safetensors").write_bytes(arrays)
    forged["files"]["arrays.safetensors"]["blake2b"] = files.digest_of(bytes(arrays))
    forged["versions"]["polars"] = "0"  # whose fingerprints are others
    (tmp_path / "m" / "manifest.json").write_bytes(manifest.dump(forged))
    load(tmp_path / "m")
    with pytest.raises(BundleError, match=f"'data.users' of {tmp_path / 'm'} holds codes of users that do not exist"):
        load(tmp_path / "m", verify=True)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda data: pickle.loads(pickle.dumps(data))])
def test_copies_of_a_large_bundle_s_data_are_in_memory(rec, tmp_path, monkeypatch, copied):
    save(rec, tmp_path / "m")
    monkeypatch.setattr("cofactor.bundle.bundle.SMALL", 0)
    found = copied(load(tmp_path / "m").data)
    assert type(found) is Interactions
    assert found.to_frame().equals(rec.data.to_frame())
    assert found.item_table.equals(rec.data.item_table)


def test_reading_a_file_that_ends_early(tmp_path):
    (tmp_path / "f").write_bytes(bytes(range(100)))
    fd = os.open(tmp_path / "f", os.O_RDONLY)
    try:
        assert files.held(fd, 100).tobytes() == files.held(fd, 200).tobytes() == bytes(range(100))
        assert files.held(fd, 10).flags.writeable
    finally:
        os.close(fd)
    fd = os.open(tmp_path, os.O_RDONLY)
    folder = files.Folder(fd, tmp_path)
    try:
        assert files.contents(folder, "f", tmp_path, 100) == bytes(range(100))
        with pytest.raises(BundleError, match="at most 99 are allowed"):
            files.contents(folder, "f", tmp_path, 99)
    finally:
        os.close(fd)


@pytest.mark.parametrize("values", [[1, 2, 2, 3], [3, 1, 3], ["a", "b", "b"], ["b", "a", "b"], [1.0, 1.0]])
def test_ids_that_stand_twice(values):
    for ids in (pl.Series(values), pl.Series(values).reverse(), pl.Series(values).sort()):
        with pytest.raises(DataError, match="stands twice"):
            IdMap(ids, "user")
    assert len(IdMap(pl.Series(values).unique(), "user")) == len(set(values))


def test_ids_lie_in_one_piece(tmp_path):
    ids = IdMap(pl.Series(np.arange(600_000)), "user")
    with open(tmp_path / "f", "wb") as file:
        id_tables.write(file, ids, None)
    content = (tmp_path / "f").read_bytes()
    assert pl.read_parquet(content)["id"].n_chunks() == 1
    assert id_tables.read(content, "user", 600_000, "f")[0] == ids


@pytest.mark.parametrize(
    ("value", "fine"),
    [(1e15, False), (-1e15, False), (np.nan, False), (np.inf, False), (-np.inf, False), (9e14, True), (-9e14, True)],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_of_no_use(value, fine, dtype):
    from cofactor.bundle.contents import finite

    array = np.zeros((3, 5), dtype)
    assert finite(array)
    assert finite(array[:0])
    array[1, 2] = value
    assert finite(array) is fine
