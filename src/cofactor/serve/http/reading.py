"""Parsing of requests: a body or a query becomes a model of ``schemas.py``, or an error with one sentence.

Validation blocks the interpreter, and with it the event loop. So the size of a body is checked first: a body with more
values than any valid request is not parsed. Long lists are validated in parts.
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
"""Most fields of each object in a body."""
SPARE = 2000
"""Most objects, and fields, in addition to those of a list."""
FIELD = re.compile(rb'"\s*:')
"""Matches the end of a field's name (and may match inside a text)."""
VALUES = 110_000
"""Most commas, and lists, in a body; a model may set a lower limit (``most_values``)."""
MANY = 100
"""Number of errors above which they are only counted."""
PART = 200
"""Number of list entries validated at once, which takes less than a millisecond."""
LONG = 1000
"""Number of commas from which a body is validated in parts."""


class WrongEntry(Exception):
    """An entry of a list is invalid; ``place`` is its position, ``error`` the error."""

    def __init__(self, place: tuple[Any, ...], error: ValidationError) -> None:
        super().__init__(place, error)
        self.place, self.error = place, error


def most_objects(settings: Settings) -> int:
    """Return the most objects that a body may have."""
    return max(settings.max_events, settings.max_pairs, settings.max_history) + SPARE


def read_body(model: type[BaseModel], text: bytes, most: int) -> BaseModel:
    """Return the parsed body of a request.

    ConfigError where it has more than ``most`` objects, or an object with a duplicate field, of which one would be
    ignored. ValidationError or WrongEntry where it does not match the model.
    """
    objects, fields = text.count(b"{"), len(FIELD.findall(text))
    commas, lists = text.count(b","), text.count(b"[")
    if objects > most:
        raise ConfigError(
            f"the body has about {objects:,} objects; at most {most:,} are allowed: send several requests"
        )
    if fields > FIELDS * objects + SPARE:
        raise ConfigError(
            f"the body has about {fields:,} fields in {objects:,} objects, more than a valid request; see /openapi.json"
        )
    if commas > getattr(model, "most_values", VALUES) or lists > most:
        what = f"{lists:,} lists" if lists > most else f"{commas:,} values"
        raise ConfigError(f"the body has about {what}, more than a valid request; see /openapi.json")
    found = model.model_validate_json(text) if commas < LONG else _read_in_parts(model, text)
    if fields > fields_of(found):  # otherwise no name is repeated
        json.loads(text, object_pairs_hook=_each_once)
    return found


class _Entries(NamedTuple):
    """The entries of a list: the validator of a part, the most entries, and, for a list of lists, the inner entries."""

    part: TypeAdapter[list[Any]]
    most: int
    inner: _Entries | None


def _entries(kind: Any, most: int = 1 << 62) -> _Entries | None:
    """Return the entries of a list type (annotated or optional, too); None for other types."""
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
    """Return the fields of a model that are lists."""
    kinds = {
        name: Annotated[of.annotation, *of.metadata] if of.metadata else of.annotation
        for name, of in model.model_fields.items()
    }
    return {name: found for name, kind in kinds.items() if (found := _entries(kind)) is not None}


def _read_in_parts(model: type[BaseModel], text: bytes) -> BaseModel:
    """Return the same as validation of the whole body at once."""
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
    """Return the number of given fields, at all depths."""
    if isinstance(value, BaseModel):
        given = value.model_fields_set
        return len(given) + sum(fields_of(getattr(value, name)) for name in given)
    if isinstance(value, dict):
        return len(value)
    if isinstance(value, list) and value and isinstance(value[0], BaseModel):
        return sum([len(one.__pydantic_fields_set__) for one in value])  # these models hold no other models
    return sum(map(fields_of, value)) if isinstance(value, list) and value and isinstance(value[0], list) else 0


def _each_once(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        seen: set[str] = set()
        twice = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ConfigError(f"an object in the body has the field {twice[:100]!r} twice; give it once")


def read_query(query: type[BaseModel], text: bytes) -> BaseModel:
    """Return the parsed parameters of a query string."""
    try:
        pairs = parse_qsl(text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=50)
    except ValueError:
        raise ConfigError(
            "the query string is not valid; write name=value, joined by &, in UTF-8 and percent-encoded"
        ) from None
    if len(found := dict(pairs)) < len(pairs):
        raise ConfigError("the query has a parameter twice; give it once")
    return query.model_validate(found)


def mistake(exc: ValidationError | WrongEntry) -> str:
    """Return a sentence on what is wrong with a request, and where."""
    place: tuple[Any, ...] = ()
    if isinstance(exc, WrongEntry):
        place, exc = exc.place, exc.error
    if (count := exc.error_count()) > MANY:
        return f"the request is wrong in {count:,} places; see /openapi.json for its form"
    error = exc.errors(include_url=False)[0]
    where = error["loc"]
    if place:
        where = (*place[:-1], place[-1] + where[0], *where[1:])
    path = ".".join(str(p) for p in where if not set("-[") & set(str(p)) and p not in _KINDS)
    message = _OF_PYTHON.get(error["type"]) or str(error["msg"]).removeprefix("Value error, ")
    if any(str(p).startswith("constrained-") for p in where):
        message = "an id must be a 64-bit integer or a text of 1 to 1,000 characters"
    return f"{path}: {message}" if path else message


_OF_PYTHON = {"model_type": "Input should be an object", "list_type": "Input should be a valid array"}
"""Messages for values validated in parts: these are Python objects, and pydantic's own messages name Python types."""
_KINDS = ("int", "str", "datetime", "float", "bool")
