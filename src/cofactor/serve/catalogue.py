"""What a page shows of the items and users of one model: search, figures, the map. Computed when first asked for."""

from __future__ import annotations

import re
import threading
import weakref
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from cofactor.data.features.encoding import feature_groups
from cofactor.data.items_only import ItemsOnly
from cofactor.errors import ConfigError
from cofactor.model import HasFactors
from cofactor.recommend.cold_start.users import feature_prior
from cofactor.recommend.groups import USUAL
from cofactor.recommend.predicates import matching
from cofactor.recommend.updates import UpdatedUser
from cofactor.recommender import Recommender
from cofactor.report.maps import item_map

Array = NDArray[Any]
GROUPS = 8
"""Colours of the map: the most common groups."""
GROUP_VALUES = 40
"""That a page offers to filter by."""
IMAGES = re.compile(r"image|img|poster|cover|picture|thumb|photo|artwork")
DAMPING = 10.0
"""Ratings at the mean of all that each item is given, where items are put in order by their mean."""


_PART = 2000
"""Items whose facts are gathered at once, which holds the interpreter."""
LISTS = 20_000
"""Answers with lists that are kept for each model."""
LIST_BYTES = 32 << 10
"""Bytes that one of them may have."""
LIST_OVERHEAD = 300
"""Bytes of the objects around an answer that is kept."""


class Answer(NamedTuple):
    """``who`` is the id of a user, ``user`` its code; ``newer`` what their newer ratings were (None: there were none).
    It is a weak reference, so that an answer that does not hold any more keeps nothing of the user's."""

    who: Any
    user: int
    newer: weakref.ref[UpdatedUser] | None
    content: bytes

    def holds(self, rec: Recommender) -> bool:
        """Whether the user's newer ratings are still these."""
        now = rec.updates.users.get(self.user)
        return now is None if self.newer is None else now is not None and self.newer() is now


