"""Files of a Learner: weights, and a Learner for an application. Nothing that is read is executed.

``save`` writes what PyTorch and fastai read (``.pth``), and ``load`` reads it with ``weights_only``. ``export``
writes one
file of data: a line of text that says what it is, then a zip archive of JSON, safetensors and Parquet.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from cofactor._paths import check_path
from cofactor.errors import BundleError, ConfigError
from cofactor.models.dot_bias.model import DotBias, DotBiasConfig, stride_of
from cofactor.models.neural.fused import hooked
from cofactor.models.neural.model import Neural, NeuralConfig
from cofactor.models.torch import layers
from cofactor.models.torch.layers import Embedding, EmbeddingDotBias, MSELossFlat
from cofactor.models.torch.module import TorchModule, TorchModuleConfig
from cofactor.models.torch.optim import to_array
from cofactor.models.torch.stepper import load_module_state
from cofactor.notebook import _engine as engine
from cofactor.notebook._keywords import takes
from cofactor.notebook._layers import EmbeddingNN, TabularModel
from cofactor.notebook._loaders import checked_device
from cofactor.notebook._losses import CrossEntropyLossFlat
from cofactor.notebook._tabular import (
    Categorify,
    Categorize,
    CategoryMap,
    Normalize,
    Pipeline,
    RegressionSetup,
    TabularCollab,
    TabularPandas,
)
from cofactor.recommender import Recommender
from cofactor.train.checkpoint import load_checkpoint

FIRST_LINE = b"cofactor learner 1: a zip archive of data, no code; read it with cofactor.notebook.load_learner\n"
PICKLE = (
    "{} is a pickle: reading it would run whatever code it holds, so it is not read. Where it was made, save "
    "the weights "
    'with learn.save("name") and load them with learn.load("name"), or export the learner here again'
)
_LIMIT = 4 << 30


# ---- weights


def save(learn: Any, file: Any, with_opt: bool, pickle_protocol: int = 2) -> Path:
    """Write the weights, and with ``with_opt`` the optimizer's state."""
    target = _place(learn, file, ".pth")
    target.parent.mkdir(parents=True, exist_ok=True)
    state: Any = _weights(learn.model)
    opt = learn.opt if with_opt else None
    if opt is not None:
        if learn._core is not None and learn._core.kind == "kernel":
            kept = learn._core.learn.stepper.snapshot()
            state = {"model": state, "opt": {"kernel": {k: torch.from_numpy(np.array(v)) for k, v in kept.items()}}}
        else:
            state = {"model": state, "opt": opt.state_dict()}
    _written(target, lambda path: torch.save(state, path, pickle_protocol=pickle_protocol))
    return target


def load(learn: Any, file: Any, device: Any, with_opt: bool, strict: bool) -> Any:
    """Read weights into the module, in place."""
    path = _place(learn, file, ".pth")
    if device is not None:
        checked_device(device)  # the weights go to where the module is
    if not path.exists() and path.with_suffix(".safetensors").exists():
        path = path.with_suffix(".safetensors")
    if path.suffix == ".safetensors":
        arrays, _ = load_checkpoint(path)
        weights = {k.removeprefix("weights."): v for k, v in arrays.items() if k.startswith("weights.")}
        load_module_state(learn.model, {"module." + k: v for k, v in weights.items()})
        return learn
    state = read_weights(path)
    opt_state = None
    if set(state) == {"model", "opt"}:
        state, opt_state = state["model"], state["opt"]
    put_weights(learn, state, strict)
    if opt_state is not None and with_opt:
        _put_optimizer(learn, opt_state)
    return learn


def read_weights(path: Path) -> dict[str, Any]:
    """A ``.pth`` of tensors; BundleError where it is not there or holds anything else."""
    if not path.exists():
        raise BundleError(f"no saved weights at {path}")
    try:
        with torch.serialization.safe_globals(_plain_types()):
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as exc:
        if "weights_only" in str(exc) or "Unsupported" in str(exc) or "global" in str(exc).lower():
            raise BundleError(PICKLE.format(path)) from None
        raise BundleError(f"{path} cannot be read as saved weights: {str(exc).splitlines()[0]}") from None
    if not isinstance(state, dict):
        raise BundleError(f"{path} holds a {type(state).__name__}, not weights by name")
    return state


