"""Export a Learner for an application in one file: a line of text that identifies it, then a zip archive of JSON and
safetensors. Nothing that is read is executed."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from types import FunctionType
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import pandas as pd
from torch import nn

from cofactor._paths import check_path
from cofactor.errors import BundleError, ConfigError
from cofactor.models.torch import layers
from cofactor.models.torch.layers import EmbeddingDotBias, MSELossFlat
from cofactor.models.torch.optim import to_array
from cofactor.notebook._errors import MissingFileError
from cofactor.notebook._files.exported_items import facts_of
from cofactor.notebook._files.exported_names import find, remember
from cofactor.notebook._files.weights import PICKLE, write_whole
from cofactor.notebook._loaders.item_sets import Datasets
from cofactor.notebook._loaders.procs import (
    Categorify,
    Categorize,
    CategoryMap,
    FillMissing,
    Normalize,
    Pipeline,
    RegressionSetup,
)
from cofactor.notebook._loaders.tabular import TabularCollab, TabularPandas
from cofactor.notebook._measures import metric_functions as _metric_functions
from cofactor.notebook._measures.losses import CrossEntropyLossFlat
from cofactor.notebook._measures.losses_known import kernel_loss
from cofactor.notebook._measures.metrics import AvgMetric, Metric
from cofactor.notebook._modules.layers import EmbeddingNN, TabularModel

FIRST_LINE = b"cofactor learner 1: a zip archive of data, no code; read it with cofactor.notebook.load_learner\n"
_LIMIT = 4 << 30
OPTIONS = ("lr", "wd", "moms", "wd_bn_bias", "train_bn")
_own: dict[tuple[str, str], Any] = {}
"""Classes of modules, and losses, that this process exported, by their names."""
_alive: WeakValueDictionary[tuple[str, str], nn.Module] = WeakValueDictionary()
"""The modules themselves, as long as they exist: a module that is not a ``Module`` cannot be created again."""


def export(learn: Any, fname: Any) -> Path:
    """Write a learner to a file: weights, ids and ratings, no code."""
    target = Path(learn.path) / check_path(fname, "the file to export to")
    if target.is_dir():
        raise BundleError(f"cannot write {target}: it is a directory")
    ds = learn.dls.train_ds
    if isinstance(ds, Datasets):
        data, kind = facts_of(ds, learn.dls, _classes), "items"
    elif isinstance(ds, TabularPandas):
        data, kind = _table_facts(ds, learn.dls), "table"
    else:
        raise ConfigError(
            f"export supports a learner of a table or of a DataBlock, not of a {type(ds).__name__}; for other data"
            " sets use learn.save"
        )
    facts = {
        "format": "cofactor-learner",
        "version": 1,
        "model": _model_facts(learn.model),
        "loss": _loss_facts(learn.loss_func),
        kind: data,
        "metrics": [name for m in learn.metrics if (name := _metric_name(m)) is not None],
        "options": {k: list(v) if isinstance(v, tuple) else v for k in OPTIONS if _is_plain(v := getattr(learn, k))},
        "seed": learn.seed,
        "bs": int(learn.dls.bs),
        "history": [
            [None if not isinstance(x, (int, float)) else float(x) for x in row] for row in learn.recorder.values
        ],
    }
    from safetensors.numpy import save as tensors

    arrays = {n: np.array(to_array(t), order="C") for n, t in learn.model.state_dict().items()}
    parts = ds.tensors() if isinstance(ds, TabularPandas) else ()
    arrays_rows = {f"x.{i}": np.ascontiguousarray(t.numpy()) for i, t in enumerate(parts)}

    def write(path: Path) -> None:
        path.write_bytes(FIRST_LINE)
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as z:
            z.writestr("learner.json", json.dumps(facts, allow_nan=False))
            z.writestr("weights.safetensors", tensors(arrays))
            z.writestr("rows.safetensors", tensors(arrays_rows))

    write_whole(target, write)
    return target


def _model_facts(module: nn.Module) -> dict[str, Any]:
    kind = type(module)
    if kind is EmbeddingDotBias:
        m: Any = module
        return {
            "kind": "EmbeddingDotBias",
            "args": [m.u_weight.embedding_dim, m.u_weight.num_embeddings, m.i_weight.num_embeddings],
            "y_range": _floats(m.y_range),
        }
    if kind in (EmbeddingNN, TabularModel):
        n: Any = module
        s = n.settings
        sizes = [[e.num_embeddings, e.embedding_dim] for e in n.embeds]
        out = [b for b in n.layers if hasattr(b, "__iter__")][-1]
        outs = next(p.out_features for p in reversed(list(out)) if isinstance(p, nn.Linear))
        own = {
            "layers": list(s["layers"]),
            "ps": list(s["drops"]),
            "embed_p": s["embed_p"],
            "y_range": _floats(s["y_range"]),
        }
        own |= {
            "use_bn": s["use_bn"],
            "bn_final": s["bn_final"],
            "lin_first": s["lin_first"],
            "bn_cont": n.bn_cont is not None,
        }
        return {"kind": kind.__name__, "emb_szs": sizes, "n_cont": n.n_cont, "out_sz": outs, "options": own}
    given = getattr(module, "_made_with", None)
    _own[kind.__module__, kind.__qualname__] = kind
    _alive[kind.__module__, kind.__qualname__] = module
    return {"kind": "own", "class": [kind.__module__, kind.__qualname__], "args": given if _is_plain(given) else None}


def _floats(y_range: Any) -> Any:
    return None if y_range is None else [float(y) for y in y_range]


def _is_plain(x: Any) -> bool:
    if isinstance(x, dict):
        return all(isinstance(k, str) and _is_plain(v) for k, v in x.items())
    return (
        all(_is_plain(v) for v in x)
        if isinstance(x, (list, tuple))
        else x is None or isinstance(x, (bool, int, float, str))
    )


def _loss_facts(loss: Any) -> dict[str, Any]:
    name = kernel_loss(loss)
    if name is not None:
        return {"kind": name}
    if type(loss).__name__ in ("BCELossFlat", "BCEWithLogitsLossFlat", "CrossEntropyLossFlat", "HuberLossFlat"):
        return {"kind": type(loss).__name__}
    names = getattr(loss, "__module__", ""), getattr(loss, "__qualname__", type(loss).__qualname__)
    _own[names] = loss
    return {"kind": "own", "function": list(names)}


def _metric_name(m: Any) -> list[str] | None:
    """Return the names of a metric, or of the function that it averages; None if it has none."""
    names = [n for n, found in vars(_metric_functions).items() if found is m]
    if names:
        return [_metric_functions.__name__, names[0]]
    if type(m) is not AvgMetric or not isinstance(m.func, FunctionType) or "<" in m.func.__qualname__:
        return None
    return remember(m.func, "the metric")


def metrics_of(names: Any) -> list[Any]:
    """Return the metrics that are available here."""
    found = [vars(_metric_functions).get(n) if w == _metric_functions.__name__ else find(w, n) for w, n in names]
    return [m for m in found if isinstance(m, (FunctionType, Metric))]


def _table_facts(ds: TabularPandas, dls: Any) -> dict[str, Any]:
    procs: list[dict[str, Any]] = []
    for p in ds.procs.fs:
        if isinstance(p, Categorify):
            procs.append({"kind": "Categorify", "classes": {str(n): _classes(c) for n, c in p.classes.items()}})
        elif isinstance(p, Categorize):
            procs.append({"kind": "Categorize", "classes": _classes(p.vocab)})
        elif isinstance(p, Normalize):
            procs.append(
                {
                    "kind": "Normalize",
                    "means": {k: float(v) for k, v in p.means.items()},
                    "stds": {k: float(v) for k, v in p.stds.items()},
                }
            )
        elif isinstance(p, FillMissing):
            filled = {str(k): float(v) for k, v in p.na_dict.items()}
            procs.append({"kind": "FillMissing", "add_col": bool(p.add_col), "na_dict": filled})
        elif isinstance(p, RegressionSetup):
            procs.append({"kind": "RegressionSetup", "c": p.c})
        else:
            raise ConfigError(
                f"a learner with the proc {type(p).__name__} cannot be exported; save its weights with learn.save"
            )
    return {
        "kind": type(ds).__name__ if isinstance(ds, TabularCollab) else "TabularPandas",
        "cat_names": [str(n) for n in ds.cat_names],
        "cont_names": [str(n) for n in ds.cont_names],
        "y_names": [str(n) for n in ds.y_names],
        "y_type": str(ds.tensors()[-1].dtype).removeprefix("torch.") if len(ds.y_names) else None,
        "procs": procs,
    }


def _classes(c: Any) -> dict[str, Any]:
    values = list(c.items)
    kinds = {type(v).__name__ for v in values if v != "#na#"}
    if kinds <= {"int", "str", "float", "bool"}:
        return {"values": values}
    if kinds <= {"Timestamp", "datetime", "date"}:
        return {"values": [v if v == "#na#" else pd.Timestamp(v).isoformat() for v in values], "dates": True}
    raise ConfigError(f"ids of type {', '.join(sorted(kinds))} cannot be exported")


def read_file(path: Path) -> tuple[dict[str, Any], Any, Any]:
    from safetensors.numpy import load as tensors

    try:
        with path.open("rb") as file:
            head = file.read(len(FIRST_LINE))
    except FileNotFoundError:
        raise MissingFileError(f"cannot read {path}: there is no such file") from None
    except OSError as exc:
        raise BundleError(f"cannot read {path}: {exc.strerror or exc}") from None
    if not head.startswith(b"cofactor learner"):
        if head[:1] == b"\x80" or head[:2] == b"PK":
            raise BundleError(PICKLE.format(path))
        raise BundleError(f"{path} is not an exported learner")
    if head != FIRST_LINE:
        raise BundleError(f"{path} was written by another version of cofactor: {head[:20]!r}")
    try:
        with zipfile.ZipFile(path) as z:
            if sum(i.file_size for i in z.infolist()) > _LIMIT:
                raise BundleError(f"{path} would unpack to more than {_LIMIT:,} bytes")
            facts = json.loads(z.read("learner.json"))
            weights, rows = tensors(z.read("weights.safetensors")), tensors(z.read("rows.safetensors"))
    except BundleError:
        raise
    except Exception as exc:
        raise BundleError(f"{path} is damaged: {exc}") from None
    if not isinstance(facts, dict) or facts.get("format") != "cofactor-learner":
        raise BundleError(f"{path} is not an exported learner")
    return facts, weights, rows


def table(t: Mapping[str, Any], rows: Mapping[str, Any]) -> TabularPandas:
    kind = TabularCollab if t["kind"] == "TabularCollab" else TabularPandas
    parts = [rows[f"x.{i}"] for i in range(len(rows))]
    columns: dict[str, Any] = {n: parts[0][:, i] for i, n in enumerate(t["cat_names"])}
    if kind.with_cont:
        columns |= {n: parts[1][:, i] for i, n in enumerate(t["cont_names"])}
    for i, n in enumerate(t["y_names"]):
        columns[n] = parts[-1][:, i]
    frame = pd.DataFrame(columns)
    made = kind(frame, [], t["cat_names"], t["cont_names"], t["y_names"], do_setup=False)
    made.procs = Pipeline([_proc(p) for p in t["procs"]])
    made.split = len(frame)
    return made


def _proc(p: Mapping[str, Any]) -> Any:
    if p["kind"] == "Categorify":
        made: Any = Categorify()
        made.classes = {n: mapped(c, True) for n, c in p["classes"].items()}
        return made
    if p["kind"] == "Categorize":
        made = Categorize()
        made.vocab = mapped(p["classes"], False)
        made.c = len(made.vocab)
        return made
    if p["kind"] == "FillMissing":
        made = FillMissing(add_col=bool(p["add_col"]))
        made.na_dict = dict(p["na_dict"])
        return made
    return Normalize(dict(p["means"]), dict(p["stds"])) if p["kind"] == "Normalize" else RegressionSetup(p["c"])


def mapped(c: Mapping[str, Any], add_na: bool) -> CategoryMap:
    values = [v if v == "#na#" or not c.get("dates") else pd.Timestamp(v) for v in c["values"]]
    found = CategoryMap(values[1:] if add_na else values, sort=False, add_na=add_na)
    return found


def module_of(m: Mapping[str, Any], given: Any, path: Path) -> Any:
    if given is not None:
        return given
    if m["kind"] == "EmbeddingDotBias":
        n_factors, n_users, n_items = m["args"]
        return EmbeddingDotBias(n_factors, n_users, n_items, None if m["y_range"] is None else tuple(m["y_range"]))
    if m["kind"] in ("EmbeddingNN", "TabularModel"):
        options = dict(m["options"])
        options["y_range"] = None if options["y_range"] is None else tuple(options["y_range"])
        sizes = [tuple(s) for s in m["emb_szs"]]
        if m["kind"] == "EmbeddingNN":
            return EmbeddingNN(sizes, **options)
        return TabularModel(sizes, m["n_cont"], m["out_sz"], **options)
    where, name = m["class"]
    found = _imported(where, name)
    if isinstance(found, type) and issubclass(found, layers.Module) and m["args"] is not None:
        args, kwargs = m["args"]
        return found(*args, **kwargs)
    if (there := _alive.get((str(where), str(name)))) is not None:
        return deepcopy(there)
    raise BundleError(
        f"{path} holds the weights of a module of your own ({name}), but no code; import its class first (a "
        f"subclass of Module), "
        "or give the module too, of the same class and sizes: load_learner(fname, module=...)"
    )


def loss_of(m: Mapping[str, Any], given: Any) -> Any:
    if given is not None:
        return given
    named: dict[str, Any] = {
        "mse": MSELossFlat,
        "mae": layers.L1LossFlat,
        "huber": layers.HuberLossFlat,
        "CrossEntropyLossFlat": CrossEntropyLossFlat,
    }
    if m["kind"] in named:
        return named[m["kind"]]()
    if m["kind"] != "own":
        return getattr(layers, m["kind"])()
    found = _imported(*m["function"])
    if callable(found):
        return found() if isinstance(found, type) else found
    return _MissingLoss(m["function"][1])


class _MissingLoss:
    """A placeholder for a missing loss of your own; predictions do not need it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *args: Any) -> Any:
        raise BundleError(
            f"this learner was trained with a loss of your own ({self.name}); give it: load_learner(fname, "
            f"loss_func=...)"
        )


def _imported(where: str, name: str) -> Any:
    """Return the object of a name in a module that is already imported; None if there is none. Nothing is imported."""
    if (found := _own.get((str(where), str(name)))) is not None:
        return found
    found = sys.modules.get(where)
    for part in str(name).split("."):
        found = getattr(found, part, None)
    return found
