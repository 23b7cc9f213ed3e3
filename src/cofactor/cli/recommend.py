"""``cofactor recommend``: the best items for a user, for a new user, or for everybody."""

from __future__ import annotations

from typing import Any

import typer

from cofactor.cli.common import (
    Json,
    check_lists,
    emit,
    new_rows,
    parse_features,
    parse_history,
    print_json,
    read_lines,
    say,
    write_table,
)
from cofactor.cli.list_flags import list_options_of, with_list_flags
from cofactor.errors import ConfigError
from cofactor.recommender import Recommender, load

Liked = typer.Option(None, "--liked", help="ITEM=RATING or ITEM, for a new user; repeatable.")
Feature = typer.Option(None, "--feature", help="COLUMN=VALUE of the table of users, for a new user; repeatable.")


@with_list_flags
def command(
    model: str = typer.Argument(help="A saved model."),
    user: list[str] | None = typer.Option(None, "--user", help="A user of the training data; repeatable."),  # noqa: B008
    liked: list[str] | None = Liked,
    feature: list[str] | None = Feature,
    histories: str | None = typer.Option(
        None, "--histories", help="A table of new users' ratings, with the columns of the training table."
    ),
    everybody: bool = typer.Option(False, "--all", help="Make lists for all users; needs --out."),
    users: str | None = typer.Option(
        None, "--users", help="With --all: only the users in this text file, one id per line."
    ),
    approximate: bool = typer.Option(
        False, "--approximate", help="With --all: search with an approximate index (extra ann)."
    ),
    above: int = typer.Option(
        100_000, "--above", help="With --approximate: the number of items from which an index is built."
    ),
    out: str | None = typer.Option(
        None, "--out", "-o", help="Write a Parquet file, or CSV where the name ends in .csv."
    ),
    as_json: bool = Json,
    **flags: Any,
) -> None:
    """Recommend items: to --user ID, to a new user by --liked "ITEM=5" or --liked ITEM, or to --all users.

    --feature age=31 describes a new user, with or without --liked. --histories FILE is for several new users.
    With --all the lists go into --out recs.parquet.
    """
    if sum((bool(user), bool(liked or feature), histories is not None, everybody)) != 1:
        raise ConfigError(
            "give one of --user ID, --liked ITEM or ITEM=RATING (repeatable; or --feature COLUMN=VALUE), --histories"
            " FILE and --all"
        )
    if approximate and not everybody:
        raise ConfigError("--approximate goes with --all; one list is found in milliseconds without it")
    if users is not None and not everybody:
        raise ConfigError("--users FILE goes with --all; for one user give --user ID")
    if everybody and out is None:
        raise ConfigError("--all needs --out FILE.parquet (or .csv)")
    if out is not None:
        check_lists(out)
    rec = load(model)
    options = list_options_of(flags, rec.items)
    n = options["n"]
    if approximate:
        rec = rec.approximate(n, above=above)
        if not as_json:
            say(_how_approximate(rec, above))
    if everybody:
        some = None if users is None else [rec.data.user_ids.parse(line) for line in read_lines(users)]
        count = rec.data.n_users if some is None else len(set(some))
        options["users"] = some
        if str(out).lower().endswith((".csv", ".tsv")):
            write_table(rec.recommend_all(**options), str(out))  # type: ignore[arg-type]
        else:
            rec.recommend_all(out=out, **options)
        if as_json:
            print_json({"out": out, "users": count, "n": n} | (_index_facts(rec) if approximate else {}))
        else:
            say(f"wrote the best {n} items for {count:,} users to {out}")
        return
    if user:
        asked = [rec.data.user_ids.parse(one) for one in user]
        frame = rec.recommend(asked[0], **options) if len(asked) == 1 else rec.recommend(users=asked, **options)
    elif histories is not None:
        frame = rec.recommend(histories=new_rows(rec, histories), **options)
    else:
        history = parse_history(liked or [], rec.items)
        if None in history.values() and rec.scale.explicit and not as_json:
            say(f"liked without a rating counts as {rec.scale.liked:g}, the upper quartile of the ratings")
        known = parse_features(feature, rec.data.user_table) if feature else None
        frame = rec.recommend(history=history, features=known, **options)
    if not len(frame) and not as_json:
        say("no item is left for this list: look at --where, --allow, --deny and what was seen already")
    if out is not None:
        write_table(frame, out)
    emit(frame, as_json)


def _how_approximate(rec: Recommender, above: int) -> str:
    """What the index does for these lists, in words."""
    index = rec.index
    if index is None:
        return f"exact search: it is as fast as an index for {rec.data.n_items:,} items (one pays from {above:,} on)"
    if index.exact:
        return "an index by the lengths of the vectors: nothing is missed"
    found = f"{index.recall:.1%} of the exact {index.n} best"
    return f"an index finds {found} (mean of {index.sample} users; for the worst {index.worst:.0%})"


def _index_facts(rec: Recommender) -> dict[str, Any]:
    """The same for machines; nulls where the lists are exact."""
    index = rec.index
    return {"recall": index and index.recall, "recall_worst": index and index.worst}
