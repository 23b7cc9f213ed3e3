"""Make one list: score, filter, rank, rerank, and give reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor._validate import check_iterable
from cofactor.data.interactions import Features
from cofactor.errors import ConfigError
from cofactor.model import Interval
from cofactor.recommend.ann.search import best_for_one, serves
from cofactor.recommend.filters import allowed
from cofactor.recommend.fitted import Fitted
from cofactor.recommend.groups import shares
from cofactor.recommend.histories import naming, read_histories
from cofactor.recommend.options import ListOptions, Unknown, calibration_of, reranked
from cofactor.recommend.profiles import UNKNOWN, UserProfile, find_user, new_user, scores_of
from cofactor.recommend.reasons import liked, reasons
from cofactor.recommend.rerank import RerankSpec, rerank, scaled_similarity
from cofactor.recommend.similar import similarity_among
from cofactor.recommend.topn import top_n
from cofactor.recommend.uncertainty import confidence_bound_scores, interval_of

Array = NDArray[Any]
POOL = 100
"""Least number of candidates for reranking; ten per place of the list where that is more."""


class Rules(NamedTuple):
    """The options resolved against this recommender's data; computed once and shared by all users."""

    options: ListOptions
    keep: NDArray[np.bool_] | None
    capped: Features | None
    calibrated: Features | None


def rules_of(rec: Fitted, options: ListOptions) -> Rules:
    """Return the rules; ConfigError or UnknownIdError where an option does not fit the data."""
    capped = rec.groups(options["per_group"][0]) if options["per_group"] is not None else None
    calibrated = rec.groups(calibration_of(options)[0]) if calibration_of(options)[1] > 0 else None
    return Rules(options, allowed(rec, options), capped, calibrated)


def recommend_frame(
    rec: Fitted,
    user: Any,
    history: Mapping[Any, float] | Iterable[Any] | None,
    features: Mapping[str, Any] | None,
    options: ListOptions,
) -> pl.DataFrame:
    """Implement :meth:`Recommender.recommend`."""
    rules = rules_of(rec, options)
    return _frame(rec, _user_of(rec, user, history, features, options["unknown"]), rules)


def recommend_rows(
    rec: Fitted,
    user: Any,
    history: Mapping[Any, float] | Iterable[Any] | None,
    features: Mapping[str, Any] | None,
    rules: Rules,
) -> list[dict[str, Any]]:
    """Return the rows of :func:`recommend_frame` as dictionaries. Building the frame would take longer than the
    list."""
    found = _listed(rec, _user_of(rec, user, history, features, rules.options["unknown"]), rules)
    n = len(found.codes)
    titles = rec.items.titles_of(found.codes)
    columns: dict[str, Any] = {"rank": range(1, n + 1), "item": rec.data.item_ids.listed(found.codes)}
    columns |= {} if titles is None else {"title": titles}
    columns |= {"score": found.scores.tolist()}
    if rules.options["interval"] is not None:
        none, bounds = [None] * n, found.bounds
        columns |= {name: none if bounds is None else getattr(bounds, name).tolist() for name in ("low", "high")}
    columns |= {"reason": found.why, "status": found.status}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _user_of(rec: Fitted, user: Any, history: Any, features: Any, unknown: Unknown) -> UserProfile | None:
    new = history is not None or features is not None
    if (user is not None) == new:
        raise ConfigError(
            "give either a user of the training data, or a history of items (or features) of a new user, not both"
        )
    return new_user(rec, history, unknown, features) if new else find_user(rec, user, unknown)


def recommend_several(rec: Fitted, users: Iterable[Any] | None, histories: Any, options: ListOptions) -> pl.DataFrame:
    """Return the lists of several users or histories in one frame: ``user`` and the columns of
    :func:`recommend_frame`."""
    if users is None:
        return _of_histories(rec, histories, options)
    users = list(check_iterable("users", users, "[196, 186]"))
    rec.data.user_ids.encode(users)  # DataError for ids of several types
    rules = rules_of(rec, options)
    frames = []
    for user in users:
        found = _frame(rec, find_user(rec, user, options["unknown"]), rules)
        frames.append(found.insert_column(0, pl.Series("user", [user] * len(found))))
    if not frames:
        none = _frame(rec, None, rules)
        return none.insert_column(0, pl.Series("user", [], dtype=rec.data.user_ids.dtype))
    return pl.concat(frames, how="vertical_relaxed")


def _of_histories(rec: Fitted, histories: Any, options: ListOptions) -> pl.DataFrame:
    labels, several = read_histories(rec, histories)
    rules = rules_of(rec, options)
    frames = [_frame(rec, None, rules).insert_column(0, labels.head(0).alias("user"))]
    for at, (label, history) in enumerate(zip(labels.to_list(), several, strict=True)):
        with naming(label):
            found = _frame(rec, new_user(rec, history, options["unknown"]), rules)
        frames.append(found.insert_column(0, labels[at : at + 1].new_from_index(0, len(found)).alias("user")))
    return pl.concat(frames, how="vertical_relaxed")


