"""One training run of a PyTorch module: data are moved to the device once, batches are slices, Adam is the notebook's.

This file needs torch; its importer checks that first (``torch_module.need_torch``).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cofactor.data.interactions import Interactions
from cofactor.errors import BundleError, ConfigError
from cofactor.model import Hyper, State, Stepper
from cofactor.models.torch.optim import Optimizer, to_array

Array = NDArray[Any]
Loss = Callable[[Tensor, Tensor], Tensor]

SMALL_WORK = 1e9
"""Multiplications per batch below which one thread is faster than several."""
CHUNK = 100
"""Number of batches between checks for Ctrl-C on a CPU. A GPU gets whole epochs, so that it never waits."""


class Kernel(Protocol):
    """A faster way to train a module than autograd, with the same arithmetic."""

    @property
    def lagging(self) -> bool:
        """Whether the module lacks the latest training."""
        ...

    def begin(self, batch_size: int) -> bool:
        """Return whether it can train the module in its present form."""
        ...

    def train(self, rows: Array, hyper: Hyper) -> Array:
        """Train as :meth:`Stepper.run` does."""
        ...

    def flush(self) -> None:
        """Bring the module and its optimizer up to date."""
        ...


class Kernels:
    """Uses the first of several kernels that can train the module in its present form."""

    def __init__(self, *kernels: Kernel) -> None:
        self.kernels, self.chosen = kernels, kernels[0]

    @property
    def lagging(self) -> bool:
        return self.chosen.lagging

    def begin(self, batch_size: int) -> bool:
        if self.lagging:
            return True
        found = next((k for k in self.kernels if k.begin(batch_size)), None)
        self.chosen = found or self.chosen
        return found is not None

    def train(self, rows: Array, hyper: Hyper) -> Array:
        return self.chosen.train(rows, hyper)

    def flush(self) -> None:
        self.chosen.flush()


class TorchStepper(Stepper):
    """Trains a module in place. ``data`` is moved to the device once; each run selects its rows by one
    ``index_select``.

    ``kernel``, if given, trains in place of autograd as long as it can.
    """

    def __init__(
        self,
        module: nn.Module,
        data: Interactions,
        *,
        loss: Loss,
        optimizer: Callable[[nn.Module], Optimizer],
        device: torch.device,
        offset: int,
        seed: int,
        threads: int | None,
        report: Callable[[Array], None] = lambda losses: None,
    ) -> None:
        self.module = module
        self.loss = loss
        self.device = device
        self.threads = threads
        self.report = report
        """A function that gets the losses of each run of batches."""
        self.interrupt_every = CHUNK if device.type == "cpu" else 0
        self.data, self.offset = data, offset
        self.kernel: Kernel | None = None
        self.optimizer = optimizer(module)
        with own_rng(device):
            seed_rng(seed, device)
            self.rng = rng_state(device)

    @functools.cached_property
    def tensors(self) -> tuple[Tensor, Tensor]:
        """The rows on the device: x (n, 2) and y (n,)."""
        y = torch.from_numpy(np.array(self.data.values, np.float32)).to(self.device)
        return pairs(self.data.users, self.data.items, self.offset, self.device), y

    def run(self, rows: Array | None, hyper: Hyper | None) -> Array:
        if rows is None or hyper is None:
            raise ConfigError("a PyTorch module trains batch by batch: give rows and hyper")
        n, bs = len(hyper.lr), hyper.batch_size
        if len(rows) != n * bs or n == 0:
            raise ConfigError(f"{len(rows)} rows are not {n} batches of {bs}")
        if self.kernel is not None and self.kernel.begin(bs):
            trained = self.kernel.train(rows, hyper)
            self.report(trained)
            return trained
        x, y = self.tensors
        at = torch.from_numpy(np.ascontiguousarray(rows)).to(self.device)
        xs, ys = torch.split(x.index_select(0, at), bs), torch.split(y.index_select(0, at), bs)
        module, loss_of, step = self.module, self.loss, self.optimizer.step
        lrs, moms, wd = hyper.lr.tolist(), hyper.momentum.tolist(), float(hyper.weight_decay)
        losses = []
        module.train()
        module.zero_grad(set_to_none=True)
        with own_rng(self.device), threads_for(module, bs, self.device, self.threads), torch.enable_grad():
            set_rng_state(self.rng, self.device)
            self.optimizer.begin()
            with self.optimizer.by_rows(module) if n > 1 else nullcontext():
                for i in range(n):
                    loss = loss_of(flat_output(module(xs[i]), bs), ys[i])
                    if loss.dim():
                        raise ConfigError(f"the loss returned {tuple(loss.shape)} numbers; it must return their mean")
                    loss.backward()  # type: ignore[no-untyped-call]
                    losses.append(loss.detach())
                    step(lrs[i], moms[i], wd)
            self.rng = rng_state(self.device)
            found = torch.stack(losses).cpu().double().numpy()
        module.eval()
        self.report(found)
        return np.asarray(found)

    def flush(self) -> None:
        if self.kernel is not None:
            self.kernel.flush()

    def snapshot(self) -> State:
        self.flush()
        arrays = module_state(self.module)
        arrays |= {f"optimizer.{k}": v for k, v in self.optimizer.state().items()}
        return arrays | {f"rng.{i}": r.numpy().copy() for i, r in enumerate(self.rng)}

    def restore(self, state: Mapping[str, Array]) -> None:
        self.flush()
        load_module_state(self.module, state)
        self.optimizer.restore(
            {k.removeprefix("optimizer."): v for k, v in state.items() if k.startswith("optimizer.")}
        )
        # a checkpoint from a CPU has no state of a GPU's generator, which then starts from its seed
        kept = enumerate(self.rng)
        self.rng = [torch.from_numpy(np.array(state[f"rng.{i}"])) if f"rng.{i}" in state else r for i, r in kept]


def pairs(users: Array, items: Array, offset: int, device: torch.device) -> Tensor:
    """Return int64 (n, 2) on the device: codes plus ``offset``."""
    x = np.stack([users, items], axis=1).astype(np.int64)
    return torch.from_numpy(x + offset if offset else x).to(device)


def flat_output(out: Any, n: int) -> Tensor:
    """Return a module's output as (n,). Raises ConfigError for another shape."""
    if isinstance(out, Tensor) and out.numel() == n:
        return out if out.dim() == 1 else out.reshape(-1)
    shape = f"the shape {tuple(out.shape)}" if isinstance(out, Tensor) else f"a {type(out).__name__}"
    raise ConfigError(
        f"the module returned {shape} for {n} rows; it must return one prediction per row: ({n},) or ({n}, 1)"
    )


