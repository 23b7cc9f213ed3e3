"""Rankers of others, trained on rows saved as arrays; their scores of every user and item are saved as a matrix.

Runs in an environment of theirs. Asked: ``method``, ``file`` (the rows), ``runs`` (a list of ``[setting, out]``) and
``limit`` (seconds, after which no training is begun). ``positives`` in a setting says what a training rating counts:

- ``all``: every row is a positive, all alike; what the libraries' own examples do with clicks
- ``good``: rows rated 4 or more are the positives, the others are not looked at
- ``graded``: a row counts from nought (the lowest rating) to one (the highest), for methods that take weights

Figures are computed elsewhere, by one program for everybody. Prints how many trainings were done.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

Array = Any
THREADS = int(os.environ.get("OMP_NUM_THREADS", "1"))


def positives(data: Any, how: str, good: float = 4.0) -> sp.csr_matrix:
    """Users x items, float32."""
    values = data["train_values"].astype(np.float32)
    low, high = values.min(), values.max()
    weights = {"all": np.ones_like(values), "good": values >= good, "graded": (values - low) / (high - low)}[how]
    pairs = (data["train_users"], data["train_items"])
    matrix = sp.csr_matrix((weights.astype(np.float32), pairs), shape=tuple(data["shape"]))
    matrix.eliminate_zeros()
    return matrix


def popular(rows: sp.csr_matrix) -> Array:
    """How often each item was taken, alike for everybody."""
    return np.tile(np.asarray(rows.sum(axis=0)), (rows.shape[0], 1))


def implicit_als(rows: sp.csr_matrix, alpha: float, **setting: Any) -> Array:
    from implicit.cpu.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(random_state=0, num_threads=THREADS, **setting)
    model.fit((rows * alpha).tocsr(), show_progress=False)
    return model.user_factors @ model.item_factors.T


def implicit_bpr(rows: sp.csr_matrix, **setting: Any) -> Array:
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(random_state=0, num_threads=THREADS, **setting)
    model.fit(rows, show_progress=False)
    return model.user_factors @ model.item_factors.T


def cornac_bpr(rows: sp.csr_matrix, **setting: Any) -> Array:
    import cornac

    coo = rows.tocoo()
    data = cornac.data.Dataset.from_uir(list(zip(coo.row.tolist(), coo.col.tolist(), coo.data.tolist())))
    model = cornac.models.BPR(seed=0, verbose=False, num_threads=THREADS, **setting)
    model.fit(data)
    scores = np.full(rows.shape, -np.inf, dtype=np.float32)
    users, items = (np.array(list(m)) for m in (data.uid_map, data.iid_map))
    scores[np.ix_(users, items)] = model.u_factors @ model.i_factors.T + model.i_biases
    return scores


def implicit_knn(rows: sp.csr_matrix, kind: str, **setting: Any) -> Array:
    """BM25, TF-IDF or cosine neighbours of items."""
    from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender

    model = {"bm25": BM25Recommender, "tfidf": TFIDFRecommender, "cosine": CosineRecommender}[kind](**setting)
    model.fit(rows.astype(np.float64), show_progress=False)
    return (rows @ model.similarity).toarray()


def lightfm(rows: sp.csr_matrix, epochs: int, **setting: Any) -> Array:
    """WARP. With weights a row is drawn as often as any other, and its step is scaled."""
    from lightfm import LightFM

    model = LightFM(loss="warp", random_state=0, **setting)
    coo = rows.tocoo()
    ones = sp.coo_matrix((np.ones_like(coo.data), (coo.row, coo.col)), shape=coo.shape)
    weights = None if np.all(coo.data == 1) else coo
    model.fit(ones, sample_weight=weights, epochs=epochs, num_threads=THREADS)
    _, users = model.get_user_representations()
    item_bias, items = model.get_item_representations()
    return users @ items.T + item_bias


def ease(rows: sp.csr_matrix, reg: float) -> Array:
    """Steck 2019, in its ten lines."""
    gram = (rows.T @ rows).toarray().astype(np.float64)
    gram[np.diag_indices_from(gram)] += reg
    inverse = np.linalg.inv(gram)
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return rows @ weights


def pure_svd(rows: sp.csr_matrix, factors: int) -> Array:
    """Cremonesi, Koren & Turrin 2010."""
    from scipy.sparse.linalg import svds

    _, _, items = svds(rows.astype(np.float64), k=factors, random_state=0)
    return (rows @ items.T) @ items


def slim(rows: sp.csr_matrix, alpha: float, l1_ratio: float) -> Array:
    """Ning & Karypis 2011 by scikit-learn's ElasticNet, an item at a time, weights not below nought."""
    import warnings

    from sklearn.linear_model import ElasticNet

    dense = np.asfortranarray(rows.toarray().astype(np.float64))
    gram = dense.T @ dense
    n = dense.shape[1]
    weights = np.zeros((n, n))
    model = ElasticNet(alpha=alpha, l1_ratio=l1_ratio, positive=True, fit_intercept=False, max_iter=100, tol=1e-3)
    model.copy_X = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for item in range(n):
            y = dense[:, item].copy()
            if not y.any():
                continue
            kept, row = gram[item].copy(), dense[:, item]
            row[:] = 0  # an item does not explain itself
            gram[item], gram[:, item] = 0, 0
            weights[:, item] = model.set_params(precompute=gram).fit(dense, y).coef_
            row[:] = y
            gram[item], gram[:, item] = kept, kept
    return rows @ weights


METHODS: dict[str, Callable[..., Array]] = {
    "popular": popular,
    "implicit-als": implicit_als,
    "implicit-bpr": implicit_bpr,
    "cornac-bpr": cornac_bpr,
    "implicit-knn": implicit_knn,
    "lightfm": lightfm,
    "ease": ease,
    "pure-svd": pure_svd,
    "slim": slim,
}


def main() -> None:
    asked = json.loads(sys.argv[1])
    begun, done = time.monotonic(), 0
    data = dict(np.load(asked["file"]))
    for setting, out in asked["runs"]:
        if time.monotonic() - begun > asked["limit"]:
            break
        options = dict(setting)
        start, cpu = time.perf_counter(), time.process_time()
        scores = METHODS[asked["method"]](positives(data, options.pop("positives")), **options)
        seconds = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu}
        np.save(out, np.asarray(scores, dtype=np.float32))
        Path(out).with_suffix(".json").write_text(json.dumps({"setting": setting, **seconds}))
        done += 1
    print(json.dumps(done))


if __name__ == "__main__":
    main()
