"""A live recommender over HTTP: ask, tell it newer ratings, swap models, and look at it in a browser.

``cofactor serve movies.cofactor`` starts it; :func:`create_app` gives the ASGI application for a server of your own.
Needs the extra ``serve``. What it offers is described in ``docs/serving.md``.
"""

from typing import Any

from cofactor.serve.settings import Settings

__all__ = ["Settings", "create_app", "run"]


def __getattr__(name: str) -> Any:
    if name in ("create_app", "run"):  # these need the extra; the settings do not
        from cofactor.serve import server

        return getattr(server, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
