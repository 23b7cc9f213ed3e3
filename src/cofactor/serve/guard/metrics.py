"""Metrics for Prometheus: requests by route and status, their durations, and facts about the live model."""

from __future__ import annotations

import os
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from cofactor.serve.experiments.outcomes import outcomes
from cofactor.serve.live.live import Live
from cofactor.serve.storage.transactions import StoreError

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """The metrics of one application; two applications of a process share none."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._known: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        into = self.registry
        self.requests = Counter("cofactor_requests", "Answered requests.", ("route", "status"), registry=into)
        self.seconds = Histogram("cofactor_seconds", "Time to answer.", ("route",), buckets=BUCKETS, registry=into)
        last: dict[str, Any] = {"registry": into, "multiprocess_mode": "mostrecent"}
        self.version = Gauge("cofactor_model_version", "Version of the live model.", **last)
        self.loaded = Gauge("cofactor_model_loaded_seconds", "Time it became live, since 1970.", **last)
        self.newer = Gauge("cofactor_newer_ratings", "Ratings that came after the training.", **last)
        any_of: dict[str, Any] = {"registry": into, "multiprocess_mode": "max"}
        by_version: dict[str, Any] = last | {"labelnames": ("version",)}
        self.lists = Gauge("cofactor_lists_shown", "Shown lists of a version.", **by_version)
        self.hits = Gauge("cofactor_lists_hit_rate", "Share of shown lists with a click or a purchase.", **by_version)
        self.ndcg = Gauge("cofactor_lists_ndcg", "Mean NDCG of shown lists, by clicks and purchases.", **by_version)
        self.coverage = Gauge("cofactor_lists_coverage", "Share of the catalogue in shown lists.", **by_version)
        self.bought = Gauge("cofactor_lists_bought", "Bought items of shown lists.", **by_version)
        self.tried = Gauge("cofactor_experiment_version", "Version in an experiment; 0: none.", **last)
        drifts: dict[str, Any] = last | {"labelnames": ("of",)}
        self.drift = Gauge("cofactor_drift", "Drift of the latest events from the training data.", **drifts)
        self.alarms = Gauge("cofactor_drift_alarms", "Number of drift alarms.", **last)
        self.shadow = Histogram(
            "cofactor_shadow_overlap", "Share of a list that the shadow version's list contains too.",
            buckets=(0.0, 0.2, 0.4, 0.6, 0.8, 1.0), registry=into,
        )  # fmt: skip
        self.shadow_errors = Counter("cofactor_shadow_errors", "Failures of the shadow version.", registry=into)
        self.reachable = Gauge("cofactor_store_reachable", "1 if the store of newer ratings is reachable.", **last)
        self.trouble = Gauge("cofactor_model_error", "1 if the last model swap failed.", **any_of)

    def count(self, route: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        answered, took = self._series(route, status)
        answered.inc()
        took.observe(seconds)

    def _series(self, route: str, status: int) -> tuple[Counter, Histogram]:
        """Return the series of a route and status. They are cached, since a lookup takes longer than counting."""
        found = self._known.get((route, status))
        if found is None:
            found = self.requests.labels(route, str(status)), self.seconds.labels(route)
            self._known[route, status] = found
        return found

    def _outcomes(self, live: Live) -> None:
        """Update the metrics from the store; where it is unreachable, keep the earlier values."""
        try:
            found, drift = outcomes(live.writable())[0], live.drift()
        except StoreError:
            self.reachable.set(0)
            return
        self.reachable.set(1)
        n_items, second = live.now.rec.data.n_items, live.second
        for one in found:
            version = str(one.version)
            self.lists.labels(version).set(one.lists)
            self.hits.labels(version).set(one.hit_rate)
            self.ndcg.labels(version).set(one.ndcg)
            self.coverage.labels(version).set(min(1.0, one.items / n_items))
            self.bought.labels(version).set(one.bought)
        self.tried.set(0 if second is None else second.served.version)
        for of in ("items", "ratings", "unknown"):
            self.drift.labels(of).set(getattr(drift, of))
        self.alarms.set(len(drift.alarms))

    def text(self, live: Live) -> str:
        """Return all metrics in the format of Prometheus."""
        if live.ready:
            self.version.set(live.now.version)
            self.loaded.set(live.now.loaded)
            self.newer.set(live.now.rec.updates.n_ratings)
            if live.store is not None:
                self._outcomes(live)
        self.trouble.set(live.last_error is not None)
        registry = self.registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:  # a worker: add up all workers
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry).decode()
