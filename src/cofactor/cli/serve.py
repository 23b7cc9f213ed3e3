"""``cofactor serve``: a live server with a web explorer."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from cofactor._progress import compiling_announced
from cofactor.cli.common import console, say
from cofactor.serve import Settings, run

AllowHost = typer.Option(None, "--allow-host", help="Another name under which browsers may reach it; repeat it.")


def command(
    model: str = typer.Argument(help="A saved model; where it is replaced by another, that is served."),
    host: str = typer.Option("127.0.0.1", "--host", help="The address to listen on; by default this machine only."),
    port: int = typer.Option(8000, "--port", help="The port; 0: any that is free."),
    state: str | None = typer.Option(
        None, "--state", help="Where newer ratings and versions are kept; by default MODEL.state beside it."
    ),
    read_only: bool = typer.Option(False, "--read-only", help="Take no newer ratings; write nothing."),
    watch: bool = typer.Option(True, "--watch/--no-watch", help="Look whether the model was replaced."),
    allow_host: list[str] | None = AllowHost,
) -> None:
    """Serve a model over HTTP, with a web page to explore it. Ctrl-C ends it.

    It answers with lists, predictions, explanations and neighbours.

    It takes newer ratings (POST /v1/events), which the next list knows.

    It swaps models without a pause, and goes back to an earlier one.

    To be reached from other machines it needs a token, in the environment variable COFACTOR_TOKEN.

    Install with: pip install 'cofactor\\[serve]'. More in docs/serving.md.
    """
    settings = Settings(
        Path(model),
        Path(state) if state is not None else None,
        host=host,
        port=port,
        token=os.environ.get("COFACTOR_TOKEN") or None,
        read_only=read_only,
        watch=watch,
        hosts=tuple(allow_host or ()),
    )

    def started(url: str, app: object) -> None:
        live = app.state.live  # type: ignore[attr-defined]
        if live.last_error:
            say(f"note: {live.last_error}")
        console().print(f"{live.now.rec!r}", markup=False)
        console().print(f"serving version {live.now.version} at {url} (Ctrl-C ends it)", markup=False)

    try:
        with compiling_announced(say):
            run(settings, started)
    except KeyboardInterrupt:
        say("stopped")
