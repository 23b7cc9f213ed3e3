"""Top ten for all users of ML-1M: cofactor, implicit, NumPy."""

from __future__ import annotations

from common import HERE, OURS, QUICK, RIVALS, Page, folder, mid, save, table, worker
from environments import python_of, versions_of

import cofactor as cf

ROUNDS, RUNS, EPOCHS = (1, 1, 1) if QUICK else (3, 5, 5)


def main() -> None:
    rival = python_of("ranking")
    page = Page("top_n", "Ten items for every user of ML-1M")
    page.versions.append(versions_of(rival, "implicit"))
    data = cf.load_dataset("ml-1m", item="id")
    ours, theirs = [], []
    with folder() as there:
        file = save(there / "rows.npz", train=data)
        for _ in range(ROUNDS):
            out = str(there / "factors.npz")
            ours.append(
                worker(
                    OURS,
                    HERE / "ours" / "top_n.py",
                    {"file": file, "out": out, "runs": RUNS, "epochs": EPOCHS},
                    threads=2,
                )
            )
            # as its documentation advises: its own threads, BLAS with one
            theirs.append(
                worker(
                    rival, RIVALS / "implicit_topk.py", {"file": out, "runs": RUNS}, threads=2, OPENBLAS_NUM_THREADS="1"
                )
            )
    page.say(
        f"{data.n_users:,} users, {data.n_items:,} items, 50 factors and biases (52 columns), n=10, the {len(data):,}"
        f" ratings seen left out, 2 threads. Medians over {ROUNDS} rounds of the median of {RUNS} calls, warm, in"
        " turn."
    )
    base = mid(ours, "kernel")
    rows = [
        [label, f"{value:.3f}", f"{value / base:.1f}"]
        for label, value in (
            ("**cofactor**: scores, mask, selection", base),
            ("**cofactor**: `recommend_all`, a frame with ids", mid(ours, "frame")),
            ("**cofactor**: `recommend_all`, a Parquet file", mid(ours, "parquet")),
            ("implicit: `recommend`", mid(theirs, "seconds")),
            ("NumPy: BLAS, `argpartition`", mid(ours, "numpy")),
        )
    ]
    page.show(table(["all users", "seconds", "times the first row"], rows))
    page.say(
        f"Share of equal entries in the lists: NumPy {mid(ours, 'agree'):.4f}, implicit {mid(theirs, 'agree'):.4f}."
        f" Memory: {mid(ours, 'memory'):.0f} MB more than before the first list, peak of the process"
        f" {mid(ours, 'peak'):.0f} MB. Targets: under 1 s for the lists, under 2 s for `recommend_all`, peak under"
        " 600 MB."
    )
    page.write()


if __name__ == "__main__":
    main()
