"""Training in blocks of rows: the bits of one process, whatever the cut, the processes, and whoever is killed."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cofactor as cf
from cofactor import engines
from cofactor.engines import executors, item_gram, prepare, values
from cofactor.engines import source as sources
from cofactor.engines.executors import Here, Processes
from cofactor.engines.work import Done, Work, put
from cofactor.errors import ConfigError, DataError

CONFIGS: dict[str, dict[str, Any]] = {
    "als": {"n_factors": 3, "epochs": 3},
    "bias": {"epochs": 2},
    "ease": {"neighbours": 20},
    "ials": {"n_factors": 5, "epochs": 2},
    "item-cosine": {"neighbours": 9},
    "next-item": {"neighbours": 12, "transitions": 40, "users": 300, "share": 0.3, "time_power": 0.2, "power": 0.5},
    "popular": {"half_life": 20.0},
    "svd++": {"n_factors": 3, "epochs": 4},
}


def table() -> pl.DataFrame:
    """Some 900 users and 700 items (several chunks of rows), with repeats, text ids and times."""
    rng = np.random.default_rng(5)
    n = 9000
    users, items = rng.integers(0, 900, n), (rng.random(n) ** 2 * 700).astype(int)
    return pl.DataFrame(
        {
            "user": [f"user {u:x}" for u in users],
            "item": items * 7 - 100,
            "rating": rng.integers(1, 11, n) / 2,
            "time": 10**9 + rng.integers(0, 10**7, n),
        }
    )


@pytest.fixture(scope="module")
def pool() -> Iterator[Processes]:
    with engines.processes(2) as found:
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table in four Parquet files of unlike length."""
    place = tmp_path_factory.mktemp("parts")
    frame = table()
    for n, (lo, hi) in enumerate(((0, 4000), (4000, 4100), (4100, 8000), (8000, 9000))):
        (place / f"day={n}").mkdir()
        frame[lo:hi].write_parquet(place / f"day={n}" / "part.parquet")
    (place / "_SUCCESS").touch()
    return place


@pytest.fixture(scope="module")
def one() -> dict[str, Any]:
    """What one process learns."""
    data = cf.read(table())
    return {m: cf.fit(data, model=m, seed=7, calibrate=False, **c) for m, c in CONFIGS.items()}


def same(found: Any, expected: Any) -> None:
    mine, theirs = found.model.state(), expected.model.state()
    assert mine.keys() == theirs.keys()
    for name in mine:
        assert mine[name].dtype == theirs[name].dtype
        np.testing.assert_array_equal(mine[name], theirs[name], err_msg=name)
    assert found.data.user_ids == expected.data.user_ids
    assert found.data.item_ids == expected.data.item_ids
    assert len(found.data) == len(expected.data)
    np.testing.assert_array_equal(np.array(found.history), np.array(expected.history))


@pytest.mark.parametrize("model", CONFIGS)
def test_a_folder_by_two_processes(
    model: str, one: dict[str, Any], folder: Path, pool: Processes, tmp_path: Path
) -> None:
    found = engines.fit(
        folder, model, tmp_path / "w", tmp_path / "m.cofactor", executor=pool, block_rows=256, seed=7, **CONFIGS[model]
    )
    same(found, one[model])
    user = found.data.user_ids.values[3]
    assert found.recommend(user=user, n=5).equals(one[model].recommend(user=user, n=5))


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    model=st.sampled_from(sorted(CONFIGS)),
    block_rows=st.sampled_from([1, 300, 512, 700, 10**6]),
    part_rows=st.integers(500, 9000),
    range_ids=st.sampled_from([60, 500, 10**6]),
    tile=st.sampled_from([1, 20_000, 10**7]),
    data=st.booleans(),
)
def test_any_cut_gives_the_same_bits(
    one: dict[str, Any],
    folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    block_rows: int,
    part_rows: int,
    range_ids: int,
    tile: int,
    data: bool,
) -> None:
    place = tmp_path_factory.mktemp("cut")
    with monkeypatch.context() as patched:
        patched.setattr(sources, "PART_ROWS", part_rows)
        patched.setattr(item_gram, "TILE", tile)
        patched.setattr(prepare, "RANGE_IDS", range_ids)
        rows = cf.read(table()) if data else folder
        out = place / "m.cofactor"
        found = engines.fit(rows, model, place / "w", out, block_rows=block_rows, seed=7, **CONFIGS[model])
    same(found, one[model])
    shutil.rmtree(place)


