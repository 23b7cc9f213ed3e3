"""fastcore's functions for collections and dicts: parts, matches, loops that know their ends."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from cofactor.notebook._fastcore.functions import compose
from cofactor.notebook._fastcore.lists import L, is_iter, listify
from cofactor.notebook._fastcore.values import noop

__all__ = [
    "argwhere",
    "chunked",
    "concat",
    "cycle",
    "even_mults",
    "filter_dict",
    "filter_ex",
    "filter_keys",
    "filter_values",
    "first_match",
    "flatten",
    "last_index",
    "last_match",
    "loop_first",
    "loop_first_last",
    "loop_last",
    "map_ex",
    "maps",
    "mapt",
    "merge",
    "partition",
    "renumerate",
    "replicate",
    "sorted_ex",
    "strcat",
    "val2idx",
    "zip_cycle",
]


def chunked(it: Any, chunk_sz: int | None = None, drop_last: bool = False, n_chunks: int | None = None) -> Any:
    """Yield lists of ``chunk_sz`` elements in turn (or ``n_chunks`` of them)."""
    if n_chunks:
        it = list(it)
        chunk_sz = max(-(-len(it) // n_chunks), 1)
    it = iter(it)
    while part := list(itertools.islice(it, chunk_sz)):
        if len(part) == chunk_sz or not drop_last:
            yield part


def flatten(o: Any) -> list[Any]:
    """Return the elements of lists in lists."""
    return list(L(listify(o)).flatten())


def concat(*colls: Any) -> list[Any]:
    """Return all elements of collections."""
    return [o for coll in colls for o in listify(coll, use_list=not isinstance(coll, str) and is_iter(coll))]


def cycle(x: Any) -> Any:
    """Repeat the elements endlessly; yield None if there are none."""
    return itertools.cycle(x) if listify(x) else itertools.cycle([None])


def zip_cycle(x: Any, *args: Any) -> Any:
    """Zip with the others, which are repeated."""
    return zip(x, *map(cycle, args))


def maps(*args: Any, retain: Any = noop) -> Any:
    """``map`` of several functions in turn, the last argument being the collection."""
    return retain(map(compose(*args[:-1]), args[-1]))


def mapt(f: Any, *args: Any) -> tuple[Any, ...]:
    """Return a tuple of ``map``."""
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
    """Merge all dicts; later ones win."""
    return {k: v for d in ds if d is not None for k, v in d.items()}


def renumerate(iterable: Any, start: int = 0) -> Any:
    """Return pairs of element and number."""
    return ((o, i) for i, o in enumerate(iterable, start))


def val2idx(x: Any) -> dict[Any, int]:
    """Return a dict from each element to its position."""
    return {v: i for i, v in enumerate(x)}


def argwhere(iterable: Any, f: Any, negate: bool = False, **kwargs: Any) -> list[int]:
    return list(L(iterable).argwhere(f, negate=negate, **kwargs))


def first_match(lst: Any, f: Any, default: Any = None) -> Any:
    """Return the position of the first element for which ``f`` holds (or that equals it)."""
    test = f if callable(f) else lambda o: o == f
    return next((i for i, o in enumerate(lst) if test(o)), default)


def last_match(lst: Any, f: Any, default: Any = None) -> Any:
    test = f if callable(f) else lambda o: o == f
    return next((i for i in range(len(lst) - 1, -1, -1) if test(lst[i])), default)


def last_index(x: Any, o: Any) -> int:
    """Return the last position of ``x`` in ``o``; -1 if it is not there."""
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
    """Repeat the item as often as ``match`` has elements."""
    return (item,) * len(match)


def even_mults(start: float, stop: float, n: int) -> Any:
    """Return ``n`` numbers from ``start`` to ``stop``, each the same multiple of the one before; only ``stop`` if n is
    1."""
    if n == 1:
        return stop
    step = (stop / start) ** (1 / (n - 1))
    return [start * step**i for i in range(n)]


def strcat(its: Any, sep: str = "") -> str:
    return sep.join(map(str, its))
