"""Matrix factorisation on ML-100k: RMSE against seconds, cofactor, libmf, Cornac, Surprise, LensKit."""

from __future__ import annotations

from factorisation import Side, write

import cofactor as cf

SIDES = [
    Side("cofactor dot-bias", "dot-bias", {"weight_decay": 0.2}, {"epochs": [3, 5, 8]}, 8),
    Side("cofactor als", "als", {"n_factors": 8}, {"epochs": [3, 5, 10, 20, 30]}, 5),
    Side("cofactor bayes-mf, ratings alone", "bayes-mf", {"implicit": False}, {"epochs": [50, 150]}, 0, rounds=1),
    Side("cofactor bayes-mf", "bayes-mf", {}, {"epochs": [50, 150]}, 0, rounds=1),
    Side("libmf", "libmf", {"k": 64, "reg": 0.1, "eta": 0.03}, {"nr_iters": [40, 70, 100, 130]}, 18),
    Side(
        "Cornac MF", "cornac", {"k": 64, "lambda_reg": 0.1, "learning_rate": 0.01}, {"max_iter": [20, 40, 60, 80]}, 11
    ),
    Side(
        "Surprise SVD",
        "surprise",
        {"n_factors": 100, "reg_all": 0.12, "lr_all": 0.01},
        {"n_epochs": [40, 60]},
        5,
        rounds=1,
    ),
    Side("LensKit ALS", "lenskit", {"features": 64, "regularization": 0.15}, {"epochs": [5, 10, 20]}, 7, rounds=1),
]


def main() -> None:
    split = cf.split.random(cf.load_dataset("ml-100k", item="id"), valid=0.2, seed=42)
    write(
        "factorise_100k",
        "Matrix factorisation, ML-100k",
        f"A random 80/20 split (seed 42): {len(split.train):,} training rows.",
        SIDES,
        split,
    )


if __name__ == "__main__":
    main()
