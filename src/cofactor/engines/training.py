"""Train in blocks of rows, on several processes of one machine or on a cluster, bit for bit like one process."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor._fork import check_threads
from cofactor._validate import check_bool, check_int
from cofactor.bundle import check_writable, save, shards
from cofactor.data.fingerprint import fingerprint
from cofactor.data.ids.id_map import IdMap
from cofactor.data.interactions import Duplicates, Interactions, Reading
from cofactor.data.kind import Kind, check_kind
from cofactor.data.read import read
from cofactor.data.rows.repeats import check_duplicates
from cofactor.data.rows.rows import MissingIds
from cofactor.data.trainable import check_limits, check_trainable
from cofactor.engines import als, bias, chains, ease, ials, item_cosine, next_item, popular, svdpp
from cofactor.engines.blocks import items_of
from cofactor.engines.codes import stored_ids
from cofactor.engines.executors import Executor, Here
from cofactor.engines.prepare import Prepared, prepare
from cofactor.engines.source import parts_of
from cofactor.engines.work import SIDES, Done, Work, put_pieces, take
from cofactor.errors import ConfigError, DataError
from cofactor.fitting.fit import check_values
from cofactor.models import model_class
from cofactor.models.base.config import make_config
from cofactor.recommend.fitted import Fitted
from cofactor.recommender import Recommender, load

Array = NDArray[Any]
Train = Callable[[Work, Prepared, Any, int], tuple[dict[str, Array], list[list[float]]]]

MODELS: dict[str, Train] = {
    "als": als.train,
    "bias": bias.train,
    "ease": ease.train,
    "ials": ials.train,
    "item-cosine": item_cosine.train,
    "next-item": next_item.train,
    "popular": popular.train,
    "svd++": svdpp.train,
}
"""The models that can be trained in blocks of rows."""
CHAINS = "bayes-mf"
"""The model that trains one chain per job; each job holds the whole table."""
ORDERED = ("next-item",)
"""The models that depend on the table order of rows with the same time."""


def _refuse_dislikes(source: Any, weights: Mapping[str, float] | None) -> None:
    """Raise ConfigError if rows are dislikes, which training in blocks does not support."""
    below = isinstance(source, Interactions) and source.kind == "events" and (source.values < 0).any()
    if below or any(value < 0 for value in (weights or {}).values()):
        raise ConfigError("dislikes (weights below 0) train on one machine (cofactor.fit); give weights of 0 or more")


def fit(
    source: Any,
    model: str,
    work: str | Path,
    out: str | Path,
    *,
    executor: Executor | None = None,
    block_rows: int = 65_536,
    resume: bool = True,
    seed: int = 42,
    users_per_shard: int | None = None,
    user: str | None = None,
    item: str | None = None,
    rating: Any = None,
    time: Any = None,
    count: str | None = None,
    behaviour: Any = None,
    weights: Mapping[str, float] | None = None,
    kind: Kind | None = None,
    duplicates: Duplicates | None = None,
    missing: list[Any] | None = None,
    missing_ids: MissingIds = "error",
    fold_ids: bool = False,
    dates: str | None = None,
    **config: Any,
) -> Recommender:
    """Train a model in blocks of rows, and save it to ``out``, bit for bit like ``cf.fit(..., calibrate=False)``.

    ``source``: a folder of files (Parquet files are read in parts; folders such as ``year=2001`` are columns), a file,
    a pattern, a list of files, an address such as ``s3://...`` (with fsspec), a Spark frame (written beside ``work``
    first), or Interactions. ``user`` ... ``dates`` are those of :func:`cofactor.read`. ``model``: one of
    :data:`MODELS`, or ``bayes-mf``, for which each job runs a whole chain and holds the whole table; ``config``: its
    fields. ``executor``: :func:`cofactor.engines.processes` or :func:`cofactor.engines.spark`; by default this process
    alone.

    ``work`` is a folder that all workers see. It is the checkpoint: a training that was killed is resumed
    (``resume=False`` refuses a folder that holds one) and ends with the same bits. Delete it once ``out`` is written.
    ``users_per_shard``: write the users of ``out`` in files of this many; see :meth:`cofactor.Recommender.save`.
    ``block_rows``: the maximal number of users (or items) in a job; the result does not depend on it.

    Raises ConfigError for a model that trains on one machine only or a folder that holds another training, DataError
    for a source that cannot be used and for parts that are damaged, missing or changed.
    """
    check_threads()
    check_int("seed", seed, 0)
    check_int("block_rows", block_rows, 1)
    check_bool("resume", resume)
    if users_per_shard is not None:
        check_int("users_per_shard", users_per_shard, 1)
    if not isinstance(work, (str, os.PathLike)) or not os.fspath(work):
        raise ConfigError(f"work is {work!r}; give an empty or new folder")
    settings = _settings(model, config)
    check_writable(out)
    check_duplicates(duplicates)
    check_kind(kind)
    if count is not None and (rating is not None or kind not in (None, "counts")):
        raise ConfigError(f"count={count!r} names the column of counts; leave rating= and kind= out")
    kind = "counts" if count is not None else kind
    _refuse_dislikes(source, weights)
    options = {
        "user": user,
        "item": item,
        "rating": rating if count is None else count,
        "time": time,
        "behaviour": behaviour,
        "weights": None if weights is None else dict(weights),
        "missing": missing,
        "missing_ids": missing_ids,
        "fold_ids": fold_ids,
        "dates": dates,
    }
    data = source if isinstance(source, Interactions) else None
    if data is not None and data.weights is not None:
        raise ConfigError("training in blocks cannot use row weights; use cf.fit, or read without weight=...")
    source = _spark_parts(source, Path(work)) if hasattr(source, "sparkSession") else source
    if model == CHAINS and data is None:
        data = read(source, **options | {"rating": rating}, count=count, kind=kind, duplicates=duplicates)
    todo: list[dict[str, Any]] = []
    if data is not None:
        check_trainable(data)
        known: dict[str, Any] = {"fingerprint": fingerprint(data)}
    else:
        todo, known = parts_of(source, options)
    key = {
        "source": known,
        "columns": options,
        "duplicates": duplicates,
        "kind": kind,
        "model": model,
        "config": dataclasses.asdict(settings),
        "seed": int(seed),
        "block_rows": int(block_rows),
    }
    folder = Work(work, key, executor or Here(), resume=resume)
    try:
        if model == CHAINS:
            assert data is not None
            fitted = _by_chains(folder, data, settings, int(seed))
        else:
            prepared = prepare(folder, todo, data, block_rows, duplicates, kind, weights, model in ORDERED)
            fitted = _by_blocks(folder, prepared, data, model, settings, int(seed), _reading(options))
        if users_per_shard is None:
            save(fitted, out)
        else:
            shards.save(fitted, out, users_per_shard)
        return load(out)
    finally:
        folder.release()


def _settings(model: str, config: dict[str, Any]) -> Any:
    """Return the model's parameters. Raises ConfigError for one that trains on one machine only."""
    settings = make_config(model_class(model).Config, config)
    if model not in MODELS and model != CHAINS:
        raise ConfigError(
            f"{model} trains on one machine (cofactor.fit), if needed on a sample of the users; these train in blocks"
            f" of rows: {', '.join(sorted(MODELS))}; and {CHAINS} trains one chain per worker"
        )
    check_blocks(model, settings)
    return settings


