"""A model and its settings as one text: ``ease:reg=100``, ``popular:half_life=7:min_rating_weight=0.5``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from cofactor.errors import ConfigError, did_you_mean
from cofactor.models import model_class
from cofactor.models.base.config import make_config, parse_value


def parse_spec(text: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the settings. Raises ConfigError for an unknown model or parameter, or an invalid value."""
    name, *settings = (part.strip() for part in text.split(":"))
    cls = model_class(name)
    fields = {field.name: field for field in dataclasses.fields(cls.Config)}
    config: dict[str, Any] = {}
    for setting in settings:
        key, sign, value = (part.strip() for part in setting.partition("="))
        key = key.replace("-", "_")
        if not sign:
            raise ConfigError(f"{text!r}: {setting!r} has no value; write it as {name}:PARAMETER=VALUE")
        if key not in fields:
            known = ", ".join(fields)
            raise ConfigError(f"{text!r}: no parameter {key!r}; {name} takes {known}.{did_you_mean(key, fields)}")
        if key in config:
            raise ConfigError(f"{text!r} gives {key} twice")
        config[key] = parse_value(fields[key], value)
    make_config(cls.Config, config)
    return name, config


def spec_text(name: str, config: Mapping[str, Any]) -> str:
    """Return the text that :func:`parse_spec` reads back."""
    return ":".join([name, *(f"{key}={value}" for key, value in config.items())])
