"""The exception tree. Every message says what was wrong, where, and what to do about it.

Every error that cofactor raises on purpose is a :class:`CofactorError`, so one ``except`` catches them all. The
command line turns them into one line and exit code 2.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

LONGEST = 2_000


class CofactorError(Exception):
    """Base class of every error that cofactor raises on purpose. Its message is always one line."""

    def __init__(self, message: object = "", *more: object) -> None:
        if isinstance(message, str):
            message = " ".join(line.strip() for line in message.splitlines())
            if len(message) > LONGEST:
                message = f"{message[: LONGEST // 2]} ... {message[-LONGEST // 2 :]}"
        super().__init__(message, *more)


class DataError(CofactorError, ValueError):
    """A table cannot be used: a file or column is missing, a rating is not a number, there is only one user, ..."""


class ConfigError(CofactorError, ValueError):
    """A parameter has a value that makes no sense, or a name that does not exist."""


class UnknownIdError(CofactorError, LookupError):
    """A user or item that the model has never seen."""


class BundleError(CofactorError):
    """A saved model is truncated, tampered with, of an unknown version, or cannot be written."""


class DatasetError(CofactorError):
    """A registered dataset cannot be found or fetched."""


class MissingExtraError(CofactorError, ImportError):
    """An optional dependency is needed and is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}; install it with: pip install 'cofactor[{extra}]'")


class NotFittedError(CofactorError, RuntimeError):
    """A model was used before it was trained."""


def did_you_mean(wanted: object, known: Iterable[object], n: int = 3) -> str:
    """Return a suffix such as ``' Did you mean "Fargo (1996)"?'``, or an empty string when no name is similar.

    ``known`` is compared as text.
    """
    import difflib

    text = str(wanted).lower()
    names = {str(k): k for k in known}
    lowered = {name.lower(): name for name in names}
    near = difflib.get_close_matches(text, _plausible(text, lowered), n=n, cutoff=0.6)
    if not near:
        near = [low for low in lowered if len(text) >= 3 and text in low][:n]
    if not near:
        return ""
    shown = ", ".join(repr(names[lowered[low]]) for low in near)
    return f" Did you mean {shown}?"


_COMPARED = 2000
"""Most names compared letter by letter, which takes a tenth of a millisecond each."""


def _plausible(text: str, names: Iterable[str]) -> list[str]:
    """Return the names to compare: of very many, those that share the most pieces with the text."""
    listed = list(names)
    if len(listed) <= _COMPARED:
        return listed
    pieces = {text[at : at + 3] for at in range(0, max(1, len(text) - 2), max(1, len(text) // 10))}
    return heapq.nlargest(_COMPARED, listed, key=lambda name: sum(piece in name for piece in pieces))
