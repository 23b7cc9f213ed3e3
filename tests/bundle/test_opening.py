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
from cofactor import _tensors
from cofactor.api import fit as fitting
from cofactor.bundle import files, id_tables, manifest, save
from cofactor.bundle.parquet import tables
from cofactor.data.ids.id_map import IdMap
from cofactor.data.ids.packed_text import PackedText
from cofactor.data.interactions import Interactions
from cofactor.errors import BundleError, DataError, UnknownIdError
from cofactor.recommender import Recommender, load
from old_bundles import as_version_4


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
import cofactor.bundle.loading as loading
from cofactor.errors import BundleError

shelf = Path(sys.argv[1])
loading.SMALL = 0  # all arrays are mapped
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
            BundleError, match=f"cannot write .*{name}: Read-only file system; an earlier bundle there is"
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


TABLES = {"users": ("user_ids", "user_table"), "items": ("item_ids", "item_table")}


@pytest.mark.parametrize("side", TABLES)
@pytest.mark.parametrize("kind", ["changed", "forged", "other"])
@pytest.mark.parametrize("version", [4, manifest.VERSION])
def test_ids_of_a_large_bundle_are_checked_when_first_used(rec, tmp_path, monkeypatch, side, kind, version):
    save(rec, tmp_path / "m")
    name = f"{side}.safetensors"
    if version == 4:
        as_version_4(tmp_path / "m")
        name = f"{side}.parquet"
    place = tmp_path / "m" / name
    content = place.read_bytes()
    m = json.loads((tmp_path / "m" / "manifest.json").read_text(encoding="utf-8"))
    if kind == "other":  # one id more, and a footer that says so
        held = io.BytesIO()
        n = m["data"][side] + 1
        (tables if version == 4 else id_tables).write(held, IdMap(pl.Series(np.arange(n)), "user"), None)
        content, words = held.getvalue(), f"holds {n} rows, not {n - 1}" if version == 4 else "cannot be built from"
    elif version == 4:
        content, words = content[:-8] + b"\xff" * 8, "cannot be read"
    else:
        start = 8 + int.from_bytes(content[:8], "little")
        head = json.loads(content[8:start])
        at = start + head["id" if side == "users" else "id.bytes"]["data_offsets"][0]
        if side == "users":  # the first id again in place of the second
            content, words = content[: at + 8] + content[at : at + 8] + content[at + 16 :], "stands twice"
        else:
            content, words = content[:at] + b"\xff" + content[at + 1 :], "does not hold 25 item ids: .*utf-8"
    place.write_bytes(content)
    if kind == "changed":
        words = f"{name} of .* was changed after it was written"
    else:
        m["files"][name] = {"bytes": len(content), "blake2b": files.digest_of(content)}
        (tmp_path / "m" / "manifest.json").write_bytes(manifest.dump(m))
    with pytest.raises(BundleError, match=words):
        load(tmp_path / "m")
    monkeypatch.setattr("cofactor.bundle.loading.SMALL", 0)
    with pytest.raises(BundleError, match=words):
        load(tmp_path / "m", verify=True)
    found = load(tmp_path / "m")
    assert (found.data.n_users, found.data.n_items) == (rec.data.n_users, rec.data.n_items)
    uses = [lambda field=field: getattr(found.data, field) for field in TABLES[side]]
    uses += [
        lambda: found.data.take(np.arange(2)),
        lambda: found.save(tmp_path / "again"),
        lambda: copy.copy(found.data),
    ]
    uses += [lambda: found.similar_items(rec.data.item_ids.values[0])] if side == "items" else []
    uses += [lambda: found.recommend(rec.data.user_ids.values[0])]
    if kind != "changed" and version > 4:  # the side table is read by itself
        uses.remove(uses[1])
    for use in uses * 2:
        with pytest.raises(BundleError, match=words):
            use()
    assert not (tmp_path / "again").exists()


def at_first_use(rec, folder, change):
    """The refusal of a large bundle whose item ids were changed by a forger; None where there is none."""
    save(rec, folder / "m")
    place = folder / "m" / "items.safetensors"
    held = np.frombuffer(place.read_bytes(), np.uint8)
    arrays = {name: array.copy() for name, array in _tensors.views(held, "it").items()}
    facts = _tensors.facts(held, "it")
    change(arrays)
    with open(place, "wb") as file:
        _tensors.write(file, arrays, facts)
    m = json.loads((folder / "m" / "manifest.json").read_text(encoding="utf-8"))
    content = place.read_bytes()
    m["files"]["items.safetensors"] = {"bytes": len(content), "blake2b": files.digest_of(content)}
    (folder / "m" / "manifest.json").write_bytes(manifest.dump(m))
    found = load(folder / "m")
    try:
        return str(found.recommend(found.data.user_ids.values[0], n=3)["item"].to_list())
    except BundleError as exc:
        return str(exc)


