"""Create, move, detach and seed tensors; and the methods that fastai adds to tensors and paths."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cofactor._validate import check_int
from cofactor.errors import ConfigError
from cofactor.models.torch.module import best_device, device_of
from cofactor.notebook._environment import defaults
from cofactor.notebook._fastcore.lists import L

__all__ = [
    "apply",
    "default_device",
    "distrib_barrier",
    "find_bs",
    "find_device",
    "flatten_check",
    "get_random_states",
    "item_find",
    "logit",
    "nested_reorder",
    "no_random",
    "np_func",
    "num_distrib",
    "one_hot",
    "one_hot_decode",
    "rank_distrib",
    "set_num_threads",
    "set_random_states",
    "set_seed",
    "subplots",
    "tensor",
    "to_concat",
    "to_cpu",
    "to_detach",
    "to_device",
    "to_float",
    "to_half",
    "to_np",
    "unsqueeze",
    "unsqueeze_",
]


def tensor(x: Any = (), *rest: Any, requires_grad: bool = False, pin_memory: bool = False, **kwargs: Any) -> Tensor:
    """Return a tensor of numbers, a list, an array, a Series or a frame; float64 becomes float32."""
    if rest:
        x = (x, *rest)
    if isinstance(x, Tensor):
        found = x.to(**kwargs) if kwargs else x
    elif isinstance(x, (tuple, list)) and len(x) and isinstance(x[0], Tensor):
        found = torch.stack([torch.as_tensor(o) for o in x]).to(**kwargs)
    elif hasattr(x, "to_numpy"):
        found = torch.tensor(x.to_numpy().copy(), **kwargs)
    elif isinstance(x, np.ndarray):
        found = torch.tensor(x.astype(np.float32) if x.dtype == np.uint16 else x.copy(), **kwargs)
    elif (isinstance(x, (tuple, list)) and any(isinstance(o, np.generic) for o in x)) or hasattr(x, "__array__"):
        found = torch.tensor(np.asarray(x), **kwargs)
    elif isinstance(x, (tuple, list, int, float, complex)):
        found = torch.tensor(x, **kwargs)
    else:
        found = torch.tensor(np.asarray(list(x)), **kwargs)
    if found.dtype == torch.float64 and kwargs.get("dtype") is not torch.float64:
        found = found.float()
    return found.requires_grad_() if requires_grad else found


def apply(func: Callable[..., Any], x: Any, *args: Any, **kwargs: Any) -> Any:
    """``func`` of tensors in lists, tuples and dicts."""
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*(apply(func, o, *args, **kwargs) for o in x))
    if isinstance(x, (list, tuple)):
        return type(x)([apply(func, o, *args, **kwargs) for o in x])
    if isinstance(x, Mapping):
        return {k: apply(func, v, *args, **kwargs) for k, v in x.items()}
    return func(x, *args, **kwargs)


def _of_tensors(change: Callable[[Tensor], Any], x: Any) -> Any:
    return apply(lambda o: change(o) if isinstance(o, Tensor) else o, x)


def to_device(b: Any, device: Any = None, non_blocking: bool = False) -> Any:
    """Move tensors, and lists, tuples and dicts of them, to a device (a GPU if there is one)."""
    where = (
        torch.device("cpu") if defaults.use_cuda is False else default_device() if device is None else device_of(device)
    )
    return _of_tensors(lambda o: o.to(where, non_blocking=non_blocking), b)


def to_cpu(b: Any) -> Any:
    """Move them to the CPU."""
    return _of_tensors(lambda o: o.cpu(), b)


def to_np(x: Any) -> Any:
    """Convert tensors to NumPy arrays, at any depth."""
    return _of_tensors(lambda o: o.detach().cpu().numpy(), x)


def to_detach(b: Any, cpu: bool = True, gather: bool = True) -> Any:
    """Return tensors without their gradients."""
    return _of_tensors(lambda o: o.detach().cpu() if cpu else o.detach(), b)


def to_half(b: Any) -> Any:
    """Floating-point tensors at half precision."""
    return _of_tensors(lambda o: o.half() if o.is_floating_point() else o, b)


def to_float(b: Any) -> Any:
    """Floating-point tensors at single precision."""
    return _of_tensors(lambda o: o.float() if o.is_floating_point() else o, b)


def to_concat(xs: Any, dim: int = 0) -> Any:
    """Concatenate the tensors of a list (or those in its tuples)."""
    if not len(xs):
        return xs
    if isinstance(xs[0], (list, tuple)):
        return type(xs[0])([to_concat([x[i] for x in xs], dim) for i in range(len(xs[0]))])
    if isinstance(xs[0], dict):
        return {k: to_concat([x[k] for x in xs], dim) for k in xs[0]}
    try:
        return torch.cat(list(xs), dim=dim)
    except (RuntimeError, TypeError):
        return L([o for x in xs for o in x])


def default_device(use: Any = -1) -> torch.device:
    """Return the default device: a GPU if there is one. ``use``: False for the CPU, True for a GPU, None to choose; it
    applies from then on."""
    if use == -1:
        use = defaults.use_cuda
    else:
        defaults.use_cuda = use
    if use is False or (use == 0 and use is not None):
        return torch.device("cpu")
    found = best_device()
    if use and found.type == "cpu":
        raise ConfigError("there is no CUDA GPU that PyTorch can use here; use default_device(use=False)")
    return found


def set_seed(s: int, reproducible: bool = False) -> None:
    """Seed torch, NumPy's old global generator and ``random``, so that later splits, models and Learners are
    repeatable."""
    torch.manual_seed(s)
    np.random.seed(s % (2**32 - 1))  # noqa: NPY002
    random.seed(s)
    if reproducible:
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False


def get_random_states() -> dict[str, Any]:
    """Return the states of the three generators."""
    return {
        "random_state": random.getstate(),
        "numpy_state": np.random.get_state(),  # noqa: NPY002
        "torch_state": torch.get_rng_state(),
    }


def set_random_states(random_state: Any, numpy_state: Any, torch_state: Any, **more: Any) -> None:
    """Restore :func:`get_random_states`."""
    random.setstate(random_state)
    np.random.set_state(numpy_state)  # noqa: NPY002
    torch.set_rng_state(torch_state)


@contextmanager
def no_random(seed: int = 42, reproducible: bool = True) -> Any:
    """Seed the generators inside ``with``, and restore them at the end."""
    before = get_random_states()
    set_seed(seed, reproducible)
    try:
        yield
    finally:
        set_random_states(**before)


def a_seed(seed: int | None) -> int:
    """Return the given seed, or one from the state of torch's generator (so that ``torch.manual_seed`` fixes it). The
    state does not change: the next draw is the same as in fastai."""
    if seed is not None:
        return check_int("seed", seed, 0)
    return int(torch.randint(2**31, (), generator=torch.Generator().set_state(torch.get_rng_state())))


def a_draw() -> int:
    """One number of torch's common generator, as each pass through a loader of PyTorch draws one."""
    return int(torch.empty((), dtype=torch.int64).random_())