class _Listed:
    """Stands for the list type of fastai's files, which is read as plain data."""


def _plain_types() -> list[Any]:
    """What a file may hold besides tensors: numbers of NumPy, and the list type of fastai's files."""
    scalar = np.float64(0).__reduce__()[0]
    kinds: list[Any] = [np.dtype, *(getattr(np.dtypes, n) for n in np.dtypes.__all__)]
    kinds += [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    return [*kinds, (_Listed, "fastcore.foundation.L")]


def put_weights(learn: Any, state: Mapping[str, Any], strict: bool) -> None:
    """Copy weights into the module, in place; BundleError where they are of another one."""
    wanted = learn.model.state_dict()
    given = {str(k): v for k, v in state.items() if isinstance(v, Tensor)}
    for name in [n for n in given if n not in wanted and (n.startswith("bn_cont.") or given[n].numel() == 0)]:
        del given[name]
    missing = [n for n in wanted if n not in given and wanted[n].numel() and not n.endswith("num_batches_tracked")]
    odd = missing + [n for n in given if n not in wanted]
    if odd and strict:
        raise BundleError(f"the saved weights are of another module: {odd[0]!r} is only in one of them")
    for name, tensor in given.items():
        if name in wanted and wanted[name].shape != tensor.shape:
            raise BundleError(
                f"the saved weights {name!r} have the shape {tuple(tensor.shape)}, the module's "
                f"{tuple(wanted[name].shape)}: "
                "it is another module, or it was made for other data"
            )
    with torch.no_grad():
        for name, tensor in given.items():
            if name in wanted:
                wanted[name].copy_(tensor)


def _put_optimizer(learn: Any, state: Any) -> None:
    if learn.opt is None:
        learn.create_opt()
    if "kernel" in state:
        core = learn.core()
        if core.kind == "kernel":
            arrays = {k: v.numpy() for k, v in state["kernel"].items()}
            if arrays["table"].shape == core.learn.stepper.table.shape:
                core.learn.stepper.restore(arrays)
        return
    if learn._core is not None and learn._core.kind == "kernel":
        return
    with contextlib.suppress(KeyError, IndexError, RuntimeError, ValueError, TypeError):
        learn.opt.load_state_dict(state)


@takes()
def save_model(file: Any, model: nn.Module, opt: Any = None, with_opt: bool = True, pickle_protocol: int = 2) -> None:
    """Write a module's weights."""
    state: Any = _weights(model)
    if with_opt and opt is not None:
        state = {"model": state, "opt": opt.state_dict()}
    torch.save(state, file, pickle_protocol=pickle_protocol)


@takes("weights_only")
def load_model(
    file: Any,
    model: nn.Module,
    opt: Any = None,
    with_opt: bool = True,
    device: Any = None,
    strict: bool = True,
) -> None:
    """Read a module's weights. Nothing in the file is executed."""
    if device is not None:
        checked_device(device)  # the weights go to where the module is
    state = read_weights(Path(file))
    opt_state = None
    if set(state) == {"model", "opt"}:
        state, opt_state = state["model"], state["opt"]
    model.load_state_dict(state, strict=strict)
    if opt is not None and with_opt and opt_state is not None and "kernel" not in opt_state:
        opt.load_state_dict(opt_state)


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {n: t.detach().cpu().clone(memory_format=torch.contiguous_format) for n, t in model.state_dict().items()}


def _place(learn: Any, file: Any, ext: str) -> Path:
    name = str(file)
    known = (".pth", ".pt", ".safetensors", ".pkl")
    return Path(learn.path / learn.model_dir / (name if name.endswith(known) else f"{name}{ext}"))


def _written(target: Path, write: Any) -> None:
    """Write a file beside its place, then swap it in."""
    part = target.with_name(f".{target.name}.part")
    try:
        write(part)
        os.replace(part, target)
    except OSError as exc:
        raise BundleError(f"cannot write {target}: {exc.strerror or exc}") from None
    finally:
        part.unlink(missing_ok=True)


# ---- the recommender


def recommender(learn: Any) -> Recommender:
    """A Recommender around the model as it is now."""
    dls = learn.dls
    if not isinstance(dls.train_ds, TabularPandas) or len(dls.train_ds.cat_names) != 2 or dls.train_ds.with_cont:
        raise ConfigError("a recommender needs loaders of a table with two columns of ids (user and item) and a rating")
    data = engine.with_ids(dls.train_ds, dls.classes)
    values = [
        [float(x) if isinstance(x, (int, float)) else float("nan") for x in row[:2]] for row in learn.recorder.values
    ]
    metrics = {"valid_loss": values[-1][1]} if values and len(values[-1]) > 1 else {}
    return Recommender(model_of_ids(learn, data), data, seed=learn.seed, history=values, metrics=metrics)


def model_of_ids(learn: Any, data: Any) -> Any:
    """The model over the codes of the data, without ``#na#``."""
    module: Any = learn.model
    found = engine.kernel_job(learn.loss_func, module.y_range) if engine.untouched(module) else None
    if found is not None:
        return as_dot_bias(module, *found, data)
    model = TorchModule(
        TorchModuleConfig(loss=engine.kernel_loss(learn.loss_func) or "own", offset=1, batch_size=learn.dls.bs),
        module,
        loss=_flat_loss(learn.loss_func),
        device=learn.dls.device,
    )
    model.module, model.tables_shape = module, (data.n_users + 1, data.n_items + 1)
    if len(learn.recorder.losses):
        model.noise = float(learn.recorder.losses[-1])
    return as_neural(module, model, learn.loss_func) or model


def _flat_loss(loss: Any) -> Any:
    """A loss for flat predictions and targets that were made for a batch's shapes."""
    if engine.is_flat(loss):
        return loss

    def of(pred: Tensor, targ: Tensor) -> Any:
        return loss(pred, targ.reshape(-1, 1))

    if hasattr(loss, "activation"):
        of.activation = loss.activation  # type: ignore[attr-defined]
    return of


def as_dot_bias(module: Any, loss: str, y_range: Any, data: Any) -> DotBias:
    """The registered model ``dot-bias`` with the weights of an ``EmbeddingDotBias``."""
    k = module.u_weight.weight.shape[1]
    config = DotBiasConfig(n_factors=k, y_range=y_range, loss=loss)
    model = DotBias(config)
    with torch.no_grad():
        for side, weight, bias in (("user", module.u_weight, module.u_bias), ("item", module.i_weight, module.i_bias)):
            rows = np.zeros((len(weight.weight) - 1, stride_of(k)), np.float32)
            rows[:, :k] = weight.weight[1:].numpy()
            at, one = (k, k + 1) if side == "user" else (k + 1, k)
            rows[:, at], rows[:, one] = bias.weight[1:, 0].numpy(), 1
            setattr(model, f"{side}_table", rows)
    model.y_range = y_range
    stepper = model.resume(data)
    model._known_step = -1
    model._learn_unknown()
    model._stepper = None
    _ = stepper
    return model


def as_neural(module: nn.Module, model: TorchModule, loss: Any) -> Neural | None:
    """The registered model ``neural`` with the weights of an ``EmbeddingNN``, which a bundle can hold whole; None where
    the module is another, or was changed."""
    name = engine.kernel_loss(loss)
    if type(module) is not EmbeddingNN or "forward" in vars(module) or hooked(module) or name is None:
        return None
    s, tables = module.settings, [m for m in module.embeds if type(m) is Embedding]
    if len(tables) != 2 or len(module.embeds) != 2 or not s["usual"] or len(set(s["drops"])) > 1:
        return None
    config = NeuralConfig(
        layers=s["layers"],
        user_factors=tables[0].embedding_dim,
        item_factors=tables[1].embedding_dim,
        y_range=engine.bounds(s["y_range"]),
        dropout=s["drops"][0] if s["drops"] else 0.0,
        embed_dropout=s["embed_p"],
        batch_norm=s["use_bn"],
        loss=name,
        batch_size=max(model.config.batch_size, 2),
    )
    state = model.state() | {"y_range": np.array(config.y_range or (), np.float64)}
    state = {k: v for k, v in state.items() if not k.startswith("module.bn_cont.")}
    state["shape"] = state["shape"] - 1
    for side in (0, 1):  # row 0 is #na#
        state[f"module.embeds.{side}.weight"] = state[f"module.embeds.{side}.weight"][1:].copy()
    return Neural.from_state(config, state)


# ---- a learner for an application


def export(learn: Any, fname: Any) -> Path:
    """Write a learner's file: weights, ids and ratings, no code."""
    target = Path(learn.path) / check_path(fname, "the file to export to")
    if target.is_dir():
        raise BundleError(f"cannot write {target}: it is a directory")
    ds = learn.dls.train_ds
    if not isinstance(ds, TabularPandas):
        raise ConfigError("export writes a learner of a table; for other data sets use learn.save")
    facts = {
        "format": "cofactor-learner",
        "version": 1,
        "model": _model_facts(learn.model),
        "loss": _loss_facts(learn.loss_func),
        "table": _table_facts(ds, learn.dls),
        "seed": learn.seed,
        "bs": int(learn.dls.bs),
        "history": [
            [None if not isinstance(x, (int, float)) else float(x) for x in row] for row in learn.recorder.values
        ],
    }
    from safetensors.numpy import save as tensors

    arrays = {n: np.array(to_array(t), order="C") for n, t in learn.model.state_dict().items()}
    x = ds.tensors()
    arrays_rows = {f"x.{i}": np.ascontiguousarray(t.numpy()) for i, t in enumerate(x)}

    def write(path: Path) -> None:
        path.write_bytes(FIRST_LINE)
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as z:
            z.writestr("learner.json", json.dumps(facts, allow_nan=False))
            z.writestr("weights.safetensors", tensors(arrays))
            z.writestr("rows.safetensors", tensors(arrays_rows))

    _written(target, write)
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
    name = engine.kernel_loss(loss)
    if name is not None:
        return {"kind": name}
    if type(loss).__name__ in ("BCELossFlat", "BCEWithLogitsLossFlat", "CrossEntropyLossFlat", "HuberLossFlat"):
        return {"kind": type(loss).__name__}
    return {
        "kind": "own",
        "function": [getattr(loss, "__module__", ""), getattr(loss, "__qualname__", type(loss).__qualname__)],
    }


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
        made.classes = {n: _map(c, True) for n, c in p["classes"].items()}
        return made
    if p["kind"] == "Categorize":
        made = Categorize()
        made.vocab = _map(p["classes"], False)
        made.c = len(made.vocab)
        return made
    return Normalize(dict(p["means"]), dict(p["stds"])) if p["kind"] == "Normalize" else RegressionSetup(p["c"])


def _map(c: Mapping[str, Any], add_na: bool) -> CategoryMap:
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
    raise BundleError(
        f"{path} holds the weights of a module of your own ({name}), and no code; import its class first (a "
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
    """Stands for a loss of one's own that is not there: predictions need none."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *args: Any) -> Any:
        raise BundleError(
            f"this learner was trained with a loss of your own ({self.name}); give it: load_learner(fname, "
            f"loss_func=...)"
        )


def _imported(where: str, name: str) -> Any:
    """What is there under a name in a module that is imported already; None where it is not. Nothing is imported."""
    found: Any = sys.modules.get(where)
    for part in str(name).split("."):
        found = getattr(found, part, None)
    return found