class Stops(Here):
    """An executor whose process is killed after some steps, as far as the folder can tell."""

    def __init__(self, after: int) -> None:
        self.left = after

    def map(self, function: Any, jobs: Any) -> list[Any]:
        listed = list(jobs)
        if not self.left:
            for job in listed[: len(listed) // 2]:  # some of a step's files are there, its record is not
                function(job)
            raise KeyboardInterrupt
        self.left -= 1
        return super().map(function, listed)


@pytest.mark.parametrize("model", ["als", "ials"])
def test_it_goes_on_where_it_was(model: str, one: dict[str, Any], folder: Path, tmp_path: Path) -> None:
    work, out = tmp_path / "w", tmp_path / "m.cofactor"
    steps = 0
    while True:
        steps += 1
        try:
            found = engines.fit(folder, model, work, out, executor=Stops(2), block_rows=256, seed=7, **CONFIGS[model])
        except KeyboardInterrupt:
            continue
        break
    assert steps > 3
    same(found, one[model])


DRIVER = """
import sys
from cofactor import engines
with engines.processes(2) as pool:
    config = {"n_factors": 3, "epochs": 3, "seed": 7, "block_rows": 256}
    engines.fit(sys.argv[1], "als", sys.argv[2], sys.argv[3], executor=pool, **config)
"""


@pytest.mark.slow
def test_a_killed_driver(one: dict[str, Any], folder: Path, tmp_path: Path) -> None:
    work, out = tmp_path / "w", tmp_path / "m.cofactor"
    command = [sys.executable, "-c", DRIVER, str(folder), str(work), str(out)]
    for record in ("d-encode", "als-002-item"):
        driver = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
        deadline = time.monotonic() + 120
        while not (work / "steps" / f"{record}.json").exists():
            assert time.monotonic() < deadline
            assert driver.poll() is None
            time.sleep(0.01)
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    found = engines.fit(folder, "als", work, out, block_rows=256, seed=7, **CONFIGS["als"])
    same(found, one["als"])


def ends_once(job: tuple[str, int]) -> int:
    mark = Path(job[0]) / str(job[1])
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return job[1] ** 2


def ends(job: Any) -> None:
    os._exit(3)


def fails(job: Any) -> None:
    raise DataError(f"job {job} has no rows") if job == 2 else ConfigError("not this one")


@pytest.mark.slow
def test_workers_that_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "ATTEMPTS", 2)
    with engines.processes(2) as pool:
        assert pool.map(ends_once, [(str(tmp_path), n) for n in range(3)]) == [0, 1, 4]
        with pytest.raises(ConfigError, match=r"ended 2 times in the same job \(exit code 3\)"):
            pool.map(ends, [1])
        with pytest.raises(DataError, match="job 2 has no rows"):
            pool.map(fails, [2])
        assert pool.map(len, ["ab", "c"]) == [2, 1]
        workers = [worker.process for worker in pool.started]
    assert all(worker.poll() is not None for worker in workers)


# ---- what is refused


@pytest.fixture
def begun(folder: Path, tmp_path: Path) -> Path:
    """A work folder that a training left in its second sweep."""
    work = tmp_path / "w"
    with pytest.raises(KeyboardInterrupt):
        _fit(folder, work, executor=Stops(13))
    return work


def _fit(folder: Any, work: Path, **options: Any) -> Any:
    options = {"model": "als", "block_rows": 256, "seed": 7, **CONFIGS["als"], **options}
    return engines.fit(folder, options.pop("model"), work, work.parent / "m.cofactor", **options)


