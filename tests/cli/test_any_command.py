"""Random command lines over random tables: each answers or refuses in a sentence.

The seeds are fixed. ``COFACTOR_FUZZ=1000:2000`` tries other seeds (first and end) than the few of a usual run.
"""

from __future__ import annotations

import json
import os
import random
import re
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

from cofactor.cli.app import main, program

FIRST, END = (int(seed) for seed in os.environ.get("COFACTOR_FUZZ", "0:12").split(":"))
RATING = ("als", "bias", "svd++", "item-knn", "user-knn", "bayes-mf", "dot-bias")
RANKING = ("popular", "item-cosine", "ease", "slim", "ials", "bpr", "next-item", "repeat-buy", "graph-filter", "auto")
QUICK = {
    **dict.fromkeys(("als", "svd++", "ials", "bpr", "dot-bias"), ("--epochs", "1")),
    "bayes-mf": ("--epochs", "3", "--burn-in", "1"),
}
NAMES = (
    ("userId", "movieId", "rating", "timestamp"),
    ("user", "item", "rating", "time"),
    ("customer_id", "product_id", "quantity", "order_date"),
    ("user_id", "item_id", "plays", "date"),
)
WORDS = ("a", "0.2", "userId", "rating", "timestamp", "ndcg@10", "rmse", "u1", "5", "a.csv", "b.csv", "dmy", "random")
WORDS += ("temporal", "sum", "genre=x", "2015-01-01", "none", "é", "{}", "Film", "")
NUMBERS = {"int": ("0", "1", "2", "5", "-1", "x", "100000000000"), "float": ("0", "0.1", "1", "-1", "nan", "inf", "x")}


class Shape(NamedTuple):
    """How the tables of a try are written; the functions draw a field."""

    users: int
    items: int
    user: Callable[[int], str]
    item: Callable[[int], str]
    value: Callable[[], str] | None
    time: Callable[[], str] | None
    names: tuple[str, str, str, str]
    sep: str


def shape(rng: random.Random) -> Shape:
    """Draw the shape of tables."""
    values: tuple[Callable[[], str] | None, ...] = (
        lambda: str(rng.randint(1, 5)),
        lambda: str(rng.choice([0.5, 1, 1.5, 4.5, 5])),
        lambda: str(int(rng.paretovariate(0.7))),
        lambda: rng.choice(["view", "cart", "buy"]),
        lambda: str(rng.randint(0, 100)),
        lambda: str(rng.choice([-1, 1])),
        lambda: "5",
        None,
    )
    times: tuple[Callable[[], str] | None, ...] = (
        lambda: str(rng.randint(10**9, 2 * 10**9)),
        lambda: f"20{rng.randint(10, 24)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}",
        lambda: str(rng.randint(1, 400)),
        None,
    )
    return Shape(
        rng.choice([1, 3, 12, 40]),
        rng.choice([2, 5, 12, 40]),
        rng.choice([lambda k: str(k + 1), lambda k: f"u{k}", lambda k: f"ü{k}", lambda k: f"a b {k}"]),
        rng.choice([lambda k: str(k + 100), lambda k: f"B{k:05d}", lambda k: f"Film {k}"]),
        rng.choice(values),
        rng.choice(times),
        rng.choice(NAMES),
        rng.choice([",", "\t", ";"]),
    )


