"""fastcore's functions for functions: composed, patched, with the signature of another; ``Self``."""

from __future__ import annotations

import copy
import functools
import inspect
import operator
import re
import sys
import types
import typing
from collections.abc import Callable
from typing import Any

from cofactor.errors import ConfigError
from cofactor.notebook._fastcore.lists import L, listify
from cofactor.notebook._fastcore.values import is_listy, noop

__all__ = [
    "Self",
    "add_docs",
    "argnames",
    "compose",
    "copy_func",
    "delegates",
    "docs",
    "fastuple",
    "method",
    "mk_class",
    "modify_exception",
    "partialler",
    "patch",
    "patch_to",
    "use_kwargs",
    "use_kwargs_dict",
]


def compose(*funcs: Any, order: Any = None) -> Callable[..., Any]:
    """Compose functions; each gets what the one before returned."""
    calls = listify(funcs[0]) if len(funcs) == 1 and is_listy(funcs[0]) else [f for f in funcs if f is not None]
    if order is not None:
        calls = list(L(calls).sorted(order))
    if not calls:
        return noop

    def composed(x: Any, *args: Any, **kwargs: Any) -> Any:
        for f in calls:
            x = f(x, *args, **kwargs)
        return x

    return composed


def partialler(f: Any, *args: Any, order: Any = None, **kwargs: Any) -> Any:
    found: Any = functools.partial(f, *args, **kwargs)
    functools.update_wrapper(found, f)
    return found


def copy_func(f: Any) -> Any:
    """Return a copy of a function."""
    if not isinstance(f, types.FunctionType):
        return copy.copy(f)
    found: Any = types.FunctionType(f.__code__, f.__globals__, f.__name__, f.__defaults__, f.__closure__)
    found.__kwdefaults__ = f.__kwdefaults__
    found.__dict__.update(f.__dict__)
    found.__annotations__ = f.__annotations__
    found.__qualname__ = f.__qualname__
    return found


def patch_to(
    cls: Any, as_prop: bool = False, cls_method: bool = False, set_prop: bool = False, nm: str | None = None
) -> Any:
    """Decorator: add the function as a method to a class (or to several)."""
    classes = cls if isinstance(cls, (tuple, list)) else (cls,)

    def inner(f: Any) -> Any:
        for c in classes:
            method = copy_func(f)
            name = nm or f.__name__
            if cls_method:
                setattr(c, name, types.MethodType(method, c))
            elif set_prop:
                setattr(c, name, getattr(c, name).setter(method))
            else:
                setattr(c, name, property(method) if as_prop else method)
        return f

    return inner


def patch(
    f: Any = None, *, as_prop: bool = False, cls_method: bool = False, set_prop: bool = False, nm: str | None = None
) -> Any:
    """Decorator: add the function as a method to the class that its first argument is annotated with."""
    if f is None:
        return functools.partial(patch, as_prop=as_prop, cls_method=cls_method, set_prop=set_prop, nm=nm)
    kind: Any = typing.get_type_hints(f).get(next(iter(inspect.signature(f).parameters)))
    if kind is None:
        raise ConfigError(f"patch needs an annotation on the first argument of {f.__name__}: the class to put it on")
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        kind = typing.get_args(kind)
    return patch_to(kind, as_prop, cls_method, set_prop, nm)(f)


def patch_property(f: Any) -> Any:
    return patch(f, as_prop=True)


def _init_of(f: Any) -> Any:
    """Return the constructor of a class, and a function unchanged."""
    return getattr(f, "__init__") if isinstance(f, type) else f  # noqa: B009


def delegates(to: Any = None, keep: bool = False, but: Any = None, sort_args: bool = False) -> Any:
    """Decorator: show ``**kwargs`` in the signature as the keywords of ``to``."""
    without = set(listify(but if not isinstance(but, str) else re.split(r",\s*", but)))

    def inner(f: Any) -> Any:
        target, source = (f.__base__.__init__, vars(f)["__init__"]) if to is None else (to, _init_of(f))
        source = getattr(source, "__func__", source)
        target = _init_of(getattr(target, "__func__", target))
        own = dict(inspect.signature(source).parameters)
        rest = next((n for n, p in own.items() if p.kind is inspect.Parameter.VAR_KEYWORD), None)
        if rest is None:
            return f
        kwargs = own.pop(rest)
        theirs = {
            n: p.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for n, p in inspect.signature(target).parameters.items()
            if p.default is not inspect.Parameter.empty and n not in own and n not in without
        }
        own |= theirs
        if keep:
            own[rest] = kwargs
        ordered = sorted(own.values(), key=lambda p: p.kind)
        source.__signature__ = inspect.Signature(ordered)
        if isinstance(f, type):
            f.__signature__ = inspect.Signature([p for p in ordered if p.name != "self"])  # type: ignore[attr-defined]
        return f

    return inner