def _reading(options: Mapping[str, Any]) -> Reading:
    """Return how the table was read, for later tables."""
    behaviour, missing = options["behaviour"], options["missing"]
    return Reading(
        behaviour if isinstance(behaviour, str) or behaviour is False else None,
        options["weights"],
        options["dates"],
        None if missing is None else tuple(missing),
        options["missing_ids"],
        options["fold_ids"],
    )


def _by_chains(folder: Work, data: Interactions, settings: Any, seed: int) -> Fitted:
    cls = model_class(CHAINS)
    check_values(CHAINS, cls.task, data.kind, data.range, data.columns)
    state, history = chains.train(folder, data, settings, seed)
    return Fitted(cls.from_state(settings, state), data, seed=seed, history=history)


def _by_blocks(
    folder: Work, prepared: Prepared, data: Interactions | None, model: str, settings: Any, seed: int, reading: Reading
) -> Fitted:
    for side in SIDES:
        if prepared.size(side) < 2:
            raise DataError(f"only one {side}; at least two are needed to learn anything")
    check_limits(*prepared.limits, prepared.columns, prepared.kind)
    cls = model_class(model)
    check_values(model, cls.task, prepared.kind, prepared.limits, prepared.columns)
    state, history = MODELS[model](folder, prepared, settings, seed)
    rows = _interactions(folder, prepared, data, reading._replace(unit=prepared.unit))
    return Fitted(cls.from_state(settings, state), rows, seed=seed, history=history)


