"""``cofactor recommend``: the best items for a user, for somebody new, or for everybody."""

from __future__ import annotations

import typer

from cofactor.cli.common import Json, emit, parse_history, parse_id, print_json, say
from cofactor.errors import ConfigError

Liked = typer.Option(None, "--liked", help="item=rating, for somebody new; repeat it.")


def command(
    model: str = typer.Argument(help="A saved model."),
    user: str | None = typer.Option(None, "--user", help="A user of the training data."),
    liked: list[str] | None = Liked,
    everybody: bool = typer.Option(False, "--all", help="For every user; needs --out."),
    n: int = typer.Option(10, "-n", help="How many items."),
    seen: bool = typer.Option(False, "--seen", help="Items already rated may come up too."),
    out: str | None = typer.Option(None, "--out", "-o", help="Write a Parquet file."),
    as_json: bool = Json,
) -> None:
    """Recommend items: to --user ID, to somebody new by --liked "ITEM=5", or to --all users into --out recs.parquet."""
    from cofactor.bundle import load

    if sum((user is not None, bool(liked), everybody)) != 1:
        raise ConfigError("give one of --user ID, --liked ITEM=RATING (repeatable) and --all")
    if everybody and out is None:
        raise ConfigError("--all needs --out FILE.parquet")
    rec = load(model)
    if everybody:
        rec.recommend_all(n, out=out, seen=seen)
        if as_json:
            print_json({"out": out, "users": rec.data.n_users, "n": n})
        else:
            say(f"wrote the best {n} items for {rec.data.n_users:,} users to {out}")
        return
    if user is not None:
        frame = rec.recommend(parse_id(rec.data.user_ids, user), n=n, seen=seen)
    else:
        frame = rec.recommend(history=parse_history(liked or [], rec.data.item_ids), n=n, seen=seen)
    if out is not None:
        frame.write_parquet(out)
    emit(frame, as_json)
