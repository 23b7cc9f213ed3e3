"""Candidates for comparing and tuning: names, names with settings, tuned results, or functions of your own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cofactor._validate import check_iterable
from cofactor.data.interactions import Interactions
from cofactor.errors import ConfigError
from cofactor.fitting.fit import fit_named
from cofactor.model import Model
from cofactor.models import REGISTRY, model_class
from cofactor.models.base.config import make_config
from cofactor.models.specs import parse_spec

Fit = Callable[..., Any]
"""``fit(train, model=name, seed=seed, **config)`` -> a Recommender, or a bare Model."""


@dataclasses.dataclass(frozen=True)
class Candidate:
    """One candidate. A function of your own, ``train(data, seed)`` -> a Recommender or Model, takes the place of
    ``model``."""

    label: str
    model: str
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    train: Callable[[Interactions, int], Any] | None = None
    tuned_on: Interactions | None = None

    def fit(self, data: Interactions, seed: int, by: Fit, config: Mapping[str, Any] | None = None) -> Any:
        """Train it."""
        if self.train is not None:
            return self.train(data, seed)
        return by(data, model=self.model, seed=seed, **{**self.config, **(config or {})})


def candidate(given: Any) -> Candidate:
    """Return a Candidate from a name, a text such as ``"ease:reg=100"``, ``(name, config)``, ``(label, name, config)``,
    ``(label, function)``, an untrained Model, or the result of ``cofactor.tune``. Raises ConfigError for unknown
    names."""
    if isinstance(given, Candidate):
        return given
    if isinstance(given, str):
        name, config = parse_spec(given)
        return _named(name, given, config)
    if hasattr(given, "best") and hasattr(given, "data"):
        return dataclasses.replace(_named(given.model, f"{given.model} (tuned)", given.best), tuned_on=given.data)
    if isinstance(given, tuple) and len(given) == 2 and callable(given[1]):
        return Candidate(str(given[0]), str(given[0]), {}, given[1])
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], Mapping):
        shown = ", ".join(f"{k}={v}" for k, v in given[1].items())
        return _named(given[0], f"{given[0]} ({shown})" if shown else given[0], given[1])
    if isinstance(given, tuple) and len(given) == 3 and isinstance(given[2], Mapping):
        return _named(given[1], str(given[0]), given[2])
    if isinstance(given, Model) and dataclasses.is_dataclass(given.config):
        fields = dataclasses.fields(given.config)
        changed = {f.name: v for f in fields if (v := getattr(given.config, f.name)) != f.default}
        return candidate((given.name, changed))
    raise ConfigError(
        f"cannot compare {given!r}; give a model's name, 'name:parameter=value', (name, {{parameter: value}}), "
        "(label, name, {...}), or (label, function of training rows and seed)"
    )


def candidates_of(given: Sequence[Any]) -> list[Candidate]:
    """Return several candidates with distinct labels."""
    found = [candidate(one) for one in check_iterable("models", given, "['bias', 'als']")]
    labels = [one.label for one in found]
    twice = {label for label in labels if labels.count(label) > 1}
    if twice:
        raise ConfigError(f"{', '.join(sorted(twice))} is given twice; give labels, as in (label, name, config)")
    if not found:
        raise ConfigError("there is nothing to compare; give the names of models")
    return found


def _named(name: str, label: str, config: Mapping[str, Any]) -> Candidate:
    make_config(model_class(name).Config, dict(config))
    return Candidate(label, name, dict(config))


def default_fit(calibrate: bool) -> Fit:
    """Return a function that trains a named model quietly. ``calibrate`` adds a second training, which gives
    intervals."""

    def train(data: Interactions, *, model: str, seed: int, **config: Any) -> Any:
        return fit_named(data, model, seed=seed, calibrate=calibrate, **config)

    return train


def usual_models(data: Interactions) -> list[str]:
    """Return the models to compare by default, from the simplest up."""
    names = ["popular", "bias", "item-knn", "als", "dot-bias", "bayes-mf"]
    if data.kind != "ratings" or data.range[0] == data.range[1]:
        names = ["popular", "item-cosine", "ease", "ials"]
    return [name for name in names if name in REGISTRY]
