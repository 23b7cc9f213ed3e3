"""Matrix factorisation on ML-1M: RMSE against seconds, cofactor, libmf, Cornac, Surprise, LensKit."""

from __future__ import annotations

from factorisation import Side, write

import cofactor as cf

SIDES = [
    Side(
        "cofactor dot-bias",
        "dot-bias",
        {"batch_size": 256, "lr": 5e-3, "weight_decay": 0.1},
        {"epochs": [3, 4, 5, 8]},
        17,
    ),
    Side("cofactor als", "als", {}, {"epochs": [3, 5, 10, 15]}, 3),
    Side("cofactor bayes-mf, ratings alone", "bayes-mf", {"implicit": False}, {"epochs": [40]}, 0, rounds=1),
    Side("libmf", "libmf", {"k": 64, "reg": 0.06, "eta": 0.05}, {"nr_iters": [20, 40, 60, 80]}, 10),
    Side("Cornac MF", "cornac", {"k": 64, "lambda_reg": 0.05, "learning_rate": 0.01}, {"max_iter": [20, 30, 40]}, 11),
    Side(
        "Surprise SVD",
        "surprise",
        {"n_factors": 100, "reg_all": 0.07, "lr_all": 0.01},
        {"n_epochs": [20, 40]},
        7,
        rounds=1,
    ),
    Side("LensKit ALS", "lenskit", {"features": 64, "regularization": 0.1}, {"epochs": [5, 10]}, 4, rounds=1),
]


def main() -> None:
    split = cf.split.random(cf.load_dataset("ml-1m", item="id"), valid=0.1, seed=42)
    about = f"A random 90/10 split (seed 42): {len(split.train):,} training rows."
    write("factorise_1m", "Matrix factorisation, ML-1M", about, SIDES, split)


if __name__ == "__main__":
    main()
