"""OpenTelemetry spans of requests, as children of the client's span. The setting ``traces`` turns them on.

OpenTelemetry's own configuration chooses the exporter (``opentelemetry-instrument cofactor serve ...``, or a tracer
provider set by your program).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from cofactor.errors import MissingExtraError

Ended = Callable[[str, int], None]


class Tracing:
    """Makes spans of requests."""

    def __init__(self) -> None:
        try:
            from opentelemetry import propagate, trace
        except ModuleNotFoundError:
            raise MissingExtraError("opentelemetry-api", "traces", "tracing requests") from None
        self._extract, self._trace = propagate.extract, trace

    def begin(self, method: str, headers: Iterable[tuple[bytes, bytes]], request: str) -> Ended:
        """Begin a span, a child of ``traceparent`` if the request has one; return the function that ends it with a
        route and a status."""
        carried = {k.decode("latin-1"): v.decode("latin-1") for k, v in headers if k in (b"traceparent", b"tracestate")}
        tracer = self._trace.get_tracer("cofactor")
        kind = self._trace.SpanKind.SERVER
        span: Any = tracer.start_span(method, context=self._extract(carried), kind=kind)
        span.set_attribute("http.request.method", method)
        span.set_attribute("cofactor.request_id", request)

        def end(route: str, status: int) -> None:
            span.update_name(f"{method} {route}")
            span.set_attribute("http.route", route)
            span.set_attribute("http.response.status_code", status)
            if status >= 500:
                span.set_status(self._trace.Status(self._trace.StatusCode.ERROR))
            span.end()

        return end
