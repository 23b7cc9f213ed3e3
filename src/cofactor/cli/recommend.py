"""``cofactor recommend``: recommend items to a user, a new user, or all users."""

from __future__ import annotations

from typing import Any

import typer

from cofactor.cli.arguments import Json, parse_features, parse_history, read_lines
from cofactor.cli.list_flags import list_options_of, with_list_flags
from cofactor.cli.printing import emit, print_json, say
from cofactor.cli.reading import new_rows
from cofactor.errors import ConfigError
from cofactor.recommend.batch.list_files import check_lists, write_table
from cofactor.recommender import Recommender, load

Liked = typer.Option(None, "--liked", help="For a new user: ITEM=RATING or ITEM; repeat the option.")
Feature = typer.Option(None, "--feature", help="For a new user: COLUMN=VALUE of the user table; repeat the option.")


@with_list_flags
def command(
    model: str = typer.Argument(help="A saved model."),
    user: list[str] | None = typer.Option(None, "--user", help="A user of the training data; repeat the option."),  # noqa: B008
    liked: list[str] | None = Liked,
    feature: list[str] | None = Feature,
    histories: str | None = typer.Option(
        None, "--histories", help="A table of new users' ratings: one row per rating, columns as in training."
    ),
    everybody: bool = typer.Option(False, "--all", help="Make a list for each user; needs --out."),
    users: str | None = typer.Option(
        None, "--users", help="With --all: only the users in this text file, one id per line."
    ),
    approximate: bool = typer.Option(
        False, "--approximate", help="With --all: search items with an index (extra ann)."
    ),
    above: int = typer.Option(
        100_000, "--above", help="With --approximate: build an index if there are at least this many items."
    ),
    out: str | None = typer.Option(None, "--out", "-o", help="Write a Parquet file, or CSV if the name ends in .csv."),
    as_json: bool = Json,
    **flags: Any,
) -> None:
    """Recommend items to a known user (--user ID), a new user (--liked "ITEM=5" or --liked ITEM) or --all users.

    Describe a new user by ratings (--liked), by features (--feature age=31), or by both. --histories FILE is for
    several new users. With --all the lists are written to --out recs.parquet.
    """
    if sum((bool(user), bool(liked or feature), histories is not None, everybody)) != 1:
        raise ConfigError(
            "give exactly one of --user ID, --liked ITEM or ITEM=RATING (repeatable; or --feature COLUMN=VALUE),"
            " --histories FILE and --all"
        )
    if approximate and not everybody:
        raise ConfigError("--approximate goes with --all; a single list takes milliseconds without an index")
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
        say("no item is left for this list: check --where, --allow and --deny, or add --seen for items already rated")
    if out is not None:
        write_table(frame, out)
    emit(frame, as_json)


def _how_approximate(rec: Recommender, above: int) -> str:
    """Return a sentence about the index: which share of the best items it finds."""
    index = rec.index
    if index is None:
        return f"exact search: with {rec.data.n_items:,} items it is as fast as an index (which pays from {above:,} on)"
    if index.exact:
        return "an index by the lengths of the vectors; its lists are exact"
    found = f"{index.recall:.1%} of the {index.n} best items"
    return f"the index finds {found} (mean of {index.sample} users; the worst: {index.worst:.0%})"


def _index_facts(rec: Recommender) -> dict[str, Any]:
    """Return the recall of the index for JSON; None where the lists are exact."""
    index = rec.index
    return {"recall": index and index.recall, "recall_worst": index and index.worst}
