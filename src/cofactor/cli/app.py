"""The ``cofactor`` program: its commands, and how errors end it (one line, exit code 2, no traceback).

Only the module of the command that is asked for is imported, so that ``cofactor --help`` answers at once.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import warnings
from collections.abc import Sequence

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
        "Check a table before training: duplicates, odd ids, outliers, bots, gaps, and what fitting would cost.",
    ),
    "split": (
        "split:command",
        "Cut a table in two: rows to learn from and rows to check with (CSV, TSV or Parquet, by the files' names).",
    ),
    "fit": (
        "fit:command",
        "Train a model on a table of ratings and save it. The model's parameters are options too: --n-factors 50.",
    ),
    "evaluate": ("evaluate:command", "Measure a saved model on a test table, with confidence intervals."),
    "compare": (
        "compare:command",
        "Compare models honestly: same rows, confidence intervals, and what can and cannot be told apart.",
    ),
    "tune": (
        "tune:command",
        "Search better settings for a model, on held-out rows; parameters given as flags stay fixed: --n-factors 50.",
    ),
    "recommend": (
        "recommend:command",
        'Recommend items: to --user ID, to a new user by --liked "ITEM=5" or --liked ITEM, or to --all users.',
    ),
    "predict": (
        "predict:command",
        "Predict ratings (a ranker's scores) of --user for --item, or for a table of --pairs.",
    ),
    "similar": (
        "similar:command",
        "List the items most similar to one or several items, or with --user the most similar users.",
    ),
    "explain": (
        "explain:command",
        "Explain a prediction: the terms that sum to it, and what each of the user's ratings adds.",
    ),
    "update": (
        "update:command",
        "Fold newer ratings in and recommend to their users again; the saved model does not change.",
    ),
    "refit": (
        "refit:command",
        "Train a saved model again on its rows and newer ones; parameters given as flags change: --epochs 30.",
    ),
    "report": (
        "report:command",
        "Write a self-contained HTML report: a verdict, data, learning curves, a map, recommendations with reasons.",
    ),
    "export": (
        "export:command",
        "Write what a model learned: vectors, an ONNX graph, a folder for the Hugging Face Hub, a model without users.",
    ),
    "serve": ("serve:command", "Serve a model over HTTP, with a web page to explore it. Ctrl-C ends it."),
    "state": ("state:app", "Maintain a server's state: check, repair, backup, restore, export, expire."),
    "token": ("state:token", "Make a token for a server. It is shown once; only its hash is kept."),
    "info": ("info:command", "Show a saved model's manifest: model, parameters, data, metrics, versions."),
    "diff": ("diff:command", "Compare two saved models: metrics, overlap of top lists, items that moved."),
    "reproduce": ("reproduce:command", "Run a published protocol and show the published figures beside ours."),
    "datasets": ("listing:datasets", "List the datasets that can be named instead of a file."),
    "models": ("listing:models", "List the models, or the parameters of one with their defaults."),
}
"""Name -> (module of ``cofactor.cli`` and function, first line of its help)."""

FREE = {"allow_extra_args": True, "ignore_unknown_options": True}
"""For commands that take the parameters of any model as flags."""
TAKES_PARAMETERS = ("fit", "tune", "refit")

UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""A wrong option or argument, whichever parser typer brings."""


def program(asked: Sequence[str]) -> typer.Typer:
    """The program with the commands in ``asked`` loaded; of the others it knows name and first line of help."""
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


def main() -> None:
    """Entry point. Anything a user can get wrong ends in one line on stderr and exit code 2."""
    warnings.showwarning = _warn
    try:
        _check_limits()
        completing = any(name.startswith("_COFACTOR") for name in os.environ)
        asked = list(COMMANDS) if completing else sys.argv[1:]
        sys.exit(program(asked)(standalone_mode=False) or 0)
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
    except RuntimeError as exc:
        if "new thread" not in str(exc):
            raise
        _fail(_NO_THREADS)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except BaseException as exc:
        if type(exc).__name__ != "PanicException":  # of polars
            raise
        _fail(_NO_THREADS if "thread" in str(exc).lower() else f"polars gave up: {exc}")


ADDRESSES = 1_300_000_000
"""Bytes of addresses that a process needs: below, libraries end it without a word of ours."""
_NO_THREADS = (
    "no more threads can be started: raise the limit of processes (ulimit -u), or ask for fewer with"
    " POLARS_MAX_THREADS=1 and NUMBA_NUM_THREADS=1"
)


def _check_limits() -> None:
    """ConfigError where the process may use too few addresses to load what it needs."""
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY and limit < ADDRESSES:
        raise ConfigError(
            f"this process may use {limit / 1e6:,.0f} MB of addresses (ulimit -v), and {ADDRESSES / 1e6:,.0f} MB are"
            " needed to start; raise the limit"
        )


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    print(f"warning: {message}", file=sys.stderr)


def _fail(message: str) -> None:
    one_line = " ".join(message.split()).encode("utf-8", "backslashreplace").decode()
    if "--json" in sys.argv:
        print(json.dumps({"error": one_line}))
    print(f"cofactor: {one_line}", file=sys.stderr)
    sys.exit(2)
