"""Small functions that notebooks of the library take for granted: for arguments, attributes, functions and names."""

from __future__ import annotations

import copy
import functools
import inspect
import itertools
import operator
import os
import re
import sys
import types
import typing
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from cofactor.errors import ConfigError
from cofactor.notebook._lists import L, is_array, is_iter, listify

# ---- values


def ifnone(a: Any, b: Any) -> Any:
    """``b`` where ``a`` is None."""
    return b if a is None else a


def noop(x: Any = None, *args: Any, **kwargs: Any) -> Any:
    """Its first argument."""
    return x


def noops(self: Any, x: Any = None, *args: Any, **kwargs: Any) -> Any:
    """Its first argument, as a method."""
    return x


def stop(e: Any = StopIteration) -> Any:
    """Raise it."""
    raise e


def ret_true(*args: Any, **kwargs: Any) -> bool:
    return True


def ret_false(*args: Any, **kwargs: Any) -> bool:
    return False


def tonull(x: Any) -> Any:
    return null if x is None else x


class NullType:
    """Callable, iterable, false: stands for nothing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return null

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return null

    def __bool__(self) -> bool:
        return False


null = NullType()


def first(x: Any, f: Any = None, negate: bool = False, **kwargs: Any) -> Any:
    """The first element (for which ``f`` holds); None where there is none."""
    return next((o for o in x if f is None or bool(f(o, **kwargs)) != negate), None)


def last(x: Any, f: Any = None, negate: bool = False, **kwargs: Any) -> Any:
    """The last element (for which ``f`` holds); None where there is none."""
    return first(reversed(list(x)), f, negate, **kwargs)


def only(x: Any) -> Any:
    """The one element of a collection; ValueError where it has none or more."""
    found = list(x)
    if len(found) != 1:
        raise ValueError(f"there are {len(found)} elements, not one")
    return found[0]


def range_of(x: Any, b: Any = None, step: Any = None) -> list[int]:
    """Positions of a collection, or the numbers of a range."""
    if hasattr(x, "__len__"):
        x = len(x)
    return list(range(x) if b is None else range(x, b, step or 1))


def tuplify(x: Any, use_list: bool = False, match: Any = None) -> tuple[Any, ...]:
    """A tuple of it."""
    return tuple(listify(x, use_list=use_list, match=match))


def detuplify(x: Any) -> Any:
    """The element of a tuple of one; None of an empty one."""
    if len(x) == 0:
        return None
    return x[0] if len(x) == 1 and getattr(x, "ndim", 1) == 1 else x


def setify(x: Any) -> set[Any]:
    """A set of it."""
    return x if isinstance(x, set) else set(listify(x))


def uniqueify(x: Any, sort: bool = False, bidir: bool = False, start: Any = None) -> Any:
    """Each element once."""
    return L(x).unique(sort=sort, bidir=bidir, start=start)


def is_listy(x: Any) -> bool:
    """A list, tuple, ``L``, slice or generator."""
    return isinstance(x, (tuple, list, slice, Generator))


def is_coll(x: Any) -> bool:
    """Whether it has a length."""
    return hasattr(x, "__len__") and hasattr(type(x), "__len__")


def all_equal(a: Any, b: Any) -> bool:
    """Whether both have the same length and equal elements."""
    if not is_iter(b):
        return False
    a, b = list(a), list(b)
    return len(a) == len(b) and all(equals(x, y) for x, y in zip(a, b))


def array_equal(a: Any, b: Any) -> bool:
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and bool(np.all((a == b) | ((a != a) & (b != b))))


def df_equal(a: Any, b: Any) -> bool:
    """Whether two frames (or columns) hold the same."""
    return bool(a.equals(b))


def equals(a: Any, b: Any) -> bool:
    """Whether two things are the same: arrays element by element, frames, dicts, lists in lists."""
    if isinstance(a, type) or isinstance(b, type):
        return bool(a == b)
    if hasattr(a, "equals") and hasattr(a, "iloc"):
        return type(a) is type(b) and df_equal(a, b)
    if is_array(a) or is_array(b):
        if is_array(a) != is_array(b) and not isinstance(b if is_array(a) else a, (int, float, complex, list, tuple)):
            return False
        return array_equal(_plain(a), _plain(b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equals(a[k], b[k]) for k in a)
    if isinstance(a, (str, bytes)) or not is_iter(a) or isinstance(a, (set, frozenset)):
        return bool(a == b)
    return all_equal(a, b)


def _plain(x: Any) -> Any:
    return x.detach().cpu().numpy() if hasattr(x, "detach") else x


def is_close(a: Any, b: Any, eps: float = 1e-5) -> bool:
    """Whether numbers (or arrays, or collections of them) lie within ``eps``."""
    if is_array(a) or is_array(b):
        return bool((abs(np.asarray(_plain(a), float) - np.asarray(_plain(b), float)) < eps).all())
    if is_iter(a) or is_iter(b):
        return all(abs(x - y) < eps for x, y in zip(a, b))
    return bool(abs(a - b) < eps)


def is_not(a: Any, b: Any) -> bool:
    return a is not b


def _operator(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """An operator that waits for its left side where it is given one argument."""

    @functools.wraps(function)
    def either(*args: Any) -> Any:
        if len(args) == 1:
            return lambda o: function(o, args[0])
        return function(*args)

    return either


lt, gt, le, ge, eq, ne = (_operator(getattr(operator, n)) for n in ("lt", "gt", "le", "ge", "eq", "ne"))
add, sub, mul, truediv, mod = (_operator(getattr(operator, n)) for n in ("add", "sub", "mul", "truediv", "mod"))
is_ = _operator(operator.is_)
in_ = _operator(lambda x, a: x in a)


def true(x: Any) -> Any:
    """Always True."""
    return True


def not_(f: Callable[..., Any]) -> Callable[..., bool]:
    """The function that holds where ``f`` does not."""
    return lambda *args, **kwargs: not f(*args, **kwargs)


negate = not_

# ---- collections


def chunked(it: Any, chunk_sz: int | None = None, drop_last: bool = False, n_chunks: int | None = None) -> Any:
    """Lists of ``chunk_sz`` elements in turn (or ``n_chunks`` of them)."""
    if n_chunks:
        it = list(it)
        chunk_sz = max(-(-len(it) // n_chunks), 1)
    it = iter(it)
    while part := list(itertools.islice(it, chunk_sz)):
        if len(part) == chunk_sz or not drop_last:
            yield part


def flatten(o: Any) -> list[Any]:
    """The elements of lists in lists."""
    return list(L(listify(o)).flatten())


def concat(*colls: Any) -> list[Any]:
    """All elements of collections."""
    return [o for coll in colls for o in listify(coll, use_list=not isinstance(coll, str) and is_iter(coll))]


def cycle(x: Any) -> Any:
    """The elements again and again; None where there are none."""
    return itertools.cycle(x) if listify(x) else itertools.cycle([None])


def zip_cycle(x: Any, *args: Any) -> Any:
    """Zip with the others taken again and again."""
    return zip(x, *map(cycle, args))


def maps(*args: Any, retain: Any = noop) -> Any:
    """``map`` of several functions in turn, the last argument being the collection."""
    return retain(map(compose(*args[:-1]), args[-1]))


def mapt(f: Any, *args: Any) -> tuple[Any, ...]:
    """A tuple of ``map``."""
    return tuple(map(f, *args))


def map_ex(iterable: Any, f: Any, *args: Any, gen: bool = False, **kwargs: Any) -> Any:
    found = L(iterable).map(f, *args, **kwargs)
    return iter(found) if gen else found


def filter_dict(d: Mapping[Any, Any], f: Callable[[Any, Any], bool]) -> dict[Any, Any]:
    return {k: v for k, v in d.items() if f(k, v)}


def filter_keys(d: Mapping[Any, Any], f: Callable[[Any], bool]) -> dict[Any, Any]:
    return {k: v for k, v in d.items() if f(k)}


def filter_values(d: Mapping[Any, Any], f: Callable[[Any], bool]) -> dict[Any, Any]:
    return {k: v for k, v in d.items() if f(v)}


def filter_ex(iterable: Any, f: Any = noop, negate: bool = False, gen: bool = False, **kwargs: Any) -> Any:
    found = L(iterable).filter(f, negate=negate, **kwargs)
    return iter(found) if gen else found


def sorted_ex(iterable: Any, key: Any = None, reverse: bool = False, cmp: Any = None, **kwargs: Any) -> list[Any]:
    return list(L(iterable).sorted(key, reverse, cmp, **kwargs))


def partition(coll: Any, f: Any) -> tuple[Any, Any]:
    return L(coll).partition(f)


def merge(*ds: Mapping[Any, Any] | None) -> dict[Any, Any]:
    """All dicts in one; later ones count."""
    return {k: v for d in ds if d is not None for k, v in d.items()}


def renumerate(iterable: Any, start: int = 0) -> Any:
    """Pairs of element and number."""
    return ((o, i) for i, o in enumerate(iterable, start))


def val2idx(x: Any) -> dict[Any, int]:
    """A dict from each element to its position."""
    return {v: i for i, v in enumerate(x)}


def argwhere(iterable: Any, f: Any, negate: bool = False, **kwargs: Any) -> list[int]:
    return list(L(iterable).argwhere(f, negate=negate, **kwargs))


def first_match(lst: Any, f: Any, default: Any = None) -> Any:
    """The position of the first element for which ``f`` holds (or that equals it)."""
    test = f if callable(f) else lambda o: o == f
    return next((i for i, o in enumerate(lst) if test(o)), default)


def last_match(lst: Any, f: Any, default: Any = None) -> Any:
    test = f if callable(f) else lambda o: o == f
    return next((i for i in range(len(lst) - 1, -1, -1) if test(lst[i])), default)


def last_index(x: Any, o: Any) -> int:
    """The last position of ``x`` in ``o``; -1 where it is not there."""
    return next((i for i in range(len(o) - 1, -1, -1) if o[i] == x), -1)


def loop_first(x: Any) -> Any:
    return ((i == 0, o) for i, o in enumerate(x))


def loop_last(x: Any) -> Any:
    found = list(x)
    return ((i == len(found) - 1, o) for i, o in enumerate(found))


def loop_first_last(x: Any) -> Any:
    found = list(x)
    return ((i == 0, i == len(found) - 1, o) for i, o in enumerate(found))


def replicate(item: Any, match: Any) -> tuple[Any, ...]:
    """The item as often as ``match`` has elements."""
    return (item,) * len(match)


def even_mults(start: float, stop: float, n: int) -> Any:
    """``n`` numbers from ``start`` to ``stop``, each the same multiple of the one before."""
    return np.array([stop]) if n == 1 else np.geomspace(start, stop, n)


def num_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def strcat(its: Any, sep: str = "") -> str:
    return sep.join(map(str, its))


# ---- attributes


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
    """An attribute of an attribute, and so on."""
    for name in attr.split("."):
        try:
            o = getattr(o, name)
        except AttributeError:
            return default
    return o


def nested_callable(o: Any, attr: str) -> Any:
    return nested_attr(o, attr, noop)


def nested_idx(coll: Any, *idxs: Any) -> Any:
    """An element of an element, and so on; None where it is not there."""
    for i in idxs:
        try:
            coll = coll[i]
        except (KeyError, IndexError, TypeError):
            return None
    return coll


def getcallable(o: Any, attr: str) -> Any:
    """A method, or a function that returns its argument."""
    return getattr(o, attr, noop)


def attrdict(o: Any, *ks: str, default: Any = None) -> dict[str, Any]:
    return {k: getattr(o, k, default) for k in ks}


def class2attr(self: Any, cls_name: str) -> str:
    """The name of its class in snake case without ``cls_name``."""
    return camel2snake(re.sub(rf"{cls_name}$", "", type(self).__name__) or cls_name.lower())


def properties(cls: type, *ps: str) -> None:
    """Make methods properties."""
    for p in ps:
        setattr(cls, p, property(getattr(cls, p)))


def add_props(f: Any, g: Any = None, n: int = 2) -> Any:
    """``n`` properties of ``f`` with their numbers."""
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
    """An :class:`AttrDict` with a default for what is not there."""

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
    """Dicts in dicts as objects with attributes."""
    if isinstance(d, (list, L)):
        return list_func([dict2obj(o, list_func, dict_func) for o in d])
    if not isinstance(d, dict) and not kwargs:
        return d
    return dict_func(**{k: dict2obj(v, list_func, dict_func) for k, v in ((d or {}) | kwargs).items()})


def obj2dict(d: Any) -> Any:
    """The reverse of :func:`dict2obj`."""
    if isinstance(d, list):
        return [obj2dict(o) for o in d]
    return {k: obj2dict(v) for k, v in d.items()} if isinstance(d, dict) else d


class GetAttr:
    """Attributes that it does not have are looked for in ``self.<_default>``."""

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
    """Attribute ``k`` of attribute ``to``; AttributeError where it is asked for itself."""
    if k.startswith("_") or k == to:
        raise AttributeError(k)
    return getattr(getattr(self, to), k)


class BasicRepr:
    """Shows its attributes."""

    def __repr__(self) -> str:
        return basic_repr()(self)


def basic_repr(flds: Any = None) -> Callable[[Any], str]:
    """A ``__repr__`` that shows some attributes."""
    names = re.split(r",\s*", flds) if isinstance(flds, str) else flds

    def shown(self: Any) -> str:
        which = names if names is not None else [k for k in vars(self) if not k.startswith("_")]
        return f"{type(self).__name__}({', '.join(f'{k}={getattr(self, k)!r}' for k in which)})"

    return shown


def store_attr(
    names: Any = None, self: Any = None, but: Any = "", cast: bool = False, store_args: Any = None, **attrs: Any
) -> None:
    """Keep the arguments of the calling method (or those named) as attributes of its ``self``."""
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


# ---- functions


def compose(*funcs: Any, order: Any = None) -> Callable[..., Any]:
    """One function of several, each given what the one before returned."""
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
    """A copy of a function."""
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
    """Decorator: the function becomes a method of a class (or of several)."""
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
    """Decorator: the function becomes a method of the class that its first argument is annotated with."""
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
    """The constructor of a class; a function as it is."""
    return getattr(f, "__init__") if isinstance(f, type) else f  # noqa: B009


def delegates(to: Any = None, keep: bool = False, but: Any = None, sort_args: bool = False) -> Any:
    """Decorator: ``**kwargs`` in the signature is shown as the keywords of ``to``."""
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
    """Decorator: ``**kwargs`` in the signature is shown as these keywords."""

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
    """Decorator: ``**kwargs`` in the signature is shown as these names."""
    return use_kwargs_dict(keep, **dict.fromkeys(names))


def method(f: Any) -> Any:
    """Mark a function as one that is bound when it is looked up."""
    return f


def argnames(f: Any, frame: bool = False) -> list[str]:
    """The names of a function's arguments."""
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
    """Decorator: docstrings from the attribute ``_docs``."""
    add_docs(cls, **{"cls_doc": None} | getattr(cls, "_docs", {}))
    return cls


