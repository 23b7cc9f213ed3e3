"""A client of a served model: typed, with retries that do nothing twice; :class:`AsyncClient` is the same for asyncio.

Needs the extra ``client`` (httpx). Errors of the server are :class:`ServerError`, with its sentence and status.

>>> from cofactor.client import Client
>>> with Client("http://127.0.0.1:8000", token="...") as films:  # doctest: +SKIP
...     films.recommend(user=8, n=3)
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NotRequired, Self, TypedDict

from cofactor.errors import CofactorError, MissingExtraError

try:
    import httpx
except ModuleNotFoundError:
    raise MissingExtraError("httpx", "client", "the client of a server") from None

Id = int | str
History = Mapping[Id, float | None] | Iterable[Id]
"""Items with ratings, or items that were liked."""

_AGAIN = (408, 429, 502, 503, 504)
"""Statuses after which a request is sent again."""


class Recommendation(TypedDict):
    """One line of a list. ``low`` and ``high`` where bounds were asked for."""

    rank: int
    item: Id
    title: NotRequired[str | None]
    score: float | None
    low: NotRequired[float | None]
    high: NotRequired[float | None]
    reason: str | None
    status: str


class ListOf(TypedDict):
    """A list, the version of the model that gave it, and the id of its request, for :meth:`Client.feedback`."""

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
    """What a server says of newer ratings: how many it took now, and how many it has."""

    accepted: int
    version: int
    events: int
    new_items: list[Id]


class Event(TypedDict):
    """A newer rating; without a rating: liked; without a time: now."""

    user: Id
    item: Id
    rating: NotRequired[float | None]
    time: NotRequired[int | str | None]


class ServerError(CofactorError):
    """The server refused, or could not be reached. ``status`` 0: no answer came."""

    def __init__(self, sentence: str, status: int = 0) -> None:
        super().__init__(sentence)
        self.status = status


class _Asked:
    """A request as it is sent, perhaps several times."""

    def __init__(self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None) -> None:
        self.method, self.path = method, path
        self.query = {k: _text(v) for k, v in (query or {}).items() if v is not None}
        self.body = body
        self.request: str | None = None
        self.safe = method == "GET" or path in _ASKING or (body is not None and "key" in body)
        """Whether sending it twice is like sending it once."""

    def arguments(self) -> dict[str, Any]:
        found: dict[str, Any] = {"params": self.query}
        if self.request is not None:
            found["headers"] = {"X-Request-Id": self.request}
        return found if self.body is None else found | {"json": self.body}


_ASKING = (
    "/v1/recommend", "/v1/recommend-many", "/v1/predict", "/v1/explain", "/v1/what-if", "/v1/feedback",
)  # fmt: skip


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _history(history: History | None) -> list[dict[str, Any]] | None:
    if history is None:
        return None
    if isinstance(history, Mapping):
        return [{"item": item} | ({} if r is None else {"rating": r}) for item, r in history.items()]
    return [{"item": item} for item in history]


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _error(answer: httpx.Response) -> ServerError:
    try:
        said = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        said = f"the server answered {answer.status_code}"
    return ServerError(str(said), answer.status_code)


def _wait(attempt: int, answer: httpx.Response | None) -> float:
    """Seconds until the next attempt: what the server says, or twice as long each time, with some chance."""
    said = "" if answer is None else answer.headers.get("retry-after", "")
    base = float(said) if said.isdigit() else 0.1 * 2.0**attempt
    return min(base, 10.0) * random.uniform(0.8, 1.2)


# ---- requests, the same for both clients


def _recommend(
    user: Id | None, history: History | None, features: Mapping[str, Any] | None, options: Mapping[str, Any]
) -> _Asked:
    people = _given(user=user, history=_history(history), features=features)
    return _Asked("POST", "/v1/recommend", body=people | dict(options))


def _list(
    user: Id | None, history: History | None, features: Mapping[str, Any] | None, options: Mapping[str, Any]
) -> _Asked:
    asked = _recommend(user, history, features, options)
    asked.request = uuid.uuid4().hex
    return asked


def _listed(asked: _Asked, answer: Any) -> ListOf:
    return {
        "recommendations": list(answer["recommendations"]),
        "version": int(answer["version"]),
        "request": str(asked.request),
    }


def _many(users: Sequence[Id] | None, histories: Sequence[History] | None, options: Mapping[str, Any]) -> _Asked:
    told = None if histories is None else [_history(h) for h in histories]
    people = _given(users=None if users is None else list(users), histories=told)
    return _Asked("POST", "/v1/recommend-many", body=people | dict(options))


def _predict(pairs: Iterable[tuple[Id, Id]], options: Mapping[str, Any]) -> _Asked:
    listed = [{"user": user, "item": item} for user, item in pairs]
    return _Asked("POST", "/v1/predict", body={"pairs": listed} | dict(options))


def _tell(events: Iterable[Event], key: str | None) -> _Asked:
    listed = [dict(event) for event in events]
    return _Asked("POST", "/v1/events", body={"events": listed, "key": key or uuid.uuid4().hex})


class _Base:
    def __init__(self, url: str, token: str | None, timeout: float, retries: int) -> None:
        self.retries = retries
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._arguments: dict[str, Any] = {"base_url": url, "headers": headers, "timeout": timeout}

    def _again(self, asked: _Asked, attempt: int, answer: httpx.Response | None) -> bool:
        if attempt >= self.retries:
            return False
        if answer is None:
            return asked.safe
        return answer.status_code in _AGAIN and (asked.safe or answer.status_code in (429, 503))


class Client(_Base):
    """``url`` of a server, its ``token``, seconds that an answer may take, and how often a request is sent again.

    What changes something is sent again only with a key, under which the server does it once.
    """

    def __init__(self, url: str, *, token: str | None = None, timeout: float = 10.0, retries: int = 4) -> None:
        super().__init__(url, token, timeout, retries)
        self._http = httpx.Client(**self._arguments)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _ask(self, asked: _Asked) -> Any:
        attempt = 0
        while True:
            answer: httpx.Response | None = None
            try:
                answer = self._http.request(asked.method, asked.path, **asked.arguments())
            except httpx.TransportError as exc:
                if not self._again(asked, attempt, None):
                    raise ServerError(f"no answer came from the server: {exc or type(exc).__name__}") from exc
            if answer is not None and not self._again(asked, attempt, answer):
                if answer.is_error:
                    raise _error(answer)
                return answer.json()
            time.sleep(_wait(attempt, answer))
            attempt += 1

    def recommend(
        self,
        user: Id | None = None,
        *,
        history: History | None = None,
        features: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> list[Recommendation]:
        """The best items for a user, or for a new one with a history or features; options as for
        :meth:`cofactor.recommender.Recommender.recommend`."""
        return list(self._ask(_recommend(user, history, features, options))["recommendations"])

    def recommend_list(
        self,
        user: Id | None = None,
        *,
        history: History | None = None,
        features: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> ListOf:
        """The same with the version of the model and the id of the request, for :meth:`feedback`."""
        asked = _list(user, history, features, options)
        return _listed(asked, self._ask(asked))

    def feedback(self, events: Iterable[Mapping[str, Any]]) -> int:
        """What came of lists: ``{"what": "shown", "request", "version", "items"}``, and ``"clicked"`` or ``"bought"``
        with ``request`` and ``item``; how many of these were new. The same again changes nothing."""
        listed = [dict(event) for event in events]
        return int(self._ask(_Asked("POST", "/v1/feedback", body={"events": listed}))["accepted"])

    def recommend_many(
        self, users: Sequence[Id] | None = None, *, histories: Sequence[History] | None = None, **options: Any
    ) -> list[list[Recommendation]]:
        """A list for each of these users, or histories."""
        return list(self._ask(_many(users, histories, options))["lists"])

    def predict(self, pairs: Iterable[tuple[Id, Id]], **options: Any) -> list[Prediction]:
        """Ratings of (user, item) pairs."""
        return list(self._ask(_predict(pairs, options))["predictions"])

    def similar(self, item: Id, n: int = 10) -> list[dict[str, Any]]:
        """The neighbours of an item."""
        return list(self._ask(_Asked("GET", "/v1/similar", {"item": item, "n": n}))["similar"])

    def explain(
        self, item: Id, user: Id | None = None, *, history: History | None = None, n: int = 5
    ) -> dict[str, Any]:
        """Why a user gets a prediction."""
        body = _given(user=user, history=_history(history), item=item, n=n)
        return dict(self._ask(_Asked("POST", "/v1/explain", body=body)))

    def tell(self, events: Iterable[Event], *, key: str | None = None) -> Accepted:
        """Newer ratings, all or none. The same ``key`` again does nothing, so that it is safe to send them again."""
        found: Accepted = self._ask(_tell(events, key))
        return found

    def erase(self, user: Id, *, refit: bool = False) -> dict[str, Any]:
        """Erase a person from everything that the server keeps."""
        return dict(self._ask(_Asked("DELETE", "/v1/user", {"user": user, "refit": refit})))

    def refit(self, warm: bool | None = None) -> None:
        """Train again on everything told, in the background."""
        self._ask(_Asked("POST", "/v1/refit", body=_given(warm=warm)))

    def reload(self, path: str | None = None) -> int:
        """Serve a saved model (by default the one that the server was started with); its version."""
        return int(self._ask(_Asked("POST", "/v1/reload", body=_given(path=path)))["version"])

    def rollback(self, version: int | None = None) -> int:
        """Back to a version, by default the one that was live before; its number."""
        return int(self._ask(_Asked("POST", "/v1/rollback", body=_given(version=version)))["version"])

    def versions(self) -> dict[str, Any]:
        """The versions that were live, and what is under way."""
        return dict(self._ask(_Asked("GET", "/v1/versions")))

    def info(self) -> dict[str, Any]:
        """What is served, and what it can do."""
        return dict(self._ask(_Asked("GET", "/v1/info")))


class AsyncClient(_Base):
    """:class:`Client` for asyncio: the same methods, to be awaited."""

    def __init__(self, url: str, *, token: str | None = None, timeout: float = 10.0, retries: int = 4) -> None:
        super().__init__(url, token, timeout, retries)
        self._http = httpx.AsyncClient(**self._arguments)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _ask(self, asked: _Asked) -> Any:
        attempt = 0
        while True:
            answer: httpx.Response | None = None
            try:
                answer = await self._http.request(asked.method, asked.path, **asked.arguments())
            except httpx.TransportError as exc:
                if not self._again(asked, attempt, None):
                    raise ServerError(f"no answer came from the server: {exc or type(exc).__name__}") from exc
            if answer is not None and not self._again(asked, attempt, answer):
                if answer.is_error:
                    raise _error(answer)
                return answer.json()
            await asyncio.sleep(_wait(attempt, answer))
            attempt += 1

    async def recommend(
        self,
        user: Id | None = None,
        *,
        history: History | None = None,
        features: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> list[Recommendation]:
        """See :meth:`Client.recommend`."""
        return list((await self._ask(_recommend(user, history, features, options)))["recommendations"])

    async def recommend_list(
        self,
        user: Id | None = None,
        *,
        history: History | None = None,
        features: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> ListOf:
        """See :meth:`Client.recommend_list`."""
        asked = _list(user, history, features, options)
        return _listed(asked, await self._ask(asked))

    async def feedback(self, events: Iterable[Mapping[str, Any]]) -> int:
        """See :meth:`Client.feedback`."""
        listed = [dict(event) for event in events]
        return int((await self._ask(_Asked("POST", "/v1/feedback", body={"events": listed})))["accepted"])

    async def recommend_many(
        self, users: Sequence[Id] | None = None, *, histories: Sequence[History] | None = None, **options: Any
    ) -> list[list[Recommendation]]:
        """See :meth:`Client.recommend_many`."""
        return list((await self._ask(_many(users, histories, options)))["lists"])

    async def predict(self, pairs: Iterable[tuple[Id, Id]], **options: Any) -> list[Prediction]:
        """See :meth:`Client.predict`."""
        return list((await self._ask(_predict(pairs, options)))["predictions"])

    async def similar(self, item: Id, n: int = 10) -> list[dict[str, Any]]:
        """See :meth:`Client.similar`."""
        return list((await self._ask(_Asked("GET", "/v1/similar", {"item": item, "n": n})))["similar"])

    async def explain(
        self, item: Id, user: Id | None = None, *, history: History | None = None, n: int = 5
    ) -> dict[str, Any]:
        """See :meth:`Client.explain`."""
        body = _given(user=user, history=_history(history), item=item, n=n)
        return dict(await self._ask(_Asked("POST", "/v1/explain", body=body)))

    async def tell(self, events: Iterable[Event], *, key: str | None = None) -> Accepted:
        """See :meth:`Client.tell`."""
        found: Accepted = await self._ask(_tell(events, key))
        return found

    async def erase(self, user: Id, *, refit: bool = False) -> dict[str, Any]:
        """See :meth:`Client.erase`."""
        return dict(await self._ask(_Asked("DELETE", "/v1/user", {"user": user, "refit": refit})))

    async def refit(self, warm: bool | None = None) -> None:
        """See :meth:`Client.refit`."""
        await self._ask(_Asked("POST", "/v1/refit", body=_given(warm=warm)))

    async def reload(self, path: str | None = None) -> int:
        """See :meth:`Client.reload`."""
        return int((await self._ask(_Asked("POST", "/v1/reload", body=_given(path=path))))["version"])

    async def rollback(self, version: int | None = None) -> int:
        """See :meth:`Client.rollback`."""
        return int((await self._ask(_Asked("POST", "/v1/rollback", body=_given(version=version))))["version"])

    async def versions(self) -> dict[str, Any]:
        """See :meth:`Client.versions`."""
        return dict(await self._ask(_Asked("GET", "/v1/versions")))

    async def info(self) -> dict[str, Any]:
        """See :meth:`Client.info`."""
        return dict(await self._ask(_Asked("GET", "/v1/info")))
