"""Schedules as functions of progress (0 to 1), and suggestions of a learning rate from a range test."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from cofactor.errors import ConfigError
from cofactor.notebook._tensors import to_np

__all__ = [
    "SchedCos",
    "SchedExp",
    "SchedLin",
    "SchedNo",
    "SchedPoly",
    "SuggestionMethod",
    "annealer",
    "combine_scheds",
    "combined_cos",
    "minimum",
    "sched_cos",
    "sched_exp",
    "sched_lin",
    "sched_no",
    "slide",
    "steep",
    "valley",
]


def sched_lin(start: Any, end: Any, pos: Any) -> Any:
    return start + pos * (end - start)


def sched_cos(start: Any, end: Any, pos: Any) -> Any:
    return start + (1 + math.cos(math.pi * (1 - pos))) * (end - start) / 2


def sched_no(start: Any, end: Any, pos: Any) -> Any:
    return start


def sched_exp(start: Any, end: Any, pos: Any) -> Any:
    return start * (end / start) ** pos


class _Annealer:
    def __init__(self, f: Callable[..., Any], start: Any, end: Any) -> None:
        self.f, self.start, self.end = f, start, end

    def __call__(self, pos: Any) -> Any:
        return self.f(self.start, self.end, pos)


def annealer(f: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: convert a function of (start, end, pos) to one of (start, end) that returns a schedule."""
    return lambda start, end: _Annealer(f, start, end)


def SchedLin(start: Any, end: Any) -> Any:
    """Return a straight line."""
    return _Annealer(sched_lin, start, end)


def SchedCos(start: Any, end: Any) -> Any:
    """Return half a cosine wave."""
    return _Annealer(sched_cos, start, end)


def SchedNo(start: Any, end: Any) -> Any:
    """Return the start value throughout."""
    return _Annealer(sched_no, start, end)


def SchedExp(start: Any, end: Any) -> Any:
    """Return even steps in the logarithm."""
    return _Annealer(sched_exp, start, end)


def SchedPoly(start: Any, end: Any, power: float) -> Any:
    """Return a power of progress."""
    return lambda pos: start + (end - start) * pos**power


def combine_scheds(pcts: Any, scheds: Any) -> Callable[[Any], Any]:
    """Return schedules one after the other, each over its share of the progress."""
    shares = [float(p) for p in pcts]
    if abs(sum(shares) - 1) > 1e-6 or min(shares) < 0:
        raise ConfigError(f"the shares of the schedules are {shares}; they must sum to 1")
    ends = np.cumsum([0.0, *shares])

    def at(pos: Any) -> Any:
        i = min(int((float(pos) >= ends - 1e-12).nonzero()[0].max()), len(shares) - 1)
        width = ends[i + 1] - ends[i]
        return scheds[i]((float(pos) - ends[i]) / width if width else 1.0)

    return at


def combined_cos(pct: float, start: Any, middle: Any, end: Any) -> Callable[[Any], Any]:
    """Return two cosine pieces."""
    return combine_scheds([pct, 1 - pct], [SchedCos(start, middle), SchedCos(middle, end)])


# ---- suggestions: (rates, losses, number of batches) -> (rate, (rate, loss) to mark)


def valley(lrs: Any, losses: Any, num_it: int = 100) -> Any:
    """Suggest a rate two thirds of the way down the longest descent of the loss."""
    y = np.asarray(to_np(losses), np.float64)
    n = len(y)
    length, end = np.ones(n, np.int64), 0
    for i in range(1, n):
        before = length[:i][y[:i] > y[i]]
        if len(before):
            length[i] = before.max() + 1
        if length[i] > length[end]:
            end = i
    start = end - int(length[end])
    sections = (end - start) / 3
    at = max(start + int(sections) + int(sections / 2), 0)
    return float(lrs[at]), (float(lrs[at]), losses[at])


def slide(
    lrs: Any, losses: Any, num_it: int = 100, lr_diff: int = 15, thresh: float = 0.005, adjust_value: float = 1.0
) -> Any:
    """Suggest a rate where two slopes, ``lr_diff`` apart and sliding down from the end, are nearly equal."""
    y = np.asarray(to_np(losses), np.float64)
    slopes = np.gradient(y)
    right, left = -1, -1 - lr_diff
    found = lrs[max(left, -len(y))]
    while left >= -len(y) and abs(slopes[right] - slopes[left]) > thresh:
        found = lrs[left]
        right, left = right - 1, left - 1
    rate = float(found) * adjust_value
    return rate, (rate, np.interp(np.log10(rate), np.log10(np.asarray(to_np(lrs), np.float64)), y))


def minimum(lrs: Any, losses: Any, num_it: int = 100) -> Any:
    """Suggest a tenth of the rate with the lowest loss."""
    at = int(torch.as_tensor(losses).argmin())
    return float(lrs[at]) / 10, (float(lrs[at]), losses[at])


def steep(lrs: Any, losses: Any, num_it: int = 100) -> Any:
    """Suggest the rate where the loss falls fastest."""
    lrs, losses = torch.as_tensor(lrs), torch.as_tensor(losses)
    at = int(((losses[1:] - losses[:-1]) / (lrs[1:].log() - lrs[:-1].log())).argmin())
    return float(lrs[at]), (float(lrs[at]), losses[at])


class SuggestionMethod:
    """The suggestions by name."""

    Valley = staticmethod(valley)
    Slide = staticmethod(slide)
    Minimum = staticmethod(minimum)
    Steep = staticmethod(steep)