class Listed(NamedTuple):
    """One list, best items first: item codes, scores, bounds (None where not requested or not known), reasons, and the
    status of each item."""

    codes: Array
    scores: Array
    bounds: Interval | None
    why: list[str]
    status: list[str]


def _listed(rec: Fitted, who: UserProfile | None, rules: Rules) -> Listed:
    """Return one list; without a user, an empty one."""
    options = rules.options
    bounds: Interval | None = None
    if who is None:
        return Listed(np.empty(0, np.int32), np.empty(0, np.float32), None, [], [])
    if serves(rec, options) and who.status != UNKNOWN and who.shift is None:
        codes, values = best_for_one(rec, who, rules.keep, options)
    else:
        codes, values, bounds = best_for(rec, who, scores_of(rec, who), rules)
    values = values if who.status == UNKNOWN else rec.on_scale(values)
    return Listed(codes, values, bounds, reasons(rec, who, codes), rec.list_status(codes, who.status))


def _frame(rec: Fitted, who: UserProfile | None, rules: Rules) -> pl.DataFrame:
    """Return one list as a frame."""
    found = _listed(rec, who, rules)
    return pl.DataFrame(
        [
            pl.Series("rank", np.arange(1, len(found.codes) + 1, dtype=np.int32)),
            *rec.item_columns(found.codes),
            pl.Series("score", found.scores),
            *bounds_columns(rules.options, found.bounds, len(found.codes)),
            pl.Series("reason", found.why, dtype=pl.String),
            pl.Series("status", found.status, dtype=pl.String),
        ]
    )


def bounds_columns(options: ListOptions, bounds: Interval | None, n: int) -> list[pl.Series]:
    """Return the columns ``low`` and ``high`` if an interval is requested; nulls for an unknown user."""
    if options["interval"] is None:
        return []
    if bounds is None:
        return [pl.Series(name, [None] * n, dtype=pl.Float32) for name in ("low", "high")]
    return [pl.Series("low", bounds.low), pl.Series("high", bounds.high)]


def best_for(rec: Fitted, who: UserProfile, scores: Array, rules: Rules) -> tuple[Array, Array, Interval | None]:
    """Return (codes, scores, bounds) of one list, best first; bounds if an interval is requested and the user is known.

    ``scores`` float32 (n_items,) is overwritten.
    """
    options = rules.options
    bounds = None
    if options["interval"] is not None and who.status != UNKNOWN:
        bounds = interval_of(rec, who, scores, options["interval"])
    codes, values = _best(rec, who, scores, rules)
    return codes, values, None if bounds is None else Interval(*(b[codes] for b in bounds))


def _best(rec: Fitted, who: UserProfile, scores: Array, rules: Rules) -> tuple[Array, Array]:
    options = rules.options
    if options["sure"] is not None or options["explore"] is not None:
        scores = confidence_bound_scores(rec, who, scores, options)
    if not options["seen"]:
        scores[who.items] = -np.inf
    if rules.keep is not None:
        scores[~rules.keep] = -np.inf
    if not reranked(options):
        return _kept(scores, options["n"])
    size = max(POOL, 10 * options["n"])
    while True:
        codes, values = _kept(scores, size)
        places = rerank(values, options["n"], rerank_spec(rec, who, codes, rules))
        if len(places) == options["n"] or len(codes) < size:
            return codes[places], values[places]
        size *= 4  # caps removed too many candidates


def _kept(scores: Array, n: int) -> tuple[Array, Array]:
    codes, values = top_n(scores[None], n)
    kept = codes[0] >= 0
    return codes[0][kept], values[0][kept]


def rerank_spec(rec: Fitted, who: UserProfile, codes: Array, rules: Rules) -> RerankSpec:
    """Return the data for reranking these candidates for a user."""
    options, similarity, capped, mine, target = rules.options, None, None, None, None
    if options["diversity"] > 0:
        similarity = scaled_similarity(similarity_among(rec.model, rec.data, codes, codes))
    if rules.capped is not None:
        capped = shares(rules.capped, codes) > 0
    if rules.calibrated is not None:
        likes = shares(rules.calibrated, who.items[liked(who)]).sum(axis=0)
        if likes.sum() > 0:  # otherwise there are no shares to match
            mine, target = shares(rules.calibrated, codes), likes / likes.sum()
    return RerankSpec(
        diversity=float(options["diversity"]),
        similarity=similarity,
        cap=options["per_group"][1] if options["per_group"] is not None else 0,
        capped=capped,
        calibration=calibration_of(options)[1],
        shares=mine,
        target=target,
    )