def changes():
    def put(name, at, value):
        def change(arrays):
            arrays[name][at] = value

        return change

    def order(array):
        return lambda arrays: arrays.update({"id.order": array.copy()})

    def more(arrays):
        arrays["id.more"] = np.zeros(3, np.int8)

    return {
        "an offset that descends": (put("id.offsets", 3, 0), "lies outside the bytes"),
        "an offset beyond the end": (put("id.offsets", 3, 4_000_000_000), "lies outside the bytes"),
        "a last offset that is short": (put("id.offsets", -1, 3), "do not span"),
        "bytes of no text": (put("id.bytes", 2, 0xFF), "utf-8"),
        "a text that begins within a letter": (put("id.bytes", 0, 0x80), "lies outside the bytes"),
        "two alike": (lambda arrays: arrays["id.bytes"].__setitem__(slice(None), 65), "do not ascend"),
        "another order": (order(np.arange(25, dtype=np.uint32)[::-1]), "not ascend"),
        "an order of others": (order(np.full(25, 99, np.uint32)), "not ascend"),
        "an order that is short": (order(np.zeros(3, np.uint32)), "id.order"),
        "an order of another type": (order(np.zeros(25, np.int8)), "id.order"),
        "no offsets": (lambda arrays: arrays.pop("id.offsets"), "there is no array 'id.offsets'"),
        "an array too many": (more, "unknown array 'id.more'"),
    }


@pytest.mark.parametrize("name", changes())
def test_forged_ids_of_a_large_bundle(rec, tmp_path, monkeypatch, name):
    monkeypatch.setattr("cofactor.bundle.loading.SMALL", 0)
    monkeypatch.setattr("cofactor.bundle.id_tables.FEW", 2)
    change, words = changes()[name]
    said = at_first_use(rec, tmp_path, change)
    assert words in said, said


def test_ids_in_any_order_are_found_in_the_mapped_file(tmp_path, monkeypatch):
    """Large, with ids that do not ascend: nothing but the ids that are asked for becomes an object."""
    monkeypatch.setattr("cofactor.bundle.loading.SMALL", 0)
    monkeypatch.setattr("cofactor.bundle.id_tables.FEW", 2)
    monkeypatch.setattr("cofactor.data.ids.id_map._SMALL", 2)
    rng = np.random.default_rng(0)
    names = [f"{'äb東'[n % 3]}{n * 7919 % 997}" for n in range(60)]
    users = pl.Series("user", names * 3)
    frame = pl.DataFrame({"user": users, "item": rng.permutation(180) % 17, "rating": rng.integers(1, 6, 180)})
    data = cf.read(frame)
    shuffled = data.replace(
        user_ids=IdMap(data.user_ids.values.reverse(), "user"), users=(data.n_users - 1 - data.users).astype(np.int32)
    )
    rec = fitting.fit(shuffled, "bias", calibrate=False)
    rec.save(tmp_path / "m")
    found = load(tmp_path / "m")
    for name in names[:9]:
        assert found.recommend(name, n=3).equals(rec.recommend(name, n=3))
    ids = found.data.user_ids
    assert ids._packed is not None
    assert ids._values is None
    assert [ids.code(name) for name in names] == [rec.data.user_ids.code(name) for name in names]
    assert ids.code("nobody") == ids.code("") == ids.code(3) == -1
    with pytest.raises(UnknownIdError, match="Did you mean"):
        found.recommend(names[0] + "x")
    found.save(tmp_path / "again")
    assert load(tmp_path / "again", verify=True).data.user_ids == rec.data.user_ids


