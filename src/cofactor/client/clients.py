"""The clients. They send the requests of :mod:`cofactor.client.requests`, and retry where that is safe."""

from __future__ import annotations

import asyncio
import functools
import inspect
import random
import time
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from cofactor.client import requests
from cofactor.client.requests import Request
from cofactor.errors import CofactorError, MissingExtraError

try:
    import httpx
except ModuleNotFoundError:
    raise MissingExtraError("httpx", "client", "the client of a server") from None

P = ParamSpec("P")
T = TypeVar("T")
_AGAIN = (408, 429, 502, 503, 504)
"""Statuses after which a request may be retried."""


class ServerError(CofactorError):
    """The server refused a request, or could not be reached. ``status`` is 0 where no answer came."""

    def __init__(self, sentence: str, status: int = 0) -> None:
        super().__init__(sentence)
        self.status = status


class _Base:
    def __init__(self, url: str, token: str | None, timeout: float, retries: int) -> None:
        self.retries = retries
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._arguments: dict[str, Any] = {"base_url": url, "headers": headers, "timeout": timeout}

    def _wait(self, request: Request[Any], attempt: int, came: httpx.Response | httpx.TransportError) -> float | None:
        """Return the seconds until the next attempt: the server's ``Retry-After``, or an exponential delay, with
        jitter.

        None where an answer came and no retry is needed; ServerError where the request failed for good.
        """
        answer = came if isinstance(came, httpx.Response) else None
        again = answer is None or answer.status_code in _AGAIN
        safe = request.safe or (answer is not None and answer.status_code in (429, 503))  # the server did nothing
        if again and safe and attempt < self.retries:
            said = "" if answer is None else answer.headers.get("retry-after", "")
            base = float(said) if said.isdigit() else 0.1 * 2.0**attempt
            return min(base, 10.0) * random.uniform(0.8, 1.2)
        if isinstance(came, httpx.TransportError):
            raise ServerError(f"the server did not answer: {came or type(came).__name__}") from came
        if came.is_error:
            raise _error(came)
        return None


def _error(answer: httpx.Response) -> ServerError:
    try:
        said = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        said = f"the server answered {answer.status_code}"
    return ServerError(str(said), answer.status_code)


def _said(answer: httpx.Response) -> Any:
    """Return the JSON of an answer; ServerError where it is none, such as the page of a proxy."""
    try:
        return answer.json()
    except ValueError:
        raise ServerError(
            f"the answer of {answer.url} is not JSON; give the address of a cofactor server", answer.status_code
        ) from None


def _as_method(ask: Callable[..., Any], describe: Callable[..., Any]) -> Any:
    """Return ``ask`` with the name, docstring and parameters of ``describe``, after ``self``."""
    wrapped: Any = functools.wraps(describe)(ask)
    given = inspect.signature(describe)
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    wrapped.__signature__ = given.replace(
        parameters=[own, *given.parameters.values()],
        return_annotation=str(given.return_annotation).removeprefix("Request[").removesuffix("]"),
    )
    return wrapped


def _sent(describe: Callable[P, Request[T]]) -> Callable[Concatenate[Client, P], T]:
    """Return a method of the client that sends a request and waits for the answer."""

    def ask(self: Client, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._send(describe(*args, **kwargs))

    found: Callable[Concatenate[Client, P], T] = _as_method(ask, describe)
    return found


def _awaited(describe: Callable[P, Request[T]]) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    """Return the same method for asyncio."""

    async def ask(self: AsyncClient, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._send(describe(*args, **kwargs))

    found: Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]] = _as_method(ask, describe)
    return found


class Client(_Base):
    """A client of the server at ``url``.

    ``token`` is the server's token, ``timeout`` the most seconds to wait for an answer, and ``retries`` the most
    retries. A request that changes state is retried only with a key, under which the server executes it once.
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

    def _send(self, request: Request[T]) -> T:
        attempt = 0
        while True:
            came: httpx.Response | httpx.TransportError
            try:
                came = self._http.request(request.method, request.path, **request.arguments())
            except httpx.TransportError as exc:
                came = exc
            seconds = self._wait(request, attempt, came)
            if seconds is None:
                assert isinstance(came, httpx.Response)
                return request.read(_said(came))
            time.sleep(seconds)
            attempt += 1

    recommend = _sent(requests.recommend)
    recommend_list = _sent(requests.recommend_list)
    recommend_many = _sent(requests.recommend_many)
    feedback = _sent(requests.feedback)
    predict = _sent(requests.predict)
    similar = _sent(requests.similar)
    explain = _sent(requests.explain)
    tell = _sent(requests.tell)
    erase = _sent(requests.erase)
    refit = _sent(requests.refit)
    reload = _sent(requests.reload)
    rollback = _sent(requests.rollback)
    versions = _sent(requests.versions)
    info = _sent(requests.info)


class AsyncClient(_Base):
    """:class:`Client` for asyncio, with the same methods as coroutines."""

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

    async def _send(self, request: Request[T]) -> T:
        attempt = 0
        while True:
            came: httpx.Response | httpx.TransportError
            try:
                came = await self._http.request(request.method, request.path, **request.arguments())
            except httpx.TransportError as exc:
                came = exc
            seconds = self._wait(request, attempt, came)
            if seconds is None:
                assert isinstance(came, httpx.Response)
                return request.read(_said(came))
            await asyncio.sleep(seconds)
            attempt += 1

    recommend = _awaited(requests.recommend)
    recommend_list = _awaited(requests.recommend_list)
    recommend_many = _awaited(requests.recommend_many)
    feedback = _awaited(requests.feedback)
    predict = _awaited(requests.predict)
    similar = _awaited(requests.similar)
    explain = _awaited(requests.explain)
    tell = _awaited(requests.tell)
    erase = _awaited(requests.erase)
    refit = _awaited(requests.refit)
    reload = _awaited(requests.reload)
    rollback = _awaited(requests.rollback)
    versions = _awaited(requests.versions)
    info = _awaited(requests.info)