class Lists:
    """Answers with lists of known users as bytes, by what was asked. They hold as long as the user's newer ratings are
    those that it was made with. At most ``LISTS``, of ``most`` bytes together."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._kept: dict[bytes, Answer] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def find(self, asked: bytes, rec: Recommender) -> Answer | None:
        """The answer to a request as it was sent; None where it has to be made."""
        found = self._kept.get(asked)
        return found if found is not None and found.holds(rec) else None

    def keep(self, asked: bytes, rec: Recommender, user: Any, answer: bytes) -> None:
        """Keep an answer about a user; the oldest ones make room."""
        code = rec.users.code(user)
        if code < 0 or len(asked) > 500 or len(answer) > LIST_BYTES or _size(asked, answer) > self.most:
            return
        newer = rec.updates.users.get(code)
        with self._lock:
            self._drop(asked)
            self._bytes += _size(asked, answer)
            while self._kept and (len(self._kept) >= LISTS or self._bytes > self.most):
                self._drop(next(iter(self._kept)))
            self._kept[asked] = Answer(user, code, None if newer is None else weakref.ref(newer), answer)

    def _drop(self, asked: bytes) -> None:
        old = self._kept.pop(asked, None)
        self._bytes -= 0 if old is None else _size(asked, old.content)


def _size(asked: bytes, answer: bytes) -> int:
    return len(asked) + len(answer) + LIST_OVERHEAD


class Catalogue:
    """Of the training data, without newer ratings."""

    def __init__(self, rec: Recommender, max_cache: int) -> None:
        self.rec = rec
        self.lists = Lists(max_cache)
        self.heavy: dict[Any, Any] = {}
        """Answers that take long to compute, as futures of the application, by what was asked."""
        self.recent: dict[Any, float] = {}
        """Seconds that answers lately took, by how they are made."""
        self._map: tuple[Array, Array] | None = None
        self._lock = threading.Lock()

    # ---- items

    @cached_property
    def sums(self) -> Array:
        """float64 (n_items,): the ratings of each item, added up; NaN where the model was saved without them."""
        data = self.rec.data
        if isinstance(data, ItemsOnly):
            return np.full(data.n_items, np.nan)
        return np.bincount(data.items, weights=data.values, minlength=data.n_items)

    def facts(self, codes: Array) -> list[dict[str, Any]]:
        """item, title, ratings, mean of these items."""
        return self._facts(codes).to_dicts()

    def _facts(self, codes: Array) -> pl.DataFrame:
        counts = self.rec.data.by_item.counts[codes]
        means = np.where(counts > 0, self.sums[codes] / np.maximum(counts, 1), np.nan)
        ids = self.rec.data.item_ids.decode(codes)
        titles = self.rec.items.titles
        return pl.DataFrame(
            [
                ids.alias("item"),
                pl.Series("title", [None] * len(codes), pl.String) if titles is None else titles.gather(codes),
                pl.Series("ratings", counts),
                pl.Series("mean", means).round(3),
            ]
        )

    @cached_property
    def _item_texts(self) -> pl.Series:
        """Title and id of each item in small letters, by number of ratings, most first."""
        ids = self.rec.data.item_ids.values.cast(pl.String)
        titles = self.rec.items.titles
        texts = ids if titles is None else titles.fill_null("") + "\n" + ids
        return texts.str.to_lowercase().gather(self._by_ratings)

    @cached_property
    def _by_ratings(self) -> Array:
        return np.argsort(-self.rec.data.by_item.counts, kind="stable")

    def search_items(self, text: str, limit: int, offset: int) -> tuple[Array, int]:
        """(codes of items whose title or id holds the text, titles that begin with it first, how many in all)."""
        return _search(self._item_texts, self._by_ratings, text, limit, offset)

    def browse(self, text: str, where: str | None, order: str, limit: int, offset: int) -> tuple[Array, int]:
        """(codes of items whose title or id holds the text and whose row meets the predicate, how many in all)."""
        if where is None and order == "ratings":
            return self.search_items(text, limit, offset)
        codes, _ = self.search_items(text, self.rec.data.n_items, 0)
        if where is not None:
            codes = codes[matching(self.rec.data.item_table, where)[codes]]
        if order != "ratings":
            codes = codes[np.argsort(self._places(order)[codes], kind="stable")]
        return codes[offset : offset + limit], len(codes)

    @property
    def orders(self) -> list[str]:
        """What items can be put in order by."""
        titled = ["title"] if self.rec.items.titles is not None else []
        return ["ratings", *(["mean"] if self.rec.scale.explicit else []), *titled, *self.ranges]

    def _places(self, order: str) -> Array:
        """A number for each item, the smallest first."""
        if order not in self.orders:
            raise ConfigError(f"items cannot be put in order by {order!r}; there are: {', '.join(self.orders)}")
        if order == "mean":
            counts = self.rec.data.by_item.counts
            overall = float(self.rec.data.values.mean(dtype=np.float64))
            damped: Array = -(self.sums + DAMPING * overall) / (counts + DAMPING)
            return damped
        if order == "title":
            titles = self.rec.items.titles
            assert titles is not None
            return titles.str.to_lowercase().rank("ordinal").fill_null(len(titles) + 1).to_numpy()
        table = self.rec.data.item_table
        assert table is not None
        return -table[order].cast(pl.Float64).fill_null(-np.inf).to_numpy()

    # ---- users

    @cached_property
    def user_features(self) -> dict[str, dict[str, Any]]:
        """Columns that tell of users: each with its ``values``, the most common first, or its ``range``."""
        table = self.rec.data.user_table
        if table is None:
            return {}
        used, found = feature_groups(feature_prior(self.rec).names), {}
        for name in (n for n in table.columns if n in used):
            values = table[name].drop_nulls()
            if values.dtype.is_numeric() and values.n_unique() > 2:
                found[name] = {"range": [values.min(), values.max()]}
            elif values.dtype in (pl.String, pl.Boolean) and values.n_unique() <= GROUP_VALUES:
                found[name] = {"values": values.value_counts(sort=True)[name].to_list()}
        return found

    @cached_property
    def _users_by_ratings(self) -> Array:
        return np.argsort(-self.rec.data.by_user.counts, kind="stable")

    @cached_property
    def _user_texts(self) -> pl.Series:
        ids = self.rec.data.user_ids.values.cast(pl.String)
        return ids.str.to_lowercase().gather(self._users_by_ratings)

    def search_users(self, text: str, limit: int, offset: int) -> tuple[Array, int]:
        """(codes of users whose id holds the text, most ratings first, how many in all)."""
        return _search(self._user_texts, self._users_by_ratings, text, limit, offset)

    # ---- the whole

    @property
    def groups(self) -> list[str]:
        """Columns of the side table that say of which kind an item is."""
        table = self.rec.data.item_table
        return [] if table is None else [name for name in USUAL if name in table.columns]

    @cached_property
    def group_values(self) -> dict[str, list[str]]:
        """The values of the first of these columns, the most common first."""
        if not self.groups:
            return {}
        found, column = self.rec.groups(self.groups[0]), self.groups[0]
        counts = np.bincount(found.matrix.indices, minlength=len(found.names))
        order = np.argsort(-counts, kind="stable")[:GROUP_VALUES]
        return {column: [found.names[g].removeprefix(f"{column}=") for g in order]}

    @cached_property
    def ranges(self) -> dict[str, list[float]]:
        """The lowest and the highest number of each numeric column of the side table."""
        table = self.rec.data.item_table
        if table is None:
            return {}
        numeric = [n for n, kind in table.schema.items() if kind.is_numeric() and n != self.rec.data.columns.item]
        found = {}
        for name in numeric:
            values = table[name].drop_nulls().to_numpy()
            if len(values) and values.min() < values.max():
                found[name] = [values.min().item(), values.max().item()]
        return found

    @cached_property
    def image_column(self) -> str | None:
        """The first column of the side table that holds addresses of pictures, by its name and its first values."""
        table = self.rec.data.item_table
        if table is None:
            return None
        for name in (n for n in table.columns if table.schema[n] == pl.String):
            values = table[name].drop_nulls().head(20)
            if IMAGES.search(name.lower()) and len(values) and values.str.starts_with("https://").all():
                return name
        return None

    @cached_property
    def step(self) -> float | None:
        """The smallest step between two different ratings; None where there are too many different ones for a scale."""
        if isinstance(self.rec.data, ItemsOnly):
            return None
        values = np.unique(self.rec.data.values[:100_000])
        return float(np.diff(values).min()) if 1 < len(values) <= 24 else None

    def map(self, limit: int) -> bytes:
        """The most rated items with their places, and the names of the groups that colour them, as JSON. It is made in
        parts, and column by column, so that it holds the interpreter for a moment at a time."""
        with self._lock:  # it takes a while: for everybody once
            rated = int((self.rec.data.by_item.counts > 0).sum())
            if self._map is None or len(self._map[0]) < min(limit, rated):
                shown = self._by_ratings[: min(limit, rated)].astype(np.int32)
                if len(shown) < 3:
                    raise ConfigError("there are too few rated items for a map")
                self._map = shown, item_map(self.rec.model, self.rec.data, shown, seed=self.rec.seed)
            shown, xy = self._map
        shown, xy = shown[:limit], np.asarray(xy[:limit], dtype=np.float64)
        names, groups = self._group_of(shown)
        parts = []
        for at in range(0, len(shown), _PART):
            part = shown[at : at + _PART]
            columns = [
                pl.Series("x", xy[at : at + _PART, 0]).round(4),
                pl.Series("y", xy[at : at + _PART, 1]).round(4),
                groups[at : at + _PART].alias("group"),
            ]
            if (table := self.rec.data.item_table) is not None and "year" in self.ranges:
                columns.append(table["year"].gather(part))
            parts.append(self._facts(part).with_columns(columns).write_json()[1:-1].encode())
        return b'{"items":[' + b",".join(parts) + b'],"groups":' + orjson.dumps(names) + b"}"

    def _group_of(self, items: Array) -> tuple[list[str], pl.Series]:
        """(the most common groups, that of each item: the rarest of these that it has, which says most of it)."""
        if not self.groups:
            return [], pl.Series([None] * len(items), dtype=pl.String)
        found = self.rec.groups(self.groups[0])
        rows = found.matrix.take(items)
        common = np.argsort(-np.bincount(rows.indices, minlength=len(found.names)), kind="stable")[:GROUPS]
        names = [found.names[g].removeprefix(f"{self.groups[0]}=") for g in common]
        place = np.zeros(len(found.names), dtype=np.int64)  # from 1 on; 0: not one of these
        place[common] = np.arange(1, len(common) + 1)
        best = np.zeros(len(items), dtype=np.int64)
        np.maximum.at(best, np.repeat(np.arange(len(items)), np.diff(rows.indptr)), place[rows.indices])
        return names, pl.Series([None, *names], dtype=pl.String).gather(best)

    @property
    def has_biases(self) -> bool:
        """Whether the model has biases to show."""
        return isinstance(self.rec.model, HasFactors) and bool(self.rec.model.bias("item").any())


def _search(texts: pl.Series, order: Array, text: str, limit: int, offset: int) -> tuple[Array, int]:
    """Those whose text holds all the words; such as begin with it come first, else in order."""
    wanted = text.strip().lower()
    if not wanted:
        return order[offset : offset + limit], len(order)
    hit = pl.Series(np.ones(len(texts), dtype=bool))
    for word in wanted.split():
        hit &= texts.str.contains(word, literal=True)
    at = hit.arg_true().to_numpy()
    starts = texts.gather(at).str.starts_with(wanted).to_numpy()
    at = np.concatenate([at[starts], at[~starts]])
    return order[at[offset : offset + limit]], len(at)