def write(rng: random.Random, like: Shape, name: str, rows: int) -> str:
    """Write a table and return its name."""
    used = [0, 1, *([2] if like.value else []), *([3] if like.time else [])]
    lines = [like.sep.join(like.names[at] for at in used)]
    for _ in range(rows):
        item = min(int(rng.paretovariate(0.8)) - 1, 10**6) % like.items
        fields = [like.user(rng.randrange(like.users)), like.item(item)]
        lines.append(like.sep.join([*fields, *(draw() for draw in (like.value, like.time) if draw)]))
    Path(name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return name


def options(rng: random.Random, command: str) -> list[str]:
    """Draw some options of a command, most of them with a value of their type."""
    found, share = [], rng.choice([0, 0, 0, 0.02, 0.05])
    for one in typer.main.get_command(program([command])).commands[command].params:  # type: ignore[attr-defined]
        if one.param_type_name != "option" or one.name in ("help", "out", "as_json") or rng.random() >= share:
            continue
        found.append(rng.choice(one.opts + one.secondary_opts))
        if not one.is_flag:
            found.append(value(rng, one.type_descriptor.annotation))
    return [*found, *(["--json"] if rng.random() < 0.25 else [])]


def value(rng: random.Random, kind: Any) -> str:
    """Draw a value: a choice of the option's own, a number, or a word that may be wrong."""
    choices = [one for one in typing.get_args(kind) if isinstance(one, str)]
    if choices and rng.random() < 0.8:
        return rng.choice(choices)
    name = getattr(kind, "__name__", str(kind)).lower()
    return rng.choice(next((some for part, some in NUMBERS.items() if part in name), WORDS))


def commands(rng: random.Random, like: Shape) -> Iterator[list[str]]:
    """Yield command lines, each with what the ones before have written."""
    rows = rng.choice([1, 3, 10, 60, 300])
    a, b, c = (write(rng, like, f"{name}.csv", n) for name, n in (("a", rows), ("b", rows), ("c", rng.choice([1, 5]))))
    for model in (*rng.sample(RATING, 2), *rng.sample(RANKING, 2)):
        more = ["--valid", "0.2"] if rng.random() < 0.3 else []
        yield ["fit", a, "--model", model, "--out", f"m_{model}.cofactor", *QUICK.get(model, ()), *more]
    yield ["check", a]
    yield ["split", a, "--out-train", "train.csv", "--out-test", "test.csv"]
    yield ["compare", a, "--models", ",".join(rng.sample(("als", "bias", "popular", "item-cosine", "ease"), 2))]
    yield ["tune", a, "--model", rng.choice(["als", "item-knn", "ease"]), "--trials", "1"]
    for bundle in sorted(str(one) for one in Path().glob("m_*.cofactor")):
        user, item = like.user(rng.randrange(like.users + 1)), like.item(rng.randrange(like.items + 1))
        yield ["evaluate", bundle, b]
        yield ["recommend", bundle, "--user", user]
        yield ["recommend", bundle, "--all", "--out", "lists.csv"]
        yield ["recommend", bundle, "--liked", rng.choice([item, f"{item}={rng.choice('0135')}"])]
        yield ["explain", bundle, "--user", user, "--item", item]
        yield ["predict", bundle, "--pairs", b]
        yield ["similar", bundle, *rng.choice([[item], ["--user", user]])]
        yield ["info", bundle]
        yield ["report", bundle, "--out", "report.html"]
        yield ["export", bundle, rng.choice(["v.npz", "v.parquet", "v.txt", "vectors"])]
        yield ["update", bundle, c]
        yield ["refit", bundle, c, "--out", "again.cofactor"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # warnings are notes on the command line
@pytest.mark.parametrize("seed", range(FIRST, END))
def test_any_command_line_is_answered_or_refused_in_a_sentence(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = random.Random(seed)
    for line in commands(rng, shape(rng)):
        asked = [*line, *options(rng, line[0])]
        monkeypatch.setattr(sys, "argv", ["cofactor", *asked])
        with pytest.raises(SystemExit) as done:
            main()
        code, (out, err) = done.value.code or 0, capsys.readouterr()
        said = (asked, out[-1000:], err[-1000:])
        assert code in (0, 2), said
        assert "Traceback" not in out + err, said
        if code == 2:
            assert (out + err).strip(), said
            continue
        if line[0] != "check":  # it shows a column as it is
            assert not re.search(r"\b(nan|inf|NaN)\b", out), said
        if "--json" in asked and line[0] != "fit":
            json.loads(out)
