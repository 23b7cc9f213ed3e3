"""Schemas of HTTP requests, with limits. Values that pass are checked further where they are used."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    StringConstraints,
    WithJsonSchema,
    create_model,
    field_validator,
    model_validator,
)

from cofactor.errors import DataError
from cofactor.recommend.options import OPTIONS, Kind

MOST_ITEMS = 1000
"""Most items in a list."""

YEAR_2101 = 4_133_980_800
"""Seconds since 1970."""

Text = Annotated[str, StringConstraints(strict=True, max_length=1000)]
Name = Annotated[Text, Field(min_length=1)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""A JSON number; ``true`` and ``"3"`` are not numbers."""
_EXACT = 2**53
"""Below it, every whole number is a different float."""


def _integer(number: float) -> int:
    """Return a number such as 5.0 as an integer, which it is in JSON: some clients write all numbers that way."""
    if not number.is_integer():
        raise ValueError("it must be an integer")
    return int(number)


_Long = Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
_Float = Annotated[
    float,
    Field(strict=True, gt=-_EXACT, lt=_EXACT),
    AfterValidator(_integer),
    WithJsonSchema({"type": "integer", "minimum": -(2**63), "exclusiveMaximum": 2**63}),
]
_WHOLE = BeforeValidator(lambda number: int(number) if type(number) is float and number.is_integer() else number)
Id = Annotated[_Long | Name | _Float, Field(union_mode="left_to_right")]  # half the time of pydantic's smart mode
Rating = Annotated[Number, Field(gt=-3e38, lt=3e38)]  # the range of float32
Feature = StrictBool | _Long | Text | Number | Annotated[list[Text], Field(max_length=1000, fail_fast=True)] | None
Level = Annotated[Number, Field(gt=0, lt=1)]
Strength = Annotated[Number, Field(ge=0, le=1)]
Policy = Literal["error", "skip", "popular"]
Count = Annotated[int, Field(strict=True, ge=1, le=MOST_ITEMS), _WHOLE]
VersionNumber = Annotated[int, Field(strict=True, ge=1, lt=2**31), _WHOLE]


