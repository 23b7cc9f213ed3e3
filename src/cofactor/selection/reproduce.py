"""Run a published protocol, and compare the published figures with ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from cofactor._frames import frames_out
from cofactor.data import splits
from cofactor.data.datasets import folds, load_dataset
from cofactor.data.features.with_features import with_features
from cofactor.data.interactions import Interactions, Split
from cofactor.errors import ConfigError, did_you_mean
from cofactor.evaluation.metric_names import metric
from cofactor.fitting.fit import fit_named
from cofactor.models import REGISTRY
from cofactor.selection.candidates import Fit
from cofactor.selection.choose import choose
from cofactor.selection.compare import compare
from cofactor.selection.published import PROTOCOLS, Protocol

USER_FEATURES = ("age", "gender", "occupation")
ITEM_FEATURES = ("year", "genres")


@frames_out
def protocols() -> pl.DataFrame:
    """Return a frame ``protocol, about, data, metrics, published`` of the protocols that :func:`reproduce` knows."""
    rows = [
        (name, p.about, p.data, ", ".join(p.metrics), len({f.model for f in p.figures}))
        for name, p in PROTOCOLS.items()
    ]
    return pl.DataFrame(rows, schema=["protocol", "about", "data", "metrics", "published"], orient="row")


@frames_out
def reproduce(
    name: str,
    models: Sequence[Any] | None = None,
    *,
    seed: int = 42,
    draws: int = 1000,
    fit: Fit | None = None,
    quiet: bool | None = None,
) -> pl.DataFrame:
    """Run the protocol ``name`` (see :func:`protocols`) with each model's default settings, or with ``models`` as in
    ``compare``.

    Returns a frame ``model, metric, value, low, high, fit_seconds, source, note``, best first within a metric;
    ``source`` is ``cofactor`` for our own figures. Bounds are a bootstrap over users; published figures come without
    any.

    Raises ConfigError for an unknown name, and DatasetError if the data are not available.
    """
    if name not in PROTOCOLS:
        raise ConfigError(f"no protocol {name!r}; there are: {', '.join(PROTOCOLS)}.{did_you_mean(name, PROTOCOLS)}")
    protocol = PROTOCOLS[name]
    candidates = _contenders(protocol) if models is None else list(models)
    found = compare(
        split=splits_of(protocol, seed),
        models=candidates,
        metrics=protocol.metrics,
        relevant=protocol.relevant,
        seed=seed,
        draws=draws,
        fit=fit,
        baselines=False,
        quiet=quiet,
    )
    ours = found.frame.select(
        "model", "metric", pl.col("mean").alias("value"), "low", "high", "fit_seconds", source=pl.lit("cofactor")
    ).with_columns(note=pl.lit(""))
    published = pl.DataFrame(
        [(f.model, f.metric, f.value, None, None, None, f.source, f.note) for f in protocol.figures],
        schema=ours.schema,
        orient="row",
    )
    both = pl.concat([ours, published])
    parts = [
        both.filter(pl.col("metric") == one).sort(
            "value", descending=not metric(one).lower_is_better, maintain_order=True
        )
        for one in protocol.metrics
    ]
    return pl.concat(parts)


def splits_of(protocol: Protocol, seed: int) -> list[Split]:
    """Return the splits of a protocol."""
    if protocol.cut == "random":
        return [splits.random(load_dataset(protocol.data), 0.1, seed)]
    if protocol.cut == "kfold":
        return splits.kfold(load_dataset(protocol.data, item="id"), 5, seed)
    if protocol.cut == "temporal":
        return [splits.temporal(load_dataset(protocol.data, item="id"), 0.2)]
    found = folds(protocol.data, "a" if protocol.cut == "a" else "u")
    return found[:1] if protocol.cut == "u1" else found


def _contenders(protocol: Protocol) -> list[Any]:
    found: list[Any] = []
    for name in protocol.models:
        base, _, features = name.partition(" + ")
        if name == "auto-ranking":
            found.append((name, _auto_ranking))
        elif base.partition(":")[0] in REGISTRY:
            found.append((name, _with_features(base)) if features else name)
    return found


def _auto_ranking(data: Interactions, seed: int) -> Any:
    chosen = choose(data, "ranking", seed=seed)
    return fit_named(data, chosen.model, seed=seed, **chosen.config)


def _with_features(model: str) -> Callable[[Interactions, int], Any]:
    def train(data: Interactions, seed: int) -> Any:
        user, item = list(USER_FEATURES), list(ITEM_FEATURES)
        return fit_named(with_features(data, user=user, item=item), model, seed=seed, calibrate=False)

    return train
