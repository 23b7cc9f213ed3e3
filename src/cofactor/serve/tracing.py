"""OpenTelemetry spans of requests, where the server is asked for them: one for each, below the one of who asks.

Which exporter gets them is OpenTelemetry's own configuration (``opentelemetry-instrument cofactor serve ...``, or a
tracer provider that your program sets).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from cofactor.errors import MissingExtraError

Ended = Callable[[str, int], None]


class Tracing:
    """Begins a span; what it returns ends it, with the route and the status."""

    def __init__(self) -> None:
        try:
            from opentelemetry import propagate, trace
        except ModuleNotFoundError:
            raise MissingExtraError("opentelemetry-api", "traces", "tracing requests") from None
        self._extract, self._trace = propagate.extract, trace

    def begin(self, method: str, headers: Iterable[tuple[bytes, bytes]], request: str) -> Ended:
        """A span below that of ``traceparent``, where the request has one."""
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