class Strict(BaseModel):
    """A model for which an unknown field is an error, since it is usually a misspelled one."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Rated(Strict):
    """An item, by id or title, with a rating; without a rating it was liked."""

    item: Id
    rating: Rating | None = None


History = Annotated[list[Rated], Field(max_length=5000, fail_fast=True)]
"""Validation of lists stops at the first error."""


class Person(Strict):
    """A known user, or a new user with a history. ``new_user`` describes the latter in messages."""

    new_user: ClassVar[str] = "a history of items"
    user: Id | None = None
    history: History | None = None

    @model_validator(mode="after")
    def _one(self) -> Person:
        if (self.user is not None) == self.is_new():
            raise ValueError(f"give either a user or {self.new_user}, not both")
        return self

    def is_new(self) -> bool:
        """Return whether the request describes a new user."""
        return self.history is not None

    def ratings(self) -> dict[Any, float | None] | None:
        """Return the history as :meth:`Recommender.recommend` takes it."""
        return None if self.history is None else ratings_of(self.history)


def ratings_of(history: list[Rated]) -> dict[Any, float | None]:
    """Return ratings by item; DataError where an item is named twice."""
    found = {r.item: r.rating for r in history}
    if len(found) < len(history):
        raise DataError("the history names an item twice; name each item once")
    return found


Ids = Annotated[list[Id], Field(max_length=100_000, fail_fast=True)]


class _Recommend(Person):
    """The request for a list; see :meth:`Recommender.recommend`."""

    new_user: ClassVar[str] = "a history of items (or features) of a new user"
    features: Annotated[dict[Text, Feature], Field(max_length=1000)] | None = None
    version: Annotated[VersionNumber | None, Field(description="Use this stored version in place of the live one.")] = (
        None
    )

    def is_new(self) -> bool:
        """Return whether the request describes a new user."""
        return self.history is not None or self.features is not None


_TYPES: dict[Kind, Any] = {
    "count": Count,
    "flag": StrictBool,
    "ids": Ids | None,
    "predicate": Name | None,
    "cap": tuple[StrictStr, Annotated[StrictInt, _WHOLE]] | None,
    "strength": Strength,
    "grouped strength": Strength,
    "level": Level | None,
    "level or draw": Level | Literal["draw"] | None,
    "seed": Annotated[int, Field(strict=True, ge=0, lt=2**63), _WHOLE],
    "policy": Policy,
}
"""The HTTP types of the options of a list, with limits."""

_FIELDS: dict[str, Any] = {
    name: (_TYPES[option.kind], Field(option.default, description=option.help)) for name, option in OPTIONS.items()
}
if TYPE_CHECKING:
    Recommend = _Recommend
else:
    Recommend = create_model("Recommend", __base__=_Recommend, **_FIELDS)


class RecommendMany(Strict):
    """The request for many lists: for known ``users``, or for ``histories`` of new users. Options are those of a
    list."""

    users: Annotated[list[Id], Field(min_length=1, max_length=10_000, fail_fast=True)] | None = None
    histories: Annotated[list[History], Field(min_length=1, max_length=10_000, fail_fast=True)] | None = None
    n: Count = 10
    seen: StrictBool = False
    where: Name | None = None
    unknown: Policy = "error"

    @model_validator(mode="after")
    def _one(self) -> RecommendMany:
        if (self.users is None) == (self.histories is None):
            raise ValueError("give either users or histories, not both")
        return self


class Pair(Strict):
    user: Id
    item: Id


class Predict(Strict):
    """The request for predictions; see :meth:`Recommender.predict`."""

    pairs: Annotated[list[Pair], Field(min_length=1, max_length=10_000, fail_fast=True)]
    interval: StrictBool = False
    level: Level = 0.9
    unknown: Policy = "error"


class Explain(Person):
    """The request for an explanation; see :meth:`Recommender.explain`."""

    item: Id
    n: Annotated[int, Field(strict=True, ge=0, le=100), _WHOLE] = 5


class WhatIf(Person):
    """The request for a changed list; see :meth:`Recommender.what_if`."""

    without: Ids = []
    instead: Annotated[list[Rated], Field(max_length=5000, fail_fast=True)] = []
    n: Count = 10


IsoText = Annotated[str, StringConstraints(strict=True, max_length=40)]
_TIMES = "as seconds or as ISO text such as 2026-11-30T08:15:00Z"


class NewRating(Strict):
    """A rating that came after training. Without a rating the item was liked (of counts and events: chosen once);
    without a time (ISO, or seconds since 1970) the time is now."""

    user: Id
    item: Id
    rating: Rating | None = None
    time: StrictInt | Number | IsoText | None = None

    @field_validator("time")
    @classmethod
    def _seconds(cls, time: float | str | None) -> int | None:
        """Return seconds since 1970; a time without a zone is UTC."""
        if isinstance(time, str):
            if time.isdecimal():
                raise ValueError("it is a number as text; write seconds since 1970 as a number, or a date with -")
            try:
                found = dt.datetime.fromisoformat(time)
            except ValueError:
                raise ValueError(f"it must be a time from 1970 to 2100, {_TIMES}") from None
            time = (found if found.tzinfo else found.replace(tzinfo=dt.UTC)).timestamp()
        if time is not None and not 0 <= time < YEAR_2101:
            raise ValueError(f"it must be a time from 1970 to 2100, {_TIMES}")
        return None if time is None else int(time)


class NewRatings(Strict):
    """Newer ratings, accepted all or none. A repeated ``key`` has no effect, and gets the same answer."""

    events: Annotated[list[NewRating], Field(min_length=1, max_length=10_000, fail_fast=True)]
    key: Name | None = None


RequestId = Annotated[Name, Field(max_length=200)]


class ShownList(Strict):
    """A list that was shown: the ``X-Request-Id`` and the version of the answer, and the items, best first."""

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
    """Feedback on lists. Repeated feedback has no effect. A body with more than ``most_values`` values is refused."""

    most_values: ClassVar[int] = 4000
    events: Annotated[
        list[Annotated[ShownList | ItemReaction, Field(discriminator="what")]],
        Field(min_length=1, max_length=100, fail_fast=True),
    ]


class BeginExperiment(Strict):
    """The request to start an experiment: a stored ``version``, or a bundle (``path``; by default that of the server),
    serves a share of the users."""

    version: VersionNumber | None = None
    path: Name | None = None
    share: Annotated[Number, Field(gt=0, le=1)] = 0.5
    mode: Literal["ab", "shadow"] = "ab"

    @model_validator(mode="after")
    def _one(self) -> BeginExperiment:
        if self.version is not None and self.path is not None:
            raise ValueError("give either a version or the path of a bundle, not both")
        return self


class Reload(Strict):
    """The request to serve a bundle, by default the one that the server was started with. ``force``: whatever the test
    on the latest events shows."""

    path: Name | None = None
    force: StrictBool = False


class Rollback(Strict):
    """The request to go back to a version, by default the one that was live before."""

    version: VersionNumber | None = None


class Refit(Strict):
    """The request for a refit; see :meth:`Recommender.refit`. ``force``: whatever the test on the latest events
    shows."""

    warm: StrictBool | None = None
    force: StrictBool = False


# ---- queries: all values are text


class Query(BaseModel):
    """A query for which an unknown parameter is an error."""

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
    """The user to erase. ``refit``: train again at once, so that the model keeps no influence of the user."""

    user: IdText
    refit: bool = False


class SearchQuery(Query):
    q: Words = ""
    limit: Limit = 20
    offset: Offset = 0


class ItemsQuery(SearchQuery):
    """A search for items. ``where``: a predicate over the item table. ``order``: ``ratings`` (their number), ``mean``
    (with few ratings shrunk to the overall mean), ``title``, or a numeric column, the largest first."""

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