def use_kwargs_dict(keep: bool = False, **kwargs: Any) -> Any:
    """Decorator: show ``**kwargs`` in the signature as these keywords."""

    def inner(f: Any) -> Any:
        own = dict(inspect.signature(f).parameters)
        rest = next((n for n, p in own.items() if p.kind is inspect.Parameter.VAR_KEYWORD), None)
        kept = own.pop(rest) if rest else None
        for name, default in kwargs.items():
            own.setdefault(name, inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default))
        if keep and kept is not None:
            own[str(rest)] = kept
        f.__signature__ = inspect.Signature(sorted(own.values(), key=lambda p: p.kind))
        return f

    return inner


def use_kwargs(names: Any, keep: bool = False) -> Any:
    """Decorator: show ``**kwargs`` in the signature as these names."""
    return use_kwargs_dict(keep, **dict.fromkeys(names))


def method(f: Any) -> Any:
    """Mark a function to be bound when it is looked up."""
    return f


def argnames(f: Any, frame: bool = False) -> list[str]:
    """Return the names of a function's arguments."""
    code = f.f_code if frame else f.__code__
    return list(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])


def add_docs(cls: Any, cls_doc: Any = None, **docs: str) -> None:
    """Give methods their docstrings."""
    if cls_doc is not None:
        cls.__doc__ = cls_doc
    for name, text in docs.items():
        function = getattr(cls, name, None)
        if function is not None:
            getattr(function, "__func__", function).__doc__ = text


def docs(cls: Any) -> Any:
    """Decorator: take docstrings from the attribute ``_docs``."""
    add_docs(cls, **{"cls_doc": None} | getattr(cls, "_docs", {}))
    return cls


def mk_class(
    nm: str, *fld_names: str, sup: Any = None, doc: Any = None, funcs: Any = None, mod: Any = None, **flds: Any
) -> None:
    """Create a class with these attributes among the caller's names."""
    made = type(nm, tuple(listify(sup)) or (), dict(flds) | {f.__name__: f for f in listify(funcs)})
    made.__doc__ = doc
    for name in fld_names:
        setattr(made, name, None)
    sys._getframe(1).f_globals[nm] = made


class _Chain:
    """Attribute look-ups and calls that wait for their object."""

    def __init__(self, steps: tuple[Any, ...] = (), ready: bool = True) -> None:
        self._steps, self._ready = steps, ready

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Chain((*self._steps, ("attr", name, None)), False)

    def __getitem__(self, at: Any) -> Any:
        return _Chain((*self._steps, ("item", at, None)))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self._ready:
            return _Chain((*self._steps, ("call", args, kwargs)))
        (x,) = args
        for kind, what, more in self._steps:
            x = getattr(x, what) if kind == "attr" else x[what] if kind == "item" else x(*what, **more)
        return x

    def __invert__(self) -> Any:
        return _Chain(self._steps)


class _SelfClass:
    """``Self.upper()`` is the function that calls ``upper`` of its argument."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_Chain(), name)

    def __getitem__(self, at: Any) -> Any:
        return _Chain()[at]


Self = _SelfClass()


class fastuple(tuple):  # type: ignore[type-arg]
    """A tuple with arithmetic element by element."""

    def __new__(cls, x: Any = None, *rest: Any) -> Any:
        items = (x, *rest) if rest else () if x is None else x if isinstance(x, (tuple, list)) else tuple(listify(x))
        return super().__new__(cls, tuple(items))

    def _op(self, op: Any, *args: Any) -> Any:
        return type(self)(
            tuple(op(*o) for o in zip(self, *(a if isinstance(a, (tuple, list)) else (a,) * len(self) for a in args)))
        )

    def mul(self, *args: Any) -> Any:
        return self._op(operator.mul, *args)

    def add(self, *args: Any) -> Any:
        return self._op(operator.add, *args)


def modify_exception(e: Exception, msg: str | None = None, replace: bool = False) -> Exception:
    """Return the exception with another message."""
    e.args = (msg,) if replace or not e.args else (f"{e.args[0]} {msg or ''}",)
    return e
