"""``Adam(params, lr)``, with the compiled step of the core."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from torch import nn

from cofactor.model import State
from cofactor.models.torch.optim import Adam as AdamRule
from cofactor.models.torch.optim import AdamRun
from cofactor.notebook._modules.optimizer import Optimizer, with_lr

__all__ = ["Adam"]


class _AdamOptimizer(Optimizer):
    """Adam with the compiled step of :class:`cofactor.models.torch.optim.AdamRun`."""

    def __init__(self, params: Any, rule: AdamRule, **hypers: Any) -> None:
        super().__init__(params, name="Adam", **hypers)
        self.rule = rule
        self._runs: list[AdamRun] | None = None

    def runs(self) -> list[AdamRun]:
        if self._runs is None:
            self._runs = [
                AdamRun(list(g), [id(p) not in self.no_decay for p in g], self.rule) for g in self.param_lists
            ]
            self.begin()
        for run, hyper in zip(self._runs, self.hypers):
            if (run.rule.sqr_mom, run.rule.eps) != (hyper["sqr_mom"], hyper["eps"]):
                run.rule = replace(self.rule, sqr_mom=float(hyper["sqr_mom"]), eps=float(hyper["eps"]))
        return self._runs

    def only(self) -> AdamRun | None:
        runs = self.runs()
        return runs[0] if len(runs) == 1 else None

    def begin(self) -> None:
        for run in self.runs():
            run.begin()

    @contextmanager
    def by_rows(self, module: nn.Module) -> Iterator[None]:
        with ExitStack() as stack:
            for run in self.runs():
                stack.enter_context(run.by_rows(module))
            yield

    def step(self, closure: Any = None) -> None:
        for run, hyper in zip(self.runs(), self.hypers):
            run.begin()
            run.step(float(hyper["lr"]), float(hyper["mom"]), float(hyper["wd"]))

    def step_at(self, lr: float, mom: float, wd: float) -> None:
        self.set_rates(lr, mom, wd)
        for run, hyper in zip(self.runs(), self.hypers):
            run.step(hyper["lr"], mom, float(hyper["wd"]))

    def clear_state(self) -> None:
        self._runs = None

    def state_arrays(self) -> State:
        return {f"{i}.{k}": v for i, run in enumerate(self.runs()) for k, v in run.state().items()}

    def take_arrays(self, arrays: Mapping[str, Any]) -> None:
        for i, run in enumerate(self.runs()):
            run.restore({k.removeprefix(f"{i}."): v for k, v in arrays.items() if k.startswith(f"{i}.")})

    def state_dict(self) -> dict[str, Any]:
        state = []
        for run in self.runs():
            kept = iter(zip(run.params, run.m, run.v, run.steps))
            state += [{"grad_avg": m.clone(), "sqr_avg": v.clone(), "step": int(s)} for _, m, v, s in kept]
        return {"state": state, "hypers": [{k: float(v) for k, v in h.items()} for h in self.hypers]}

    def load_state_dict(self, sd: Mapping[str, Any]) -> None:
        for hyper, given in zip(self.hypers, sd["hypers"]):
            hyper.update(given)
        states = list(sd["state"])
        for run in self.runs():
            for i in range(len(run.params)):
                s = states.pop(0) if states else {}
                if "grad_avg" in s:
                    run.m[i].copy_(s["grad_avg"])
                    run.v[i].copy_(s["sqr_avg"])
                    run.steps[i] = int(s.get("step", 0))


def Adam(
    params: Any,
    lr: Any = 1e-3,
    mom: float = 0.9,
    sqr_mom: float = 0.99,
    eps: float = 1e-5,
    wd: float = 0.01,
    decouple_wd: bool = True,
) -> Optimizer:
    """Return Adam (Kingma & Ba 2015) with decoupled decay (Loshchilov & Hutter 2019), or with L2 if ``decouple_wd`` is
    False."""
    rule = AdamRule(sqr_mom=sqr_mom, eps=eps, decouple_wd=decouple_wd)
    return with_lr(_AdamOptimizer(params, rule, wd=wd, sqr_mom=sqr_mom, lr=0.0, mom=mom, eps=eps), lr)