def test_parts_that_are_torn_changed_or_gone(folder: Path, begun: Path) -> None:
    whole = begun.parent / "whole"
    shutil.copytree(begun, whole)
    part = next(p for p in sorted(begun.glob("user-0-table-*.npy")))
    data = part.read_bytes()
    for changed in (data[:-5], data[:40], b"", data[:-1] + bytes([data[-1] ^ 1]), data + b"\0", None):
        if changed is None:
            part.unlink()
        else:
            part.write_bytes(changed)
        with pytest.raises(DataError, match=rf"part {part.stem}.npy .* remove the folder and start again"):
            _fit(folder, begun)
    part.write_bytes(data)
    record = next((begun / "steps").glob("als-001-user.json"))
    text = record.read_text(encoding="utf-8")
    for other in (text[:100], text.replace('"dropped"', '"drop"'), text.replace("table", "tabel", 1), "[]"):
        record.write_text(other)
        with pytest.raises(DataError, match=r"record als-001-user\.json .* is damaged or changed"):
            _fit(folder, begun)
    record.write_text(text)
    same(_fit(folder, begun), _fit(folder, whole))


def test_another_training_in_the_folder(folder: Path, begun: Path, tmp_path: Path) -> None:
    for change, word in (
        ({"seed": 8}, "seed"),
        ({"n_factors": 4}, "config"),
        ({"block_rows": 512}, "block_rows"),
        ({"model": "bias", "n_factors": None, "epochs": 3}, "config, model"),
    ):
        options = {k: v for k, v in {**CONFIGS["als"], **change}.items() if v is not None}
        model = options.pop("model", "als")
        with pytest.raises(ConfigError, match=f"holds another training .it differs in: {word}"):
            engines.fit(folder, model, begun, tmp_path / "m.cofactor", **{"block_rows": 256, "seed": 7, **options})
    with pytest.raises(ConfigError, match="resume=True"):
        _fit(folder, begun, resume=False)
    with pytest.raises(ConfigError, match="differs in: source"):
        _fit([folder / "day=1" / "part.parquet"], begun)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x").touch()
    with pytest.raises(ConfigError, match="holds other files"):
        _fit(folder, tmp_path / "other")
    job = json.loads((begun / "job.json").read_text(encoding="utf-8"))
    assert job["model"] == "als"


def test_sources_that_cannot_be_used(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    pl.DataFrame({"user": ["1"], "item": [2], "rating": ["x"]}).write_parquet(tmp_path / "odd.parquet")
    pl.DataFrame({"user": [1, 2], "item": [2, 3], "rating": [1.0, 2.0], "time": [1, 2]}).write_parquet(
        tmp_path / "numbers.parquet"
    )
    pl.DataFrame({"user": [1, 1], "item": [2, 3], "rating": [1.0, 2.0]}).write_parquet(tmp_path / "alone.parquet")
    for source, words in (
        (tmp_path / "none", "contains no file"),
        (tmp_path / "gone.parquet", "no file"),
        ([], "list of files is empty"),
        (7, "cannot train from a int"),
        ([tmp_path / "odd.parquet"], "odd.parquet: the rating in row 1"),
        ([tmp_path / "alone.parquet"], "only one user"),
        ([folder / "day=1" / "part.parquet", tmp_path / "numbers.parquet"], "user ids are int64 and text"),
    ):
        work = tmp_path / f"w{len(list(tmp_path.iterdir()))}"
        with pytest.raises((DataError, ConfigError), match=words):
            engines.fit(source, "als", work, tmp_path / "m.cofactor")
    for model, words in (("slim", "slim trains on one machine"), ("nobody", "nobody")):
        with pytest.raises(ConfigError, match=words):
            engines.fit(folder, model, tmp_path / "w", tmp_path / "m.cofactor")
    for odd in ({"half_life": 3.0}, {"weighting": "rp3beta"}):
        with pytest.raises(ConfigError, match=f"item-cosine with .*{next(iter(odd))}.* trains on one machine"):
            engines.fit(folder, "item-cosine", tmp_path / "w", tmp_path / "m.cofactor", **odd)
    assert not (tmp_path / "w").exists()


# ---- the rest


@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=50), st.integers(0, 3))
def test_percentiles_of_counts(sample: list[float], repeat: int) -> None:
    array = np.array(sample * (repeat + 1), dtype=np.float32)
    distinct, counts = np.unique(array, return_counts=True)
    found = values.percentiles(distinct, np.cumsum(counts), (1, 99))
    np.testing.assert_array_equal(found.astype(np.float32), np.percentile(array, [1, 99]).astype(np.float32))


