"""Compare two recommenders: metrics, top lists, items that moved, vectors that drifted."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor._blas import one_thread
from cofactor._frames import frames_out
from cofactor._validate import check_fraction, check_int
from cofactor.data.fingerprint import fingerprint
from cofactor.data.ids.id_map import IdMap
from cofactor.errors import ConfigError
from cofactor.model import HasFactors
from cofactor.recommend.fitted import Fitted
from cofactor.recommend.topn import mask_rows, top_n

Array = NDArray[Any]
_BLOCK = 256


@frames_out
@dataclass(frozen=True)
class Diff:
    """The differences in frames: ``facts`` (what, a, b), ``metrics`` (metric, a, b, change), ``lists`` of length ``n``
    (user, rbo, shared), ``moved`` (item, rank_a, rank_b, moved), ``drift`` (side, common, cosine, drift)."""

    facts: pl.DataFrame
    metrics: pl.DataFrame
    lists: pl.DataFrame
    moved: pl.DataFrame
    drift: pl.DataFrame
    n: int
    moved_by: str
    """The criterion that items are ranked by: "bias" or "popularity"."""

    @property
    def overlap(self) -> float | None:
        """The mean rank-biased overlap of the lists; None without common users."""
        return float(self.lists["rbo"].mean()) if len(self.lists) else None  # type: ignore[arg-type]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        frames = {name: getattr(self, name).to_dicts() for name in ("facts", "metrics", "lists", "moved", "drift")}
        return {"overlap": self.overlap, "n": self.n, "moved_by": self.moved_by, **frames}

    def __str__(self) -> str:
        lines = [f"{r['what']:<14} {r['a']} -> {r['b']}" for r in self.facts.iter_rows(named=True) if r["a"] != r["b"]]
        lines = lines or ["same model, data and parameters"]
        for r in self.metrics.iter_rows(named=True):
            change = "" if r["change"] is None else f" ({r['change']:+.4f})"
            lines.append(f"{r['metric']:<14} {_number(r['a'])} -> {_number(r['b'])}{change}")
        if self.overlap is None:
            lines.append("no common users, so there are no lists to compare")
        else:
            shared = float(self.lists["shared"].mean())  # type: ignore[arg-type]
            lines.append(
                f"top {self.n} lists of {len(self.lists):,} users: rank-biased overlap {self.overlap:.3f},"
                f" {shared:.1f} of {self.n} items shared"
            )
        for r in self.drift.iter_rows(named=True):
            lines.append(
                f"{r['side']} vectors: {r['common']:,} in common, after alignment mean cosine {r['cosine']:.3f},"
                f" drift {r['drift']:.1%}"
            )
        if len(self.moved):
            lines.append(f"items that moved most (rank by {self.moved_by}, 1 is the highest):")
            lines += [
                f"  {r['rank_a']:>6,} -> {r['rank_b']:>6,}  {r['item']}"
                for r in self.moved.head(10).iter_rows(named=True)
            ]
        return "\n".join(lines)


def diff(
    a: Fitted,
    b: Fitted,
    *,
    n: int = 10,
    sample: int = 500,
    p: float = 0.9,
    seed: int = 0,
) -> Diff:
    """Do the work of :func:`cofactor.diff`."""
    for one in (a, b):
        if not isinstance(one, Fitted):
            raise ConfigError(f"compare recommenders, or paths of saved ones, not {one!r}")
    n, sample, p, seed = (
        check_int("n", n),
        check_int("sample", sample),
        check_fraction("p", p),
        check_int("seed", seed, 0),
    )
    moved, by = _moved(a, b)
    return Diff(_facts(a, b), _metrics(a, b), _lists(a, b, n, sample, p, seed), moved, _drift(a, b), n, by)


def rank_biased_overlap(a: Array, b: Array, p: float = 0.9) -> float:
    """Return RBO_ext, from 0 to 1, of two lists of equal length without repeats (eq. 32 of Webber, Moffat & Zobel
    2010)."""
    depth = min(len(a), len(b))
    if depth == 0:
        return 1.0 if len(a) == len(b) else 0.0
    seen_a: set[Any] = set()
    seen_b: set[Any] = set()
    overlap, total, weight = 0, 0.0, 1.0
    for d in range(1, depth + 1):
        x, y = a[d - 1], b[d - 1]
        overlap += 1 if x == y else int(x in seen_b) + int(y in seen_a)
        seen_a.add(x)
        seen_b.add(y)
        weight *= p
        total += overlap / d * weight
    return float(overlap / depth * weight + (1 - p) / p * total)


@one_thread()
def procrustes(a: Array, b: Array) -> tuple[Array, Array]:
    """Return the rotation that brings ``a`` (n, k) nearest to ``b`` (n, k), and the rotated ``a``; float64."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    u, _, vt = np.linalg.svd(a.T @ b)
    turn = u @ vt
    return turn, a @ turn


# ---- inside


def _facts(a: Fitted, b: Fitted) -> pl.DataFrame:
    rows: list[tuple[str, Any, Any]] = [("model", a.name, b.name), ("seed", a.seed, b.seed)]
    for what, get in (("ratings", len), ("users", lambda d: d.n_users), ("items", lambda d: d.n_items)):
        rows.append((what, get(a.data), get(b.data)))
    rows.append(("data", fingerprint(a.data), fingerprint(b.data)))
    left, right = (dataclasses.asdict(r.model.config) for r in (a, b))
    rows += [(name, left.get(name, "-"), right.get(name, "-")) for name in {**left, **right}]
    return pl.DataFrame([(w, str(x), str(y)) for w, x, y in rows], schema=["what", "a", "b"], orient="row")


