"""Read the published layouts of MovieLens and MovieTweetings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from cofactor.data.features.side_tables import align_frame
from cofactor.data.ids.id_map import IdMap
from cofactor.data.interactions import Interactions, Split
from cofactor.data.read import read
from cofactor.errors import DatasetError

_YEAR = r"\((\d{4})\)\s*$"


def ml_100k(folder: Path, by_title: bool) -> Interactions:
    """Read ``u.data``, ``u.item`` (latin-1) and ``u.user``. By title there are 1,664 items: 18 titles stand for two ids
    each, and the few users who rated both keep both rows."""
    data = read(_need(folder, "u.data"), user=0, item=1, rating=2, time=3, sep="\t", header=False)
    names = [line.split("|")[0] for line in _lines(_need(folder, "u.genre"), "latin-1")]
    movies = []
    for line in _lines(_need(folder, "u.item"), "latin-1"):
        movie, title, released, _, _, *flags = line.split("|")
        genres = "|".join(name for name, flag in zip(names, flags) if flag == "1")
        movies.append((int(movie), title, released or None, genres or None))
    items = pl.DataFrame(movies, schema=["movie", "title", "released", "genres"], orient="row")
    items = items.with_columns(_year("title"), pl.col("released").str.to_date("%d-%b-%Y", strict=False))
    people = [line.split("|") for line in _lines(_need(folder, "u.user"), "latin-1")]
    users = pl.DataFrame(people, schema=["user", "age", "gender", "occupation", "zip"], orient="row")
    users = users.with_columns(pl.col("user", "age").cast(pl.Int64))
    items = items.select("movie", "title", "year", "released", "genres")
    data = _described(data, items, "movie", users, "ml-100k")
    return titled(data) if by_title else data


def ml_1m(folder: Path) -> Interactions:
    """Read the original ``ratings.dat``, ``movies.dat`` and ``users.dat``, or a copy as ``ratings.csv`` and
    ``items.csv``."""
    if (folder / "ratings.dat").exists():
        return dat(folder, "ml-1m", "latin-1")
    data = read(_need(folder, "ratings.csv"))
    items = pl.read_csv(folder / "items.csv") if (folder / "items.csv").exists() else None
    if items is not None:
        items = items.with_columns(_year("title")).select("item", "title", "year", "genres")
    return _described(data, items, data.columns.item, None, "ml-1m")


def dat(folder: Path, name: str, encoding: str = "utf-8") -> Interactions:
    """Read ``ratings.dat`` and ``movies.dat`` with ``::`` between fields, and MovieLens' ``users.dat`` where there is
    one."""
    data = read(_need(folder, "ratings.dat"), user=0, item=1, rating=2, time=3, sep="::", header=False)
    rows = [line.split("::") for line in _lines(_need(folder, "movies.dat"), encoding)]
    items = pl.DataFrame(rows, schema=["movie", "title", "genres"], orient="row")
    if data.item_ids.values.dtype.is_integer():
        items = items.with_columns(pl.col("movie").cast(pl.Int64))
    items = items.with_columns(_year("title"), pl.col("genres").replace("", None))
    users = None
    if name.startswith("ml-") and (folder / "users.dat").exists():
        people = [line.split("::") for line in _lines(folder / "users.dat", encoding)]
        users = pl.DataFrame(people, schema=["user", "gender", "age", "occupation", "zip"], orient="row")
        users = users.with_columns(pl.col("user", "age").cast(pl.Int64))
    return _described(data, items.select("movie", "title", "year", "genres"), "movie", users, name)


def csv(folder: Path, name: str) -> Interactions:
    """Read ``ratings.csv`` (userId, movieId, rating, timestamp) and ``movies.csv`` (movieId, title, genres)."""
    data = read(_need(folder, "ratings.csv"), user="userId", item="movieId", rating="rating", time="timestamp")
    items = pl.read_csv(_need(folder, "movies.csv"), schema_overrides={"title": pl.String, "genres": pl.String})
    items = items.with_columns(_year("title"), pl.col("genres").replace("(no genres listed)", None))
    return _described(data, items.select("movieId", "title", "year", "genres"), "movieId", None, name)


def demo(file: Path) -> Interactions:
    """Read the bundled 5-core of MovieTweetings: one table with titles and genres in its rows."""
    frame = pl.read_parquet(file)
    data = read(frame, user="user", item="item", rating="rating", time="time")
    items = frame.select("item", "title", "genres").unique("item", keep="first").with_columns(_year("title"))
    return _described(data, items.select("item", "title", "year", "genres"), "item", None, "movietweetings-demo")


def ml_100k_folds(folder: Path, whole: Interactions, names: list[str]) -> list[Split]:
    """Read the published cuts ``NAME.base`` and ``NAME.test``, with the id maps and side tables of the whole set."""
    out = []
    for name in names:
        parts = []
        for end in ("base", "test"):
            path = _need(folder, f"{name}.{end}")
            part = read(path, user=0, item=1, rating=2, time=3, sep="\t", header=False)
            users = whole.user_ids.encode(part.user_ids.values)[part.users]
            items = whole.item_ids.encode(part.item_ids.values)[part.items]
            parts.append(whole.replace(users=users, items=items, values=part.values, times=part.times, name=path.name))
        train = parts[0].replace(held_out="random")
        out.append(Split(train, parts[1], f"given: {name}.base for training, {name}.test for validation"))
    return out


def titled(data: Interactions) -> Interactions:
    """Return the ratings with titles as item ids. Ids that share a title become one item, described by the first."""
    table = data.item_table
    if table is None or "title" not in table.columns:
        raise DatasetError(f"{data.name} has no titles; use item='id'")
    known = table["title"].fill_null("").to_list()
    ids = [title or str(value) for title, value in zip(known, data.item_ids)]
    titles = pl.Series("title", ids, dtype=pl.String)
    item_ids = IdMap(titles.unique().sort(), "item")
    items = item_ids.encode(titles)[data.items]
    key = table.columns[0]
    renamed = table.with_columns(titles).select("title", key, *[c for c in table.columns[1:] if c != "title"])
    aligned, _ = align_frame(renamed, "title", item_ids, "title")
    columns = data.columns._replace(item="title")
    note = f"items are titles: {len(item_ids):,} of {data.n_items:,} ids"
    return data.replace(items=items, item_ids=item_ids, item_table=aligned, columns=columns, notes=(*data.notes, note))


def _described(
    data: Interactions, items: pl.DataFrame | None, key: str, users: pl.DataFrame | None, name: str
) -> Interactions:
    """Add side tables and the set's own name of the item column. Notes on how a known layout was read are dropped."""
    columns = data.columns._replace(item=key)
    changes: dict[str, Any] = {"columns": columns, "name": name, "notes": ()}
    if items is not None:
        changes["item_table"] = align_frame(items, key, data.item_ids, key)[0]
    if users is not None:
        changes["user_table"] = align_frame(users, "user", data.user_ids, columns.user)[0]
    return data.replace(**changes)


def _year(column: str) -> pl.Expr:
    return pl.col(column).str.extract(_YEAR).cast(pl.Int32).alias("year")


def _lines(path: Path, encoding: str) -> list[str]:
    return [line for line in path.read_text(encoding=encoding).split("\n") if line.strip()]


def _need(folder: Path, name: str) -> Path:
    if not (folder / name).exists():
        raise DatasetError(f"{folder} lacks {name}; remove the folder to download the set again, or add the file")
    return folder / name
