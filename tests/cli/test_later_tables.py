"""A second file beside a saved model: whatever its form, it says the same, or is refused in a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor.data.read_alike import read_alike

Row = tuple[Any, Any, int, int]
Typed = Callable[..., tuple[int, str, str]]


def rows_of(seed: int, n: int, begin: int, users: int = 30) -> list[Row]:
    rng = np.random.default_rng(seed)
    pairs = rng.permutation(users * 20)[:n]
    return [
        (int(p) // 20 + 1, 100 + int(p) % 20, int(rng.integers(1, 6)), begin + int(rng.integers(10**7))) for p in pairs
    ]


def text(
    rows: list[Row], head: str | None, order: str = "uirt", sep: str = ",", as_id: Any = str, tick: int = 1
) -> str:
    lines = [] if head is None else [head]
    for user, item, rating, time in rows:
        fields = {"u": as_id(user), "i": as_id(item), "r": str(rating), "t": str(time * tick)}
        lines.append(sep.join(fields[one] for one in order))
    return "\n".join(lines) + "\n"


def form(name: str, rows: list[Row]) -> str | bytes:
    """The rows in one of many forms."""
    records = [dict(zip(("user", "item", "rating", "time"), row, strict=True)) for row in rows]
    if name == "lines":
        return "".join(json.dumps(one | {"user": str(one["user"]), "item": str(one["item"])}) + "\n" for one in records)
    if name == "array":
        return json.dumps(records)
    forms: dict[str, dict[str, Any]] = {
        "same": {},
        "capitals": {"head": "USER,Item,RATING,Time"},
        "names": {"head": "userId,movieId,score,timestamp"},
        "order": {"head": "time,rating,item,user", "order": "triu"},
        "tabs": {"head": "user\titem\trating\ttime", "sep": "\t"},
        "quotes": {"as_id": lambda x: f'"{x}"'},
        "floats": {"as_id": lambda x: f"{x}.0"},
        "milliseconds": {"tick": 1000},
        "no header": {"head": None},
        "wide letters": {},
    }
    found = text(rows, **{"head": "user,item,rating,time"} | forms[name])
    return found.encode("utf-16") if name == "wide letters" else found


FORMS = ["capitals", "names", "order", "tabs", "quotes", "floats", "milliseconds"]
FORMS += ["no header", "wide letters", "lines", "array"]
TRAIN, NEWER = rows_of(1, 300, 1_500_000_000), rows_of(2, 40, 1_512_000_000, 12)
TEST = [row for row in rows_of(3, 200, 1_520_000_000) if row[:2] not in {one[:2] for one in TRAIN}]


def put(path: Path, content: str | bytes) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("later")
    path = str(folder / "m.cofactor")
    cf.fit(cf.read(put(folder / "train.csv", form("same", TRAIN))), "als", epochs=2, n_factors=2).save(path)
    return path


def answers(typed: Typed, model: str, folder: Path, name: str) -> list[Any]:
    newer, test = put(folder / "newer", form(name, NEWER)), put(folder / "test", form(name, TEST))
    found: list[Any] = []
    for asked in (
        ("update", model, newer, "--json"),
        ("evaluate", model, test, "--json"),
        ("predict", model, "--pairs", test, "--json"),
    ):
        code, out, err = typed(*asked)
        assert code == 0, err
        found.append(json.loads(out))
    found[-1].sort(key=lambda one: (one["user"], one["item"]))
    code, _, err = typed("refit", model, newer, "-o", folder / "new.cofactor")
    assert code == 0, err
    data = cf.load(folder / "new.cofactor").data
    assert data.times is not None
    return [*found, data.to_frame().sort("user", "item").to_dicts()]


def test_forms_of_a_second_file_do_not_matter(model: str, tmp_path: Path, typed: Typed) -> None:
    usual = answers(typed, model, tmp_path, "same")
    for name in FORMS:
        for mine, theirs in zip(answers(typed, model, tmp_path, name), usual, strict=True):
            assert mine == theirs, name


def test_names_that_are_not_those_of_training_are_guessed_and_said(model: str, tmp_path: Path, typed: Typed) -> None:
    code, _, err = typed("evaluate", model, put(tmp_path / "test.csv", form("names", TEST)))
    assert code == 0
    assert "user = 'userId'" in " ".join(err.split())
    code, _, err = typed("evaluate", model, put(tmp_path / "no.csv", text(TEST, "user,item,rating", "uir")))
    assert code == 0
    assert "no times here" in err
    code, _, err = typed("evaluate", model, put(tmp_path / "none.csv", text(TEST, "user,item", "ui")))
    assert code == 2
    assert "no column 'rating'" in err


def test_ids_that_are_written_otherwise_are_not_new_ones(tmp_path: Path, typed: Typed) -> None:
    def named(rows: list[Row], user: Any, item: Any) -> str:
        return "user,item,rating,time\n" + "".join(f"{user(u)},{item(i)},{r},{t}\n" for u, i, r, t in rows)

    usual = (lambda u: f"u{u}", lambda i: f"Film {i}")
    path = tmp_path / "m.cofactor"
    cf.fit(cf.read(put(tmp_path / "train.csv", named(TRAIN, *usual))), "als", epochs=1, n_factors=2).save(path)
    for user, item, said in (
        (lambda u: f"U{u}", usual[1], "only in case and blanks"),
        (usual[0], lambda i: f"FILM  {i}", "only in case and blanks"),
        (usual[1], usual[0], "no user and no item"),
        (lambda u: f"Film {100 + u % 20}", lambda i: f"u{i - 99}", "seem to be swapped"),
    ):
        code, _, err = typed("refit", path, put(tmp_path / "newer.csv", named(NEWER, user, item)), "-o", tmp_path / "n")
        assert code == 2
        assert said in " ".join(err.split())
    code, _, _ = typed(
        "refit", path, put(tmp_path / "newer.csv", named(NEWER, lambda u: f"new{u}", usual[1])), "-o", tmp_path / "n"
    )
    assert code == 0


def test_text_that_writes_numbers_keeps_repeats(tmp_path: Path) -> None:
    train = cf.read(pl.DataFrame({"user": [1, 2, 3, 10], "item": [5, 6, 7, 8]}))
    later = [{"user": "10", "item": "8"}, {"user": "2", "item": "8"}, {"user": "10", "item": "8"}]
    path = put(tmp_path / "later.jsonl", "".join(json.dumps(one) + "\n" for one in later))
    found = read_alike(path, train)
    assert found.events.to_frame().select("user", "item").rows() == [(10, 8), (2, 8), (10, 8)]
    assert sorted(found.to_frame().rows()) == [(2, 8, 1.0), (10, 8, 2.0)]


def test_ratings_on_another_scale_are_refused(model: str, tmp_path: Path, typed: Typed) -> None:
    def scaled(how: Callable[[int], Any]) -> str:
        rows = "".join(f"{user},{item},{how(rating)},{time}\n" for user, item, rating, time in TEST)
        return put(tmp_path / "test.csv", "user,item,rating,time\n" + rows)

    for how in (lambda r: r * 20, lambda r: r - 3, lambda r: r / 10, lambda r: 99 if r == 3 else r):
        path = scaled(how)
        for asked in (("evaluate", model, path), ("refit", model, path, "-o", tmp_path / "n")):
            code, _, err = typed(*asked)
            assert code == 2
            assert "those of the training data from 1 to 5" in " ".join(err.split())
    assert typed("evaluate", model, scaled(lambda r: r + 0.5))[0] == 0  # half stars are on the scale
    assert typed("evaluate", model, scaled(lambda r: 99 if r == 3 else r), "--missing", "99")[0] == 0


def test_a_later_matrix_of_few_users_is_one(model: str, tmp_path: Path, typed: Typed) -> None:
    given = {row[:2]: row[2] for row in TEST}
    lines = ["user," + ",".join(str(100 + item) for item in range(20))]
    lines += [f"{user}," + ",".join(str(given.get((user, 100 + i), "")) for i in range(20)) for user in (2, 3)]
    code, out, err = typed("predict", model, "--pairs", put(tmp_path / "wide.csv", "\n".join(lines) + "\n"), "--json")
    assert code == 0, err
    assert {(one["user"], one["item"]) for one in json.loads(out)} == {pair for pair in given if pair[0] in (2, 3)}


def test_a_later_matrix_without_names_is_one(tmp_path: Path, typed: Typed) -> None:
    rng = np.random.default_rng(5)
    grades = np.where(rng.random((40, 25)) < 0.4, rng.integers(1, 6, (40, 25)), 99)
    path = put(tmp_path / "m.csv", "".join(f"{(row < 99).sum()},{','.join(map(str, row))}\n" for row in grades))
    data = cf.read(path)  # as Jester's: how many, then the grades
    cf.fit(data, "als", epochs=1, n_factors=2).save(tmp_path / "m.cofactor")
    code, out, err = typed("predict", tmp_path / "m.cofactor", "--pairs", path, "--json")
    assert code == 0, err
    names = data.columns
    asked = {(one[names.user], one[names.item]) for one in json.loads(out)}
    assert asked == set(data.to_frame().select(names.user, names.item).rows())