@pytest.mark.parametrize("model", ["ials", "item-cosine"])
def test_counts_weigh_as_on_one_machine(model: str, tmp_path: Path) -> None:
    """Repeats add up, returns go, and the floor of the weights is chosen on the same users."""
    rng = np.random.default_rng(2)
    n = 6000
    plays = np.round(np.exp(rng.normal(1.0, 1.5, n))).astype(int) * np.where(rng.random(n) < 0.05, -1, 1)
    frame = pl.DataFrame({"user": rng.integers(0, 400, n), "item": rng.integers(0, 300, n), "plays": plays})
    for at in range(3):
        frame[at * 2000 : (at + 1) * 2000].write_parquet(tmp_path / f"{at}.parquet")
    data = cf.read(frame, count="plays")
    assert data.kind == "counts"
    expected = cf.fit(data, model=model, seed=7, **CONFIGS[model])
    out = tmp_path / "m.cofactor"
    files = sorted(tmp_path.glob("*.parquet"))
    found = engines.fit(files, model, tmp_path / "w", out, count="plays", block_rows=256, seed=7, **CONFIGS[model])
    same(found, expected)
    assert found.data.kind == "counts"
    with pytest.raises(DataError, match="are counts"):
        engines.fit(files, "als", tmp_path / "v", out, count="plays", seed=7)


@pytest.mark.parametrize("weights", [None, {"buy": 5, "view": 1}])
def test_behaviours_count_as_on_one_machine(weights: Any, tmp_path: Path) -> None:
    """Parts in which a behaviour does not occur, and one without a row that counts."""
    rng = np.random.default_rng(3)
    rows = tmp_path / "rows"
    rows.mkdir()
    what = np.repeat(["view", "buy", "return"], [2500, 1000, 500])
    frame = pl.DataFrame({"user": rng.integers(0, 300, 4000), "item": rng.integers(0, 80, 4000), "event": what})
    for at, (lo, hi) in enumerate(((0, 2400), (2400, 3500), (3500, 4000))):
        frame[lo:hi].write_parquet(rows / f"{at}.parquet")
    data = cf.read(frame, behaviour="event", weights=weights)
    expected = cf.fit(data, model="ials", seed=7, **CONFIGS["ials"])

    def fit(weights: Any, place: str) -> Any:
        given = {"behaviour": "event", "weights": weights, "seed": 7}
        return engines.fit(rows, "ials", tmp_path / place, tmp_path / "m.cofactor", **given, **CONFIGS["ials"])

    found = fit(weights, "w")
    same(found, expected)
    assert found.data.kind == data.kind == "events"
    assert found.data.columns == data.columns
    (rows / "2.parquet").unlink()
    with pytest.raises(DataError, match="no behaviour 'by' in the files; there are: 'buy', 'view'"):
        fit({"by": 2}, "v")


def test_folders_patterns_and_addresses(tmp_path: Path) -> None:
    """Names of folders are columns, as cf.read takes them; text and addresses are read, too."""
    fsspec = pytest.importorskip("fsspec")
    hive, text = tmp_path / "hive", tmp_path / "text"
    text.mkdir()
    store = fsspec.filesystem("memory")
    frame = table().with_columns(pl.col("item").cast(pl.Int64))
    for item, rows in frame[:1500].with_columns(at=pl.col("item") % 3).partition_by("at", as_dict=True).items():
        (hive / f"shop={item[0]}").mkdir(parents=True)
        rows.drop("at").write_parquet(hive / f"shop={item[0]}" / "a.parquet")
    frame[:700].write_csv(text / "1.csv")
    frame[700:1500].write_csv(text / "2.csv")
    (hive / "_SUCCESS").touch()
    for file in hive.rglob("*.parquet"):
        store.pipe_file(f"/{tmp_path.name}/{file.relative_to(hive)}", file.read_bytes())
    address = f"memory://{tmp_path.name}"
    columns = {"user": "user", "rating": "rating"}
    for at, (source, item) in enumerate(
        (
            (hive, "shop"),
            (str(hive / "*" / "*.parquet"), "item"),
            (text, "item"),
            (f"{address}/*/*.parquet", "item"),
            (address, "shop"),
        )
    ):
        names = {**columns, "item": item, "time": "time"}
        found = engines.fit(source, "bias", tmp_path / f"w{at}", tmp_path / "m", seed=7, epochs=2, **names)
        same(found, cf.fit(cf.read(source, **names), model="bias", seed=7, calibrate=False, epochs=2))
    assert cf.read(address, **columns, item="shop").to_frame().equals(cf.read(hive, **columns, item="shop").to_frame())
    for source, words in (
        ("memory://nowhere/x.parquet", "no file at memory://nowhere/x.parquet"),
        ("nothing://bucket/x", "nothing://bucket/x cannot be read: fsspec knows no protocol 'nothing'"),
    ):
        with pytest.raises(DataError, match=words):
            cf.read(source)
        with pytest.raises(DataError, match=words):
            engines.fit(source, "bias", tmp_path / "v", tmp_path / "m")


