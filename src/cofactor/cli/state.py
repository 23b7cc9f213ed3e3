"""``cofactor state``: check, repair, back up and restore the state of a server. ``cofactor token``: create a token."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cofactor.cli.arguments import Json
from cofactor.cli.printing import console, print_json, say
from cofactor.errors import ConfigError, MissingExtraError
from cofactor.serve.guard.tokens import line_of

if TYPE_CHECKING:
    from types import ModuleType

SUMMARY = "Maintain the state of a server: check, repair, backup, restore, export, expire."
app = typer.Typer(help=SUMMARY, no_args_is_help=True)
app.__doc__ = SUMMARY

Where = typer.Argument(help="The directory of a state, or the address of its database (postgresql://...).")


def _state() -> ModuleType:
    try:
        from cofactor.serve import maintenance
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.startswith("cofactor"):
            raise
        raise MissingExtraError("SQLAlchemy and orjson", "serve", "the state of a server") from None
    return maintenance


def _place(where: str) -> Any:
    return where if "://" in where else Path(where)


@app.command("check")
def check(where: str = Where, as_json: bool = Json) -> None:
    """Check every row and every version. Exit with code 2 if something is wrong."""
    found = _state().check(_place(where))
    if as_json:
        print_json(found._asdict())
    else:
        say_all = [f"{found.events:,} newer ratings, versions {found.versions}, live: {found.live}", *found.wrong]
        for line in say_all:
            console().print(line, markup=False)
    if found.wrong:
        raise typer.Exit(2)


@app.command("repair")
def repair(where: str = Where, as_json: bool = Json) -> None:
    """Repair a damaged state: keep its intact rows, and move the damaged file aside."""
    found = _state().repair(Path(where))
    if as_json:
        print_json(found._asdict())
        return
    lost = "an unknown number" if found.lost is None else f"{found.lost:,}"
    console().print(f"{found.kept:,} newer ratings are kept, {lost} are lost; live: version {found.live}", markup=False)
    if found.aside is not None:
        console().print(f"the damaged file is {found.aside}", markup=False)


@app.command("backup")
def backup(where: str = Where, out: str = typer.Argument(help="A directory that is new or empty.")) -> None:
    """Copy a state as of one moment, even while a server uses it. The copy is itself a state."""
    found = _state().copy(_place(where), Path(out))
    console().print(f"{found.events:,} newer ratings and versions {found.versions} are in {out}", markup=False)


@app.command("restore")
def restore(
    backup: str = typer.Argument(help="A backup (or any state)."),
    where: str = typer.Argument(help="Where to put the state: a new directory, or an empty database."),
    erased_in: str | None = typer.Option(
        None,
        "--erased-in",
        metavar="STATE",
        help="The state that was used after the backup: users erased there are erased here too.",
    ),
) -> None:
    """Make a state from a backup. This also moves a state to another database."""
    state, changed = _state(), []
    if erased_in is None:
        found = state.copy(_place(backup), _place(where))
    else:
        found, changed = state.restore(_place(backup), _place(where), _place(erased_in))
    console().print(f"{found.events:,} newer ratings and versions {found.versions} are restored", markup=False)
    if erased_in is None:
        words = "users erased after the backup was made are back; --erased-in STATE erases them again"
        console().print(words, markup=False)
    elif changed:
        words = f"versions {changed} no longer hold users erased since the backup, but their parameters were trained on"
        console().print(f"{words} these users' ratings; refit to remove that influence too", markup=False)


@app.command("export")
def export(where: str = Where, out: str = typer.Argument(help="The file to write: .csv, .tsv or .parquet.")) -> None:
    """Write the newer ratings as a table."""
    count = _state().export(_place(where), Path(out))
    console().print(f"{count:,} newer ratings are in {out}", markup=False)


@app.command("expire")
def expire(where: str = Where, older_than: float = typer.Option(..., "--older-than", help="Age in days.")) -> None:
    """Delete newer ratings above an age."""
    count = _state().expire(_place(where), older_than)
    console().print(f"{count:,} newer ratings are deleted", markup=False)


def token(
    name: str = typer.Argument(help="The client that will use it, as one word."),
    scopes: str = typer.Option("read", "--scopes", help="What it allows: read, events, admin; separated by commas."),
    file: str | None = typer.Option(None, "--file", help="Append it to this file, for cofactor serve --tokens."),
) -> None:
    """Create a token for a server. The token is shown once; only its hash is stored."""
    made = secrets.token_urlsafe(24)
    line = line_of(name, frozenset(scopes.split(",")), made)
    if file is None:
        say(f"line for the file of tokens: {line}")
    else:
        try:
            fd = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with open(fd, "a", encoding="utf-8") as out:
                out.write(f"{line}\n")
        except OSError as exc:
            raise ConfigError(f"cannot write {file}: {exc.strerror}") from None
    print(made)
