"""Train batch by batch, with callbacks, from any loader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cofactor.errors import ConfigError, DataError
from cofactor.model import Hyper, State, Stepper
from cofactor.models.torch import stepper as torch_run
from cofactor.notebook._measures.losses_known import loss_of
from cofactor.notebook._training.jobs import Job, Run, core_learner, same_job, split_batch

Array = NDArray[Any]


class EventCore:
    """Trains batch by batch, with callbacks, from any loader."""

    kind = "events"

    def __init__(self, job: Job, run: Run) -> None:
        self.job = job
        self.state = [(name, p, p.requires_grad) for name, p in job.module.named_parameters()]
        count = len(job.dls.train)
        if count == 0:
            raise DataError(
                "the training loader has no batches: there are no rows, or fewer rows than bs while drop_last is set"
            )
        self.learn = core_learner(count, lambda: EventStepper(job, run), job.seed, 1)
        _ = self.learn.stepper

    def fits(self, job: Job) -> bool:
        return same_job(self.job, job, self.state) and len(job.dls.train) == len(self.learn.train)

    def flush(self) -> None: ...

    def outputs(self, x: tuple[Tensor, ...]) -> Tensor | None:
        return None

    def forget(self) -> None:
        self.job.opt.clear_state()


class EventStepper(Stepper):
    """A stepper for which one batch of the core's loop is one batch of the loader."""

    def __init__(self, job: Job, run: Run) -> None:
        self.job, self.callbacks = job, run
        self.iterator: Any = None

    def run_epoch(self, seed: Any, hyper: Hyper) -> Array:
        """Train an epoch, with callbacks."""
        return self.callbacks.train_batches(hyper)

    def run(self, rows: Array | None, hyper: Hyper | None) -> Array:
        """Train some batches without callbacks, for the learning-rate finder."""
        if hyper is None:
            raise ConfigError("a PyTorch module trains batch by batch: give rows and hyper")
        losses = []
        module, opt = self.job.module, self.job.opt
        module.train()
        for lr, mom in zip(hyper.lr.tolist(), hyper.momentum.tolist()):
            xb, yb = split_batch(self._next(), self.job.dls)
            loss = loss_of(self.job.loss_func, module(*xb), *yb)
            loss.backward()  # type: ignore[no-untyped-call]
            opt.begin()
            opt.step_at(lr, mom, float(hyper.weight_decay))
            losses.append(float(loss.detach()))
        module.eval()
        return np.array(losses)

    def _next(self) -> Any:
        if self.iterator is None:
            self.iterator = iter(self.job.dls.train)
        try:
            return next(self.iterator)
        except StopIteration:
            self.iterator = iter(self.job.dls.train)
            return next(self.iterator)

    def snapshot(self) -> State:
        arrays = torch_run.module_state(self.job.module)
        return arrays | {f"optimizer.{k}": v for k, v in self.job.opt.state_arrays().items()}

    def restore(self, state: Mapping[str, Array]) -> None:
        torch_run.load_module_state(self.job.module, state)
        self.job.opt.take_arrays(
            {k.removeprefix("optimizer."): v for k, v in state.items() if k.startswith("optimizer.")}
        )