def test_values_that_no_model_can_hold(tmp_path: Path) -> None:
    frame = pl.DataFrame({"user": [1, 1, 2], "item": [1, 2, 1], "rating": [1.0, 2.0, 3e15]})
    for ratings, words in ((frame["rating"], "values reach 3e"), (pl.Series([2.0] * 3), "every rating is 2")):
        (tmp_path / "r.parquet").unlink(missing_ok=True)
        frame.with_columns(rating=ratings).write_parquet(tmp_path / "r.parquet")
        for source in (tmp_path / "r.parquet", cf.read(tmp_path / "r.parquet", kind="ratings")):
            work = tmp_path / f"w{len(list(tmp_path.iterdir()))}"
            with pytest.raises(DataError, match=words):
                engines.fit(source, "als", work, tmp_path / "m", kind="ratings")


def test_the_folder_keeps_every_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    value = {"a": rng.standard_normal((3, 2)).astype(np.float32), "b": [1e-300, 3, None, "x"], "c": np.float64(0.1)}
    work = Work(tmp_path / "w", {}, Here(), resume=True)
    for _ in range(2):
        found = work.alone("s", lambda: [Done(value, [])])[0]
        assert found["a"].dtype == np.float32
        np.testing.assert_array_equal(found["a"], value["a"])
        assert found["b"] == value["b"]
        assert found["c"] == 0.1
        work.release()
        work = Work(tmp_path / "w", {}, Here(), resume=True)
    work.release()


def test_one_training_works_in_a_folder_at_a_time(tmp_path: Path) -> None:
    place = tmp_path / "w"
    first = Work(place, {"a": 1}, Here(), resume=True)
    with pytest.raises(ConfigError, match=r"another training is using the folder"):
        Work(place, {"a": 1}, Here(), resume=True)
    first.release()
    second = Work(place, {"a": 1}, Here(), resume=True)  # the folder is that of the same training
    second.release()
    with pytest.raises(ConfigError, match="holds another training"):
        Work(place, {"a": 2}, Here(), resume=True)
    Work(place, {"a": 1}, Here(), resume=True).release()  # who is refused holds nothing


def test_a_full_disk_is_told(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a part is written, and where the record of a step is; training then goes on where it was."""

    def full(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    for at, name in enumerate(("open", "_write")):
        with monkeypatch.context() as patch:
            work = Work(tmp_path / f"w{at}", {}, Here(), resume=True)
            patch.setattr("cofactor.engines.work." + name, full, raising=False)
            with pytest.raises(ConfigError, match=r"cannot write in the work folder .*: No space left on device"):
                work.alone("one", lambda: [Done(1, [put(work.folder, "x", np.arange(3))])])  # noqa: B023
        assert work.alone("one", lambda: [Done(1, [put(work.folder, "x", np.arange(3))])]) == [1]  # noqa: B023
        work.release()
    for wrong in (None, "", 3):
        with pytest.raises(ConfigError, match=r"work is .*give an empty or new folder"):
            engines.fit(folder, model="bias", work=wrong, out=tmp_path / "out")  # type: ignore[arg-type]
