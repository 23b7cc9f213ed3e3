"""Frames for the user in the library of their choice; inside the package every frame is a polars frame.

A function decorated with :func:`frames_out` returns polars frames to the modules of this package and to
``dataclasses``. Other callers get frames of the library that :func:`set_frames` sets. The caller is known by its
module, so the user's setting does not change any computation.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import sys
from typing import Any, Literal, TypeVar, get_args

import polars as pl

from cofactor.errors import ConfigError

__all__ = ["Library", "frames_out", "set_frames"]

Library = Literal["polars", "pandas", "pyarrow"]
T = TypeVar("T")

_library: Library = "polars"


class set_frames:
    """Set the library of the frames that cofactor returns: ``"polars"`` (the default), ``"pandas"`` or ``"pyarrow"``.

    The setting applies to every function, method and attribute that is documented as a frame, in the whole process,
    until it is changed. ``with cofactor.set_frames("pandas"):`` applies to a block. Columns and rows are the same in
    each library. In pandas a missing number is NaN, and a list or a vector is an object in its cell. ConfigError for
    another name, or where the library is not installed.
    """

    def __init__(self, library: Library) -> None:
        global _library
        if not isinstance(library, str) or library not in get_args(Library):
            raise ConfigError(f"the library of frames is {library!r}; give one of {', '.join(get_args(Library))}")
        if importlib.util.find_spec(library) is None:
            raise ConfigError(f"set_frames({library!r}) needs {library}; install it with: pip install {library}")
        self._before = _library
        _library = library

    def __enter__(self) -> set_frames:
        return self

    def __exit__(self, *_: object) -> None:
        global _library
        _library = self._before


def frames_out(decorated: T) -> T:
    """Decorate a function, or a class, so that its frames reach the user in the library of their choice.

    In a class this applies to public methods, properties and fields. Annotations tell which values are frames.
    """
    if not inspect.isclass(decorated):
        found: Any = _handing_out(decorated)
        return found  # type: ignore[no-any-return]
    for name, member in list(vars(decorated).items()):
        if name.startswith("_"):
            continue
        if inspect.isfunction(member) and _is_frame(member.__annotations__.get("return")):
            setattr(decorated, name, _handing_out(member))
        elif isinstance(member, property) and _is_frame(getattr(member.fget, "__annotations__", {}).get("return")):
            setattr(decorated, name, property(_handing_out(member.fget), member.fset, member.fdel, member.__doc__))
    for name, annotation in inspect.get_annotations(decorated).items():
        if not name.startswith("_") and _is_frame(annotation):
            setattr(decorated, name, _Field(name))
    return decorated


def _is_frame(annotation: object) -> bool:
    return str(annotation) in ("pl.DataFrame", "pl.DataFrame | None")


def _handing_out(function: Any) -> Any:
    @functools.wraps(function)
    def handed_out(*args: Any, **kwargs: Any) -> Any:
        found = function(*args, **kwargs)
        return found if _library == "polars" or _inside() else _converted(found)

    handed_out.__dict__["hands_out_frames"] = True
    return handed_out


class _Field:
    """An attribute that is a frame, stored as a polars frame."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        try:
            found = instance.__dict__[self.name]
        except KeyError:
            raise AttributeError(f"{type(instance).__name__!r} object has no attribute {self.name!r}") from None
        return found if _library == "polars" or _inside() else _converted(found)

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.name] = value


def _inside() -> bool:
    """Return whether the caller's caller is a module of this package, or ``dataclasses``, which copies fields."""
    name = str(sys._getframe(2).f_globals.get("__name__"))
    return name.partition(".")[0] in ("cofactor", "dataclasses")


def _converted(found: Any) -> Any:
    if not isinstance(found, pl.DataFrame):
        return found
    return _pandas(found) if _library == "pandas" else found.to_arrow()


def _pandas(frame: pl.DataFrame) -> Any:
    """Convert column by column, so that the result is the same with and without pyarrow."""
    import pandas as pd

    return pd.DataFrame({series.name: _column(series) for series in frame}, index=pd.RangeIndex(len(frame)))


def _column(series: pl.Series) -> Any:
    import pandas as pd

    kind = series.dtype
    if kind.is_integer() and series.null_count():
        return series.cast(pl.Float64).to_numpy()
    if isinstance(kind, pl.Array):
        return pd.Series(list(series.to_numpy()), dtype=object)
    if kind.is_numeric() or kind.is_temporal() or (kind == pl.Boolean and not series.null_count()):
        return series.to_numpy(writable=True)
    if kind == pl.String or isinstance(kind, (pl.Categorical, pl.Enum)):
        return (
            pd.Series(["", *series.cast(pl.String).to_list()]).iloc[1:].reset_index(drop=True)
        )  # keeps the type text in an empty column
    return pd.Series(series.to_list(), dtype=object)
