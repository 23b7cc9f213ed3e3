"""Speed of ``ials`` against implicit's ALS, and of ``ease`` against its ten-line NumPy form, on ml-1m, in one run.

    python benchmarks/accuracy/rankers_speed.py --rival PYTHON      PYTHON: an interpreter with implicit installed
    python benchmarks/accuracy/rankers_speed.py --ease              only ease

Rounds alternate; figures are medians over rounds of the median seconds an iteration (the first of each run, which may
compile or fault in memory, apart). implicit runs as its documentation advises: OPENBLAS_NUM_THREADS=1, all cores, its
default solver (three conjugate-gradient steps). Needs ml-1m in $COFACTOR_DATA_DIR.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

RIVAL = """
import sys, time
import numpy as np, scipy.sparse as sp
from implicit.cpu.als import AlternatingLeastSquares
users, items = np.load(sys.argv[1])
matrix = sp.csr_matrix((np.ones(len(users), np.float32), (users, items)))
seconds = []
model = AlternatingLeastSquares(factors=int(sys.argv[2]), iterations=7, random_state=0, num_threads=int(sys.argv[3]))
model.fit(matrix, show_progress=False, callback=lambda iteration, elapsed, *rest: seconds.append(elapsed))
print(np.median(seconds[1:]))
"""


def ours(data: object, factors: int) -> float:
    from cofactor.models.ials import Ials, IalsConfig

    stepper = Ials(IalsConfig(n_factors=factors)).stepper(data, np.random.default_rng(0))
    seconds = []
    for _ in range(7):
        start = time.perf_counter()
        stepper.run(None, None)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds[1:]))


def theirs(python: str, path: Path, factors: int, threads: int) -> float:
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": str(threads)}
    command = [python, "-c", RIVAL, str(path), str(factors), str(threads)]
    return float(subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout)


def compare_ials(data: object, python: str, rounds: int, threads: int) -> None:
    print("| factors | ials, s an iteration | implicit | ratio |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pairs.npy"
        np.save(path, np.stack([data.users, data.items]))
        for factors in (64, 256):
            pairs = [(theirs(python, path, factors, threads), ours(data, factors)) for _ in range(rounds)]
            rival, mine = (float(np.median(times)) for times in zip(*pairs, strict=True))
            print(f"| {factors} | {mine:.3f} | {rival:.3f} | {rival / mine:.2f} |", flush=True)


def ten_lines(x: object, reg: float, dtype: type) -> np.ndarray:
    gram = (x.T @ x).toarray().astype(dtype)
    gram[np.diag_indices(len(gram))] += reg
    inverse = np.linalg.inv(gram)
    weights = inverse / (-np.diag(inverse))
    np.fill_diagonal(weights, 0)
    return weights


def compare_ease(data: object, rounds: int) -> None:
    import scipy.sparse as sp

    from cofactor.models.ease import Ease, EaseConfig

    x = sp.csr_matrix((np.ones(len(data), np.float32), (data.users, data.items)))
    times: dict[str, list[float]] = {"ease": [], "NumPy, float32": [], "NumPy, float64": []}
    for _ in range(rounds + 1):
        for name, dtype in (("NumPy, float32", np.float32), ("NumPy, float64", np.float64)):
            start = time.perf_counter()
            weights = ten_lines(x, 200.0, dtype)
            times[name].append(time.perf_counter() - start)
        model = Ease(EaseConfig(reg=200.0, min_rating_weight=1.0))
        start = time.perf_counter()
        model.stepper(data, np.random.default_rng(0)).run(None, None)
        times["ease"].append(time.perf_counter() - start)
    error = float(np.abs(model.weights - weights).max() / np.abs(weights).max())
    mine = float(np.median(times["ease"][1:]))
    print(
        f"| ease | seconds | times ease |\n|---|---|---|\n| ease (error {error:.1e} of the largest) | {mine:.2f} | 1 |"
    )
    for name in ("NumPy, float32", "NumPy, float64"):
        value = float(np.median(times[name][1:]))
        print(f"| {name} | {value:.2f} | {value / mine:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rival", help="python with implicit")
    parser.add_argument("--ease", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    if not (args.rival or args.ease):
        sys.exit("give --rival PYTHON, --ease, or both")
    from cofactor.data.datasets import load_dataset

    data = load_dataset("ml-1m", item="id")
    if args.ease:
        compare_ease(data, args.rounds)
    if args.rival:
        compare_ials(data, args.rival, args.rounds, int(os.environ.get("NUMBA_NUM_THREADS", os.cpu_count() or 1)))


if __name__ == "__main__":
    main()
