"""fastcore's functions for attributes, and classes whose attributes come from elsewhere."""

from __future__ import annotations

import functools
import re
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any

from cofactor.notebook._fastcore.lists import L
from cofactor.notebook._fastcore.values import noop

__all__ = [
    "NS",
    "AttrDict",
    "AttrDictDefault",
    "BasicRepr",
    "GetAttr",
    "GetAttrBase",
    "add_props",
    "attrdict",
    "basic_repr",
    "delegate_attr",
    "dict2obj",
    "getattrs",
    "getcallable",
    "hasattrs",
    "maybe_attr",
    "nested_attr",
    "nested_callable",
    "nested_idx",
    "obj2dict",
    "properties",
    "setattrs",
    "store_attr",
    "try_attrs",
]


def getattrs(o: Any, *attrs: str, default: Any = None) -> list[Any]:
    return [getattr(o, a, default) for a in attrs]


def hasattrs(o: Any, attrs: Iterable[str]) -> bool:
    return all(hasattr(o, a) for a in attrs)


def setattrs(dest: Any, flds: Any, src: Any) -> None:
    """Copy attributes (or the values of a dict)."""
    for name in flds.replace(" ", "").split(",") if isinstance(flds, str) else flds:
        setattr(dest, name, src[name] if isinstance(src, dict) else getattr(src, name))


def try_attrs(obj: Any, *attrs: str) -> Any:
    for name in attrs:
        if hasattr(obj, name):
            return getattr(obj, name)
    raise AttributeError(", ".join(attrs))


def maybe_attr(o: Any, attr: str) -> Any:
    return getattr(o, attr, o)


def nested_attr(o: Any, attr: str, default: Any = None) -> Any:
    """Return an attribute of an attribute, and so on."""
    for name in attr.split("."):
        try:
            o = getattr(o, name)
        except AttributeError:
            return default
    return o


def nested_callable(o: Any, attr: str) -> Any:
    return nested_attr(o, attr, noop)


def nested_idx(coll: Any, *idxs: Any) -> Any:
    """Return an element of an element, and so on; None where it is not there."""
    for i in idxs:
        try:
            coll = coll[i]
        except (KeyError, IndexError, TypeError):
            return None
    return coll


def getcallable(o: Any, attr: str) -> Any:
    """Return a method, or a function that returns its argument."""
    return getattr(o, attr, noop)


def attrdict(o: Any, *ks: str, default: Any = None) -> dict[str, Any]:
    return {k: getattr(o, k, default) for k in ks}


def properties(cls: type, *ps: str) -> None:
    """Make methods properties."""
    for p in ps:
        setattr(cls, p, property(getattr(cls, p)))


def add_props(f: Any, g: Any = None, n: int = 2) -> Any:
    """Return ``n`` properties of ``f`` with their numbers."""
    return (property(functools.partial(f, i), None if g is None else functools.partial(g, i)) for i in range(n))


class AttrDict(dict[str, Any]):
    """A dict whose values are attributes too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def copy(self) -> AttrDict:
        return type(self)(**self)


class AttrDictDefault(AttrDict):
    """An :class:`AttrDict` with a default for missing values."""

    def __init__(self, *args: Any, default_: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.__dict__["default_"] = default_

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.get(name, self.__dict__["default_"])


class NS(types.SimpleNamespace):
    """A namespace whose values are items too."""

    def __getitem__(self, x: str) -> Any:
        return self.__dict__[x]

    def __setitem__(self, x: str, y: Any) -> None:
        self.__dict__[x] = y

    def __iter__(self) -> Any:
        return iter(self.__dict__)


def dict2obj(d: Any = None, list_func: Any = L, dict_func: Any = AttrDict, **kwargs: Any) -> Any:
    """Convert nested dicts to objects with attributes."""
    if isinstance(d, (list, L)):
        return list_func([dict2obj(o, list_func, dict_func) for o in d])
    if not isinstance(d, dict) and not kwargs:
        return d
    return dict_func(**{k: dict2obj(v, list_func, dict_func) for k, v in ((d or {}) | kwargs).items()})


def obj2dict(d: Any) -> Any:
    """Reverse :func:`dict2obj`."""
    if isinstance(d, list):
        return [obj2dict(o) for o in d]
    return {k: obj2dict(v) for k, v in d.items()} if isinstance(d, dict) else d


class GetAttr:
    """Looks up missing attributes in ``self.<_default>``."""

    _default = "default"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("_xtra", self._default):
            raise AttributeError(name)
        inner = getattr(self, self._default, None)
        if inner is None:
            raise AttributeError(name)
        return getattr(inner, name)

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *dir(getattr(self, self._default, None))})


GetAttrBase = GetAttr


def delegate_attr(self: Any, k: str, to: str) -> Any:
    """Return attribute ``k`` of attribute ``to``. Raises AttributeError if ``to`` itself is requested."""
    if k.startswith("_") or k == to:
        raise AttributeError(k)
    return getattr(getattr(self, to), k)


class BasicRepr:
    """Shows its attributes in ``__repr__``."""

    def __repr__(self) -> str:
        return basic_repr()(self)


def basic_repr(flds: Any = None) -> Callable[[Any], str]:
    """Return a ``__repr__`` that shows some attributes."""
    names = re.split(r",\s*", flds) if isinstance(flds, str) else flds

    def shown(self: Any) -> str:
        which = names if names is not None else [k for k in vars(self) if not k.startswith("_")]
        return f"{type(self).__name__}({', '.join(f'{k}={getattr(self, k)!r}' for k in which)})"

    return shown


def store_attr(
    names: Any = None, self: Any = None, but: Any = "", cast: bool = False, store_args: Any = None, **attrs: Any
) -> None:
    """Store the arguments of the calling method (or the named ones) as attributes of its ``self``."""
    frame = sys._getframe(1)
    variables = frame.f_locals
    if self is None:
        self = variables[frame.f_code.co_varnames[0]]
    without = set(re.split(r",\s*", but)) if isinstance(but, str) else set(but)
    if attrs:
        values = attrs
    else:
        if names is None:
            code = frame.f_code
            names = list(code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount])
        elif isinstance(names, str):
            names = [n for n in re.split(r"[,\s]+", names) if n]
        values = {n: variables[n] for n in names if n in variables}
    kept = {k: v for k, v in values.items() if k not in without}
    for name, value in kept.items():
        setattr(self, name, value)
    with_args = getattr(self, "__dict__", {})
    with_args["__stored_args__"] = {**with_args.get("__stored_args__", {}), **kept}
