"""``cofactor recommend``: the best items for a user, for somebody new, or for everybody."""

from __future__ import annotations

from typing import Any

import typer

from cofactor.cli.common import Json, emit, parse_history, parse_id, print_json, say
from cofactor.errors import ConfigError

Liked = typer.Option(None, "--liked", help="item=rating, for somebody new; repeat it.")
Allow = typer.Option(None, "--allow", help="Only these items may come up; repeat it.")
Deny = typer.Option(None, "--deny", help="These items may not come up; repeat it.")


def command(
    model: str = typer.Argument(help="A saved model."),
    user: str | None = typer.Option(None, "--user", help="A user of the training data."),
    liked: list[str] | None = Liked,
    everybody: bool = typer.Option(False, "--all", help="For every user; needs --out."),
    n: int = typer.Option(10, "-n", help="How many items."),
    seen: bool = typer.Option(False, "--seen", help="Items already rated may come up too."),
    allow: list[str] | None = Allow,
    deny: list[str] | None = Deny,
    where: str | None = typer.Option(None, "--where", help='A predicate: "genres contains Drama and year >= 1990".'),
    diversity: float = typer.Option(0.0, "--diversity", help="0 to 1: against items alike."),
    calibration: float = typer.Option(0.0, "--calibration", help="0 to 1: genres in proportion to the user's own."),
    sure: float | None = typer.Option(None, "--sure", help="Rank by the lower bound of this interval, such as 0.9."),
    explore: float | None = typer.Option(None, "--explore", help="Rank by the upper bound of this interval."),
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
    options: dict[str, Any] = {
        "n": n,
        "seen": seen,
        "allow": [parse_id(rec.data.item_ids, item) for item in allow] if allow else None,
        "deny": [parse_id(rec.data.item_ids, item) for item in deny] if deny else None,
        "where": where,
        "diversity": diversity,
        "calibration": calibration,
        "sure": sure,
        "explore": explore,
    }
    if everybody:
        rec.recommend_all(out=out, **options)
        if as_json:
            print_json({"out": out, "users": rec.data.n_users, "n": n})
        else:
            say(f"wrote the best {n} items for {rec.data.n_users:,} users to {out}")
        return
    if user is not None:
        frame = rec.recommend(parse_id(rec.data.user_ids, user), **options)
    else:
        frame = rec.recommend(history=parse_history(liked or [], rec.data.item_ids), **options)
    if out is not None:
        frame.write_parquet(out)
    emit(frame, as_json)
