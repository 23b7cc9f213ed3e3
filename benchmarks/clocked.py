"""An executor that keeps how long its maps took, and how long the jobs in them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple


class Map(NamedTuple):
    """One map: the name of its function, how many jobs, its seconds, and the sums of the seconds of its jobs, by the
    clock and of the processor."""

    name: str
    jobs: int
    seconds: float
    work: float
    processor: float


class Clocked:
    """``executor`` with a clock; ``maps`` holds what it saw."""

    def __init__(self, executor: Any) -> None:
        self.executor, self.workers = executor, executor.workers
        self.maps: list[Map] = []

    def map(self, function: Callable[[Any], Any], jobs: Iterable[Any]) -> list[Any]:
        start = time.perf_counter()
        found = self.executor.map(Call(function), jobs)
        seconds = time.perf_counter() - start
        sums = (sum(times) for times in zip(*(times for _, times in found))) if found else (0.0, 0.0)
        self.maps.append(Map(function.__name__, len(found), seconds, *sums))
        return [result for result, _ in found]


class Call:
    """A function that returns its result and its seconds; it can be sent to a worker."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def __call__(self, job: Any) -> tuple[Any, tuple[float, float]]:
        start, processor = time.perf_counter(), time.process_time()
        result = self.function(job)
        return result, (time.perf_counter() - start, time.process_time() - processor)