def mk_class(
    nm: str, *fld_names: str, sup: Any = None, doc: Any = None, funcs: Any = None, mod: Any = None, **flds: Any
) -> None:
    """A class with these attributes, put among the caller's names."""
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


# ---- names and texts


def camel2snake(name: str) -> str:
    """DotProduct -> dot_product."""
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)).lower()


def snake2camel(s: str) -> str:
    """dot_product -> DotProduct."""
    return "".join(part.title() for part in s.split("_"))


def camel2words(s: str, space: str = " ") -> str:
    """DotProduct -> Dot Product."""
    return re.sub(r"(?<!^)(?=[A-Z])", space, s)


def snake(name: str) -> str:
    return camel2snake(name)


def round_multiple(x: Any, mult: int, round_down: bool = False) -> Any:
    """The nearest multiple."""
    if isinstance(x, (list, tuple)):
        return [round_multiple(o, mult, round_down) for o in x]
    return (int if round_down else round)(x / mult) * mult


def partial_format(s: str, **kwargs: Any) -> Any:
    return s.format_map(AttrDictDefault(kwargs, default_=""))


def str2bool(s: Any) -> bool:
    """Whether a text means yes."""
    if not isinstance(s, str):
        return bool(s)
    return s.lower() in ("1", "true", "yes", "y", "t", "on") if s else False


