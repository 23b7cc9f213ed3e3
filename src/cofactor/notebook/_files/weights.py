"""Files of a module's weights that PyTorch and fastai can read (``.pth``). Nothing that is read is executed."""

from __future__ import annotations

import contextlib
import os
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cofactor.errors import BundleError
from cofactor.models.torch.stepper import load_module_state
from cofactor.notebook._errors import MissingFileError
from cofactor.notebook._keywords import takes
from cofactor.notebook._loaders.data_loader import checked_device
from cofactor.train.checkpoint import load_checkpoint

__all__ = [
    "load_model",
    "save_model",
]

PICKLE = (
    "{} is a pickle: reading it could run any code in it, so it is not read. In the program that wrote it, save "
    "the weights "
    'with learn.save("name") and load them with learn.load("name"), or export the learner here again'
)


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
    write_whole(target, lambda path: torch.save(state, path, pickle_protocol=pickle_protocol))
    return target


def load(learn: Any, file: Any, device: Any, with_opt: bool, strict: bool) -> Any:
    """Read weights into the module, in place."""
    path = _place(learn, file, ".pth")
    if device is not None:
        checked_device(device)  # the weights are moved to the module's device
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
    """Read a ``.pth`` of tensors. Raises BundleError if it does not exist or holds anything else."""
    if not path.exists():
        raise MissingFileError(f"no saved weights at {path}")
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
    """A replacement for the list type of fastai's files, which is read as plain data."""


def _plain_types() -> list[Any]:
    """Return what a file may hold besides tensors: numbers of NumPy, and the list type of fastai's files."""
    scalar = np.float64(0).__reduce__()[0]
    kinds: list[Any] = [np.dtype, *(getattr(np.dtypes, n) for n in np.dtypes.__all__)]
    kinds += [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    return [*kinds, (_Listed, "fastcore.foundation.L")]


def put_weights(learn: Any, state: Mapping[str, Any], strict: bool) -> None:
    """Copy weights into the module, in place. Raises BundleError if they belong to another one."""
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
        checked_device(device)  # the weights are moved to the module's device
    state = read_weights(Path(file))
    opt_state = None
    if set(state) == {"model", "opt"}:
        state, opt_state = state["model"], state["opt"]
    model.load_state_dict(state, strict=strict)
    if opt is not None and with_opt and opt_state is not None and "kernel" not in opt_state:
        opt.load_state_dict(opt_state)


def _weights(model: nn.Module) -> dict[str, Tensor]:
    found = model.state_dict().items()
    return OrderedDict((n, t.detach().cpu().clone(memory_format=torch.contiguous_format)) for n, t in found)


def _place(learn: Any, file: Any, ext: str) -> Path:
    name = str(file)
    known = (".pth", ".pt", ".safetensors", ".pkl")
    return Path(learn.path / learn.model_dir / (name if name.endswith(known) else f"{name}{ext}"))


def write_whole(target: Path, write: Any) -> None:
    """Write a file under another name, then rename it."""
    part = target.with_name(f".{target.name}.part")
    try:
        write(part)
        os.replace(part, target)
    except OSError as exc:
        raise BundleError(f"cannot write {target}: {exc.strerror or exc}") from None
    finally:
        part.unlink(missing_ok=True)
