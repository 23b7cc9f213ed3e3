"""How much a user loses by being folded in instead of trained: every model, on a fifth of the users of a dataset.

A fifth of the users is held out; half of each one's ratings is their history, the other half is the test. *Folded in*:
a model trained without these users takes the histories in with its items fixed. *Trained*: the same model, seed and
config, trained with the histories among its rows. Rating models: RMSE; rankers: NDCG@10 over all items that are not in
the history, test ratings of at least ``--relevant`` being relevant. Predictions are without times.

    python benchmarks/fold_in.py --dataset ml-100k --models als,ease --out benchmarks/results/fold_in.md
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import polars as pl

import cofactor as cf
from cofactor.data.interactions import Interactions, Split
from cofactor.evaluation.metrics import ndcg
from cofactor.model import FoldIn
from cofactor.models import REGISTRY, model_class
from cofactor.recommend.topn import mask_rows, top_n


def joined(a: Interactions, b: Interactions) -> Interactions:
    """The rows of both."""
    times = None if a.times is None or b.times is None else np.concatenate([a.times, b.times])
    rows = [np.concatenate([getattr(a, name), getattr(b, name)]) for name in ("users", "items", "values")]
    return a.replace(users=rows[0], items=rows[1], values=rows[2], times=times)


def rmse(scores: np.ndarray, who: np.ndarray, test: Interactions, limits: tuple[float, float]) -> float:
    """Root mean squared error on the test rows; ``scores`` has a row for each of the users ``who``."""
    predicted = np.clip(scores[np.searchsorted(who, test.users), test.items], *limits)
    return float(np.sqrt(np.mean((predicted - test.values) ** 2)))


def ndcg_at_10(scores: np.ndarray, who: np.ndarray, split: Split, relevant: float) -> float:
    """Mean NDCG@10 over the users with a relevant item in the test part."""
    scores = np.array(scores)
    mask_rows(scores, split.given.by_user.take(who))
    top, _ = top_n(scores, 10)
    wanted = split.valid.take(split.valid.values >= relevant).by_user.take(who)
    hits = np.array([np.isin(top[r], wanted.row(r)[0]) for r in range(len(who))])
    has = wanted.counts > 0
    return float(ndcg(hits[has], wanted.counts[has]).mean())


def measure(name: str, split: Split, seed: int, relevant: float, config: dict[str, object]) -> dict[str, object]:
    """Both figures for one model, their ratio (above 1: folding in is worse), and the milliseconds of a fold-in."""
    who = np.unique(split.given.users)
    limits = split.train.range
    cf.fit(split.train.take(np.arange(0, len(split.train), 50)), model=name, seed=seed, calibrate=False, **config)
    started = time.perf_counter()
    without = cf.fit(split.train, model=name, seed=seed, calibrate=False, **config).model
    seconds = time.perf_counter() - started
    if not isinstance(without, FoldIn):
        return {"model": name, "note": "no fold-in"}
    histories = split.given.by_user.take(who)
    without.fold_in(histories.take(np.arange(2)))
    started = time.perf_counter()
    state = without.fold_in(histories)
    each = 1000 * (time.perf_counter() - started) / len(who)
    folded = without.scores_from(state)
    trained = cf.fit(joined(split.train, split.given), model=name, seed=seed, calibrate=False, **config).model.scores(
        who
    )
    if without.task == "rating":
        a, b = (rmse(s, who, split.valid, limits) for s in (folded, trained))
        loss, metric = a / b, "RMSE"
    else:
        a, b = (ndcg_at_10(s, who, split, relevant) for s in (folded, trained))
        loss, metric = b / a, "NDCG@10"
    return {
        "model": name,
        "metric": metric,
        "folded in": a,
        "trained": b,
        "worse by %": 100 * (loss - 1),
        "ms a user": each,
        "fit s": seconds,
    }


HEAD = """# Fold-in against training

Made by `python benchmarks/fold_in.py --out FILE`; the file says what is compared. Every model at its defaults.
*Worse by %* above 0: folding in loses against training. *ms a user* is `fold_in` alone, for all users at once.

"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="ml-100k")
    parser.add_argument("--models", default=",".join(REGISTRY))
    parser.add_argument("--config", default="{}", help="JSON: config fields by model")
    parser.add_argument("--relevant", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    configs = json.loads(args.config)
    split = cf.split.by_user(cf.load_dataset(args.dataset), users=0.2, given=0.5, seed=args.seed)
    rows = []
    for name in args.models.split(","):
        model_class(name)
        rows.append(measure(name, split, args.seed, args.relevant, configs.get(name, {})))
        print(rows[-1], flush=True)
    frame = pl.DataFrame(rows, infer_schema_length=None)
    if args.out is not None:
        with pl.Config(tbl_formatting="MARKDOWN", tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True):
            pl.Config.set_tbl_rows(100).set_tbl_cols(20).set_float_precision(4)
            args.out.parent.mkdir(parents=True, exist_ok=True)
            args.out.write_text(f"{HEAD}{args.dataset}, {split.how}.\n\n{frame}\n", encoding="utf-8")
    print(frame)


if __name__ == "__main__":
    main()
