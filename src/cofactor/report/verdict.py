"""The verdict at the top of the report: the model's quality in words, beside the simplest model and another model."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor.data.doctor.findings import percent
from cofactor.errors import DataError
from cofactor.evaluation import evaluate
from cofactor.evaluation.held_out import held_out_rows
from cofactor.evaluation.paired import paired_difference
from cofactor.evaluation.relevance import threshold
from cofactor.fitting.fit import fit_named
from cofactor.recommender import Recommender
from cofactor.report.periods import LOWER, decisive, periods, sentence, shown, signed, titled

Array = NDArray[Any]
SAMPLE = 500
"""Number of users whose lists measure catalogue coverage and popularity."""
PARTS = ("few", "some", "many")


def verdict(
    rec: Recommender, test: Any = None, beside: Recommender | None = None, reference: Any = None
) -> dict[str, Any]:
    """Return the verdict as a dictionary.

    ``sentences``: the text. ``models``: {name, figures: [{metric, value, low, high}]} of the model, the simplest model
    of its kind and ``beside``. ``lists``: {name, catalogue, popular, typical} from the top ten of some users.
    ``activity``: figures for thirds of the test users by their number of training ratings. ``periods``: the result of
    :func:`cofactor.report.periods.periods`, where ``reference`` has held-out rows of another period.
    """
    models = [rec, *([beside] if beside is not None else [])]
    out: dict[str, Any] = {
        "sentences": [],
        "models": [],
        "activity": [],
        "periods": [],
        "lists": [_lists(m) for m in models],
    }
    if test is not None:
        simplest = simplest_of(rec, beside)
        relevant = threshold(rec.data, None)
        measured = [*models, *([simplest] if simplest is not None else [])]
        for model in measured:
            figures, note = decisive(model, test, relevant)
            out["models"].append({"name": _name(model, rec, beside), "figures": figures, "note": note})
        out["activity"] = _by_activity(rec, test)
        out["sentences"] += _judged(measured, out["models"], test, relevant, beside is not None)
        if reference is not None:
            out["periods"] = periods(rec, test, reference)
            out["sentences"].append(sentence(out["periods"]))
    else:
        out["sentences"].append(_kept(rec))
    out["sentences"] += [_said(line) for line in out["lists"]]
    out["lists"] = [line for line in out["lists"] if line["popular"] is not None]
    return out


def _kept(rec: Recommender) -> str:
    """Return a sentence on the first figure that the model carries, or on how to measure it."""
    give = "give held-out rows: cofactor report MODEL --test RATINGS."
    known = None if rec.figures is None else rec.figures.filter(pl.col("value").is_finite())
    if known is None or not len(known):
        return (
            f"This page was made without held-out rows: it does not show how good the model is. To measure it, {give}"
        )
    first = known.row(0, named=True)
    value, low, high = first["value"], first["low"], first["high"]
    ends = "" if low is None or high is None else f" ({shown(low, value)} to {shown(high, value)})"
    return (
        f"{titled(first['metric'])} {shown(value)}{ends} on {first['rows']}, measured on {first['measured'][:10]}."
        f" To compare the model with others, {give}"
    )


def simplest_of(rec: Recommender, beside: Recommender | None = None) -> Recommender | None:
    """Return the simplest model (``bias`` for ratings, ``popular`` for lists), trained on the same rows; None where
    ``rec`` or ``beside`` is that model."""
    name = "bias" if rec.model.task == "rating" else "popular"
    if name in (rec.name, beside and beside.name):
        return None
    return Recommender.of(fit_named(rec.data, name, seed=rec.seed, calibrate=False))


def _name(model: Recommender, rec: Recommender, beside: Recommender | None) -> str:
    if beside is None or beside.name != rec.name:
        return model.name
    return f"{model.name}, {'this one' if model is rec else 'the other'}" if model in (rec, beside) else model.name


def _judged(
    trained: list[Recommender], models: list[dict[str, Any]], test: Any, relevant: float | None, of_two: bool
) -> list[str]:
    """Return a sentence on the first model, and others that compare it with each other one, by the first metric that
    both have, on the same bootstrap draws of users. The comparison comes first on a page ``of_two`` models."""
    first, *others = models
    if not first["figures"]:
        return [f"The model could not be measured: {first['note']}."]
    lead = first["figures"][0]
    figure = (
        f"{titled(lead['metric'])} {shown(lead['value'])} ({shown(lead['low'], lead['value'])} to"
        f" {shown(lead['high'], lead['value'])}) on held-out {trained[0].data.kind}."
    )
    said = []
    mine = [f["metric"] for f in first["figures"]]
    for model, other in zip(trained[1:], others, strict=True):
        shared = next((f["metric"] for f in other["figures"] if f["metric"] in mine), None)
        if shared is None:
            continue
        found = paired_difference(trained[0], model, test, shared, relevant=relevant)
        better = (found.difference < 0) == (shared.partition("@")[0] in LOWER)
        how = f"Clearly {'better' if better else 'worse'} than" if found.clear else "No clear difference from"
        said.append(
            f"{how} {other['name']} in {titled(shared)}: {shown(found.first)} and {shown(found.second, found.first)},"
            f" a difference of {signed(found.difference, found.first)} ({signed(found.low, found.first)} to"
            f" {signed(found.high, found.first)} on the same users)."
        )
    return [said[0], figure, *said[1:]] if of_two and said else [figure, *said]


def _lists(model: Recommender) -> dict[str, Any]:
    """Return figures of the top ten of some users: the share of the catalogue in them, the mean popularity of their
    items (the share of items with fewer ratings; None where nothing is left to list), and the same popularity for the
    training ratings."""
    data = model.data
    active = np.flatnonzero(data.by_user.counts > 0)
    some = active[:: max(1, len(active) // SAMPLE)][:SAMPLE]
    lists = model.recommend_all(n=10, users=data.user_ids.decode(some).to_list())
    assert lists is not None
    codes = data.item_ids.encode(lists[data.columns.item if data.columns.item in lists.columns else "item"])
    counts = data.by_item.counts
    rank = np.argsort(np.argsort(counts, kind="stable"), kind="stable") / max(len(counts) - 1, 1)
    return {
        "name": model.name,
        "catalogue": len(np.unique(codes)) / max(int((counts > 0).sum()), 1),
        "popular": float(rank[codes].mean()) if len(codes) else None,
        "typical": float((rank * counts).sum() / max(counts.sum(), 1)),
        "users": len(some),
    }


def _said(line: dict[str, Any]) -> str:
    if line["popular"] is None:
        return f"{line['name']} has nothing left to recommend to its users: they have every item already."
    more = line["popular"] - line["typical"]
    way = (
        "favour popular items" if more > 0.02 else "favour rare items" if more < -0.02 else "are neutral to popularity"
    )
    held, popular, typical = (percent(line[key]) for key in ("catalogue", "popular", "typical"))
    return (
        f"The lists of {line['name']} for {line['users']:,} users contain {held} of all items, and {way}: a listed item"
        f" is on average more popular than {popular} of all items, an item in the training rows than {typical}."
    )


def _by_activity(rec: Recommender, test: Any) -> list[dict[str, Any]]:
    """Return the first figure for users with few, some and many training ratings."""
    rows = held_out_rows(test, rec.data)
    counts = np.where(rows.users >= 0, rec.data.by_user.counts[np.maximum(rows.users, 0)], 0)
    known = counts[rows.users >= 0]
    if len(np.unique(known)) < 3:
        return []
    low, high = np.quantile(known, [1 / 3, 2 / 3])
    groups = [(counts > 0) & (counts <= low), (counts > low) & (counts <= high), counts > high]
    found = []
    for name, keep in zip(PARTS, groups, strict=True):
        at = np.flatnonzero(keep & (rows.users >= 0) & (rows.items >= 0))
        if not len(at):
            continue
        frame = pl.DataFrame(
            {
                "user": rec.data.user_ids.decode(rows.users[at]),
                "item": rec.data.item_ids.decode(rows.items[at]),
                "rating": rows.values[at],
            }
        )
        if rows.times is not None:
            frame = frame.with_columns(time=rows.times[at])
        columns = {role: getattr(rec.data.columns, role) or role for role in frame.columns}
        frame = frame.rename(columns)
        try:
            figure = evaluate(rec, frame, metrics=["rmse" if rec.model.task == "rating" else "ndcg"]).to_dicts()[0]
        except DataError:
            continue
        span = {"from": int(counts[at].min()), "to": int(counts[at].max()), "rows": len(at)}
        found.append({"part": name, **span, **{k: figure[k] for k in ("metric", "value", "low", "high")}})
    return [line for line in found if line["value"] is not None and np.isfinite(line["value"])]
