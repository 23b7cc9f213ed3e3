"""Bundles in shards: the items once, the users in files of consecutive ids, each opened when one of its users is asked
for."""

from __future__ import annotations

import dataclasses
import secrets
import threading
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor import _tensors as tensors
from cofactor._paths import sync_folder
from cofactor._validate import check_int
from cofactor.bundle import contents, files, id_tables, loading, manifest, saving
from cofactor.bundle.lazy_rows import below
from cofactor.bundle.sharded_rows import ShardedRows
from cofactor.data.ids.id_map import IdMap
from cofactor.data.ids.parted import PartedIds
from cofactor.data.interactions import CSR, Interactions
from cofactor.data.items_only import ItemsOnly
from cofactor.data.parts import Parts
from cofactor.errors import BundleError, ConfigError
from cofactor.recommend.fitted import Fitted

Array = NDArray[Any]

VERSION = "shards-1"
ITEMS, ROWS = "items", "rows.safetensors"
MOST = 100_000
_FACTS: dict[str, tuple[type, ...]] = {
    "format": (str,),
    "format_version": (str,),
    "token": (str,),
    "whole": (str,),
    "items": (str,),
    "rows": (dict,),
    "arrays": (dict,),
    "type": (str,),
    "shards": (list,),
    "digest": (str,),
}
_SHARD: dict[str, tuple[type, ...]] = {"users": (int,), "first": (int, str), "rows": (dict,), "ids": (dict,)}
_TYPES = ("String", *(f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)))
_DTYPES = ("float32", "float64", "int32", "int64")
_OF_ROWS = {"items": "int32", "values": "float32", "times": "int64", "weights": "float32", "rows": "int64"}
_NEEDED = {"data.items", "data.values"}
_PIECE = 1 << 22


# ---- writing


