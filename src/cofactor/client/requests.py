"""Requests of the client: each function describes a request, and how to read its answer.

The two clients of :mod:`cofactor.client.clients` have these functions as methods, so their docstrings describe the
methods.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NotRequired, TypedDict, TypeVar

from cofactor.errors import ConfigError

T = TypeVar("T")
Id = int | str
History = Mapping[Id, float | None] | Iterable[Id]
"""Items with ratings, or liked items."""


class Recommendation(TypedDict):
    """One item of a list, with ``low`` and ``high`` if bounds were requested."""

    rank: int
    item: Id
    title: NotRequired[str | None]
    score: float | None
    low: NotRequired[float | None]
    high: NotRequired[float | None]
    reason: str | None
    status: str


class ListOf(TypedDict):
    """A list, the version of the model that made it, and the id of its request, for :meth:`Client.feedback`."""

    recommendations: list[Recommendation]
    version: int
    request: str


class Prediction(TypedDict):
    """One predicted pair."""

    user: Id
    item: Id
    prediction: float | None
    low: NotRequired[float | None]
    high: NotRequired[float | None]
    status: str


class Accepted(TypedDict):
    """The server's answer to newer ratings: ``accepted`` are the ratings taken now, ``events`` all newer ratings."""

    accepted: int
    version: int
    events: int
    new_items: list[Id]


class Event(TypedDict):
    """A newer rating. Without a rating the item was liked; without a time the time is now."""

    user: Id
    item: Id
    rating: NotRequired[float | None]
    time: NotRequired[int | str | None]


@dataclass
class Request(Generic[T]):
    """A request, which may be sent several times. ``read`` converts the JSON of the answer to the result; ``id`` is
    sent as ``X-Request-Id``."""

    method: str
    path: str
    read: Callable[[Any], T]
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    id: str | None = None

    @property
    def safe(self) -> bool:
        """Whether the request is idempotent."""
        return self.method == "GET" or self.path in _ASKING or (self.body is not None and "key" in self.body)

    def arguments(self) -> dict[str, Any]:
        """Return the arguments for httpx besides method and path."""
        found: dict[str, Any] = {"params": {k: _text(v) for k, v in self.query.items() if v is not None}}
        if self.id is not None:
            found["headers"] = {"X-Request-Id": self.id}
        return found if self.body is None else found | {"json": self.body}


_ASKING = (
    "/v1/recommend", "/v1/recommend-many", "/v1/predict", "/v1/explain", "/v1/what-if", "/v1/feedback",
)  # fmt: skip
"""Paths with idempotent POST requests."""


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _history(history: History | None) -> list[dict[str, Any]] | None:
    if history is None:
        return None
    if isinstance(history, Mapping):
        return [{"item": item} | ({} if r is None else {"rating": r}) for item, r in history.items()]
    return [{"item": item} for item in history]


def _event(at: int, event: Any) -> dict[str, Any]:
    """Return an event as the server takes it."""
    if isinstance(event, Mapping):
        return dict(event)
    if not isinstance(event, tuple | list) or not 2 <= len(event) <= 4:
        raise ConfigError(f"event {at + 1} is {event!r}; give (user, item, rating), or a dictionary with these names")
    return dict(zip(("user", "item", "rating", "time"), event))


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _list_of(name: str) -> Callable[[Any], list[Any]]:
    return lambda answer: list(answer[name])


def _whole(name: str) -> Callable[[Any], int]:
    return lambda answer: int(answer[name])


# ---- lists


def recommend(
    user: Id | None = None,
    *,
    history: History | None = None,
    features: Mapping[str, Any] | None = None,
    **options: Any,
) -> Request[list[Recommendation]]:
    """List the best items for a user, or for a new user with a history or features. Options are those of
    :meth:`cofactor.recommender.Recommender.recommend`."""
    body = _given(user=user, history=_history(history), features=features) | options
    return Request("POST", "/v1/recommend", _list_of("recommendations"), body=body)


