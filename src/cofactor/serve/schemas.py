"""What may be asked over HTTP, with limits. What these models let through is checked further where it is used."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    StringConstraints,
    create_model,
    field_validator,
    model_validator,
)

from cofactor.errors import DataError
from cofactor.recommend.options import OPTIONS, Kind

MOST_ITEMS = 1000
"""Items of a list."""

YEAR_2101 = 4_133_980_800
"""Seconds since 1970."""

Text = Annotated[str, StringConstraints(strict=True, max_length=1000)]
Name = Annotated[Text, Field(min_length=1)]
Id = Annotated[
    Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)] | Name, Field(union_mode="left_to_right")
]  # which takes half of the time of pydantic's own way
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""A JSON number: ``true`` is not 1, nor is "3" a 3."""
Rating = Annotated[Number, Field(gt=-3e38, lt=3e38)]  # what float32 holds
Feature = StrictBool | Id | Text | Number | Annotated[list[Text], Field(max_length=1000, fail_fast=True)] | None
Level = Annotated[Number, Field(gt=0, lt=1)]
Strength = Annotated[Number, Field(ge=0, le=1)]
Policy = Literal["error", "skip", "popular"]
Count = Annotated[StrictInt, Field(ge=1, le=MOST_ITEMS)]
VersionNumber = Annotated[StrictInt, Field(ge=1, lt=2**31)]


