"""Figures for Prometheus: requests by route and status, how long they took, and what is live."""

from __future__ import annotations

import os
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from cofactor.serve.live import Live

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """Of one application: nothing is shared between two in a process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        into = self.registry
        self.requests = Counter("cofactor_requests", "Requests answered.", ("route", "status"), registry=into)
        self.seconds = Histogram("cofactor_seconds", "Time to answer.", ("route",), buckets=BUCKETS, registry=into)
        last: dict[str, Any] = {"registry": into, "multiprocess_mode": "mostrecent"}
        self.version = Gauge("cofactor_model_version", "Version of the model that is live.", **last)
        self.loaded = Gauge("cofactor_model_loaded_seconds", "When it became live, since 1970.", **last)
        self.newer = Gauge("cofactor_newer_ratings", "Ratings that came after its training.", **last)
        any_of: dict[str, Any] = {"registry": into, "multiprocess_mode": "max"}
        self.trouble = Gauge("cofactor_model_error", "1 where the last change of models failed.", **any_of)

    def count(self, route: str, status: int, seconds: float) -> None:
        """Another request was answered."""
        self.requests.labels(route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)

    def text(self, live: Live) -> str:
        """All of it in the format of Prometheus."""
        if live.ready:
            self.version.set(live.now.version)
            self.loaded.set(live.now.loaded)
            self.newer.set(live.now.rec.updates.n_ratings)
        self.trouble.set(live.last_error is not None)
        registry = self.registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:  # a worker: what all of them counted
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry).decode()
