"""bayes-mf on ml-1m, random 90/10 (seed 7): RMSE, coverage of intervals and seconds, without and with implicit terms.

    python benchmarks/accuracy/bayes_ml1m.py

COFACTOR_DATA_DIR holds ml-1m. Times are left out, as most copies of this split have none. Published: 0.8161 with side
features and times besides (Rendle, Zhang & Koren 2019), on another random split. Prints a Markdown table.
"""

from __future__ import annotations

import time

import numpy as np

from cofactor.data.datasets import load_dataset
from cofactor.models.bayes_mf.model import BayesMF, BayesMFConfig


def main() -> None:
    data = load_dataset("ml-1m", download=False)
    held_out = np.random.default_rng(7).random(len(data)) < 0.1
    train, test = data.take(~held_out), data.take(held_out)
    print("| setting | RMSE | 90 % covers | s | MB of state |\n|---|---|---|---|---|")
    for name, implicit in (("ratings alone", False), ("implicit", True)):
        model = BayesMF(BayesMFConfig(implicit=implicit, time=False))
        start = time.perf_counter()
        stepper = model.stepper(train, np.random.default_rng(0))
        for _ in range(model.config.epochs):
            stepper.run(None, None)
        seconds = time.perf_counter() - start
        error = model.predict(test.users, test.items) - test.values
        bounds = model.predict_interval(test.users, test.items, 0.9)
        covers = np.mean((test.values >= bounds.low) & (test.values <= bounds.high))
        size = sum(a.nbytes for a in model.state().values()) / 1e6
        print(f"| {name} | {np.sqrt(np.mean(error**2)):.4f} | {covers:.3f} | {seconds:.0f} | {size:.0f} |", flush=True)


if __name__ == "__main__":
    main()
