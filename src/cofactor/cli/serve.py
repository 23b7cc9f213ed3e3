"""``cofactor serve``: serve a model over HTTP, with a web explorer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import typer

from cofactor._progress import compiling_announced
from cofactor.cli.printing import console, say, started
from cofactor.serve import Settings, run

AllowHost = typer.Option(
    None, "--allow-host", help="Another host name under which browsers may reach the server; repeat the option."
)


def command(
    model: str = typer.Argument(help="A saved model. When the file is replaced, the server swaps to the new model."),
    host: str = typer.Option("127.0.0.1", "--host", help="The address to listen on; by default this machine only."),
    port: int = typer.Option(8000, "--port", help="The port; 0: any free port."),
    state: str | None = typer.Option(
        None,
        "--state",
        help="Where to keep newer ratings and versions: a directory (default: MODEL.state) or postgresql://...",
    ),
    versions: str | None = typer.Option(
        None,
        "--versions",
        help="With a database: where this host keeps its copies of models (default: MODEL.versions).",
    ),
    workers: int = typer.Option(
        1, "--workers", help="Number of server processes; they share the state and the mapped model."
    ),
    read_only: bool = typer.Option(False, "--read-only", help="Accept no newer ratings and write nothing."),
    watch: bool = typer.Option(True, "--watch/--no-watch", help="Watch whether the model file is replaced."),
    allow_host: list[str] | None = AllowHost,
    beside: str | None = typer.Option(
        None, "--beside", help="A second saved model, kept as a version; the web page compares their lists."
    ),
    images: bool = typer.Option(
        False, "--images", help="Let the web page load pictures of items from the https addresses in the item table."
    ),
    tokens: str | None = typer.Option(None, "--tokens", help="A file of tokens with scopes (see cofactor token)."),
    management: int | None = typer.Option(
        None, "--management-port", help="A separate port for /metrics and the routes that change models."
    ),
    access_log: bool = typer.Option(False, "--access-log", help="Log each request as a line of JSON."),
    json_logs: bool = typer.Option(False, "--json-logs", help="Write all other log lines as JSON too."),
    traces: bool = typer.Option(False, "--traces", help="Emit an OpenTelemetry span for each request."),
    retain_days: float | None = typer.Option(
        None, "--retain-days", help="Delete newer ratings that are older than this many days."
    ),
    require_better: bool = typer.Option(
        False, "--require-better", help="Let a refit or new bundle go live only if it is better on the latest events."
    ),
    require_not_worse: bool = typer.Option(
        False, "--require-not-worse", help="Let it go live only if it is not significantly worse on them."
    ),
    keep: int = typer.Option(5, "--keep", help="Number of model versions to keep."),
    threads: int = typer.Option(2, "--threads", help="Number of requests that a process computes at once."),
    max_requests: int = typer.Option(
        64, "--max-requests", help="Most requests in progress at once; further ones are told to retry."
    ),
    max_connections: int = typer.Option(1000, "--max-connections", help="Most connections at once, per process."),
    max_body: int = typer.Option(1 << 20, "--max-body", help="Largest body of a request, in bytes."),
    max_events: int = typer.Option(1000, "--max-events", help="Most newer ratings in one request."),
    max_pairs: int = typer.Option(2_000, "--max-pairs", help="Most pairs in one request for predictions."),
    max_history: int = typer.Option(5000, "--max-history", help="Most items in a history."),
    max_users: int = typer.Option(100, "--max-users", help="Most lists in one request."),
    max_cache: int = typer.Option(16 << 20, "--max-cache", help="Size of the cache of lists, in bytes per model."),
    body_seconds: float = typer.Option(10.0, "--body-seconds", help="Seconds within which a body must arrive."),
    wait_seconds: float = typer.Option(
        2.0, "--wait-seconds", help="Seconds to wait for results that are computed once for all requests."
    ),
    work_seconds: float = typer.Option(
        0.4, "--work-seconds", help="Most seconds of processor time for one request of many lists."
    ),
    silent_seconds: float = typer.Option(
        30.0, "--silent-seconds", help="Restart a worker that gives no sign of life for this many seconds."
    ),
) -> None:
    """Serve a model over HTTP, with a web page to explore it. Ctrl-C stops the server.

    The server returns lists, predictions, explanations and neighbours.

    It accepts newer ratings (POST /v1/events) and uses them in the next list.

    It swaps models without a pause, and can go back to an earlier one.

    To serve other machines, set a token in the environment variable COFACTOR_TOKEN, or give a file of tokens.

    The server needs the extra serve: pip install 'cofactor\\[serve]'. See docs/serving.md and docs/production.md.
    """
    settings = Settings(
        Path(model),
        state if state is None or "://" in state else Path(state),
        host=host,
        port=port,
        token=os.environ.get("COFACTOR_TOKEN") or None,
        read_only=read_only,
        watch=watch,
        hosts=tuple(allow_host or ()),
        versions=None if versions is None else Path(versions),
        workers=workers,
        tokens=None if tokens is None else Path(tokens),
        management=management,
        access_log=access_log,
        json_logs=json_logs,
        traces=traces,
        retain_days=retain_days,
        require="better" if require_better else "not-worse" if require_not_worse else "nothing",
        beside=None if beside is None else Path(beside),
        images=images,
        keep=keep,
        threads=threads,
        max_requests=max_requests,
        max_connections=max_connections,
        max_body=max_body,
        max_events=max_events,
        max_pairs=max_pairs,
        max_history=max_history,
        max_users=max_users,
        max_cache=max_cache,
        body_seconds=body_seconds,
        wait_seconds=wait_seconds,
        work_seconds=work_seconds,
        silent_seconds=silent_seconds,
    )

    def said(url: str, live: Any) -> None:
        if isinstance(live, str):  # worker processes serve the model
            console().print(live, markup=False)
            console().print(f"{workers} workers serve it at {url} (Ctrl-C stops them)", markup=False)
        else:
            started(url, live)

    try:
        with compiling_announced(say):
            run(settings, said)
    except KeyboardInterrupt:
        say("stopped")
