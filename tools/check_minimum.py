"""A short round through the core, for the oldest versions of what it needs: fit, save, load, explain, the program."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import cofactor as cf

MODELS = ("bias", "als", "bayes-mf", "dot-bias", "ease", "ials", "item-cosine")

COMMANDS = (
    "fit ratings.csv --model als --out als.cofactor",
    "check ratings.csv",
    "evaluate als.cofactor ratings.csv",
    "recommend als.cofactor --user {user}",
    "info als.cofactor",
)


def main() -> None:
    """Print a line for each model."""
    ratings = cf.load_dataset("movietweetings-demo", item="title")
    split = cf.split.random(ratings.take(ratings.users < 1000), valid=0.2, seed=0)
    for name in MODELS:
        short = {"epochs": 12, "burn_in": 6} if name == "bayes-mf" else {}
        rec = cf.fit(split.train, model=name, seed=0, **short)
        with tempfile.TemporaryDirectory() as folder:
            rec.save(Path(folder) / "m.cofactor")
            rec = cf.load(Path(folder) / "m.cofactor")
        best = rec.recommend(history={"Inception (2010)": 9, "The Godfather (1972)": 10}, n=1).to_dicts()[0]
        rec.explain(history={"Inception (2010)": 9}, item=best["item"])
        print(f"{name}: {best['item']} ({best['reason']})")
    with tempfile.TemporaryDirectory() as folder:
        table = split.train.to_frame()
        table.write_csv(Path(folder) / "ratings.csv")
        for typed in COMMANDS:
            words = typed.format(user=table["user"][0]).split()
            subprocess.run([sys.executable, "-m", "cofactor", *words], cwd=folder, check=True)


if __name__ == "__main__":
    main()