def _metrics(a: Fitted, b: Fitted) -> pl.DataFrame:
    rows = []
    for name in {**a.metrics, **b.metrics}:
        x, y = a.metrics.get(name), b.metrics.get(name)
        rows.append((name, x, y, None if x is None or y is None else y - x))
    floats = {"metric": pl.String, "a": pl.Float64, "b": pl.Float64, "change": pl.Float64}
    return pl.DataFrame(rows, schema=floats, orient="row")


def _common(a: IdMap, b: IdMap) -> tuple[Array, Array]:
    """Return the codes in both maps of the ids that both know, in the order of ``a``."""
    in_b = b.encode(a.values)
    in_a = np.flatnonzero(in_b >= 0)
    return in_a, in_b[in_a].astype(np.int64)


def _lists(a: Fitted, b: Fitted, n: int, sample: int, p: float, seed: int) -> pl.DataFrame:
    in_a, in_b = _common(a.data.user_ids, b.data.user_ids)
    pick = np.sort(np.random.default_rng(seed).permutation(len(in_a))[:sample])
    in_a, in_b = in_a[pick], in_b[pick]
    to_a = a.data.item_ids.encode(b.data.item_ids.values).astype(np.int64)
    fresh = to_a < 0  # items that only b knows get new numbers
    to_a[fresh] = a.data.n_items + np.flatnonzero(fresh)
    rbo, shared = np.empty(len(in_a)), np.empty(len(in_a), np.int64)
    for at in range(0, len(in_a), _BLOCK):
        ours = _best(a, in_a[at : at + _BLOCK], n)
        theirs = [to_a[row] for row in _best(b, in_b[at : at + _BLOCK], n)]
        for r, (x, y) in enumerate(zip(ours, theirs, strict=True)):
            rbo[at + r] = rank_biased_overlap(x, y, p)
            shared[at + r] = len(np.intersect1d(x, y))
    return pl.DataFrame(
        [a.data.user_ids.decode(in_a).alias("user"), pl.Series("rbo", rbo), pl.Series("shared", shared)]
    )


def _best(rec: Fitted, users: Array, n: int) -> list[Array]:
    scores = np.array(rec.model.scores(users.astype(np.int32)))
    mask_rows(scores, rec.data.by_user.take(users))
    return [row[row >= 0] for row in top_n(scores, n)[0]]


def _moved(a: Fitted, b: Fitted) -> tuple[pl.DataFrame, str]:
    """Rank the common items in both models, and return them by how far they moved."""
    in_a, in_b = _common(a.data.item_ids, b.data.item_ids)
    both = [r.model for r in (a, b)]
    by_bias = all(isinstance(m, HasFactors) and len(m.bias("item")) and np.ptp(m.bias("item")) > 0 for m in both)
    ranks = []
    for rec, codes in ((a, in_a), (b, in_b)):
        level = rec.model.bias("item") if by_bias else rec.data.item_counts  # type: ignore[attr-defined]
        order = np.argsort(-np.asarray(level)[codes], kind="stable")
        rank = np.empty(len(codes), np.int64)
        rank[order] = np.arange(1, len(codes) + 1)
        ranks.append(rank)
    frame = pl.DataFrame([a.data.item_ids.decode(in_a).alias("item")]).with_columns(
        pl.Series("rank_a", ranks[0]), pl.Series("rank_b", ranks[1]), pl.Series("moved", ranks[0] - ranks[1])
    )
    frame = frame.filter(pl.col("moved") != 0).sort(pl.col("moved").abs(), descending=True, maintain_order=True)
    return frame, "bias" if by_bias else "popularity"


@one_thread()
def _drift(a: Fitted, b: Fitted) -> pl.DataFrame:
    """Return ``cosine``, the mean over common ids after alignment, and ``drift``, the distance relative to the length
    of b's."""
    rows = []
    sides: tuple[Literal["user", "item"], ...] = ("user", "item")
    for side in sides:
        if not (isinstance(a.model, HasFactors) and isinstance(b.model, HasFactors)):
            break
        ids = (a.data.user_ids, b.data.user_ids) if side == "user" else (a.data.item_ids, b.data.item_ids)
        in_a, in_b = _common(*ids)
        x, y = a.model.factors(side)[in_a], b.model.factors(side)[in_b]
        if x.shape[1] != y.shape[1] or not x.shape[1] or not len(x):
            continue
        _, turned = procrustes(x, y)
        y = y.astype(np.float64)
        lengths = np.linalg.norm(turned, axis=1) * np.linalg.norm(y, axis=1)
        cosine = np.where(lengths > 0, (turned * y).sum(axis=1) / np.where(lengths > 0, lengths, 1), 0.0)
        size = float(np.linalg.norm(y))
        drift = float(np.linalg.norm(turned - y)) / size if size > 0 else 0.0
        rows.append((side, len(x), float(cosine.mean()), drift))
    schema = {"side": pl.String, "common": pl.Int64, "cosine": pl.Float64, "drift": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