def save(rec: Fitted, path: str | Path, users_per_shard: int) -> None:
    """Write a recommender with its users in shards. An existing bundle there stays intact until the new one is whole.

    ConfigError for a model whose fold-in needs its training users, and for users with a side table or with ids that do
    not ascend; BundleError as in :func:`cofactor.bundle.saving.save`.
    """
    size = check_int("users_per_shard", users_per_shard, 1)
    data = rec.data
    if isinstance(data, ItemsOnly):
        raise ConfigError("this model was saved for serving, without its users; there is nothing to put into shards")
    if data.user_table is not None or data.user_features is not None:
        raise ConfigError("users with a side table are saved in one bundle; leave users_per_shard out")
    if -(-data.n_users // size) > MOST:
        raise ConfigError(f"users_per_shard={size:,} gives more than {MOST:,} shards; give a larger number")
    ids = data.user_ids
    if not (ids.dtype.is_integer() or ids.dtype == pl.String) or (ids.order is not None and not _in_order(ids)):
        raise ConfigError("shards need user ids that are whole numbers or text, in ascending order")
    light = saving.without_users(rec)
    by_user = _grouped(data)
    with files.replaced(path) as folder:
        saving.save(light, folder / ITEMS)
        items = manifest.parse((folder / ITEMS / files.MANIFEST).read_bytes(), str(path))
        columns: dict[str, tuple[Any, str]] = {
            "data.items": (by_user.indices, "data"),
            "data.values": (by_user.values, "data"),
        }
        for name, array in (("times", data.times), ("weights", data.weights)):
            if array is not None:
                columns[f"data.{name}"] = array if not len(by_user.rows) else array[by_user.rows], "data"
        if len(by_user.rows):
            columns["data.rows"] = by_user.rows, "data"
        starts = {"data": by_user.indptr}
        columns |= _of_users(rec.model.state(), light.model.state(), data.n_users, starts)
        token = secrets.token_hex(16)
        (folder / "users").mkdir()
        shards = []
        for number, lo in enumerate(range(0, data.n_users, size)):
            hi = min(lo + size, data.n_users)
            mine = {
                name: np.asarray(array[lo:hi] if not by else array[int(starts[by][lo]) : int(starts[by][hi])])
                for name, (array, by) in columns.items()
            }
            if bad := [name for name, array in mine.items() if not contents.finite(array)]:
                raise BundleError(f"the array {bad[0]!r} holds values that are not finite, so the model was not saved")
            some = IdMap(ids.values[lo:hi], "user")
            shards.append(_written(folder, number, mine, some, {"bundle": token, "shard": str(number)}))
        sync_folder(folder / "users")
        starts_file = {f"{by}.indptr": indptr for by, indptr in starts.items()}
        rows_file = files.write_file(folder / ROWS, lambda f: tensors.write(f, starts_file, {"bundle": token}))
        settings = manifest.plain(dataclasses.asdict(rec.model.config))
        same = {name: items["files"][name] for name in manifest.FILES}
        whole = saving.manifest_of(rec.replace(index=None), settings, same, None)
        facts = {
            "format": manifest.FORMAT,
            "format_version": VERSION,
            "token": token,
            "whole": manifest.dump(whole).decode(),
            "items": items["digest"],
            "rows": rows_file,
            "arrays": {name: [str(a.dtype), list(a.shape[1:]), by] for name, (a, by) in columns.items()},
            "type": str(ids.dtype),
            "shards": shards,
        }
        text = manifest.dump(facts)
        if len(text) > manifest.LIMIT:
            raise BundleError(f"cannot write {path}: there are too many shards; give a larger users_per_shard")
        files.write_file(folder / files.MANIFEST, lambda f: saving.put(f, text))


def _written(folder: Path, number: int, arrays: dict[str, Array], ids: IdMap, mark: dict[str, str]) -> dict[str, Any]:
    """Write the files of a shard; return its entry for the manifest."""
    return {
        "users": len(ids),
        "first": ids.values[0],
        "rows": files.write_file(folder / _name(number), lambda f: tensors.write(f, arrays, mark)),
        "ids": files.write_file(folder / _name(number, "ids."), lambda f: id_tables.write(f, ids, None)),
    }


def _name(number: int, part: str = "") -> str:
    return f"users/{number:06d}.{part}safetensors"


def _in_order(ids: IdMap) -> bool:
    return bool((np.diff(np.asarray(ids.order, dtype=np.int64)) > 0).all())


def _grouped(data: Interactions) -> CSR:
    """Return the rows by user. Those of a table that is in this order already are not copied, and have no positions."""
    sorted_, counts = True, np.zeros(data.n_users, dtype=np.int64)
    for lo in range(0, len(data), _PIECE):
        piece = slice(max(lo - 1, 0), lo + _PIECE)
        pairs = data.users[piece].astype(np.int64) * data.n_items + data.items[piece]
        sorted_ = sorted_ and bool((pairs[1:] > pairs[:-1]).all())
        counts += np.bincount(data.users[lo : lo + _PIECE], minlength=data.n_users)
    if not sorted_:
        return data.by_user
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return CSR(indptr, data.items, data.values, np.empty(0, dtype=np.int64), data.n_items)


def _of_users(whole: Any, light: Any, n_users: int, starts: dict[str, Array]) -> dict[str, tuple[Any, str]]:
    """Return the arrays of a model's state that belong to users: tables with a row each, and rows of histories, whose
    beginnings are added to ``starts``."""
    found: dict[str, tuple[Any, str]] = {}
    mine = [name for name, array in whole.items() if array.shape != light[name].shape]
    for name in mine:
        if name.endswith("_indptr"):
            starts[f"model.{name.removesuffix('_indptr')}"] = np.asarray(whole[name])
    for name in mine:
        by = next((b for b in starts if b != "data" and f"model.{name}".startswith(f"{b}_")), "")
        if name.endswith("_indptr"):
            continue
        if len(whole[name]) != (int(starts[by][-1]) if by else n_users):
            raise ConfigError(
                f"the array {name!r} of this model does not belong to single users; save it in one bundle"
            )
        found[f"model.{name}"] = whole[name], by
    return found


# ---- reading


def load(path: str | Path, *, verify: bool = False, module: Any = None, index: bool = False) -> Fitted:
    """Load a saved recommender, in one bundle or in shards: see :func:`cofactor.bundle.loading.load`.

    Of a bundle in shards the items are read. A shard is opened and checked when one of its users is first asked for, so
    a BundleError may come then; that each is there and has its size is checked at once.
    """
    facts = _facts(path)
    if facts is None:
        return loading.load(path, verify=verify, module=module, index=index)
    place = Path(path)
    whole = manifest.parse(facts["whole"].encode(), f"the manifest of {path}")
    light = loading.load(place / ITEMS, verify=verify, index=index)
    if loading.info(place / ITEMS)["digest"] != facts["items"] or not isinstance(light.data, ItemsOnly):
        raise BundleError(f"{ITEMS} of {path} belongs to another model; copy the whole folder again")
    shards = [_Shard(place, number, one, facts, light.data.n_items) for number, one in enumerate(facts["shards"])]
    with files.opened(place) as folder:
        for shard in shards:
            for name, wanted in shard.files.items():
                with files.regular(folder, name, path) as (fd, size):
                    files.check_size(size, wanted, f"{name} of {path}")
                    if verify:
                        files.check_digest(files.digest_of_file(fd), wanted, f"{name} of {path}")
        starts = loading.read_arrays(folder, ROWS, facts["rows"], path, verify)
    cuts = np.concatenate([[0], np.cumsum([shard.users for shard in shards])]).astype(np.int64)
    ends = _beginnings(starts, facts, int(cuts[-1]), path)
    if cuts[-1] != whole["data"]["users"] or any(int(ends[by][-1]) != whole["data"]["rows"] for by in ends):
        raise BundleError(f"the shards of {path} do not add up to its users and rows; save the model again")
    arrays: dict[str, Any] = {f"model.{name}": array for name, array in light.model.state().items()}
    columns: dict[str, Any] = {}
    for name, (dtype, tail, by) in facts["arrays"].items():
        at = ends[by][cuts] if by else cuts
        for shard, n in zip(shards, np.diff(at).tolist(), strict=True):
            shard.wanted[name] = np.dtype(dtype), (n, *tail), by
        columns[name] = Parts(at, lambda k, name=name: shards[k].arrays()[name], dtype, tuple(tail))  # type: ignore[misc]
    arrays |= {name: array for name, array in columns.items() if name.startswith("model.")}
    arrays |= {f"{by}_indptr": indptr for by, indptr in ends.items() if by != "data"}
    dtype = pl.String() if facts["type"] == "String" else getattr(pl, facts["type"])()
    ids = PartedIds(cuts.tolist(), [s.first for s in shards], lambda k: shards[k].ids(), dtype, "user")
    of_rows = {name.removeprefix("data."): column for name, column in columns.items() if name.startswith("data.")}
    data = ShardedRows.of(light.data, ids, ends["data"], of_rows)
    rec = light.replace(model=contents.model(whole, arrays, data, None, path), data=data)
    scale = light.scale
    rec.remember("scale", lambda: scale)
    rec.remember("is_personalised", lambda: light.is_personalised)  # which would open the first shard
    if rec.index is not None:
        vectors: Any = rec.model
        rec.index = dataclasses.replace(rec.index, vectors=vectors)
    return rec


def info(path: str | Path, *, verify: bool = False) -> dict[str, Any]:
    """Return the facts of a saved model, in one bundle or in shards, without loading it."""
    facts = _facts(path)
    if facts is None:
        return loading.info(path, verify=verify)
    if verify:
        load(path, verify=True)
    whole, place = manifest.parse(facts["whole"].encode(), f"the manifest of {path}"), Path(path)
    found = loading.info(place / ITEMS)
    sizes = {f"{ITEMS}/{name}": size for name, size in found["files"].items()} | {ROWS: facts["rows"]["bytes"]}
    for number, one in enumerate(facts["shards"]):
        sizes |= {_name(number): one["rows"]["bytes"], _name(number, "ids."): one["ids"]["bytes"]}
    data = {k: v for k, v in whole["data"].items() if not k.endswith("_features")}
    data |= {k: len(whole["data"][k] or ()) for k in ("user_features", "item_features")}
    changed = {"config": whole["config"], "data": data, "digest": facts["digest"], "format_version": VERSION}
    return found | changed | {"files": sizes, "bytes": sum(sizes.values()), "verified": verify}


def in_shards(path: str | Path) -> bool:
    """Return whether this is a bundle in shards, intact or not."""
    return _facts(path) is not None


def _facts(path: str | Path) -> dict[str, Any] | None:
    """Return the manifest of a bundle in shards; None for anything else."""
    try:
        with files.opened(path) as folder:
            text = files.contents(folder, files.MANIFEST, path, manifest.LIMIT)
    except BundleError:
        return None  # what is wrong is said where one bundle is loaded
    if f'"format_version": "{VERSION}"'.encode() not in text[:200]:
        return None
    what = f"the manifest of {path}"
    found = tensors.parse_json(text, what)
    if not isinstance(found, dict) or found.get("digest") != manifest.digest_of(found):
        raise BundleError(f"{what} was changed after it was written; save the model again")
    _check(found, what)
    return found


def _check(facts: dict[str, Any], what: str) -> None:
    """Raise BundleError for facts of other types or out of range."""
    manifest.check_fields(facts, _FACTS, what)
    sizes = {ROWS: facts["rows"]}
    for number, one in enumerate(facts["shards"]):
        manifest.check_fields(one, _SHARD, f"{what}: shard {number}")
        sizes |= {_name(number): one["rows"], _name(number, "ids."): one["ids"]}
    for name, wanted in sizes.items():
        manifest.check_fields(wanted, manifest.FILE_FACTS, f"{what}: {name}")
    shards = facts["shards"]
    fits = facts["type"] in _TYPES and 0 < len(shards) <= MOST
    fits = fits and all(0 < one["users"] < 1 << 31 for one in shards)
    fits = fits and all(isinstance(one["first"], str) == (facts["type"] == "String") for one in shards)
    fits = fits and facts["arrays"].keys() >= _NEEDED and all(_is_array(*one) for one in facts["arrays"].items())
    if not fits:
        raise BundleError(f"{what}: the users, or the arrays of the shards, are out of range")


def _is_array(name: str, array: Any) -> bool:
    """Return whether this describes an array: type, shape after the rows, name of the rows."""
    if not isinstance(array, list) or [type(x) for x in array] != [str, list, str] or array[0] not in _DTYPES:
        return False
    if name.startswith("data."):
        return array == [_OF_ROWS.get(name.removeprefix("data.")), [], "data"]
    return (
        name.startswith("model.") and len(array[1]) <= 2 and all(type(n) is int and 0 <= n < 1 << 31 for n in array[1])
    )


def _beginnings(starts: dict[str, Array], facts: dict[str, Any], n_users: int, path: str | Path) -> dict[str, Array]:
    """Return where the rows of each user begin, by name; BundleError where they do not ascend."""
    found = {name.removesuffix(".indptr"): np.asarray(array) for name, array in starts.items()}
    named = {by for _, _, by in facts["arrays"].values() if by} | {"data"}
    for array in found.values():
        fits = array.dtype == np.int64 and array.shape == (n_users + 1,) and array[0] == 0
        if not fits or (np.diff(array) < 0).any():
            raise BundleError(f"{ROWS} of {path} does not say where the rows of each user begin; save the model again")
    if set(found) != named:
        raise BundleError(f"{ROWS} of {path} does not belong to this model; copy the whole folder again")
    return found


class _Shard:
    """The files of some users, opened at first use."""

    def __init__(self, place: Path, number: int, facts: dict[str, Any], of: dict[str, Any], n_items: int) -> None:
        self.place, self.number, self.token = place, number, of["token"]
        self.users, self.first = int(facts["users"]), facts["first"]
        self.files = {_name(number): facts["rows"], _name(number, "ids."): facts["ids"]}
        self.n_items = n_items
        self.wanted: dict[str, tuple[Any, tuple[int, ...], str]] = {}
        self._lock = threading.Lock()
        self._arrays: dict[str, Array] | None = None
        self._ids: IdMap | None = None

    def arrays(self) -> dict[str, Array]:
        """Return the arrays by name; BundleError where the file is not the one that was saved."""
        with self._lock:
            if self._arrays is None:
                self._arrays = self._opened()
            return self._arrays

    def ids(self) -> IdMap:
        """Return the ids of these users, checked."""
        with self._lock:
            if self._ids is None:
                name = _name(self.number, "ids.")
                what, wanted = f"{name} of {self.place}", self.files[name]
                with files.opened(self.place) as folder, files.regular(folder, name, self.place) as (fd, size):
                    files.check_size(size, wanted, what)
                    ids = id_tables.Unread(fd, wanted, "user", self.users, what, old=False).ids()
                if ids.head(1)[0] != self.first:
                    raise BundleError(f"{what} begins with another id than the manifest says; copy the folder again")
                self._ids = ids
            return self._ids

    def _opened(self) -> dict[str, Array]:
        name = _name(self.number)
        what, wanted = f"{name} of {self.place}", self.files[name]
        with files.opened(self.place) as folder, files.regular(folder, name, self.place) as (fd, size):
            files.check_size(size, wanted, what)
            if size <= loading.SMALL:
                held = files.held(fd, size)
                files.check_digest(files.digest_of(held.data), wanted, what)
            else:
                held = tensors.map_file(fd, size)
        if tensors.facts(held, what) != {"bundle": self.token, "shard": str(self.number)}:
            raise BundleError(f"{what} belongs to another model, or to other users; copy the whole folder again")
        arrays = {name: array.view(np.ndarray) for name, array in tensors.views(held, what).items()}
        if {name: (a.dtype, a.shape) for name, a in arrays.items()} != {n: w[:2] for n, w in self.wanted.items()}:
            raise BundleError(f"{what} does not hold the rows of its users; save the model again")
        for name, (dtype, _, by) in self.wanted.items():
            if by and dtype == np.int32 and not below(arrays[name], self.n_items):
                raise BundleError(f"the array {name!r} of {what} holds items that do not exist")
        if size <= loading.SMALL:
            contents.check_finite(arrays, what)
        return arrays