def check_blocks(model: str, settings: Any) -> None:
    """Raise ConfigError for settings that only training on one machine supports."""
    if model not in ("popular", "next-item") and getattr(settings, "half_life", None):
        raise ConfigError(f"{model} with a half_life trains on one machine (cofactor.fit); set half_life=0 for blocks")
    if getattr(settings, "propensity", 0):
        raise ConfigError(f"{model} with propensity trains on one machine (cofactor.fit); set propensity=0 for blocks")
    if getattr(settings, "weighting", "") == "rp3beta":
        raise ConfigError(
            f"{model} with weighting='rp3beta' trains on one machine (cofactor.fit); use bm25, tfidf or cosine"
        )


def _spark_parts(frame: Any, work: Path) -> Path:
    """Write a Spark frame as a folder of Parquet files beside the work folder."""
    place = work.parent / f"{work.name}.source"
    if not (place / "_SUCCESS").exists():
        frame.write.mode("overwrite").parquet(str(place.absolute()))
    return place


def _interactions(work: Work, data: Prepared, source: Interactions | None, reading: Reading) -> Interactions:
    """Return the rows as a bundle keeps them: by user, items ascending. They are mapped, so they need no memory."""
    ids: dict[str, IdMap] = {}
    for side in SIDES:
        given = None if source is None else (source.user_ids if side == "user" else source.item_ids)
        parts = [] if given is not None else data.ranges[side]
        merged = [stored_ids(data.folder, f"ids/{side}-{n}", form, end - first) for n, first, end, form in parts]
        ids[side] = given if given is not None else IdMap(pl.concat(merged), side)
    kinds = {"users": np.int32, "items": np.int32, "values": np.float32} | ({"times": np.int64} if data.timed else {})
    blocks = data.blocks("user")
    put_all = {"folder": data.folder, "blocks": blocks, "rows": data.rows, "kinds": kinds}
    work.step("z-rows", rows_task, [put_all])
    found = {what: np.asarray(take(data.folder, f"all-{what}")) for what in kinds}
    tables: dict[str, Any] = {"reading": reading}
    if source is not None:
        tables = {"item_table": source.item_table, "item_features": source.item_features, "name": source.name}
        tables |= {"user_table": source.user_table, "user_features": source.user_features, "reading": source.reading}
    return Interactions(
        found["users"],
        found["items"],
        found["values"],
        found.get("times"),
        ids["user"],
        ids["item"],
        columns=data.columns,
        kind=data.kind,
        duplicates=data.duplicates,
        notes=tuple(data.notes),
        **tables,
    )


def rows_task(job: dict[str, Any]) -> Done:
    """Join the rows of all blocks of users to one table."""
    folder = job["folder"]

    def pieces(what: str) -> Iterator[Array]:
        for block, lo, hi in job["blocks"]:
            if what == "users":
                counts = np.diff(take(folder, f"user-{block}-indptr"))
                yield np.repeat(np.arange(lo, hi, dtype=np.int32), counts)
            elif what == "items":
                yield items_of(folder, block)
            else:
                yield take(folder, f"user-{block}-{what}")

    files = [
        put_pieces(folder, f"all-{what}", kind, (job["rows"],), pieces(what)) for what, kind in job["kinds"].items()
    ]
    return Done(None, files)
