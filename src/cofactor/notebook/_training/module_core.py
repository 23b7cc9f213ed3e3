"""Train any module by whole epochs: by autograd over batches of a table, or by the kernel of a network over
embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cofactor.errors import ConfigError, DataError
from cofactor.model import Hyper, State, Stepper
from cofactor.models.dot_bias.config import LOSSES
from cofactor.models.neural.fused import Fused
from cofactor.models.torch import stepper as torch_run
from cofactor.models.torch.dot_product import FusedDot
from cofactor.models.torch.fused import FusedModule
from cofactor.models.torch.optim import AdamRun
from cofactor.models.torch.trace import OwnLoss
from cofactor.notebook._measures.losses_known import checked_shapes, is_flat, kernel_job, loss_of, outputs_of
from cofactor.notebook._modules.layers import EmbeddingNN, TabularModel
from cofactor.notebook._modules.optimizer import Optimizer
from cofactor.notebook._training.jobs import Job, core_learner, same_job, still
from cofactor.notebook._training.kernel_core import is_collab

Array = NDArray[Any]


LEAST_ROWS = 10_000
"""From this many rows on, a module with layers is trained by a kernel. On fewer, autograd ends before the kernel has
compiled."""


class ModuleCore:
    """Trains any module by autograd, an epoch at a time."""

    kind = "module"

    def __init__(self, job: Job) -> None:
        self.job = job
        self.state = [(name, p, p.requires_grad) for name, p in job.module.named_parameters()]
        dl = job.dls.train
        self.parts, self.columns = dl.whole(), dl.columns()
        self.learn = core_learner(
            len(dl.dataset), lambda: ModuleStepper(job, self.parts), job.seed, min(dl.bs, len(dl.dataset))
        )
        _ = self.learn.stepper

    def fits(self, job: Job) -> bool:
        return still(job.dls, self.columns) and same_job(self.job, job, self.state)

    def flush(self) -> None:
        self.learn.stepper.flush()

    def outputs(self, x: tuple[Tensor, ...]) -> Tensor | None:
        return None

    def forget(self) -> None:
        self.flush()
        self.job.opt.clear_state()


def network_kernel(job: Job, parts: tuple[Tensor, ...]) -> Fused | None:
    """Return the kernel that trains a network over embeddings; None if the job requires anything else."""
    module: Any = job.module
    if type(module) not in (EmbeddingNN, TabularModel) or job.dls.n_inp != 1 or job.dls.device.type != "cpu":
        return None
    found = kernel_job(job.loss_func, module.settings["y_range"])
    if found is None or len(parts) != 2 or parts[1].numel() != len(parts[0]):
        return None
    codes = tuple(parts[0][:, i].numpy() for i in range(parts[0].shape[1]))
    limits = found[1] if found[0] == "bce" else None
    values = parts[1].reshape(-1).float().numpy()
    return Fused(module, codes, values, lambda: job.opt.only(), loss=LOSSES[found[0]], seed=job.seed, limits=limits)


def own_kernel(job: Job, parts: tuple[Tensor, ...]) -> torch_run.Kernel | None:
    """Return a kernel for a user's module that turns out to be a dot product, or a network that a kernel knows; None if
    the data are of another kind."""
    dls = job.dls
    if dls.n_inp != 1 or dls.device.type != "cpu" or not hasattr(job.opt, "only"):
        return None
    if len(parts) != 2 or parts[0].dim() != 2 or parts[0].dtype != torch.int64 or parts[1].numel() != len(parts[0]):
        return None
    codes = tuple(parts[0][:, i].numpy() for i in range(parts[0].shape[1]))
    values = parts[1].reshape(-1).float().numpy()

    def optimizer() -> AdamRun | None:
        return job.opt.only()

    def known_loss(y_range: Any) -> Any:
        return kernel_job(job.loss_func, y_range)

    kernels: list[torch_run.Kernel] = []
    if is_collab(dls):
        sizes = [len(dls.classes[name]) for name in dls.train_ds.cat_names]
        kernels.append(FusedDot(job.module, (codes[0], codes[1]), values, optimizer, (sizes[0], sizes[1]), known_loss))
    flat = is_flat(job.loss_func)

    def own_loss(out: Any, y: Tensor) -> Any:
        return job.loss_func(torch_run.flat_output(out, len(y)), y) if flat else job.loss_func(out, y)

    if len(values) >= LEAST_ROWS:
        own = OwnLoss(job.loss_func, own_loss, torch.from_numpy(values) if flat else parts[1])
        kernels.append(FusedModule(job.module, codes, values, optimizer, known_loss, seed=job.seed, own=own))
    return torch_run.Kernels(*kernels) if kernels else None


class ModuleStepper(Stepper):
    """Trains a module in place. The table is on the device once; each run selects its rows by one ``index_select``."""

    def __init__(self, job: Job, parts: tuple[Tensor, ...]) -> None:
        self.job, self.device = job, job.dls.device
        self.interrupt_every = torch_run.CHUNK if self.device.type == "cpu" else 0
        self.n_inp = job.dls.n_inp
        if len(parts) <= self.n_inp:
            raise DataError("the table has no targets to train on")
        *x, y = parts[: self.n_inp + 1]
        self.flat, self.looked = is_flat(job.loss_func) and y.numel() == len(y), False
        self.parts = (*x, y.reshape(-1).float() if self.flat else y)
        self.optimizer = _Driven(job.opt)
        self.kernel: torch_run.Kernel | None = network_kernel(job, parts) or own_kernel(job, parts)
        with torch_run.own_rng(self.device):
            torch_run.seed_rng(job.seed, self.device)
            self.rng = torch_run.rng_state(self.device)

    def run(self, rows: Array | None, hyper: Hyper | None) -> Array:
        if rows is None or hyper is None:
            raise ConfigError("a PyTorch module trains batch by batch: give rows and hyper")
        n, bs = len(hyper.lr), hyper.batch_size
        if self.kernel is not None and self.kernel.begin(bs):
            self.job.opt.set_hypers(lr=float(hyper.lr[-1]), mom=float(hyper.momentum[-1]), wd=float(hyper.weight_decay))
            return self.kernel.train(rows, hyper)
        at = torch.from_numpy(np.ascontiguousarray(rows)).to(self.device)
        batches = list(zip(*(torch.split(part.index_select(0, at), bs) for part in self.parts)))
        module, loss_func, step = self.job.module, self.job.loss_func, self.optimizer.step
        lrs, moms, wd = hyper.lr.tolist(), hyper.momentum.tolist(), float(hyper.weight_decay)
        losses = []
        module.train()
        module.zero_grad(set_to_none=True)
        with torch_run.own_rng(self.device), torch_run.threads_for(module, bs, self.device, None), torch.enable_grad():
            torch_run.set_rng_state(self.rng, self.device)
            self.optimizer.begin()
            with self.optimizer.by_rows(module) if n > 1 else nullcontext():
                for i in range(n):
                    *x, y = batches[i]
                    out = module(*x) if i else outputs_of(module, x)
                    loss = loss_func(torch_run.flat_output(out, bs), y) if self.flat else loss_of(loss_func, out, y)
                    if i == 0 and not self.flat and not self.looked:
                        self.looked = True
                        checked_shapes(loss_func, out, y)
                    if loss.dim():
                        raise ConfigError(f"the loss returned {tuple(loss.shape)} numbers; it must return their mean")
                    loss.backward()
                    losses.append(loss.detach())
                    step(lrs[i], moms[i], wd)
            self.rng = torch_run.rng_state(self.device)
            found = torch.stack(losses).cpu().double().numpy()
        module.eval()
        return np.asarray(found)

    def flush(self) -> None:
        if self.kernel is not None:
            self.kernel.flush()

    def snapshot(self) -> State:
        self.flush()
        arrays = torch_run.module_state(self.job.module)
        arrays |= {f"optimizer.{k}": v for k, v in self.optimizer.state().items()}
        return arrays | {f"rng.{i}": r.numpy().copy() for i, r in enumerate(self.rng)}

    def restore(self, state: Mapping[str, Array]) -> None:
        self.flush()
        torch_run.load_module_state(self.job.module, state)
        self.optimizer.restore(
            {k.removeprefix("optimizer."): v for k, v in state.items() if k.startswith("optimizer.")}
        )
        self.rng = [torch.from_numpy(np.array(state[f"rng.{i}"])) for i in range(len(self.rng))]


class _Driven:
    """Adapts an optimizer of the notebook to the core's stepper."""

    def __init__(self, opt: Optimizer) -> None:
        self.opt = opt

    def begin(self) -> None:
        self.opt.begin()

    def by_rows(self, module: nn.Module) -> AbstractContextManager[None]:
        return self.opt.by_rows(module)

    def step(self, lr: float, mom: float, wd: float) -> None:
        self.opt.step_at(lr, mom, wd)

    def state(self) -> State:
        return self.opt.state_arrays()

    def restore(self, state: Mapping[str, Any]) -> None:
        self.opt.take_arrays(state)
