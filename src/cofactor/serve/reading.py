"""Reading what is asked: a body or a query becomes a model of ``schemas.py``, or one sentence says what is wrong.

What is checked at once holds the interpreter for as long as it takes, so a body is looked at before: one with more in
it than a request may have is not read.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError

from cofactor.errors import ConfigError
from cofactor.serve.settings import Settings

FIELDS = 6
"""Fields that each object of a body may have."""
SPARE = 2000
"""Objects, and fields, besides those of a list."""
FIELD = re.compile(rb'"\s*:')
"""Ends the name of a field (and may stand in a text)."""
MANY = 100
"""So many mistakes are not looked at one by one."""


def most_objects(settings: Settings) -> int:
    """How many objects a body may have."""
    return max(settings.max_events, settings.max_pairs, settings.max_history) + SPARE


def read_body(model: type[BaseModel], text: bytes, most: int) -> BaseModel:
    """The body of a request. ConfigError where it has more than ``most`` objects, or an object of it names a field
    twice: one of the two would be ignored. ValidationError where it is something else."""
    objects, fields = text.count(b"{"), sum(1 for _ in FIELD.finditer(text))
    if objects > most:
        raise ConfigError(f"the body has some {objects:,} objects; at most {most:,} are read, so send several requests")
    if fields > FIELDS * objects + SPARE:
        raise ConfigError(f"the body has some {fields:,} fields in {objects:,} objects, more than any request has")
    found = model.model_validate_json(text)
    if fields > fields_of(found):  # else each one has another name
        json.loads(text, object_pairs_hook=_each_once)
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


def mistake(exc: ValidationError) -> str:
    """What is wrong with a request, and where in it."""
    if (count := exc.error_count()) > MANY:
        return f"the request is wrong in {count:,} places; see /openapi.json for what is meant"
    error = exc.errors(include_url=False)[0]
    path = ".".join(str(p) for p in error["loc"] if not set("-[") & set(str(p)) and p not in _KINDS)
    message = str(error["msg"]).removeprefix("Value error, ")
    if any(str(p).startswith("constrained-") for p in error["loc"]):
        message = "an id must be a whole number of 64 bits or a text of at most 1,000 characters"
    return f"{path}: {message}" if path else message


_KINDS = ("int", "str", "datetime", "float", "bool")
