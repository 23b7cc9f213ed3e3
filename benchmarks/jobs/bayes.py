"""bayes-mf against myFM on folds of ml-100k: RMSE, seconds, sweeps a second."""

from __future__ import annotations

import os

from common import HERE, QUICK, Page, script
from environments import python_of, versions_of


def main() -> None:
    rival = python_of("ranking")
    os.environ.setdefault("NUMBA_NUM_THREADS", "2")
    page = Page("bayes", "Gibbs sampling: bayes-mf and myFM")
    page.versions.append(versions_of(rival, "myfm"))
    which = ["--folds", "1", "--settings", "plain"] if QUICK else ["--folds", "1,2"]
    shown = script(HERE / "accuracy" / "bayes_vs_myfm.py", "--rival", rival, *which)
    page.say(
        "The first two published folds of ml-100k, both sides in turn, each in a process of its own. Ours with its"
        " defaults on two threads, myFM with rank 10 and 300 iterations (it has no threads). *Time ratio*: ours over"
        " theirs; sweeps a second at the same rank of 10, those of all chains. Targets: a third of the time, three"
        " times the sweeps. All five folds: `python benchmarks/accuracy/bayes_vs_myfm.py --rival PYTHON`."
    )
    page.show(shown)
    page.write()


if __name__ == "__main__":
    main()
