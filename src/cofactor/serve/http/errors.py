"""Errors as answers: a status, and one sentence."""

from __future__ import annotations

import logging
import re
import secrets
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from cofactor.errors import BundleError, CofactorError, MissingExtraError, UnknownIdError
from cofactor.serve.guard.asgi import Scope
from cofactor.serve.guard.refused import problem
from cofactor.serve.guard.tokens import ADMIN
from cofactor.serve.http.reading import WrongEntry, mistake
from cofactor.serve.live.changing import Busy, NotBetter
from cofactor.serve.storage.state_folder import StateError
from cofactor.serve.storage.store import KeyReused
from cofactor.serve.storage.transactions import StoreError, Unsure

log = logging.getLogger("cofactor.serve")


_NOTHING = "there is nothing at this path; / is the explorer, and /openapi.json describes the routes under /v1"


def as_answer(status: int, sentence: str, headers: Any = None) -> Response:
    return Response(problem(status, sentence), status, headers, "application/problem+json")


def failed(request: Request, exc: Exception) -> Response:
    """Return the problem document for an error: one sentence and a status."""
    if isinstance(exc, HTTPException):
        sentence = _NOTHING if exc.status_code == 404 else str(exc.detail)
        return as_answer(exc.status_code, sentence, exc.headers)
    return as_answer(*explained(exc, request.method, request.url.path))


def explained(exc: Exception, method: str, path: str) -> tuple[int, str]:
    """Return the status and the sentence for an error; an internal error is logged with details."""
    status, sentence = _status(exc)
    if status == 500:
        number = secrets.token_hex(4)
        log.error("error %s of %s %r", number, method, path, exc_info=exc)
        sentence = f"internal error; see error {number} in the log of the server"
    return status, sentence


def _status(exc: Exception) -> tuple[int, str]:
    if isinstance(exc, (ValidationError, WrongEntry)):
        return 422, mistake(exc)
    if isinstance(exc, Unsure):
        return (
            503,
            f"the database connection was lost ({exc}), so the request may or may not be stored: send it again with"
            " the same key",
        )
    if isinstance(exc, StoreError):
        return 503, f"the store cannot be written ({exc}); nothing was changed: try again"
    for kind, status in _STATUSES:
        if isinstance(exc, kind):
            return status, str(exc)
    return (422, str(exc)) if isinstance(exc, CofactorError) else (500, "")


_STATUSES = (
    (UnknownIdError, 404),
    (Busy, 409),
    (NotBetter, 409),
    (KeyReused, 409),
    (BundleError, 409),
    (MissingExtraError, 501),
    (StateError, 503),
)


_NAMES_A_USER = re.compile(r"""unknown user ('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[-+]?\w+(?:\.\w+)*)""")


def without_ids(sentence: str, scope: Scope) -> str:
    """Return the sentence without other users' ids (suggestions, the range of ids) for clients that may not list
    them."""
    found = None if ADMIN in scope["scopes"] else _NAMES_A_USER.search(sentence)
    return sentence if found is None else sentence[: found.end()]
