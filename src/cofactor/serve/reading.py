"""Reading what is asked: a body or a query becomes a model of ``schemas.py``, or one sentence says what is wrong.

What is checked at once holds the interpreter, and with it the event loop, for as long as it takes. So a body is looked
at before: one with more in it than a request may have is not read. Long lists are checked in parts.
"""

from __future__ import annotations

import json
import re
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin
from urllib.parse import parse_qsl

import orjson
from annotated_types import MaxLen
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from cofactor.errors import ConfigError
from cofactor.serve.settings import Settings

FIELDS = 6
"""Fields that each object of a body may have."""
SPARE = 2000
"""Objects, and fields, besides those of a list."""
FIELD = re.compile(rb'"\s*:')
"""Ends the name of a field (and may stand in a text)."""
VALUES = 110_000
"""Commas, and lists, that a body may have; fewer where its model says so (``most_values``)."""
MANY = 100
"""So many mistakes are not looked at one by one."""
PART = 200
"""Entries of a list that are checked at once, which takes less than a millisecond."""
LONG = 1000
"""Bodies with fewer commas are checked at once."""


class WrongEntry(Exception):
    """An entry of a list is wrong: where it stands, and what is wrong in it."""

    def __init__(self, place: tuple[Any, ...], error: ValidationError) -> None:
        super().__init__(place, error)
        self.place, self.error = place, error


def most_objects(settings: Settings) -> int:
    """How many objects a body may have."""
    return max(settings.max_events, settings.max_pairs, settings.max_history) + SPARE


def read_body(model: type[BaseModel], text: bytes, most: int) -> BaseModel:
    """The body of a request. ConfigError where it has more than ``most`` objects, or an object of it names a field
    twice: one of the two would be ignored. ValidationError or WrongEntry where it is something else."""
    objects, fields = text.count(b"{"), len(FIELD.findall(text))
    commas, lists = text.count(b","), text.count(b"[")
    if objects > most:
        raise ConfigError(f"the body has some {objects:,} objects; at most {most:,} are read, so send several requests")
    if fields > FIELDS * objects + SPARE:
        raise ConfigError(f"the body has some {fields:,} fields in {objects:,} objects, more than any request has")
    if commas > getattr(model, "most_values", VALUES) or lists > most:
        what = f"{lists:,} lists" if lists > most else f"{commas:,} values"
        raise ConfigError(f"the body has some {what}, more than any request has")
    found = model.model_validate_json(text) if commas < LONG else _read_in_parts(model, text)
    if fields > fields_of(found):  # else each one has another name
        json.loads(text, object_pairs_hook=_each_once)
    return found


class _Entries(NamedTuple):
    """The entries of a list: how a part of them is checked, how many there may be, and of what each is a list."""

    part: TypeAdapter[list[Any]]
    most: int
    inner: _Entries | None


def _entries(kind: Any, most: int = 1 << 62) -> _Entries | None:
    """Of a type that is a list, perhaps an annotated one or None; None for others."""
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Annotated:
        limits = [one for of in inside[1:] for one in (of, *getattr(of, "metadata", ())) if isinstance(one, MaxLen)]
        return _entries(inside[0], min([most, *(one.max_length for one in limits)]))
    if origin in (Union, UnionType):
        lists = [found for one in inside if one is not NoneType and (found := _entries(one, most)) is not None]
        return lists[0] if len(lists) == 1 and NoneType in inside and len(inside) == 2 else None
    if origin is not list:
        return None
    part: Any = Annotated[list[inside[0]], Field(fail_fast=True)]  # type: ignore[valid-type]
    return _Entries(TypeAdapter(part), most, _entries(inside[0]))


@cache
def _lists_of(model: type[BaseModel]) -> dict[str, _Entries]:
    """The fields of a model that are lists."""
    kinds = {
        name: Annotated[of.annotation, *of.metadata] if of.metadata else of.annotation
        for name, of in model.model_fields.items()
    }
    return {name: found for name, kind in kinds.items() if (found := _entries(kind)) is not None}


def _read_in_parts(model: type[BaseModel], text: bytes) -> BaseModel:
    """The same as to check the whole at once."""
    try:
        given = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise ConfigError(f"the body is not JSON: {exc}") from None
    long = {}
    if isinstance(given, dict):
        for name, of in _lists_of(model).items():
            if isinstance(given.get(name), list):
                long[name] = _checked(of, given[name], (name,))
                given[name] = long[name][:1]
    found = model.model_validate(given)
    found.__dict__.update(long)
    return found


def _checked(of: _Entries, given: list[Any], place: tuple[Any, ...]) -> list[Any]:
    if len(given) > of.most:
        raise ConfigError(f"{place[0]}: {len(given):,} entries; at most {of.most:,} are allowed")
    found: list[Any] = []
    if of.inner is not None and all(isinstance(one, list) for one in given):
        for at, one in enumerate(given):
            found.append(_checked(of.inner, one, (*place, at)))
        return found
    for at in range(0, len(given), PART):
        try:
            found += of.part.validate_python(given[at : at + PART])
        except ValidationError as exc:
            raise WrongEntry((*place, at), exc) from None
    return found


def fields_of(value: Any) -> int:
    """How many fields were given, at all depths."""
    if isinstance(value, BaseModel):
        given = value.model_fields_set
        return len(given) + sum(fields_of(getattr(value, name)) for name in given)
    if isinstance(value, dict):
        return len(value)
    if isinstance(value, list) and value and isinstance(value[0], BaseModel):
        return sum([len(one.__pydantic_fields_set__) for one in value])  # none of these holds another
    return sum(map(fields_of, value)) if isinstance(value, list) and value and isinstance(value[0], list) else 0


def _each_once(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        seen: set[str] = set()
        twice = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ConfigError(f"the body gives {twice[:100]!r} twice in one object; give it once")


def read_query(query: type[BaseModel], text: bytes) -> BaseModel:
    """The parameters of a query string."""
    try:
        pairs = parse_qsl(text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=50)
    except ValueError:
        raise ConfigError("the query is not one: give name=value, joined by &, in UTF-8 and percent-encoded") from None
    if len(found := dict(pairs)) < len(pairs):
        raise ConfigError("the query gives a parameter twice")
    return query.model_validate(found)


def mistake(exc: ValidationError | WrongEntry) -> str:
    """What is wrong with a request, and where in it."""
    place: tuple[Any, ...] = ()
    if isinstance(exc, WrongEntry):
        place, exc = exc.place, exc.error
    if (count := exc.error_count()) > MANY:
        return f"the request is wrong in {count:,} places; see /openapi.json for what is meant"
    error = exc.errors(include_url=False)[0]
    where = error["loc"]
    if place:
        where = (*place[:-1], place[-1] + where[0], *where[1:])
    path = ".".join(str(p) for p in where if not set("-[") & set(str(p)) and p not in _KINDS)
    message = _OF_PYTHON.get(error["type"]) or str(error["msg"]).removeprefix("Value error, ")
    if any(str(p).startswith("constrained-") for p in where):
        message = "an id must be a whole number of 64 bits or a text of 1 to 1,000 characters"
    return f"{path}: {message}" if path else message


_OF_PYTHON = {"model_type": "Input should be an object", "list_type": "Input should be a valid array"}
"""What is checked in parts is not JSON any more, so pydantic speaks of dictionaries."""
_KINDS = ("int", "str", "datetime", "float", "bool")
