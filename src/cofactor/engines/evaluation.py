"""Evaluate a model and make lists on several workers: each opens the saved model and handles part of the users."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor._fork import check_threads
from cofactor._frames import frames_out
from cofactor.bundle import info
from cofactor.data.interactions import CSR
from cofactor.engines.executors import Executor, Here
from cofactor.errors import BundleError, ConfigError
from cofactor.evaluation import evaluate as evaluate_here
from cofactor.evaluation.measure import rank_users
from cofactor.evaluation.scorer import Scorer, scorer
from cofactor.model import Interval
from cofactor.recommender import Recommender, load

Array = NDArray[Any]

PARTS = 4
"""Parts per worker, so that all workers end at about the same time."""
MOST = 65_536
"""Maximal number of users, or rows, in a part."""


@frames_out
def evaluate(
    bundle: str | Path, test: Any, metrics: Any = None, *, executor: Executor | None = None, **options: Any
) -> pl.DataFrame:
    """Return the figures of :func:`cofactor.evaluate` for a saved model, computed by ``executor``.

    ``bundle``: the path of the model, the same for all workers. ``test``: Interactions, a Split, a path, a frame (also
    of Spark). They must fit into the driver's memory, and so must the lists of the test users. ``metrics`` and
    ``options`` are those of :func:`cofactor.evaluate`. Raises the errors of that function, and BundleError if a worker
    sees another model.
    """
    check_threads()
    if getattr(test, "given", None) is not None:
        raise ConfigError("users who are folded in from given rows are evaluated on one machine: cofactor.evaluate")
    by = spread_scorer(bundle, executor or Here())
    if hasattr(test, "sparkSession"):
        test = pl.DataFrame(pl.from_arrow(test.toArrow()))
    return evaluate_here(by, test, metrics, **options)


def spread_scorer(bundle: str | Path, executor: Executor) -> Scorer:
    """Return a scorer whose predictions and lists are made by the workers."""
    place = str(Path(bundle).absolute())
    mine = scorer(load(place))
    shared = {"bundle": place, "digest": info(place)["digest"]}

    def over(function: Callable[[Any], Any], n: int, job: Callable[[slice], dict[str, Any]]) -> list[Any]:
        size = max(1, min(MOST, -(-n // (PARTS * executor.workers))))
        parts = [slice(lo, min(lo + size, n)) for lo in range(0, n, size)]
        found: list[Any] = executor.map(function, [shared | job(part) for part in parts])
        return found

    def pairs(users: Array, items: Array, times: Array | None, part: slice) -> dict[str, Any]:
        return {"users": users[part], "items": items[part], "times": None if times is None else times[part]}

    def predict(users: Array, items: Array, times: Array | None) -> Array:
        found = over(predict_task, len(users), lambda part: pairs(users, items, times, part))
        return np.concatenate([np.empty(0, dtype=np.float32), *found])

    def interval(users: Array, items: Array, level: float, times: Array | None) -> Interval:
        found = over(interval_task, len(users), lambda part: pairs(users, items, times, part) | {"level": level})
        return Interval(*np.concatenate([np.empty((3, 0), dtype=np.float32), *found], axis=1))

    def rank(users: Array, relevant: CSR, n: int, full: bool, exclude: Any) -> tuple[Array, Array]:
        def job(part: slice) -> dict[str, Any]:
            some = relevant.take(np.arange(part.start, part.stop))
            return {"users": users[part], "relevant": some, "n": n, "full": full, "exclude": exclude}

        found = over(rank_task, len(users), job)
        tops = [np.empty((0, n), dtype=np.int32), *(top for top, _ in found)]
        return np.concatenate(tops), np.concatenate([np.empty(0), *(areas for _, areas in found)])

    return dataclasses.replace(mine, predict=predict, interval=None if mine.interval is None else interval, rank=rank)


@functools.lru_cache(maxsize=1)
def opened(bundle: str, digest: str) -> Recommender:
    """Open the model on a worker, and keep it for the worker's next job. Raises BundleError if it is not the driver's
    model."""
    if info(bundle)["digest"] != digest:
        raise BundleError(f"{bundle} on this worker is not the driver's model; use a path that all machines share")
    return load(bundle)


def predict_task(job: dict[str, Any]) -> Array:
    """Return predictions for a part of the rows."""
    return scorer(opened(job["bundle"], job["digest"])).predict(job["users"], job["items"], job["times"])


def interval_task(job: dict[str, Any]) -> Array:
    """Return intervals for a part of the rows, float32 (3, n)."""
    by = scorer(opened(job["bundle"], job["digest"]))
    assert by.interval is not None
    return np.stack(by.interval(job["users"], job["items"], job["level"], job["times"]))


def rank_task(job: dict[str, Any]) -> tuple[Array, Array]:
    """Return the lists of a part of the users."""
    by = scorer(opened(job["bundle"], job["digest"]))
    return rank_users(by, job["users"], job["relevant"], job["n"], job["full"], job["exclude"])


# ---- lists


def recommend_all(
    bundle: str | Path,
    out: str | Path,
    n: int = 10,
    *,
    executor: Executor | None = None,
    at_once: int = 50_000,
    **options: Any,
) -> Path:
    """Write the lists of :meth:`Recommender.recommend_all` for all users of a saved model.

    The result is a folder of Parquet files of ``at_once`` users each, written by the workers. All workers must see the
    paths ``bundle`` and ``out``. A run that was killed is resumed. Raises ConfigError if ``out`` holds other lists, or
    for invalid options. Returns ``out``.
    """
    check_threads()
    if "users" in options or "out" in options:
        raise ConfigError("recommend_all() over several workers makes lists for all users; leave out users= and out=")
    place, folder = str(Path(bundle).absolute()), Path(out)
    rec = load(place)
    rec.recommend_all(n, users=[], **options)  # errors in the options are raised here
    digest = info(place)["digest"]
    job = {"bundle": place, "digest": digest, "n": n, "options": options, "folder": str(folder.absolute())}
    mark = repr((digest, n, at_once, sorted(options.items(), key=lambda pair: pair[0])))
    _begin(folder, mark)
    cuts = itertools.pairwise([*range(0, rec.data.n_users, at_once), rec.data.n_users])
    jobs = [job | {"range": pair, "file": f"part-{at:06d}.parquet"} for at, pair in enumerate(cuts)]
    (executor or Here()).map(lists_task, [one for one in jobs if not (folder / one["file"]).exists()])
    (folder / "_SUCCESS").touch()
    return folder


def _begin(folder: Path, mark: str) -> None:
    """Raise ConfigError if the folder holds anything but a part of these lists."""
    place = folder / "_LISTS"
    try:
        if place.exists():
            if place.read_text(encoding="utf-8") != mark:
                raise ConfigError(
                    f"{folder} holds other lists (of another model or with other options); give another folder"
                )
            return
        if folder.exists() and any(folder.iterdir()):
            raise ConfigError(f"{folder} holds other files; give an empty or new folder")
        folder.mkdir(parents=True, exist_ok=True)
        place.write_text(mark)
    except OSError as error:
        raise ConfigError(f"cannot write in {folder}: {error.strerror or error}") from None


def lists_task(job: dict[str, Any]) -> None:
    """Write the lists of a range of users, completely or not at all."""
    rec = opened(job["bundle"], job["digest"])
    users = rec.data.user_ids.values[slice(*job["range"])]
    lists = rec.recommend_all(job["n"], users=users, **job["options"])
    assert lists is not None
    folder = Path(job["folder"])
    scratch = folder / f".{job['file']}.{id(job)}.tmp"
    lists.write_parquet(scratch)
    scratch.rename(folder / job["file"])
