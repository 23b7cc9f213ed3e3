"""A process forked after threads had started never waits for ever: it is told what to do. One forked before works."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")

PARENT = """
import os, signal, sys, warnings
import numpy as np
import cofactor as cf
import cofactor.engines, cofactor.report

rng = np.random.default_rng(0)
frame = {"user": rng.integers(0, 300, 20000), "item": rng.integers(0, 200, 20000), "rating": rng.integers(1, 6, 20000)}
import polars as pl
frame = pl.DataFrame(frame)
pairs = pl.DataFrame([frame["user"], frame["item"]])
few = frame[:5]
place = sys.argv[1]

def used():
    rec.recommend_all(n=3)

def verbs():
    yield "read", lambda: cf.read(f"{place}/t.csv")
    yield "frame", lambda: cf.read(frame)
    yield "load", lambda: cf.load(f"{place}/m.cofactor")
    yield "fit", lambda: cf.fit(frame, model="bias")
    yield "compare", lambda: cf.compare(data, models=["bias"])
    yield "evaluate", lambda: cf.evaluate(rec, data)
    yield "predict", lambda: rec.predict(pairs)
    yield "recommend", lambda: rec.recommend(user=3, n=5)
    yield "history", lambda: rec.recommend(history={3: 5}, n=5)
    yield "recommend_all", lambda: rec.recommend_all(n=3)
    yield "similar_items", lambda: rec.similar_items(3)
    yield "update", lambda: rec.update(few)
    yield "save", lambda: rec.save(f"{place}/n.cofactor")
    yield "load_dataset", lambda: cf.load_dataset("movietweetings-demo")
    yield "check", lambda: cf.check(data)
    yield "explanation", lambda: str(why)
    yield "page", lambda: why._repr_html_()
    yield "tune", lambda: cf.tune(data, model="als", trials=1)
    yield "report", lambda: cofactor.report.write_report(rec, f"{place}/r.html")
    yield "engines.fit", lambda: cofactor.engines.fit(data, "als", f"{place}/work", f"{place}/o.cofactor")
    yield "engines.evaluate", lambda: cofactor.engines.evaluate(f"{place}/m.cofactor", data)
    yield "engines.recommend_all", lambda: cofactor.engines.recommend_all(f"{place}/m.cofactor", f"{place}/lists")

if sys.argv[2] == "after":
    data = cf.read(frame)
    rec = cf.fit(data, model="als", epochs=2, calibrate=False)
    frame.write_csv(f"{place}/t.csv")
    rec.save(f"{place}/m.cofactor")
    rec.recommend_all(n=3)
    why = rec.explain(user=3, item=5)
    for name, verb in verbs():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            child = os.fork()
        if not child:
            signal.alarm(30)
            try:
                verb()
                print(name, "worked", flush=True)
            except cf.CofactorError as error:
                print(name, "refused:", error, flush=True)
            os._exit(0)
        print(name, "ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:  # everything was imported, nothing was used
    import cofactor.api.fit, cofactor.recommender, cofactor.selection.compare, cofactor.models.als
    for _ in range(2):
        child = os.fork()
        if not child:
            signal.alarm(100)
            data = cf.read(f"{place}/t.csv")
            rec = cf.fit(data, model="als", epochs=2, calibrate=False)
            print(len(rec.recommend(user=3, n=5)), rec.predict(pairs, unknown="popular").height, flush=True)
            os._exit(0)
        print("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def run(place: Path, when: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PARENT, str(place), when],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_forked_after_use(tmp_path: Path) -> None:
    lines = run(tmp_path, "after")
    names = [line.split()[0] for line in lines[::2]]
    assert len(names) == 22
    for name, said, ended in zip(names, lines[::2], lines[1::2]):
        assert said.startswith(f"{name} refused: this process was forked while threads of polars were running"), said
        assert "get_context('spawn')" in said
        assert ended == f"{name} ended 0"
    (tmp_path / "t.csv").unlink()


def test_forked_before_use(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "user,item,rating\n" + "".join(f"{n % 50},{n * 7 % 31},{n % 5 + 1}\n" for n in range(1500))
    )
    lines = run(tmp_path, "before")
    assert len(lines) == 4
    assert all(line.endswith(" 20000") for line in lines[::2])
    assert lines[1::2] == ["ended 0"] * 2


def test_the_alarm_of_this_test_would_ring() -> None:
    """A child that waits for ever ends by the alarm, and is then seen as -14 above."""
    child = os.fork()
    if not child:
        signal.alarm(1)
        signal.pause()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGALRM
