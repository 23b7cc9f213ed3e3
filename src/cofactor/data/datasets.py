"""Load known datasets by name, from a data folder, the cache or a download."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import polars as pl

from cofactor._fork import check_threads
from cofactor._frames import frames_out
from cofactor._validate import check_bool, check_choice
from cofactor.data import download as net
from cofactor.data import movielens
from cofactor.data.catalog import DATASETS, Dataset
from cofactor.data.interactions import Interactions, Split
from cofactor.errors import DatasetError, did_you_mean


@frames_out
def list_datasets() -> pl.DataFrame:
    """List the known datasets.

    Returns:
        A frame name, ratings, users, items, scale, times, licence, and where each is now (``bundled``, a path,
        ``download`` or ``not here``).
    """
    rows = []
    for name, entry in DATASETS.items():
        place = "bundled" if name == "movietweetings-demo" else _found(name)
        where = str(place) if place else "download" if entry.url else "not here"
        size = (entry.ratings, entry.users, entry.items, entry.scale, entry.times)
        rows.append((name, *size, entry.licence, where))
    names = ["name", "ratings", "users", "items", "scale", "times", "licence", "where"]
    return pl.DataFrame(rows, schema=names, orient="row")


def load_dataset(
    name: str = "movietweetings-demo", *, item: Literal["title", "id"] | None = None, download: bool = True
) -> Interactions:
    """Load a known dataset, with the titles, years and genres of its items in ``item_table``.

    The set is looked up in ``$COFACTOR_DATA_DIR``, then in the user's cache, and else downloaded into the cache. The
    bundled ``movietweetings-demo`` needs no download.

    Args:
        name: one of :func:`cofactor.list_datasets`.
        item: whether item ids are titles or the published ids. By default titles for ``ml-100k`` (as in the classic
            notebook: 1,664 of them for 1,682 ids) and ids for the others.
        download: fetch the set where it is not here.

    Raises:
        DatasetError: the set is unknown or cannot be had.
    """
    check_threads()
    entry = _entry(name)
    if item is not None:
        check_choice("item", item, "title", "id")
    if name == "movietweetings-demo":
        data = movielens.demo(Path(__file__).parent / "bundled" / "movietweetings-demo.parquet")
        return movielens.titled(data) if item == "title" else data
    folder = _folder(name, entry, download)
    if name == "ml-100k":
        return movielens.ml_100k(folder, by_title=item != "id")
    if name == "ml-1m":
        data = movielens.ml_1m(folder)
    elif name in ("ml-10m", "movietweetings"):
        data = movielens.dat(folder, name)
    else:
        data = movielens.csv(folder, name)
    return movielens.titled(data) if item == "title" else data


def folds(name: str = "ml-100k", which: Literal["u", "a"] = "u", *, download: bool = True) -> list[Split]:
    """Return the published splits of a dataset.

    Items are the published ids; times and side tables come along.

    Args:
        name: ``"ml-100k"``.
        which: ``"u"``: ``u1`` to ``u5``, five disjoint tests of 20,000 rows; ``"a"``: ``ua`` and ``ub``, ten test rows
            for each user.
        download: fetch the set where it is not here.

    Raises:
        DatasetError: the set is unknown or cannot be had.
    """
    entry = _entry(name)
    if name != "ml-100k":
        raise DatasetError(
            f"{name} is published without folds; ml-100k has them. For others: cofactor.split.kfold(data)"
        )
    check_choice("which", which, "u", "a")
    folder = _folder(name, entry, download)
    names = [f"u{i}" for i in range(1, 6)] if which == "u" else ["ua", "ub"]
    return movielens.ml_100k_folds(folder, movielens.ml_100k(folder, by_title=False), names)


def dataset_path(name: str, *, download: bool = True) -> Path:
    """Return the folder of a known dataset as its publisher packs it, downloaded into the cache if needed."""
    return _folder(name, _entry(name), download)


def cache_dir() -> Path:
    """Return the folder where downloads are kept."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("cofactor", appauthor=False)) / "datasets"


def _entry(name: str) -> Dataset:
    try:
        return DATASETS[name]
    except (KeyError, TypeError):
        raise DatasetError(
            f"no dataset {name!r}; there are: {', '.join(DATASETS)}.{did_you_mean(name, DATASETS)}"
        ) from None


def _found(name: str) -> Path | None:
    """Return the folder that already holds the set, or None."""
    given = os.environ.get("COFACTOR_DATA_DIR")
    for root in ([Path(given).expanduser()] if given else []) + [cache_dir()]:
        for folder in (name, *DATASETS[name].folders):
            if (root / folder).is_dir():
                return root / folder
    return None


def _folder(name: str, entry: Dataset, download: bool) -> Path:
    check_bool("download", download)
    found = _found(name)
    if found is not None:
        return found
    if entry.url is None or not download:
        how = "set COFACTOR_DATA_DIR to a folder that has it"
        how += " or allow the download" if entry.url else ""
        raise DatasetError(f"dataset {name} is not on this machine; {how}")

    archive = net.fetch(entry.url, cache_dir() / f"{name}.zip", md5=entry.md5, limit=entry.limit)
    folder = net.unpack(archive, cache_dir() / name, limit=16 * entry.limit)
    archive.unlink()
    return folder
