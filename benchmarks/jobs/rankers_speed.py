"""Rankers on ML-1M: ials against implicit, ease against its ten-line NumPy form."""

from __future__ import annotations

import os

from common import HERE, QUICK, Page, script
from environments import python_of, versions_of


def main() -> None:
    rival = python_of("ranking")
    os.environ.setdefault("NUMBA_NUM_THREADS", "2")
    page = Page("rankers_speed", "Speed of the rankers on ML-1M")
    page.versions.append(versions_of(rival, "implicit"))
    shown = script(
        HERE / "accuracy" / "rankers_speed.py", "--ease", "--rival", rival, "--rounds", "1" if QUICK else "3"
    )
    ease, _, ials = shown.partition("\n| factors")
    page.say(
        "`ease`: the whole fit (matrix products and the inverse by BLAS) against the ten lines of NumPy that"
        " everybody writes, regularisation 200. Target: no slower."
    )
    page.show(ease)
    page.say(
        "`ials`: seconds an iteration on 2 threads against implicit's ALS with its own defaults (conjugate"
        " gradients, three steps), BLAS with one thread. Target: no slower at 64 and at 256 factors."
    )
    page.show("| factors" + ials)
    page.write()


if __name__ == "__main__":
    main()