class Strict(BaseModel):
    """A field that does not exist is an error: most often it is one that was meant otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Rated(Strict):
    """An item by its id or title; without a rating: liked."""

    item: Id
    rating: Rating | None = None


History = Annotated[list[Rated], Field(max_length=5000, fail_fast=True)]
"""Lists end at the first mistake: a thousand of them are not counted."""


class Person(Strict):
    """A known user, or a new one with a history. ``new_user``: what tells of a new user, in words."""

    new_user: ClassVar[str] = "a history of items"
    user: Id | None = None
    history: History | None = None

    @model_validator(mode="after")
    def _one(self) -> Person:
        if (self.user is not None) == self.is_new():
            raise ValueError(f"give either a user, or {self.new_user}, and not both")
        return self

    def is_new(self) -> bool:
        """Whether it tells of a new user."""
        return self.history is not None

    def ratings(self) -> dict[Any, float | None] | None:
        """The history as :meth:`Recommender.recommend` takes it."""
        return None if self.history is None else ratings_of(self.history)


def ratings_of(history: list[Rated]) -> dict[Any, float | None]:
    """Ratings by item; DataError where an item is named twice."""
    found = {r.item: r.rating for r in history}
    if len(found) < len(history):
        raise DataError("the history names an item twice; name each item once")
    return found


Ids = Annotated[list[Id], Field(max_length=100_000, fail_fast=True)]


class _Recommend(Person):
    """See :meth:`Recommender.recommend`."""

    new_user: ClassVar[str] = "a history of items (or features) of a new user"
    features: Annotated[dict[Text, Feature], Field(max_length=1000)] | None = None
    version: Annotated[
        VersionNumber | None, Field(description="Ask this version, which is kept, in place of the live one.")
    ] = None

    def is_new(self) -> bool:
        """Whether it tells of a new user."""
        return self.history is not None or self.features is not None


_TYPES: dict[Kind, Any] = {
    "count": Count,
    "flag": StrictBool,
    "ids": Ids | None,
    "predicate": Name | None,
    "cap": tuple[StrictStr, StrictInt] | None,
    "strength": Strength,
    "grouped strength": Strength,
    "level": Level | None,
    "level or draw": Level | Literal["draw"] | None,
    "seed": Annotated[StrictInt, Field(ge=0, lt=2**63)],
    "policy": Policy,
}
"""How HTTP spells the options of a list, with limits."""

_FIELDS: dict[str, Any] = {
    name: (_TYPES[option.kind], Field(option.default, description=option.help)) for name, option in OPTIONS.items()
}
if TYPE_CHECKING:
    Recommend = _Recommend
else:
    Recommend = create_model("Recommend", __base__=_Recommend, **_FIELDS)


class RecommendMany(Strict):
    """Lists for many at once: known ``users``, or ``histories`` of new ones. Other options are those of one list."""

    users: Annotated[list[Id], Field(min_length=1, max_length=10_000, fail_fast=True)] | None = None
    histories: Annotated[list[History], Field(min_length=1, max_length=10_000, fail_fast=True)] | None = None
    n: Count = 10
    seen: StrictBool = False
    where: Name | None = None
    unknown: Policy = "error"

    @model_validator(mode="after")
    def _one(self) -> RecommendMany:
        if (self.users is None) == (self.histories is None):
            raise ValueError("give either users, or histories, and not both")
        return self


class Pair(Strict):
    user: Id
    item: Id


class Predict(Strict):
    """See :meth:`Recommender.predict`."""

    pairs: Annotated[list[Pair], Field(min_length=1, max_length=10_000, fail_fast=True)]
    interval: StrictBool = False
    level: Level = 0.9
    unknown: Policy = "error"


class Explain(Person):
    """See :meth:`Recommender.explain`."""

    item: Id
    n: Annotated[StrictInt, Field(ge=0, le=100)] = 5


class WhatIf(Person):
    """See :meth:`Recommender.what_if`."""

    without: Ids = []
    instead: Annotated[list[Rated], Field(max_length=5000, fail_fast=True)] = []
    n: Count = 10


IsoText = Annotated[str, StringConstraints(strict=True, max_length=40)]
_TIMES = "as seconds or as ISO text such as 2026-11-30T08:15:00Z"


class NewRating(Strict):
    """A rating that came after training; without a rating: liked; without a time (ISO, or seconds since 1970): now."""

    user: Id
    item: Id
    rating: Rating | None = None
    time: StrictInt | Number | IsoText | None = None

    @field_validator("time")
    @classmethod
    def _seconds(cls, time: float | str | None) -> int | None:
        """Seconds since 1970; a time without a zone is UTC."""
        if isinstance(time, str):
            if time.isdecimal():
                raise ValueError("it is a number in a text; write seconds since 1970 as a number, or a date with -")
            try:
                found = dt.datetime.fromisoformat(time)
            except ValueError:
                raise ValueError(f"it must be a time from 1970 to 2100, {_TIMES}") from None
            time = (found if found.tzinfo else found.replace(tzinfo=dt.UTC)).timestamp()
        if time is not None and not 0 <= time < YEAR_2101:
            raise ValueError(f"it must be a time from 1970 to 2100, {_TIMES}")
        return None if time is None else int(time)


class NewRatings(Strict):
    """All are accepted or none. The same ``key`` again does nothing, and gets the same answer."""

    events: Annotated[list[NewRating], Field(min_length=1, max_length=10_000, fail_fast=True)]
    key: Name | None = None


RequestId = Annotated[Name, Field(max_length=200)]


class ShownList(Strict):
    """A list that somebody saw: the ``X-Request-Id`` and the version of the answer, and the items, best first."""

    what: Literal["shown"]
    request: RequestId
    version: VersionNumber
    items: Annotated[list[Id], Field(min_length=1, max_length=MOST_ITEMS, fail_fast=True)]


class ItemReaction(Strict):
    """An item of a list that was clicked or bought."""

    what: Literal["clicked", "bought"]
    request: RequestId
    item: Id


class Feedback(Strict):
    """What came of lists. The same again changes nothing. A body with more than ``most_values`` is not read."""

    most_values: ClassVar[int] = 4000
    events: Annotated[
        list[Annotated[ShownList | ItemReaction, Field(discriminator="what")]],
        Field(min_length=1, max_length=100, fail_fast=True),
    ]


class BeginExperiment(Strict):
    """A ``version`` that is kept, or another bundle (``path``; by default that of the server), for a share of users."""

    version: VersionNumber | None = None
    path: Name | None = None
    share: Annotated[Number, Field(gt=0, le=1)] = 0.5
    mode: Literal["ab", "shadow"] = "ab"

    @model_validator(mode="after")
    def _one(self) -> BeginExperiment:
        if self.version is not None and self.path is not None:
            raise ValueError("give either a version, or the path of a bundle, and not both")
        return self


class Reload(Strict):
    """By default the bundle that the server was started with. ``force``: whatever a trial says."""

    path: Name | None = None
    force: StrictBool = False


class Rollback(Strict):
    """By default the version that was live before."""

    version: VersionNumber | None = None


class Refit(Strict):
    """See :meth:`Recommender.refit`. ``force``: whatever a trial says."""

    warm: StrictBool | None = None
    force: StrictBool = False


# ---- queries: everything in them is text


class Query(BaseModel):
    """A parameter that does not exist is an error here too."""

    model_config = ConfigDict(extra="forbid", frozen=True)


IdText = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
Words = Annotated[str, StringConstraints(max_length=200)]
Limit = Annotated[int, Field(ge=1, le=MOST_ITEMS)]
Offset = Annotated[int, Field(ge=0, le=2**31)]


class ItemQuery(Query):
    item: IdText


class UserQuery(Query):
    user: IdText


class RatedQuery(Query):
    user: IdText
    offset: Offset = 0


class EraseQuery(Query):
    """``refit``: train again at once, so that the model holds nothing of the person."""

    user: IdText
    refit: bool = False


class SearchQuery(Query):
    q: Words = ""
    limit: Limit = 20
    offset: Offset = 0


class ItemsQuery(SearchQuery):
    """``where``: a predicate over the table of items. ``order``: by ``ratings`` (how many), ``mean`` (of few ratings
    drawn to the mean of all), ``title``, or a column of numbers, the largest first."""

    where: Annotated[str, StringConstraints(min_length=1, max_length=1000)] | None = None
    order: Words = "ratings"


class SimilarUsersQuery(Query):
    user: IdText
    n: Limit = 10


class ListQuery(Query):
    user: IdText
    n: Limit = 10
    seen: bool = False
    where: Annotated[str, StringConstraints(min_length=1, max_length=1000)] | None = None


class SimilarQuery(Query):
    item: IdText
    n: Limit = 10


class CountQuery(Query):
    n: Limit = 10


class MapQuery(Query):
    limit: Annotated[int, Field(ge=3, le=100_000)] = 1500
