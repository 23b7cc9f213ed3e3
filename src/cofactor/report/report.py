"""An offline HTML page about a model: its data, its parameters, its recommendations and their reasons."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor._paths import check_file
from cofactor._validate import check_iterable
from cofactor._version import __version__
from cofactor.data.doctor.doctor import check
from cofactor.data.kind import unit_of
from cofactor.data.rows.repeats import different_pairs
from cofactor.data.times.timestamps import is_order
from cofactor.errors import ConfigError
from cofactor.model import HasFactors, Model, Posterior
from cofactor.recommend.ids import item_labels
from cofactor.recommender import Recommender
from cofactor.report.factors import genre_table, name_factors
from cofactor.report.maps import item_map, neighbours_among
from cofactor.report.quality import quality
from cofactor.report.verdict import verdict

Array = NDArray[Any]
MAPPED = 2000
"""Most items on the map, the most rated ones; more would be unreadable and large."""
SCRIPTS = ("charts.js", "map.js", "page.js")


def write_report(
    rec: Recommender,
    path: str | Path,
    *,
    title: str | None = None,
    users: Sequence[Any] | None = None,
    neighbours: Recommender | None = None,
    test: Any = None,
    beside: Recommender | None = None,
    reference: Any = None,
) -> Path:
    """Write the page to ``path`` atomically: a crash leaves an earlier file unchanged.

    The page begins with a verdict in words.

    Args:
        rec: the model.
        path: the file.
        title: the title of the page.
        users: ids of users to show as examples.
        neighbours: a second model of the same data, such as a ranker, for the map and the neighbours of items.
        test: held-out ratings (Interactions, a path, a frame). The page then shows quality with confidence intervals,
            and calibration.
        beside: another model, measured on the same rows.
        reference: held-out ratings of another period, to show what changed since.

    Raises:
        ConfigError: ``reference`` is given without ``test``, or the page cannot be written.
    """
    path = check_file(path, "the report")
    if title is not None and not isinstance(title, str):
        raise ConfigError(f"title is {title!r}; give text")
    for given in (rec, *(one for one in (neighbours, beside) if one is not None)):
        if not hasattr(given, "recommend_all"):
            raise ConfigError(f"a report needs a Recommender, not {given!r}; fit a model first")
    if reference is not None and test is None:
        raise ConfigError("reference is compared with test: give current held-out ratings as test too")
    if users is not None:
        check_iterable("users", users, "a list of user ids")
    page = render(
        report_data(rec, title=title, users=users, neighbours=neighbours, test=test, beside=beside, reference=reference)
    )
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(page, encoding="utf-8", errors="replace")
        os.replace(temporary, path)
    except OSError as exc:
        temporary.unlink(missing_ok=True)
        raise ConfigError(f"cannot write the report to {path}: {exc.strerror}") from exc
    return path


def render(data: dict[str, Any]) -> str:
    """Return the page as text, with style, script and data embedded, so that it works offline."""
    folder = resources.files("cofactor.report") / "page"
    page = (folder / "page.html").read_text(encoding="utf-8")
    embedded = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    for mark, text in (
        ("/*STYLE*/", (folder / "page.css").read_text(encoding="utf-8")),
        ("/*SCRIPT*/", "".join((folder / name).read_text(encoding="utf-8") for name in SCRIPTS)),
        ("/*DATA*/", embedded),
    ):
        page = page.replace(mark, text)
    return page


def report_data(
    rec: Recommender,
    *,
    title: str | None = None,
    users: Sequence[Any] | None = None,
    neighbours: Recommender | None = None,
    test: Any = None,
    beside: Recommender | None = None,
    reference: Any = None,
) -> dict[str, Any]:
    """Return the contents of the page as values for JSON."""
    data = rec.data
    mapped = most_rated(rec)
    model = rec.model
    return {
        "title": title or f"{data.name or 'ratings'}: what {rec.name} learned",
        "created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": __version__,
        "model": {
            "name": rec.name,
            "task": model.task,
            "config": asdict(model.config),
            "help": _help(model),
            "seed": rec.seed,
        },
        "verdict": verdict(rec, test, beside, reference),
        "data": at_a_glance(rec),
        "history": [[_number(x) for x in row] for row in rec.history],
        "metrics": {k: _number(v) for k, v in rec.metrics.items()},
        "quality": None if test is None else quality(rec, test),
        "doctor": _doctor(rec),
        "items": placed(neighbours or rec, mapped),
        "biases": _biases(rec) if isinstance(model, HasFactors) else None,
        "factors": [asdict(f) for f in name_factors(model, data)] if isinstance(model, HasFactors) else [],
        "users": _users(rec, users),
    }


def most_rated(rec: Recommender, n: int = MAPPED) -> Array:
    """Return the codes of the ``n`` most rated items, most rated first, without items that have no ratings."""
    counts = rec.data.by_item.counts
    found = np.argsort(-counts, kind="stable")[:n]
    return found[counts[found] > 0]


def _help(model: Model) -> dict[str, str]:
    """Return the help text of each parameter of the model."""
    return {field.name: field.metadata.get("help", "") for field in fields(model.config)}


def _number(x: float) -> float | None:
    return float(x) if np.isfinite(x) else None


def at_a_glance(rec: Recommender) -> dict[str, Any]:
    """Return figures of the training ratings: sizes, mean, counts of each value, numbers of ratings by rank."""
    data = rec.data
    low, high = data.range
    levels, level_counts = _levels(data.values, data.kind)
    by_item = np.sort(data.by_item.counts[data.by_item.counts > 0])[::-1]
    by_user = np.sort(data.by_user.counts[data.by_user.counts > 0])[::-1]
    period = None
    if data.times is not None and len(data) and not is_order(data.times):
        period = [
            datetime.fromtimestamp(int(t), UTC).strftime("%Y-%m-%d") for t in (data.times.min(), data.times.max())
        ]
    return {
        "ratings": len(data),
        "users": len(by_user),
        "items": len(by_item),
        "density": different_pairs(data) / max(len(by_user) * len(by_item), 1),
        "mean": float(data.values.mean()),
        "range": [low, high],
        "kind": data.kind,
        "unit": unit_of(data.kind, data.columns.rating, data.counted),
        "period": period,
        "notes": list(data.notes),
        "levels": levels,
        "level_counts": level_counts,
        "item_counts": _curve(by_item),
        "user_counts": _curve(by_user),
        "top_tenth": [_top_tenth(by_item), _top_tenth(by_user)],
    }


def _levels(values: Array, kind: str) -> tuple[list[str], list[int]]:
    """Return labels of the values, or of ranges where there are many values, and how often each occurs.

    Ranges of counts increase with the value (1, 2, 5, 10, 20, ...), since a few counts are often far above the rest.
    """
    levels, counts = np.unique(values, return_counts=True)
    if len(levels) <= 24:
        return [f"{v:.5g}" for v in levels.tolist()], counts.tolist()
    if kind == "counts" and levels[0] > 0:
        decades = range(int(np.floor(np.log10(levels[0]))), int(np.floor(np.log10(levels[-1]))) + 1)
        starts = np.array([step * 10.0**decade for decade in decades for step in (1, 2, 5)])
        starts = starts[np.searchsorted(starts, levels[0], "right") - 1 : np.searchsorted(starts, levels[-1], "right")]
        found = np.bincount(np.searchsorted(starts, values, "right") - 1, minlength=len(starts))
        return [f"{v:,.0f}+" if v >= 1 else f"{v:g}+" for v in starts.tolist()], found.tolist()
    found, edges = np.histogram(values, bins=20)
    return [f"{v:.4g}" for v in ((edges[:-1] + edges[1:]) / 2).tolist()], found.tolist()


def _top_tenth(ordered: Array) -> float:
    """Return the share of all ratings in the first tenth of counts sorted in descending order."""
    return float(ordered[: max(len(ordered) // 10, 1)].sum() / max(ordered.sum(), 1))


def _doctor(rec: Recommender) -> list[dict[str, Any]]:
    found = check(rec.data).findings
    return [{"severity": f.severity, "what": f.what, "examples": list(f.examples)[:3], "todo": f.todo} for f in found]


def _curve(ordered: Array, points: int = 120) -> list[list[int]]:
    """Return (rank, count) at ranks evenly spaced on a log scale."""
    ranks = np.unique(np.geomspace(1, len(ordered), min(points, len(ordered))).astype(int))
    return [[int(r), int(ordered[r - 1])] for r in ranks]


def placed(rec: Recommender, mapped: Array) -> dict[str, Any]:
    """Return the map: labels, places, neighbours and genres of these items.

    ``genres`` are the seven most frequent, in that order. ``genre`` is the index of an item's rarest genre among them,
    which characterises it best (-1: none). ``mask`` has a bit for each of an item's genres.
    """
    data = rec.data
    near, similarity = neighbours_among(rec.model, data, mapped, min(8, max(len(mapped) - 1, 1)))
    xy = item_map(rec.model, data, mapped, seed=rec.seed)
    sums = np.bincount(data.items, weights=data.values, minlength=data.n_items)
    genres, member = genre_table(data, mapped)
    common = np.argsort(-member.sum(axis=0), kind="stable")[:7] if genres else np.empty(0, dtype=int)
    mine = member[:, common]
    return {
        "by": rec.name,
        "label": item_labels(data, mapped),
        "count": data.by_item.counts[mapped].tolist(),
        "mean": np.round(sums[mapped] / np.maximum(data.by_item.counts[mapped], 1), 2).tolist(),
        "xy": np.round(xy, 4).tolist(),
        "near": near.tolist(),
        "similarity": np.round(similarity, 3).tolist(),
        "total": int((data.by_item.counts > 0).sum()),
        "genres": [genres[g] for g in common],
        "genre": np.where(mine, np.arange(len(common)), -1).max(axis=1, initial=-1).tolist(),
        "mask": (mine * (1 << np.arange(len(common)))).sum(axis=1).tolist(),
    }


def _biases(rec: Recommender) -> dict[str, Any] | None:
    """Return the lowest and highest biases; None for models without biases, or where all are zero."""
    try:
        frame = rec.biases(10)
    except ConfigError:
        return None
    if not frame["bias"].abs().max():
        return None
    label = "title" if "title" in frame.columns else "item"
    return {
        end: [
            [str(row[label]), float(row["bias"]), int(row["ratings"])]
            for row in frame.iter_rows(named=True)
            if row["end"] == end
        ]
        for end in ("lowest", "highest")
    }


def _users(rec: Recommender, users: Sequence[Any] | None) -> list[dict[str, Any]]:
    data = rec.data
    if users is None:
        counts = data.by_user.counts
        sums = np.bincount(data.users, weights=data.values, minlength=data.n_users)
        oddity = np.abs(sums / np.maximum(counts, 1) - data.values.mean())
        users = data.user_ids.decode(_typical(counts, oddity)).to_list()
    return [_user(rec, user) for user in users]


def _typical(counts: Array, oddity: Array | None = None, shares: Sequence[float] = (0.4, 0.5, 0.6, 0.75)) -> Array:
    """Return codes of typical users: at these quantiles of the number of ratings, among users with five or more.

    Of several users with the same number of ratings it takes the one with the least ``oddity``.
    """
    enough = np.flatnonzero(counts >= min(5, counts.max(initial=0)))
    if not len(enough):
        return enough
    sizes = np.sort(counts[enough])
    odd = np.zeros(len(counts)) if oddity is None else oddity.astype(float)
    found: list[int] = []
    for place in dict.fromkeys(min(int(share * len(sizes)), len(sizes) - 1) for share in shares):
        alike = np.setdiff1d(enough[counts[enough] == sizes[place]], found)
        if len(alike):
            found.append(int(alike[odd[alike].argmin()]))
    return np.array(found)


def _between(rec: Recommender, user: Any, items: list[Any]) -> list[list[float] | None]:
    """Return the 90 % interval of each rating; None where the model has no intervals."""
    if rec.model.task != "rating" or not (isinstance(rec.model, Posterior) or rec.intervals is not None):
        return [None] * len(items)
    found = rec.predict([(user, item) for item in items], interval=True)
    return [[round(low, 2), round(high, 2)] for low, high in found.select("low", "high").iter_rows()]


def _user(rec: Recommender, user: Any) -> dict[str, Any]:
    data = rec.data
    code = data.user_ids.index(user)
    rated, values = data.by_user.row(code)
    best = np.lexsort((-data.by_item.counts[rated], -values))[:12]  # of equal ratings the most rated items first
    frame = rec.recommend(user, n=8)
    label = "title" if "title" in frame.columns else "item"
    between = _between(rec, user, frame["item"].to_list())
    recommended = []
    for row, interval in zip(frame.iter_rows(named=True), between, strict=True):
        entry = {"label": str(row[label]), "score": float(row["score"]), "reason": row["reason"], "terms": []}
        entry["interval"] = interval
        account = rec.explain(user, row["item"])
        entry["terms"] = [[t, round(float(v), 4)] for t, v in account.grouped().iter_rows()]
        entry["link"] = account.link
        entry["because"] = account.because(4)
        recommended.append(entry)
    return {
        "user": str(user),
        "ratings": len(rated),
        "mean": float(values.mean()) if len(values) else None,
        "liked": [[t, float(v)] for t, v in zip(item_labels(data, rated[best]), values[best], strict=True)],
        "recommended": recommended,
    }