def truncstr(s: str, maxlen: int, suf: str = "...", space: str = "") -> str:
    return s[: maxlen - len(suf)] + suf if len(s) + len(space) > maxlen else s + space


def to_bool(x: Any) -> bool:
    return str2bool(x)


def to_int(x: Any) -> int:
    return int(x)


def to_list(x: Any) -> list[Any]:
    return listify(x)


class PrettyString(str):
    """A text that is shown as it reads, without quotes."""

    def __repr__(self) -> str:
        return str(self)


class NotStr(str):
    """A text that is not taken for one."""


class Inf:
    """Endless sequences."""

    @property
    def count(self) -> Any:
        return itertools.count()

    @property
    def zeros(self) -> Any:
        return itertools.cycle([0])

    @property
    def ones(self) -> Any:
        return itertools.cycle([1])

    @property
    def nones(self) -> Any:
        return itertools.cycle([None])


Inf = Inf()  # type: ignore[assignment,misc]


class ignore_exceptions:
    """Inside ``with``, exceptions are swallowed."""

    def __enter__(self) -> None: ...

    def __exit__(self, *args: Any) -> bool:
        return True


class ContextManagers(GetAttr):
    """Several context managers as one."""

    def __init__(self, mgrs: Any) -> None:
        self.default, self.stack = L(mgrs), ExitStack()

    def __enter__(self) -> Any:
        self.default.map(self.stack.enter_context)
        return self

    def __exit__(self, *args: Any) -> Any:
        return self.stack.__exit__(*args)


