"""Why a prediction is what it is: terms that sum to it, and the nearest of the user's own rated items."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from cofactor.errors import ConfigError
from cofactor.model import Additive, Terms
from cofactor.recommend.lookup import item_labels
from cofactor.recommend.similar import item_similarity, shared_raters

if TYPE_CHECKING:
    from cofactor.recommend import Recommender


@dataclass(frozen=True)
class Explanation:
    """``terms``: a frame term, value; ``link`` of their sum is ``prediction``. ``neighbours``: rated items."""

    user: Any
    item: Any
    label: str
    prediction: float
    terms: pl.DataFrame
    link: str
    y_range: tuple[float, float] | None
    neighbours: pl.DataFrame

    def linked_sum(self) -> float:
        """The link of the sum of the terms: equal to the prediction."""
        return linked(float(self.terms["value"].sum()), self.link, self.y_range)

    def grouped(self) -> pl.DataFrame:
        """The terms with all factors added up into one: a frame term, value."""
        is_factor = pl.col("term").str.starts_with("factor")
        rest = self.terms.filter(~is_factor)
        factors = self.terms.filter(is_factor)
        if factors.is_empty():
            return rest
        total = pl.DataFrame({"term": ["factors"], "value": [float(factors["value"].sum())]})
        return pl.concat([rest, total])

    def __str__(self) -> str:
        parts = ", ".join(f"{t} {v:+.3f}" for t, v in self.grouped().iter_rows())
        how = ""
        if self.link == "sigmoid" and self.y_range is not None:
            how = f" (through a sigmoid from {self.y_range[0]:g} to {self.y_range[1]:g})"
        lines = [f"{self.label} for user {self.user}: {self.prediction:.3f} = {parts}{how}"]
        for row in self.neighbours.iter_rows(named=True):
            name = row.get("title", row["item"])
            lines.append(f"  near {name}, rated {row['rating']:g} (similarity {row['similarity']:.2f})")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Everything, in types that JSON knows."""
        return {
            "user": self.user,
            "item": self.item,
            "prediction": self.prediction,
            "link": self.link,
            "y_range": self.y_range,
            "terms": self.terms.to_dicts(),
            "neighbours": self.neighbours.to_dicts(),
        }


def linked(total: float, link: str, y_range: tuple[float, float] | None) -> float:
    """The prediction that a sum of terms stands for."""
    if link == "identity" or y_range is None:
        return total
    low, high = y_range
    return low + (high - low) / (1 + math.exp(-total))


def explain(rec: Recommender, user: int, item: int, *, n: int) -> Explanation:
    """The work of :meth:`Recommender.explain`; ``user`` and ``item`` are codes."""
    if not isinstance(rec.model, Additive):
        raise ConfigError(f"{rec.name} does not add up terms, so its predictions cannot be taken apart")
    account: Terms = rec.model.terms(user, item)
    prediction = float(rec.predict_codes(np.array([user]), np.array([item]))[0])
    return Explanation(
        user=rec.data.user_ids.decode(np.array([user]))[0],
        item=rec.data.item_ids.decode(np.array([item]))[0],
        label=item_labels(rec.data, np.array([item]))[0],
        prediction=prediction,
        terms=pl.DataFrame({"term": list(account.names), "value": np.asarray(account.values, dtype=np.float64)}),
        link=account.link,
        y_range=account.y_range,
        neighbours=_rated_neighbours(rec, user, item, n),
    )


def _rated_neighbours(rec: Recommender, user: int, item: int, n: int) -> pl.DataFrame:
    rated, values = rec.data.by_user.row(user)
    similarity = item_similarity(rec.model, rec.data, np.array([item]))[0, rated]
    order = np.argsort(-similarity, kind="stable")
    order = order[rated[order] != item][:n]
    found = rated[order]
    return pl.DataFrame(
        [
            *rec.item_columns(found),
            pl.Series("rating", values[order]),
            pl.Series("similarity", similarity[order]),
            pl.Series("shared_raters", shared_raters(rec.data, item, found)),
        ]
    )
