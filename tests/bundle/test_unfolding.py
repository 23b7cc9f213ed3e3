"""A small bundle cannot become a large one: what its columns and arrays come to is bounded before they are read."""

from __future__ import annotations

import io
import json
import resource
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cofactor as cf
from cofactor import _tensors
from cofactor.bundle.parquet import footer, tables
from cofactor.data.ids.id_map import IdMap
from cofactor.errors import BundleError
from cofactor.train.checkpoint import load_checkpoint, save_checkpoint
from old_bundles import as_version_4

N = 500
LONG = "x" * 1_000_000


def parquet(column: pa.Array, **options: Any) -> bytes:
    held = io.BytesIO()
    frame = pa.table({"id": pa.array(range(N)), "side:title": column})
    pq.write_table(frame, held, compression="none", dictionary_pagesize_limit=8 << 20, **options)
    return held.getvalue()


BOMBS = {
    "one long text in a dictionary": lambda: parquet(pa.array([LONG] * N)),
    "long texts by turns": lambda: parquet(pa.array([LONG, "y"] * (N // 2))),
    "long texts of one length": lambda: parquet(pa.array([LONG.encode()] * N, pa.binary(len(LONG)))),
    "long lists of one word": lambda: parquet(pa.array([["a"] * 20_000] * N)),
    "texts that share a beginning": lambda: parquet(
        pa.array([LONG] * N), use_dictionary=False, column_encoding={"side:title": "DELTA_BYTE_ARRAY"}
    ),
    "pages of the newer kind": lambda: parquet(pa.array([LONG] * N), data_page_version="2.0"),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_side_table_that_would_unfold(kind: str, tmp_path: Path) -> None:
    data = BOMBS[kind]()
    assert len(data) < 2_100_000
    rng = np.random.default_rng(0)
    frame = {"user": rng.integers(0, 40, 900), "item": np.arange(900) % N, "rating": rng.integers(1, 6, 900)}
    path = tmp_path / "m.cofactor"
    cf.fit(frame, model="popular").save(path)
    as_version_4(path, "items.parquet", data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BundleError, match=r"would become more than|encoded in a way|values in"):
        cf.load(path).recommend(history={3: 5}, n=3)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


def test_honest_tables_are_read() -> None:
    n = 20_000
    table = pl.DataFrame(
        {
            "genres": ["Comedy|Drama|Something long that many share"] * n,
            "words": [["a", "b", None, "c"], [], ["a"]] * (n // 3) + [None] * (n % 3),
            "year": [1990, None] * (n // 2),
            "title": [f"title {i}" for i in range(n)],
            "kind": pl.Series(["film", "series"] * (n // 2), dtype=pl.Categorical),
        }
    )
    held = io.BytesIO()
    ids = IdMap(pl.Series("item", [f"i{i}" for i in range(n)]), "item")
    tables.write(held, ids, table)
    found, again = tables.read(held.getvalue(), "item", n, "the table")
    assert found == ids
    assert again is not None
    assert again.equals(table)


@settings(suppress_health_check=[HealthCheck.too_slow])  # on a busy machine it takes a while to draw texts
@given(st.lists(st.sampled_from(["", "a", "bc", "x" * 300, "y" * 90_000]), min_size=1, max_size=400))
def test_what_a_dictionary_comes_to(texts: list[str]) -> None:
    """The bound counts each text as often as it is named."""
    held = io.BytesIO()
    pq.write_table(pa.table({"id": pa.array(texts)}), held, compression="none", dictionary_pagesize_limit=8 << 20)
    data = held.getvalue()
    facts = footer._Reader(data[len(data) - 8 - int.from_bytes(data[-8:-4], "little") : -8]).struct(0, 0).value
    (leaf,) = footer.levels(facts[2])
    meta = facts[4][0][1][0][3]
    start = min(meta[9], meta.get(11, meta[9]))
    struct = footer._Reader(data).struct
    counted = footer.check_chunk(data, start, start + meta[7], len(texts), leaf, struct)
    exact = 16 * len(texts) + sum(map(len, texts))
    assert exact <= counted <= exact + 8 * max(map(len, texts)) + (1 << 17) + 4 * len(texts)


# ---- arrays


def written(header: dict[str, Any], body: bytes = b"") -> np.ndarray[Any, Any]:
    text = json.dumps(header).encode()
    text += b" " * (-(len(text) + 8) % 64)
    return np.frombuffer(len(text).to_bytes(8, "little") + text + body, np.uint8)


@given(st.lists(st.integers(0, (1 << 62) - 1) | st.sampled_from([0, 1, 2, 1 << 61]), max_size=8))
def test_shapes_of_any_size(shape: list[int]) -> None:
    """An array is made, of the shape that was asked for, or BundleError says why not."""
    held = written({"a": {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}})
    try:
        found = _tensors.views(held, "it")["a"]
    except BundleError:
        assert 0 not in shape or np.prod([float(max(n, 1)) for n in shape]) > 1e17
    else:
        assert list(found.shape) == shape


def test_metadata_of_other_writers(tmp_path: Path) -> None:
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    held = written({"__metadata__": {"format": "pt"}, "a": entry}, bytes(4))
    assert _tensors.views(held, "it")["a"].tolist() == [0.0]
    assert _tensors.facts(held, "it") == {"format": "pt"}
    for odd in (3, ["x"], {"a": 1}, None):
        with pytest.raises(BundleError, match="metadata"):
            _tensors.views(written({"__metadata__": odd, "a": entry}, bytes(4)), "it")
    rng = np.random.default_rng(0)
    arrays = {
        "b": np.array(3),
        "a": rng.standard_normal((3, 2)),
        "c": np.zeros((0, 4), np.int32),
        "d": np.array([True]),
    }
    save_checkpoint(tmp_path / "c", arrays, {"epoch": 3})
    found, meta = load_checkpoint(tmp_path / "c")
    assert meta == {"epoch": 3}
    assert all(np.array_equal(found[k], arrays[k]) and found[k].dtype == arrays[k].dtype for k in arrays)
    from safetensors import safe_open
    from safetensors.numpy import save_file

    with safe_open(tmp_path / "c", framework="np") as file:
        assert np.array_equal(file.get_tensor("a"), arrays["a"])
    save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, tmp_path / "s", metadata={"cofactor": "{}"})
    assert np.array_equal(load_checkpoint(tmp_path / "s")[0]["a"], arrays["a"])  # one that an earlier version wrote
    data = (tmp_path / "c").read_bytes()
    for cut in (0, 7, 50, len(data) - 1):
        (tmp_path / "c").write_bytes(data[:cut])
        with pytest.raises(BundleError, match="not a complete checkpoint"):
            load_checkpoint(tmp_path / "c")
