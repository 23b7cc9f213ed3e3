"""Items and users of one model, as the web pages show them: search, figures, the map. All is computed on demand."""

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
"""Most groups with a colour on the map: the most frequent ones."""
GROUP_VALUES = 40
"""Most values of a column that a page offers as filters."""
IMAGES = re.compile(r"image|img|poster|cover|picture|thumb|photo|artwork")
DAMPING = 10.0
"""Pseudo-ratings at the overall mean added to each item when items are sorted by their mean (shrinkage)."""


_PART = 2000
"""Number of items whose facts are gathered in one step, during which the interpreter is blocked."""
LISTS = 20_000
"""Most cached answers per model."""
LIST_BYTES = 32 << 10
"""Largest size of a cached answer, in bytes."""
LIST_OVERHEAD = 300
"""Bytes of the Python objects around a cached answer."""


class Answer(NamedTuple):
    """A cached answer: ``who`` is the id of the user, ``user`` the code, ``newer`` their newer ratings (None: none).

    ``newer`` is a weak reference, so that an outdated answer does not keep a user's data alive.
    """

    who: Any
    user: int
    newer: weakref.ref[UpdatedUser] | None
    content: bytes

    def holds(self, rec: Recommender) -> bool:
        """Return whether the answer is still valid: the user's newer ratings have not changed."""
        now = rec.updates.users.get(self.user)
        return now is None if self.newer is None else now is not None and self.newer() is now