def test_what_is_small(rec, tmp_path, monkeypatch):
    """Arrays up to the limit and tables up to a quarter of it are read at once, each file by its own size."""
    save(rec, tmp_path / "m")
    m = json.loads((tmp_path / "m" / "manifest.json").read_text(encoding="utf-8"))
    arrays, users, items = (m["files"][name]["bytes"] for name in manifest.FILES)
    assert users < items

    def opened(limit):
        monkeypatch.setattr("cofactor.bundle.loading.SMALL", limit)
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
    monkeypatch.setattr("cofactor.bundle.loading.SMALL", 0)
    m = json.loads((tmp_path / "m" / "manifest.json").read_text(encoding="utf-8"))
    size = m["files"]["users.safetensors"]["bytes"]
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
    monkeypatch.setattr("cofactor.bundle.loading.SMALL", 0)
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
    monkeypatch.setattr("cofactor.bundle.loading.SMALL", 0)
    found = load(tmp_path / "m")
    before = held()
    assert before >= 2
    assert len(found.data.user_ids) == found.data.n_users
    assert len(found.data.item_table) == found.data.n_items
    assert held() == before  # mapped, and no longer open besides
    found = load(tmp_path / "m")  # and dropped unread
    del found
    gc.collect()
    assert held() == 0


def test_verified_at_once_nothing_is_left_for_later(rec, tmp_path, monkeypatch):
    save(rec, tmp_path / "m")
    monkeypatch.setattr("cofactor.bundle.loading.SMALL", 0)
    assert type(load(tmp_path / "m", verify=True).data) is Interactions
    forged = json.loads((tmp_path / "m" / "manifest.json").read_text(encoding="utf-8"))
    arrays = bytearray((tmp_path / "m" / "arrays.safetensors").read_bytes())
    start = 8 + int.from_bytes(arrays[:8], "little")
    at = start + json.loads(arrays[8:start])["data.users"]["data_offsets"][0]
    arrays[at : at + 4] = (1 << 20).to_bytes(4, "little")
    (tmp_path / "m" / "arrays.safetensors").write_bytes(arrays)
    forged["files"]["arrays.safetensors"]["blake2b"] = files.digest_of(bytes(arrays))
    forged["versions"]["polars"] = "0"  # whose fingerprints are others
    (tmp_path / "m" / "manifest.json").write_bytes(manifest.dump(forged))
    load(tmp_path / "m")
    with pytest.raises(BundleError, match=f"'data.users' of {tmp_path / 'm'} holds codes that do not exist"):
        load(tmp_path / "m", verify=True)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda data: pickle.loads(pickle.dumps(data))])
def test_copies_of_a_large_bundle_s_data_are_in_memory(rec, tmp_path, monkeypatch, copied):
    save(rec, tmp_path / "m")
    monkeypatch.setattr("cofactor.bundle.loading.SMALL", 0)
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


@pytest.mark.skipif(int(pl.__version__.split(".")[0]) < 2, reason="polars 1 reads a long column in pieces")
def test_ids_lie_in_one_piece(tmp_path):
    ids = IdMap(pl.Series(np.arange(600_000)), "user")
    with open(tmp_path / "f", "wb") as file:
        tables.write(file, ids, None)
    content = (tmp_path / "f").read_bytes()
    assert pl.read_parquet(content)["id"].n_chunks() == 1
    assert tables.read(content, "user", 600_000, "f")[0] == ids


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


NEEDED = """
import json, sys
import cofactor as cf
from cofactor.models import REGISTRY, model_class
rec = cf.load(sys.argv[1])
for name in REGISTRY:
    model_class(name)
some = {"numpy.ma", "torch", "cofactor.bundle.parquet.tables", "cofactor.recommend.profiles"}
some |= {"scipy.sparse", "scipy.optimize", "scipy.special", "scipy.linalg"}
print(json.dumps(sorted(some & set(sys.modules))))
"""


def test_opening_needs_neither_scipy_nor_masked_arrays_nor_parquet(tmp_path, toy):
    side = pl.DataFrame({"id": toy.item_ids.values}).with_columns(
        year=pl.when(pl.int_range(pl.len()) > 0).then(1990), out=pl.date(2020, 1, 1), seen=pl.datetime(2020, 1, 1)
    )
    fitting.fit(toy.replace(item_table=side), "popular").save(tmp_path / "m")
    assert ran(NEEDED, tmp_path / "m") == []


def test_texts_that_are_all_ascii_are_cut_as_others():
    for letters in ("a", "\u00e9", ""):
        texts = ["", letters, "b" + letters, "", "\x7f" * 3, letters * 5]
        assert PackedText.of(pl.Series(texts, dtype=pl.String)).to_series().to_list() == texts