@contextmanager
def replacing_yield(o: Any, attr: str, val: Any) -> Any:
    """Inside ``with``, an attribute has another value."""
    old = getattr(o, attr)
    setattr(o, attr, val)
    try:
        yield
    finally:
        setattr(o, attr, old)


@contextmanager
def working_directory(path: Any) -> Any:
    """Inside ``with``, another working directory."""
    before = Path.cwd()
    os.chdir(path)
    try:
        yield
    finally:
        os.chdir(before)


def join_path_file(file: Any, path: Any, ext: str = "") -> Any:
    """A path to a file in a folder, with an extension where it has none; the folder is made."""
    if not isinstance(file, (str, Path)):
        return file
    Path(path).mkdir(parents=True, exist_ok=True)
    return Path(path) / f"{file}{ext}"


def parallel(
    f: Any,
    items: Any,
    *args: Any,
    n_workers: int = 0,
    total: Any = None,
    progress: Any = None,
    pause: float = 0,
    **kwargs: Any,
) -> L:
    """``f`` of every element, one after the other."""
    return L(
        [
            f(
                o,
                *args,
                **{k: v for k, v in kwargs.items() if k not in ("threadpool", "method", "chunksize", "timeout")},
            )
            for o in items
        ]
    )


def threaded(f: Any = None, process: bool = False) -> Any:
    """Decorator: calls run in a thread, which is returned."""
    import threading

    if f is None:
        return threaded

    @functools.wraps(f)
    def start(*args: Any, **kwargs: Any) -> Any:
        found = threading.Thread(target=f, args=args, kwargs=kwargs)
        found.start()
        return found

    return start


