"""Explanation of a prediction: the terms that sum to it, and the contribution of each of the user's ratings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor._fork import check_threads
from cofactor._frames import frames_out
from cofactor._html import lines_html, table_html
from cofactor._plot import short
from cofactor.data.kind import Kind
from cofactor.explain.waterfall import waterfall
from cofactor.model import Additive, HasVectors, LeavesOut, StartsFromAverage, Terms
from cofactor.recommend.contributions import contributions, entries_compared, entries_explained
from cofactor.recommend.fitted import Fitted
from cofactor.recommend.profiles import UserProfile
from cofactor.recommend.reasons import Reason, Words, act, reasons_of, strongest
from cofactor.recommend.similar import SHRINK, shared_raters, similarity_among, supported
from cofactor.recommend.updates import as_rows

Array = NDArray[Any]
STRONGEST = 8
"""Number of rated items in the list ``strongest`` of an explanation."""


@frames_out
@dataclass(frozen=True)
class Explanation:
    """Two explanations of one prediction: by the model's terms, and by the user's ratings.

    ``terms``: the model's own, a frame term, value; ``link`` of their sum is ``prediction``. Empty for models that do
    not add up terms, or not for users that were folded in.
    ``rated``: the rated items, strongest first: a frame item, [title,] rating, stated, contribution, similarity,
    shared_raters. ``contribution`` is what the prediction would lose without this rating; ``stated`` is False where the
    item was liked without a rating. The contributions in the frame and ``rest`` sum to ``prediction``.

    ``neighbours``: the rated items most similar to this one, with the same columns. ``reason`` is the reason that lists
    give for this item; :meth:`because` begins with it. ``leads`` is the row of ``rated`` that it names (None: none).
    """

    user: Any
    item: Any
    label: str
    prediction: float
    terms: pl.DataFrame
    link: str
    y_range: tuple[float, float] | None
    rated: pl.DataFrame
    rest: float
    neighbours: pl.DataFrame
    explicit: bool = True
    """Whether the values are ratings, rather than choices or counts of choices."""
    reason: str = ""
    leads: int | None = None
    kind: Kind = "ratings"
    column: str | None = None
    counted: bool = True
    """The kind of the values, the name of their column, and whether they say how often or how much."""
    rest_is: str = "everything else"
    """A name for ``rest``; for rankers that start from the average user, it is the average user's part."""

    def linked_sum(self) -> float:
        """Return the link of the sum of the terms, which equals the prediction."""
        return linked(float(self.terms["value"].sum()), self.link, self.y_range)

    def grouped(self) -> pl.DataFrame:
        """Return the terms with all factors summed into one: a frame term, value."""
        check_threads()
        is_factor = pl.col("term").str.starts_with("factor")
        factors = self.terms.filter(is_factor)
        if factors.is_empty():
            return self.terms
        total = pl.DataFrame({"term": ["factors"], "value": [float(factors["value"].sum())]})
        last = pl.col("term").str.starts_with("clip")
        return pl.concat([self.terms.filter(~is_factor & ~last), total, self.terms.filter(last)])

    @property
    def digits(self) -> int:
        """The number of decimals to show: scores of rankers are far below 1."""
        return _digits(self.rated["contribution"].to_numpy())

    def strongest(self, n: int) -> pl.DataFrame:
        """Return the ``n`` rows of ``rated`` with the largest contributions: positive ones first, then negative
        ones."""
        check_threads()
        return _rows(self.rated, np.array(self._strongest(n), dtype=np.int64))

    def _strongest(self, n: int) -> list[int]:
        """Return the positions of :meth:`strongest` in ``rated``."""
        return _strongest(self.rated["contribution"].to_numpy(), self.leads, n)

    def because(self, n: int = 5) -> list[str]:
        """Return sentences about the ``n`` ratings with the largest contributions.

        First come positive contributions, beginning with the list's own reason, then negative ones. Ratings without a
        contribution are left out.
        """
        rows = [self.rated.row(row, named=True) for row in self._strongest(n)]
        return _because(self, rows, self.digits)

    def others(self, n: int) -> list[tuple[str, int, float]]:
        """Return the totals of the ratings other than the ``n`` strongest: ("for" or "against", number, sum)."""
        names = ["item", "contribution"]
        rest = self.rated.select(names).join(self.strongest(n).select(names), on=names, how="anti")["contribution"]
        found = [("for", rest.filter(rest >= 0)), ("against", rest.filter(rest < 0))]
        return [(way, len(part), float(part.sum())) for way, part in found if len(part)]

    def _others_in_words(self, way: str, n: int) -> str:
        """Return the words for other ratings, such as "12 other ratings for it"."""
        return f"{n} other {'rating' if self.explicit else 'choice'}{'' if n == 1 else 's'} {way} it"

    def __str__(self) -> str:
        who = f"for user {self.user}" if self.user is not None else "for this history"
        lines = [f"{self.label} {who}: {self.prediction:.3f}"]
        if len(self.terms):
            parts = ", ".join(f"{t} {v:+z.3f}" for t, v in self.grouped().iter_rows())
            if self.link == "sigmoid" and self.y_range is not None:
                parts = f"sigmoid({parts}), from {self.y_range[0]:g} to {self.y_range[1]:g}"
            lines[0] += f" = {parts}"
        lines += [f"  {reason}" for reason in self.because()]
        if len(self.rated):
            others = self.others(5)
            lines += [f"  {self._others_in_words(way, n)}: {total:+z.{self.digits}f}" for way, n, total in others]
            lines.append(f"  {self.rest_is}: {self.rest:+z.{self.digits}f}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        who = f"for user {self.user}" if self.user is not None else "for this history"
        digits = self.digits
        rows = [
            (_did(self, row), f"{row['contribution']:+z.{digits}f}") for row in self.strongest(5).iter_rows(named=True)
        ]
        if rows:
            for way, n, total in self.others(5):
                rows.append((self._others_in_words(way, n), f"{total:+z.{digits}f}"))
            rows.append(("everything else", f"{self.rest:+z.{digits}f}"))
        terms = [f"{t} {v:+z.3f}" for t, v in self.grouped().iter_rows()]
        heading = f"{self.label} {who}: {self.prediction:.3f}"
        because = [f"because it is {self.reason}"] if self.leads is None and self.reason else []
        sums = [f"{'sigmoid of ' if self.link == 'sigmoid' else ''}{', '.join(terms)}"] if terms else []
        return table_html(("you", "contribution"), rows, heading) + lines_html([*because, *sums])

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as values for JSON."""
        rated = self.rated.to_dicts()
        return {
            "user": self.user,
            "item": self.item,
            "prediction": self.prediction,
            "link": self.link,
            "y_range": self.y_range,
            "terms": self.terms.to_dicts(),
            "rated": rated,
            "rest": self.rest,
            "rest_is": self.rest_is,
            "neighbours": self.neighbours.to_dicts(),
            "reason": self.reason,
            "strongest": [dict(rated[at]) for at in self._strongest(STRONGEST)],
        }

    def plot(self, n: int = 8) -> Any:
        """Plot a waterfall from ``rest`` over the ``n`` strongest ratings to the prediction; return a matplotlib
        Axes."""
        who = "this history" if self.user is None else f"user {self.user}"
        title = f"{short(self.label, 50)} for {who}"
        shown: dict[str, Any] = {"n": n, "digits": self.digits, "explicit": self.explicit, "title": title}
        return waterfall(self.rated, self.rest, self.prediction, rest_is=self.rest_is, **shown)


def linked(total: float, link: str, y_range: tuple[float, float] | None) -> float:
    """Return the prediction for a sum of terms."""
    if link == "identity" or y_range is None:
        return total
    low, high = y_range
    return low + (high - low) / (1 + math.exp(-total))


class _Parts(NamedTuple):
    """An explanation before its conversion to frames or rows. ``rated`` are positions in the profile ``who``, strongest
    first; ``near`` are positions in ``rated``; ``leads`` is the position in ``rated`` that the reason names."""

    who: UserProfile
    item: int
    terms: Terms | None
    prediction: float
    rated: Array
    contribution: Array
    similarity: Array
    shared: Array
    near: Array
    rest: float
    reason: str
    leads: int | None


def explain(rec: Fitted, who: UserProfile, item: int, *, n: int) -> Explanation:
    """Implement :meth:`Recommender.explain`; ``item`` is a code."""
    found = _parts(rec, who, item, n)
    terms = pl.DataFrame(schema={"term": pl.String, "value": pl.Float64})
    if found.terms is not None:
        values = np.asarray(found.terms.values, dtype=np.float64)
        terms = pl.DataFrame({"term": list(found.terms.names), "value": values})
    rated = pl.DataFrame(
        [
            *rec.item_columns(who.items[found.rated]),
            pl.Series("rating", who.values[found.rated]),
            pl.Series("stated", _stated(who, found.rated)),
            pl.Series("contribution", found.contribution, dtype=pl.Float64),
            pl.Series("similarity", found.similarity),
            pl.Series("shared_raters", found.shared),
        ]
    )
    facts = _facts(rec, found)
    return Explanation(**facts, terms=terms, rated=rated, neighbours=_rows(rated, found.near), leads=found.leads)


def explain_rows(rec: Fitted, who: UserProfile, item: int, *, n: int) -> dict[str, Any]:
    """Return the result of :meth:`Explanation.to_dict` with ``label`` and ``because``, without building frames, which
    would take most of the time."""
    found = _parts(rec, who, item, n)
    facts, codes = _facts(rec, found), who.items[found.rated]
    titles = rec.items.titles_of(codes)
    columns: dict[str, Any] = {"item": rec.data.item_ids.listed(codes)}
    columns |= {} if titles is None else {"title": titles}
    columns |= {"rating": who.values[found.rated].tolist(), "stated": _stated(who, found.rated).tolist()}
    columns |= {"contribution": found.contribution.tolist(), "similarity": found.similarity.tolist()}
    columns |= {"shared_raters": found.shared.tolist()}
    rated = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    terms: list[dict[str, Any]] = []
    if found.terms is not None:
        values = np.asarray(found.terms.values, dtype=np.float64).tolist()
        terms = [{"term": term, "value": value} for term, value in zip(found.terms.names, values, strict=True)]
    told = _Told(facts["explicit"], facts["kind"], facts["column"], facts["counted"], found.reason, found.leads)
    strongest, digits = _strongest(found.contribution, found.leads, STRONGEST), _digits(found.contribution)
    spoken = [rated[at] for at in _strongest(found.contribution, found.leads, 5)]
    shown = ("label", "user", "item", "prediction", "link", "y_range", "rest", "rest_is", "reason")
    return {name: facts[name] for name in shown} | {
        "terms": terms,
        "rated": rated,
        "neighbours": [rated[at] for at in found.near.tolist()],
        "strongest": [rated[at] for at in strongest],
        "because": _because(told, spoken, digits),
    }


def _facts(rec: Fitted, found: _Parts) -> dict[str, Any]:
    """Return the fields of an explanation that are not frames."""
    who, item, terms = found.who, np.array([found.item]), found.terms
    return {
        "user": rec.users.column(np.array([who.code]))[0] if who.code >= 0 else None,
        "item": rec.data.item_ids.listed(item)[0],
        "label": rec.items.labels(item)[0],
        "prediction": found.prediction,
        "link": "identity" if terms is None else terms.link,
        "y_range": None if terms is None else terms.y_range,
        "rest": found.rest,
        "explicit": rec.scale.explicit,
        "reason": found.reason,
        "kind": rec.data.kind,
        "column": rec.data.columns.rating,
        "counted": rec.data.counted,
        "rest_is": "popular with everybody" if _rest_is_average(rec) else "everything else",
    }


class _Told(NamedTuple):
    """The facts that determine the sentences about ratings."""

    explicit: bool
    kind: Kind
    column: str | None
    counted: bool
    reason: str
    leads: int | None


def _did(told: Explanation | _Told, row: dict[str, Any]) -> str:
    label = row["title"] if "title" in row else row["item"]
    return act(Words(told.explicit, told.kind, told.column, told.counted), label, row["rating"], row["stated"])


def _because(told: Explanation | _Told, rows: list[dict[str, Any]], digits: int) -> list[str]:
    """Return sentences about these rows of ``rated``; see :meth:`Explanation.because`."""
    least = 0.5 * 10.0**-digits
    found = [
        f"{'because' if row['contribution'] >= 0 else 'although'} you "
        f"{_did(told, row)}: {row['contribution']:+z.{digits}f}"
        for at, row in enumerate(rows)
        if abs(row["contribution"]) >= least or (at == 0 and told.leads is not None)
    ]
    return found if told.leads is not None or not told.reason else [f"because it is {told.reason}", *found]


def _digits(contribution: Array) -> int:
    return 2 if len(contribution) == 0 or float(np.abs(contribution).max()) >= 0.05 else 4


def _strongest(contribution: Array, leads: int | None, n: int) -> list[int]:
    """Return the positions of the ``n`` largest contributions, positive ones first. ``contribution`` begins with the
    largest by absolute value; ``leads`` comes first."""
    first = [] if leads is None else [leads]
    kept = [*first, *(row for row in range(min(n + 1, len(contribution))) if row not in first)][:n]
    value = contribution[kept].tolist() if kept else []
    order = sorted(range(len(kept)), key=lambda at: (not (first and at == 0), value[at] < 0, -abs(value[at])))
    return [kept[at] for at in order]


def _stated(who: UserProfile, at: Array) -> Array:
    return np.ones(len(at), dtype=bool) if who.stated is None else who.stated[at]


def _parts(rec: Fitted, who: UserProfile, item: int, n: int) -> _Parts:
    """Compute the explanation of one prediction."""
    trained, terms = who.code >= 0 and who.state is None, None
    if isinstance(rec.model, Additive):
        if trained:
            terms = rec.model.terms(who.code, item)
        else:
            terms = rec.model.terms_from(who.state[0] if who.state is not None else np.zeros(0), item)
    prediction = _prediction(rec, who, item, trained)
    shared = shared_raters(rec.data, item, who.items)
    similarity = similarity_among(rec.model, rec.data, np.array([item]), who.items)[0]
    similarity = supported(rec.model, similarity, shared, SHRINK)
    at, contribution, reason = _contributions(rec, who, item, similarity)
    names = reason.position >= 0 and not reason.compared and rec.is_personalised
    nearest = np.argsort(-similarity[at], kind="stable")
    return _Parts(
        who, item, terms, prediction, at, contribution, similarity[at], shared[at],
        near=nearest[similarity[at[nearest]] > 0][:n],
        rest=prediction - float(contribution.sum()),
        reason=reason.text,
        leads=at.tolist().index(reason.position) if names else None,
    )  # fmt: skip


def _rest_is_average(rec: Fitted) -> bool:
    """Return whether the rest of a score is the average user's part. In factor models it is not, since their ratings
    interact."""
    starts = isinstance(rec.model, StartsFromAverage) and isinstance(rec.model, LeavesOut)
    return starts and not isinstance(rec.model, HasVectors)


def _rows(frame: pl.DataFrame, at: Array) -> pl.DataFrame:
    """Return these rows, selected column by column: for a few rows, starting threads costs more than the selection."""
    rows = pl.Series(at, dtype=pl.UInt32)
    return pl.DataFrame([column[rows] for column in frame.get_columns()])


def _prediction(rec: Fitted, who: UserProfile, item: int, trained: bool) -> float:
    if trained:
        return float(rec.model.predict(np.array([who.code]), np.array([item]))[0])
    assert who.state is not None
    return float(rec.on_scale(rec.model.scores_from(who.state)[0, item]))


def _contributions(rec: Fitted, who: UserProfile, item: int, similarity: Array) -> tuple[Array, Array, Reason]:
    """Return (positions of the rated items in the profile, strongest first; their contributions; the list's reason).

    ``similarity`` is the similarity of the item to each rated item.
    """
    at = np.argsort(-similarity, kind="stable")
    at = at[who.items[at] != item]
    one, difference, reason = np.array([item]), np.zeros(len(at)), None
    if len(who.items):
        history = as_rows([who.history], rec.data.n_items)
        if entries_compared(rec.model, len(who.items)):
            found = contributions(rec.model, history, one, user=who.trained)[1]
            reason = strongest(rec, who, found)[0] if rec.is_personalised else None
            difference = found[0, at]
        else:
            at = np.sort(at[: entries_explained(rec.model, len(who.items))])
            difference = contributions(rec.model, history, one, at, user=who.trained)[1][0]
    order = np.argsort(-np.abs(difference), kind="stable")
    return at[order], difference[order], reason or reasons_of(rec, who, one)[0]
