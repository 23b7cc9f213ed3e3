"""Checks that show what was compared: ``test_eq(a, b)`` and similar functions."""

from __future__ import annotations

import io
import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

from cofactor.notebook._fastcore.values import equals, is_close

__all__ = [
    "ExceptionExpected",
    "exception",
    "nequals",
    "test",
    "test_close",
    "test_eq",
    "test_eq_type",
    "test_fail",
    "test_is",
    "test_ne",
    "test_shuffled",
    "test_stdout",
    "test_warns",
]


def test(a: Any, b: Any, cmp: Callable[[Any, Any], bool], cname: str | None = None) -> None:
    """Raise AssertionError with both sides if ``cmp`` of them does not hold."""
    if not cmp(a, b):
        raise AssertionError(f"{cname or getattr(cmp, '__name__', cmp)}:\n{a}\n{b}")


def nequals(a: Any, b: Any) -> bool:
    return not equals(a, b)


def test_eq(a: Any, b: Any) -> None:
    """Check that both are equal."""
    test(a, b, equals, "==")


def test_eq_type(a: Any, b: Any) -> None:
    """Check that both are equal and of one type."""
    test_eq(a, b)
    test_eq(type(a), type(b))


def test_ne(a: Any, b: Any) -> None:
    """Check that they differ."""
    test(a, b, nequals, "!=")


def test_close(a: Any, b: Any, eps: float = 1e-5) -> None:
    """Check that they differ by at most ``eps``."""
    test(a, b, lambda x, y: is_close(x, y, eps), "close")


def test_is(a: Any, b: Any) -> None:
    """Check that they are one object."""
    test(a, b, lambda x, y: x is y, "is")


def test_shuffled(a: Any, b: Any) -> None:
    """Check that they hold the same elements in another order."""
    test_ne(a, b)
    test_eq(Counter(a), Counter(b))


def test_stdout(f: Callable[[], Any], exp: str, regex: bool = False) -> None:
    """Check what ``f`` prints."""
    out = io.StringIO()
    with redirect_stdout(out):
        f()
    found = out.getvalue().rstrip("\n")
    if regex:
        assert re.search(exp, found), f"{exp} did not match {found}"
    else:
        test_eq(found, exp)


def test_warns(f: Callable[[], Any], show: bool = False) -> None:
    """Check that ``f`` warns."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        f()
    assert seen, "no warning"
    if show:
        for one in seen:
            print(f"{one.category}: {one.message}")


def test_fail(f: Callable[..., Any], msg: str = "", contains: str = "", args: Any = None, kwargs: Any = None) -> None:
    """Check that ``f`` raises an error whose message contains a text."""
    try:
        f(*(args or []), **(kwargs or {}))
    except Exception as exc:
        assert contains in str(exc), f"{contains!r} is not in {str(exc)!r}"
        return
    raise AssertionError(f"Expected exception but none raised. {msg}")


test_fails = test_fail


class ExceptionExpected:
    """Expect an exception inside ``with``."""

    def __init__(self, ex: Any = Exception, regex: str = "") -> None:
        self.ex, self.regex = ex, regex

    def __call__(self, ex: Any = Exception, regex: str = "") -> ExceptionExpected:
        return ExceptionExpected(ex, regex)

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, value: Any, tb: Any) -> bool:
        if kind is None or not issubclass(kind, self.ex):
            raise AssertionError(f"Expected {self.ex.__name__}({self.regex}) not raised.")
        if self.regex and not re.search(self.regex, str(value)):
            raise AssertionError(f"Expected {self.ex.__name__}({self.regex}) not raised.")
        return True


exception = ExceptionExpected()
for _check in [v for k, v in list(vars(sys.modules[__name__]).items()) if k.startswith("test")]:
    _check.__test__ = False  # they are not pytest's