def recommend_list(
    user: Id | None = None,
    *,
    history: History | None = None,
    features: Mapping[str, Any] | None = None,
    **options: Any,
) -> Request[ListOf]:
    """List the best items as :meth:`recommend` does, with the version of the model and the id of the request, for
    :meth:`feedback`."""
    body = _given(user=user, history=_history(history), features=features) | options
    name = uuid.uuid4().hex

    def read(answer: Any) -> ListOf:
        listed = list(answer["recommendations"])
        return {"recommendations": listed, "version": int(answer["version"]), "request": name}

    return Request("POST", "/v1/recommend", read, body=body, id=name)


def feedback(events: Iterable[Mapping[str, Any]]) -> Request[int]:
    """Send feedback on lists, and return how many events were new. The request is idempotent.

    An event is ``{"what": "shown", "request", "version", "items"}``, or ``"clicked"`` or ``"bought"`` with ``request``
    and ``item``.
    """
    return Request("POST", "/v1/feedback", _whole("accepted"), body={"events": [dict(event) for event in events]})


def recommend_many(
    users: Sequence[Id] | None = None, *, histories: Sequence[History] | None = None, **options: Any
) -> Request[list[list[Recommendation]]]:
    """List the best items for each of these users or histories."""
    told = None if histories is None else [_history(h) for h in histories]
    body = _given(users=None if users is None else list(users), histories=told) | options
    return Request("POST", "/v1/recommend-many", _list_of("lists"), body=body)


# ---- predictions and reasons


def predict(pairs: Iterable[tuple[Id, Id]], **options: Any) -> Request[list[Prediction]]:
    """Predict the ratings of (user, item) pairs."""
    listed = [{"user": user, "item": item} for user, item in pairs]
    return Request("POST", "/v1/predict", _list_of("predictions"), body={"pairs": listed} | options)


def similar(item: Id, n: int = 10) -> Request[list[dict[str, Any]]]:
    """List the items most similar to an item."""
    return Request("GET", "/v1/similar", _list_of("similar"), {"item": item, "n": n})


def explain(item: Id, user: Id | None = None, *, history: History | None = None, n: int = 5) -> Request[dict[str, Any]]:
    """Explain the prediction for an item and a user, or a new user with a history."""
    return Request("POST", "/v1/explain", dict, body=_given(user=user, history=_history(history), item=item, n=n))


# ---- newer ratings and erasure


def _accepted(answer: Any) -> Accepted:
    found: Accepted = answer
    return found


def tell(events: Iterable[Event | tuple[Any, ...]], *, key: str | None = None) -> Request[Accepted]:
    """Send newer ratings, as dictionaries or as (user, item[, rating[, time]]); the server takes all of them or none. A
    repeated ``key`` has no effect, so retries are safe. ConfigError where an event is neither."""
    listed = [_event(at, event) for at, event in enumerate(events)]
    return Request("POST", "/v1/events", _accepted, body={"events": listed, "key": key or uuid.uuid4().hex})


def erase(user: Id, *, refit: bool = False) -> Request[dict[str, Any]]:
    """Erase a user from everything that the server stores; ``refit`` trains the model again without them."""
    return Request("DELETE", "/v1/user", dict, {"user": user, "refit": refit})


# ---- models


def refit(warm: bool | None = None) -> Request[None]:
    """Train the model again, in the background, on its training data and all newer ratings."""
    return Request("POST", "/v1/refit", lambda answer: None, body=_given(warm=warm))


def reload(path: str | None = None) -> Request[int]:
    """Serve a saved model (by default the one that the server was started with), and return its version."""
    return Request("POST", "/v1/reload", _whole("version"), body=_given(path=path))


def rollback(version: int | None = None) -> Request[int]:
    """Go back to a version (by default the one that was live before), and return its number."""
    return Request("POST", "/v1/rollback", _whole("version"), body=_given(version=version))


def versions() -> Request[dict[str, Any]]:
    """Return the versions that were live, and the work in progress."""
    return Request("GET", "/v1/versions", dict)


def info() -> Request[dict[str, Any]]:
    """Return facts about the served model and its capabilities."""
    return Request("GET", "/v1/info", dict)