def in_ipython() -> bool:
    """Whether IPython runs this."""
    return "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None


def in_colab() -> bool:
    return "google.colab" in sys.modules


def in_jupyter() -> bool:
    """Whether a notebook's kernel runs this."""
    return in_ipython() and type(sys.modules["IPython"].get_ipython()).__name__ == "ZMQInteractiveShell"


in_notebook = in_jupyter
IN_IPYTHON, IN_JUPYTER, IN_COLAB, IN_NOTEBOOK = in_ipython(), in_jupyter(), in_colab(), in_jupyter()
defaults = types.SimpleNamespace(cpus=num_cpus(), use_cuda=None, lr=1e-3, callbacks=[])
"""Values that functions here take where none is given."""


def to_snake(s: str) -> str:
    return camel2snake(s)


def str2int(s: str) -> int:
    return int(s)


def str2float(s: str) -> float:
    return float(s)


def str2list(s: str) -> list[str]:
    return [o.strip() for o in s.strip("[]()").split(",")]


def pv(text: Any, verbose: bool) -> None:
    """Print it where ``verbose``."""
    if verbose:
        print(text)


def one_is_instance(a: Any, b: Any, t: Any) -> bool:
    return isinstance(a, t) or isinstance(b, t)


def risinstance(types: Any, obj: Any = None) -> Any:
    """``isinstance`` with its arguments the other way round."""
    return (lambda o: isinstance(o, types)) if obj is None else isinstance(obj, types)


def modify_exception(e: Exception, msg: str | None = None, replace: bool = False) -> Exception:
    """The exception with another message."""
    e.args = (msg,) if replace or not e.args else (f"{e.args[0]} {msg or ''}",)
    return e
