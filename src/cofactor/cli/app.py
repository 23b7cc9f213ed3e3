"""The ``cofactor`` program: its table of commands and its error handling (one line, exit code 2, no traceback).

Only the module of the requested command is imported, so that ``cofactor --help`` answers at once.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import typer

from cofactor._version import __version__
from cofactor.errors import CofactorError, ConfigError

COMMANDS = {
    "demo": (
        "demo:command",
        "Learn from 68,000 real film ratings, show what was learned, recommend, and write report.html; no network.",
    ),
    "check": (
        "check:command",
        "Check a table before training: duplicates, odd ids, outliers, bots, gaps, and the cost of training.",
    ),
    "split": (
        "split:command",
        "Split a table into training rows and test rows. The file names choose the format: CSV, TSV or Parquet.",
    ),
    "fit": (
        "fit:command",
        "Train a model on a table of ratings and save it. Its parameters are options too, such as --n-factors 50.",
    ),
    "evaluate": ("evaluate:command", "Measure a saved model on a test table, with confidence intervals."),
    "compare": (
        "compare:command",
        "Compare models on the same held-out rows, with confidence intervals and tests of the differences.",
    ),
    "tune": (
        "tune:command",
        "Search for better parameters of a model on held-out rows. Those given as options (--n-factors 50) stay fixed.",
    ),
    "recommend": (
        "recommend:command",
        'Recommend items to a known user (--user ID), a new user (--liked "ITEM=5" or --liked ITEM) or --all users.',
    ),
    "predict": (
        "predict:command",
        "Predict the rating (a score, with a ranker) of --user for --item, or those of a table of --pairs.",
    ),
    "similar": (
        "similar:command",
        "Show the items most similar to given items or, with --user, the most similar users.",
    ),
    "explain": (
        "explain:command",
        "Explain a prediction: the terms that sum to it, and what each of the user's ratings adds.",
    ),
    "update": (
        "update:command",
        "Fold newer ratings in and recommend again to their users. The model file does not change.",
    ),
    "refit": (
        "refit:command",
        "Train a saved model again on its rows and newer rows. Options such as --epochs 30 change its parameters.",
    ),
    "report": (
        "report:command",
        "Write a self-contained HTML report: a verdict, data, learning curves, a map, recommendations with reasons.",
    ),
    "export": (
        "export:command",
        "Export a model: as vectors, an ONNX graph, a folder for the Hugging Face Hub, or a model without users.",
    ),
    "serve": ("serve:command", "Serve a model over HTTP, with a web page to explore it. Ctrl-C stops the server."),
    "state": ("state:app", "Maintain the state of a server: check, repair, backup, restore, export, expire."),
    "token": ("state:token", "Create a token for a server. The token is shown once; only its hash is stored."),
    "info": ("info:command", "Show a saved model's manifest: model, parameters, data, metrics, versions."),
    "diff": ("diff:command", "Compare two saved models: metrics, overlap of top lists, items that moved."),
    "reproduce": ("reproduce:command", "Run a published protocol and show the published figures beside ours."),
    "datasets": ("listing:datasets", "List the datasets whose names can stand in place of a file."),
    "models": ("listing:models", "List the models, or the parameters of one model with their defaults."),
}
"""Map each command to its module and function in ``cofactor.cli`` and to the first line of its help."""

FREE = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Context settings of the commands that accept the parameters of any model as flags."""
TAKES_PARAMETERS = ("fit", "tune", "refit")

UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""The exception for a wrong option or argument, in whichever copy of click typer uses."""


def program(asked: Sequence[str]) -> typer.Typer:
    """Return the program with the commands in ``asked`` loaded; the others have only a name and a line of help."""
    app = typer.Typer(
        name="cofactor",
        help="Collaborative filtering: learn what people like from who rated what, show it, recommend, and say why.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for name, (where, summary) in COMMANDS.items():
        if name in asked:
            module, _, function = where.partition(":")
            command = getattr(importlib.import_module(f"cofactor.cli.{module}"), function)
            if isinstance(command, typer.Typer):
                app.add_typer(command, name=name)
            else:
                app.command(name, context_settings=FREE if name in TAKES_PARAMETERS else None)(command)
        else:
            app.command(name, help=summary)(_not_loaded)
    return app


def _not_loaded() -> None:
    raise AssertionError("this command was not asked for")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"cofactor {__version__}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    pass


def _misused(exc: Any) -> str:
    """Return what is wrong with a command line, and the command whose help says more."""
    said, command = exc.format_message().rstrip("."), "cofactor"
    if exc.ctx is not None:
        command += exc.ctx.command_path.removeprefix(exc.ctx.find_root().command_path)
    return f"{said} See {command} --help" if said.endswith("?") else f"{said}; see {command} --help"


def main() -> None:
    """Run the program. A user's mistake ends in one line on stderr and exit code 2."""
    warnings.showwarning = _warn
    _print_any_text()
    try:
        _check_limits()
        completing = any(name.startswith("_COFACTOR") for name in os.environ)
        asked = list(COMMANDS) if completing else sys.argv[1:]
        sys.exit(program(asked)(standalone_mode=False) or 0)
    except CofactorError as exc:
        _fail(str(exc))
    except UsageError as exc:
        if len(sys.argv) > 1:
            _fail(_misused(exc))
        exc.show()  # type: ignore[attr-defined]
        sys.exit(2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as exc:
        _fail(f"{exc.strerror or exc}{f': {exc.filename}' if exc.filename else ''}")
    except MemoryError as exc:
        _fail(
            f"not enough memory ({exc or 'none left'}); use fewer factors or another model: cofactor check FILE"
            " estimates what each needs"
        )
    except RuntimeError as exc:
        if "new thread" not in str(exc):
            raise
        _fail(_NO_THREADS)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except BaseException as exc:
        if type(exc).__name__ != "PanicException":  # raised by polars
            raise
        _fail(_NO_THREADS if "thread" in str(exc).lower() else f"polars failed: {exc}")


def _print_any_text() -> None:
    """Let the output hold characters that its encoding lacks, as ``\\u...``: a title in Greek, in a pipe on Windows."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="backslashreplace")


ADDRESSES = 1_300_000_000
"""Least address space of the process, in bytes. With less, libraries abort before cofactor can report an error."""
_NO_THREADS = (
    "cannot start more threads: raise the limit of processes (ulimit -u), or use fewer threads with"
    " POLARS_MAX_THREADS=1 and NUMBA_NUM_THREADS=1"
)


def _check_limits() -> None:
    """Raise ConfigError where the limit of address space (``ulimit -v``) is too low to load the libraries."""
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY and limit < ADDRESSES:
        raise ConfigError(
            f"the limit of address space (ulimit -v) is {limit / 1e6:,.0f} MB, and cofactor needs"
            f" {ADDRESSES / 1e6:,.0f} MB to start; raise the limit"
        )


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    print(f"warning: {message}", file=sys.stderr)


def _fail(message: str) -> None:
    one_line = " ".join(message.split()).encode("utf-8", "backslashreplace").decode()
    if "--json" in sys.argv:
        print(json.dumps({"error": one_line}))
    print(f"cofactor: {one_line}", file=sys.stderr)
    sys.exit(2)
