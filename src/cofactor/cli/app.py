"""The ``cofactor`` program: its commands, and how errors end it (one line, exit code 2, no traceback)."""

from __future__ import annotations

import json
import os
import sys
import warnings

import typer

from cofactor._version import __version__
from cofactor.cli import (
    check,
    compare,
    demo,
    diff,
    evaluate,
    explain,
    export,
    fit,
    info,
    listing,
    recommend,
    report,
    reproduce,
    serve,
    similar,
    split,
)
from cofactor.errors import CofactorError

app = typer.Typer(
    name="cofactor",
    help="Collaborative filtering: learn what people like from who rated what, show it, recommend, and say why.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"cofactor {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    pass


UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""A wrong option or argument, whichever parser typer brings."""

FREE = {"allow_extra_args": True, "ignore_unknown_options": True}
"""For commands that take the parameters of any model as flags."""

app.command("demo")(demo.command)
app.command("check")(check.command)
app.command("split")(split.command)
app.command("fit", context_settings=FREE)(fit.command)
app.command("evaluate")(evaluate.command)
app.command("compare")(compare.command)
app.command("recommend")(recommend.command)
app.command("similar")(similar.command)
app.command("explain")(explain.command)
app.command("report")(report.command)
app.command("export")(export.command)
app.command("serve")(serve.command)
app.command("info")(info.command)
app.command("diff")(diff.command)
app.command("reproduce")(reproduce.command)
app.command("datasets")(listing.datasets)
app.command("models")(listing.models)


def main() -> None:
    """Entry point. Anything a user can get wrong ends in one line on stderr and exit code 2."""
    warnings.showwarning = _warn
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except CofactorError as exc:
        _fail(str(exc))
    except UsageError as exc:
        if len(sys.argv) > 1:
            _fail(f"{exc.format_message().rstrip('.')}; see cofactor --help")  # type: ignore[attr-defined]
        exc.show()  # type: ignore[attr-defined]
        sys.exit(2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as exc:
        _fail(f"{exc.strerror or exc}{f': {exc.filename}' if exc.filename else ''}")
    except MemoryError as exc:
        _fail(f"not enough memory ({exc or 'none left'}); take fewer factors, or another model (cofactor check FILE)")
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    print(f"warning: {message}", file=sys.stderr)


def _fail(message: str) -> None:
    one_line = " ".join(message.split()).encode("utf-8", "backslashreplace").decode()
    if "--json" in sys.argv:
        print(json.dumps({"error": one_line}))
    print(f"cofactor: {one_line}", file=sys.stderr)
    sys.exit(2)
