"""A live recommender over HTTP: lists, newer ratings, model swaps, and a web explorer.

``cofactor serve movies.cofactor`` starts it; :func:`create_app` returns the ASGI application for your own server. It
needs the extra ``serve``. ``docs/serving.md`` describes the routes.
"""

from typing import Any

from cofactor.serve.settings import Settings

__all__ = ["Settings", "create_app", "run"]


def __getattr__(name: str) -> Any:
    if name in ("create_app", "run"):  # need the extra; Settings does not
        from cofactor.serve.server import run as running

        return getattr(running, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