@torch.no_grad()
def forward_blocks(module: nn.Module, x: Tensor, block: int, call: Callable[[Tensor], Any] | None = None) -> Tensor:
    """Return the module's flat outputs (n,) in eval mode, block by block, and restore its mode."""
    was = module.training
    module.eval()
    try:
        with threads_for(module, min(block, len(x)), x.device, None):
            outs = [flat_output((call or module)(part), len(part)) for part in torch.split(x, block)]
            return torch.cat(outs) if outs else torch.empty(0, device=x.device)
    finally:
        module.train(was)


@contextmanager
def threads_for(module: nn.Module, rows: int, device: torch.device, threads: int | None) -> Iterator[None]:
    """Use one thread if a batch is small work (its threads would wait for each other), else torch's own number, or
    ``threads``. The number is restored at the end."""
    if device.type != "cpu":
        yield
        return
    before = torch.get_num_threads()
    wanted = threads or (1 if work(module, rows) < SMALL_WORK else before)
    if wanted == before:
        yield
        return
    torch.set_num_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def work(module: nn.Module, rows: int) -> float:
    """Estimate the multiplications of a batch: dense weights for each row, and each element once for the optimizer."""
    total = dense = 0
    tables = {id(m.weight) for m in module.modules() if isinstance(m, (nn.Embedding, nn.EmbeddingBag))}
    for p in module.parameters():
        total += p.numel()
        if p.dim() > 1 and id(p) not in tables and p.numel() < 1 << 20:
            dense += p.numel()
    return float(dense * rows + total)


@contextmanager
def own_rng(device: torch.device) -> Iterator[None]:
    """Keep torch's global generators unchanged by random numbers drawn inside."""
    before = rng_state(device)
    try:
        yield
    finally:
        set_rng_state(before, device)


def rng_state(device: torch.device) -> list[Tensor]:
    """Return the states of the generators that a module on this device draws from: the CPU's, and the GPU's own."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    elif device.type == "mps":
        states.append(torch.mps.get_rng_state())
    return states


def seed_rng(seed: int, device: torch.device) -> None:
    """Seed only the generators that :func:`own_rng` restores."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        torch.cuda.default_generators[index].manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


def set_rng_state(states: Sequence[Tensor], device: torch.device) -> None:
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)
    elif device.type == "mps":
        torch.mps.set_rng_state(states[1])


def module_state(module: nn.Module) -> State:
    """Return copies of a module's parameters and buffers as arrays named ``module.*``."""
    return {f"module.{name}": to_array(value) for name, value in module.state_dict().items()}


def load_module_state(module: nn.Module, state: Mapping[str, Array]) -> None:
    """Restore :func:`module_state`. Raises BundleError if names, shapes or types do not fit the module."""
    wanted = module.state_dict()
    given = {k.removeprefix("module."): v for k, v in state.items() if k.startswith("module.")}
    if missing := [n for n in wanted if n not in given] + [n for n in given if n not in wanted]:
        raise BundleError(f"the saved weights are of another module: {missing[0]!r} is only in one of them")
    tensors = {name: torch.from_numpy(np.array(given[name])) for name in wanted}
    for name, tensor in wanted.items():
        got, dtype = tensors[name], torch.float32 if tensor.dtype == torch.bfloat16 else tensor.dtype
        if got.shape != tensor.shape or got.dtype != dtype:
            raise BundleError(
                f"the saved array {name!r} is {_words(got)}; the module has {_words(tensor)}: it is another module"
            )
        if got.is_floating_point() and not bool(torch.isfinite(got).all()):
            raise BundleError(f"the saved array {name!r} holds values that are not finite numbers")
    if any(tensor.is_meta for tensor in wanted.values()):  # created without memory: it takes the arrays themselves
        module.load_state_dict(tensors, assign=True)
        return
    with torch.no_grad():
        for name, tensor in wanted.items():
            tensor.copy_(tensors[name])


def _words(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def padded(n: int) -> int:
    """Return the least multiple of 16 that is not below ``n``: the length of a row in a kernel."""
    return (int(n) + 15) // 16 * 16


def array_of(tensor: Tensor) -> NDArray[Any]:
    """Return the numbers of a tensor as an array that shares its memory."""
    found: NDArray[Any] = tensor.detach().numpy()
    return found
