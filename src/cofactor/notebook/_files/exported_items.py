"""The exported form of data sets whose items go through functions one by one: the functions, by name, and the classes
that they learned. It contains no items and no code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cofactor.errors import BundleError, ConfigError
from cofactor.notebook._fastcore.lists import L
from cofactor.notebook._fastcore.values import noop
from cofactor.notebook._files.exported_names import find, remember
from cofactor.notebook._loaders.frames import AttrGetter, ColReader, ItemGetter
from cofactor.notebook._loaders.item_sets import Datasets, Steps, TfmdLists
from cofactor.notebook._loaders.loaders import DataLoaders
from cofactor.notebook._loaders.procs import Categorize, CategoryMap, RegressionSetup

Classes = Callable[[Any], dict[str, Any]]
HOOKS = ("after_item", "after_batch", "before_batch")


def facts_of(ds: Datasets, dls: Any, classes: Classes) -> dict[str, Any]:
    """Return the functions of a data set and of its loaders. ``classes`` stores the ids of a column."""
    return {
        "parts": [[_step(f, classes) for f in tl.tfms.fs] for tl in ds.tls],
        "n_inp": int(ds.n_inp),
        "hooks": {
            k: [_step(f, classes) for f in L(dls.train.hooks[k])] for k in HOOKS if k in getattr(dls.train, "hooks", {})
        },
    }


def _step(f: Any, classes: Classes) -> dict[str, Any]:
    kind = type(f).__name__
    if f is noop:
        return {"kind": "noop"}
    if type(f) is ColReader:
        return {"kind": kind, "args": [list(f.cols), f.pref, f.suff, f.label_delim]}
    if type(f) is ItemGetter:
        return {"kind": kind, "args": [f.i]}
    if type(f) is AttrGetter:
        return {"kind": kind, "args": [f.nm, f.default]}
    if type(f) is Categorize:
        return {"kind": kind, "add_na": bool(f.add_na), "classes": classes(f.vocab)}
    if type(f) is RegressionSetup:
        return {"kind": kind, "c": f.c}
    return {"kind": "own", "function": remember(f, "a learner whose items go through")}


def loaders(facts: Mapping[str, Any], bs: int, path: Path, mapped: Callable[[Any, bool], CategoryMap]) -> DataLoaders:
    """Return loaders without items, which make others of the same kind (``test_dl``)."""
    parts = [TfmdLists([], Steps([_made(f, mapped) for f in fs])) for fs in facts["parts"]]
    ds = Datasets(tls=parts, n_inp=int(facts["n_inp"]))
    hooks: dict[str, Any] = {k: [_made(f, mapped) for f in fs] for k, fs in facts["hooks"].items() if k in HOOKS}
    return ds.dataloaders(bs=bs, path=path, **hooks)


def _made(f: Mapping[str, Any], mapped: Callable[[Any, bool], CategoryMap]) -> Any:
    kinds: dict[str, Any] = {"ColReader": ColReader, "ItemGetter": ItemGetter, "AttrGetter": AttrGetter}
    if f["kind"] in kinds:
        return kinds[f["kind"]](*f["args"])
    if f["kind"] == "noop":
        return noop
    if f["kind"] == "Categorize":
        made = Categorize(add_na=bool(f["add_na"]))
        made.vocab = mapped(f["classes"], made.add_na)
        made.c = len(made.vocab)
        return made
    if f["kind"] == "RegressionSetup":
        return RegressionSetup(f["c"])
    if f["kind"] != "own":
        raise BundleError(f"this file was written by another version of cofactor: it has a step {f['kind']!r}")
    found = find(*f["function"])
    if found is None:
        raise ConfigError(
            f"the items of this learner go through a function of your own ({f['function'][1]}), but the file holds no"
            " code; define it first, then call load_learner again"
        )
    return found() if isinstance(found, type) else found
