"""A typed client of the server, with safe retries. :class:`AsyncClient` is the same for asyncio.

It needs the extra ``client`` (httpx). Errors are :class:`ServerError`, with the server's message and status.

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
