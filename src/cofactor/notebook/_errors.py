"""Errors of this package that are also Python's, so that a notebook's ``except`` catches them."""

from __future__ import annotations

from collections.abc import Iterable

from cofactor.errors import BundleError, ConfigError, DataError, did_you_mean


class MissingFileError(BundleError, FileNotFoundError):
    """There is no file of weights, or no exported Learner, at a path."""


class MissingColumnError(DataError, KeyError):
    """A table has no column of a name."""

    __str__ = Exception.__str__  # a KeyError shows its message in quotation marks


class MissingValueError(ConfigError, KeyError):
    """A row has no value of this name."""

    __str__ = Exception.__str__


def no_column(name: object, columns: Iterable[object]) -> MissingColumnError:
    """Return the error for a name that is not among the columns of a table."""
    there = [str(c) for c in columns]
    return MissingColumnError(f"no column {name!r}; there are: {', '.join(there)}.{did_you_mean(str(name), there)}")
