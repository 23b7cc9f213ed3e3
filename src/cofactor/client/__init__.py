"""A client of a served model: typed, with retries that do nothing twice; :class:`AsyncClient` is the same for asyncio.

Needs the extra ``client`` (httpx). Errors of the server are :class:`ServerError`, with its sentence and status.

>>> from cofactor.client import Client
>>> with Client("http://127.0.0.1:8000", token="...") as films:  # doctest: +SKIP
...     films.recommend(user=8, n=3)
"""

from cofactor.client.clients import AsyncClient, Client, ServerError
from cofactor.client.requests import Accepted, Event, History, Id, ListOf, Prediction, Recommendation

__all__ = [
    "Accepted",
    "AsyncClient",
    "Client",
    "Event",
    "History",
    "Id",
    "ListOf",
    "Prediction",
    "Recommendation",
    "ServerError",
]