class Lists:
    """A cache of answers for known users, as bytes, by the request. An answer is valid until the user's newer ratings
    change. It holds at most ``LISTS`` answers of ``most`` bytes in all."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._kept: dict[bytes, Answer] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def find(self, asked: bytes, rec: Recommender) -> Answer | None:
        """Return the cached answer to a request; None where there is no valid one."""
        found = self._kept.get(asked)
        return found if found is not None and found.holds(rec) else None

    def keep(self, asked: bytes, rec: Recommender, user: Any, answer: bytes) -> None:
        """Cache an answer about a user, and drop the oldest ones beyond the limits."""
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
    """The catalogue of the training data, without newer ratings."""

    def __init__(self, rec: Recommender, max_cache: int) -> None:
        self.rec = rec
        self.lists = Lists(max_cache)
        self.heavy: dict[Any, Any] = {}
        """Slow answers, as futures of the application, by the request."""
        self.recent: dict[Any, float] = {}
        """Mean processor seconds of recent answers, by handler."""
        self._map: tuple[Array, Array] | None = None
        self._lock = threading.Lock()

    # ---- items

    @cached_property
    def sums(self) -> Array:
        """Sums of each item's ratings, float64 (n_items,); NaN where the model was saved without ratings."""
        data = self.rec.data
        if isinstance(data, ItemsOnly):
            return np.full(data.n_items, np.nan)
        return np.bincount(data.items, weights=data.values, minlength=data.n_items)

    def facts(self, codes: Array) -> list[dict[str, Any]]:
        """Return item, title, ratings and mean of these items."""
        return self._facts(codes).to_dicts()

    def _facts(self, codes: Array) -> pl.DataFrame:
        counts = self.rec.data.item_counts[codes]
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
        """Title and id of each item in lower case, most rated first."""
        ids = self.rec.data.item_ids.values.cast(pl.String)
        titles = self.rec.items.titles
        texts = ids if titles is None else titles.fill_null("") + "\n" + ids
        return texts.str.to_lowercase().gather(self._by_ratings)

    @cached_property
    def _by_ratings(self) -> Array:
        return np.argsort(-self.rec.data.item_counts, kind="stable")

    def search_items(self, text: str, limit: int, offset: int) -> tuple[Array, int]:
        """Return (codes of items whose title or id contains the text, number of all matches). Titles that begin with
        the text come first."""
        return _search(self._item_texts, self._by_ratings, text, limit, offset)

    def browse(self, text: str, where: str | None, order: str, limit: int, offset: int) -> tuple[Array, int]:
        """Return (codes of items whose title or id contains the text and whose row meets the predicate, number of all
        matches)."""
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
        """The orders in which items can be sorted."""
        titled = ["title"] if self.rec.items.titles is not None else []
        return ["ratings", *(["mean"] if self.rec.scale.explicit else []), *titled, *self.ranges]

    def _places(self, order: str) -> Array:
        """Return a sort key for each item, in ascending order."""
        if order not in self.orders:
            raise ConfigError(f"items cannot be sorted by {order!r}; give one of: {', '.join(self.orders)}")
        if order == "mean":
            counts = self.rec.data.item_counts
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
        """Columns of the user table that are features, each with its ``values``, most frequent first, or its
        ``range``."""
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
        """Return (codes of users whose id contains the text, most ratings first; number of all matches)."""
        return _search(self._user_texts, self._users_by_ratings, text, limit, offset)

    # ---- the whole

    @property
    def groups(self) -> list[str]:
        """Columns of the item table with groups, such as genres."""
        table = self.rec.data.item_table
        return [] if table is None else [name for name in USUAL if name in table.columns]

    @cached_property
    def group_values(self) -> dict[str, list[str]]:
        """The values of the first of these columns, most frequent first."""
        if not self.groups:
            return {}
        found, column = self.rec.groups(self.groups[0]), self.groups[0]
        counts = np.bincount(found.matrix.indices, minlength=len(found.names))
        order = np.argsort(-counts, kind="stable")[:GROUP_VALUES]
        return {column: [found.names[g].removeprefix(f"{column}=") for g in order]}

    @cached_property
    def ranges(self) -> dict[str, list[float]]:
        """The smallest and the largest number in each numeric column of the item table."""
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
        """The first column of the item table with addresses of pictures, recognised by its name and first values."""
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
        """The smallest step between two ratings; None where there are too many distinct values for a scale."""
        if isinstance(self.rec.data, ItemsOnly):
            return None
        values = np.unique(self.rec.data.values[:100_000])
        return float(np.diff(values).min()) if 1 < len(values) <= 24 else None

    def map(self, limit: int) -> bytes:
        """Return as JSON the most rated items with their places, and the names of the groups that colour them.

        The JSON is made in parts, so that the interpreter is never blocked for long.
        """
        with self._lock:  # slow, so computed only once
            rated = int((self.rec.data.item_counts > 0).sum())
            if self._map is None or len(self._map[0]) < min(limit, rated):
                shown = self._by_ratings[: min(limit, rated)].astype(np.int32)
                if len(shown) < 3:
                    raise ConfigError("a map needs at least 3 rated items")
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
        """Return (the most frequent groups, the group of each item). Of several groups an item gets the rarest one,
        which characterises it best."""
        if not self.groups:
            return [], pl.Series([None] * len(items), dtype=pl.String)
        found = self.rec.groups(self.groups[0])
        rows = found.matrix.take(items)
        common = np.argsort(-np.bincount(rows.indices, minlength=len(found.names)), kind="stable")[:GROUPS]
        names = [found.names[g].removeprefix(f"{self.groups[0]}=") for g in common]
        place = np.zeros(len(found.names), dtype=np.int64)  # from 1; 0: no group
        place[common] = np.arange(1, len(common) + 1)
        best = np.zeros(len(items), dtype=np.int64)
        np.maximum.at(best, np.repeat(np.arange(len(items)), np.diff(rows.indptr)), place[rows.indices])
        return names, pl.Series([None, *names], dtype=pl.String).gather(best)

    @property
    def has_biases(self) -> bool:
        """Whether the model has biases to show."""
        return isinstance(self.rec.model, HasFactors) and bool(self.rec.model.bias("item").any())


def _search(texts: pl.Series, order: Array, text: str, limit: int, offset: int) -> tuple[Array, int]:
    """Return (matches whose text contains all the words, their number). Matches that begin with the text come first;
    otherwise ``order`` applies."""
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