def one_hot(x: Any, c: int) -> Tensor:
    """Return a vector of ``c`` zeros (uint8) with ones at ``x``, a position or several."""
    found = torch.zeros(check_int("the length of one_hot", c), dtype=torch.uint8)
    try:
        at = torch.as_tensor(x, dtype=torch.long)
        if at.numel():
            found[at] = 1
    except (TypeError, ValueError, IndexError, RuntimeError):
        raise ConfigError(f"one_hot({x!r}, {c}): give a position from 0 to {c - 1}, or several") from None
    return found


def one_hot_decode(x: Any, vocab: Any = None) -> L:
    """Return the positions of ones, or their names in ``vocab``."""
    at = [i for i, v in enumerate(x) if v]
    return L([vocab[i] for i in at]) if vocab is not None else L(at)


def unsqueeze(x: Tensor, dim: int = -1, n: int = 1) -> Tensor:
    for _ in range(n):
        x = x.unsqueeze(dim)
    return x


def unsqueeze_(x: Tensor, dim: int = -1, n: int = 1) -> Tensor:
    for _ in range(n):
        x.unsqueeze_(dim)
    return x


def find_bs(b: Any) -> int:
    """Return the rows of a batch."""
    first = item_find(b)
    return len(first) if first is not None else 0


def find_device(b: Any) -> torch.device:
    """Return the device of a batch."""
    return item_find(b).device  # type: ignore[no-any-return]


def item_find(x: Any, idx: int = 0) -> Any:
    """Return the first tensor in lists, tuples and dicts."""
    if isinstance(x, (list, tuple)) and len(x):
        return item_find(x[idx])
    if isinstance(x, dict):
        return item_find(x[list(x)[idx]])
    return x if not isinstance(x, (list, tuple)) else None


def flatten_check(inp: Tensor, targ: Tensor) -> tuple[Tensor, Tensor]:
    """Return both as one dimension. They must have the same length."""
    a, b = inp.contiguous().view(-1), targ.contiguous().view(-1)
    if len(a) != len(b):
        raise AssertionError(f"{len(a)} numbers do not match {len(b)}")
    return a, b


def nested_reorder(t: Any, idxs: Any) -> Any:
    """Return tensors in another order, in lists and tuples too."""
    if isinstance(t, (list, tuple)) and not isinstance(t, L):
        return type(t)([nested_reorder(o, idxs) for o in t])
    return t if t is None else t[idxs]


def logit(x: Tensor) -> Tensor:
    """Return the inverse of the sigmoid."""
    x = x.clamp(1e-7, 1 - 1e-7)
    return -(1 / x - 1).log()


def num_distrib() -> int:
    return 0


def rank_distrib() -> int:
    return 0


def distrib_barrier() -> None:
    """Do nothing: there is only one process."""


def set_num_threads(nt: int) -> None:
    torch.set_num_threads(nt)


def np_func(f: Callable[..., Any]) -> Callable[..., Any]:
    """Convert a function of arrays to one of tensors."""
    return lambda *args, **kwargs: torch.as_tensor(f(*[to_np(o) for o in args], **kwargs))


def subplots(
    nrows: int = 1, ncols: int = 1, figsize: Any = None, imsize: int = 3, suptitle: Any = None, **kwargs: Any
) -> Any:
    """Return a figure and its axes, with a suitable size."""
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(nrows, ncols, figsize=figsize or (ncols * imsize, nrows * imsize), **kwargs)
    if suptitle is not None:
        fig.suptitle(suptitle)
    return fig, np.array([axes]) if nrows * ncols == 1 else axes


# ---- paths
