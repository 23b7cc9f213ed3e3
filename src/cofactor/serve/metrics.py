"""Figures for Prometheus: requests by route and status, how long they took, and what is live."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from cofactor.serve.live import Live
from cofactor.serve.middleware import App, Message, Receive, Scope, Send

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """Of one application: nothing is shared between two in a process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        into = self.registry
        self.requests = Counter("cofactor_requests", "Requests answered.", ("route", "status"), registry=into)
        self.seconds = Histogram("cofactor_seconds", "Time to answer.", ("route",), buckets=BUCKETS, registry=into)
        self.version = Gauge("cofactor_model_version", "Version of the model that is live.", registry=into)
        self.loaded = Gauge("cofactor_model_loaded_seconds", "When it became live, since 1970.", registry=into)
        self.newer = Gauge("cofactor_newer_ratings", "Ratings that came after its training.", registry=into)
        self.trouble = Gauge("cofactor_model_error", "1 where the last change of models failed.", registry=into)

    def around(self, app: App) -> App:
        """The application with every request counted."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            began, status = time.perf_counter(), 500

            async def sending(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            try:
                await app(scope, receive, sending)
            finally:
                route = getattr(scope.get("route"), "path", "other")  # not the path: anybody can make up any number
                self.requests.labels(route, str(status)).inc()
                self.seconds.labels(route).observe(time.perf_counter() - began)

        return counted

    def text(self, live: Live) -> str:
        """All of it in the format of Prometheus."""
        if live.ready:
            self.version.set(live.now.version)
            self.loaded.set(live.now.loaded)
            self.newer.set(live.now.rec.updates.n_ratings)
        self.trouble.set(live.last_error is not None)
        return generate_latest(self.registry).decode()
