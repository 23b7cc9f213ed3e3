"""Id maps and CSR grouping."""

from __future__ import annotations

import datetime as dt
import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cofactor.data.ids.factorize import factorize, id_map
from cofactor.data.ids.id_map import IdMap
from cofactor.data.ids.packed_text import PackedText
from cofactor.data.interactions import csr
from cofactor.errors import DataError, UnknownIdError, did_you_mean

text = st.text(max_size=6, alphabet=st.characters(codec="utf-8"))
integers = st.one_of(st.integers(-20, 200), st.integers(-(2**63), 2**63 - 1))


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.lists(integers, min_size=1, max_size=50), st.lists(text, min_size=1, max_size=50)))
def test_encode_and_decode_are_inverse(values: list[object]) -> None:
    ids, codes = factorize(pl.Series(values), "user")
    assert ids.values.to_list() == sorted(set(values))  # type: ignore[type-var]
    assert ids.decode(codes).to_list() == values
    assert codes.dtype == np.int32
    for ask in (values, pl.Series(values)):
        assert (ids.encode(ask) == codes).all()
    assert [ids.code(v) for v in values] == codes.tolist()
    assert [ids.index(v) for v in ids] == list(range(len(ids)))


@settings(max_examples=100, deadline=None)
@given(st.lists(integers, min_size=1, max_size=30, unique=True), st.lists(integers, max_size=30))
def test_unsorted_maps_and_unknown_integers(known: list[int], asked: list[int]) -> None:
    ids = IdMap(pl.Series(known, dtype=pl.Int64), "item")
    want = [known.index(v) if v in known else -1 for v in asked]
    assert ids.encode(pl.Series(asked, dtype=pl.Int64)).tolist() == want


def test_far_apart_integers_use_a_search() -> None:
    known = [10**15, 5, -(10**12)]
    ids = IdMap(pl.Series(known), "user")
    assert ids.encode(np.array([5, 6, 10**15, -(10**12)])).tolist() == [1, -1, 0, 2]


def test_narrow_unsigned_and_missing_integers() -> None:
    ids = id_map(pl.Series([3, 1, 2], dtype=pl.UInt8), "user")
    assert ids.encode(np.array([1, 300, 3], dtype=np.int64)).tolist() == [0, -1, 2]
    assert ids.encode(pl.Series([1, None, 3])).tolist() == [0, -1, 2]
    assert ids.encode([1.0, 2.5, 3.0]).tolist() == [0, -1, 2]
    big = IdMap(pl.Series([2**64 - 1, 0], dtype=pl.UInt64), "user")
    assert big.encode(pl.Series([0, 2**64 - 1], dtype=pl.UInt64)).tolist() == [1, 0]


def test_types_never_mix_and_the_message_says_so() -> None:
    numbers, words = id_map(pl.Series([1, 2, 196]), "user"), id_map(pl.Series(["1", "Fargo"]), "item")
    assert numbers.encode(["1", "2"]).tolist() == [-1, -1]
    assert words.encode([1, 2]).tolist() == [-1, -1]
    assert "1" not in numbers
    assert True not in numbers
    assert 1.0 not in numbers
    assert np.int64(196) in numbers
    assert numbers.unknown("196") == "unknown user '196': it is text, but user ids are numbers here; write 196."
    assert words.unknown(1) == "unknown item 1: it is a number, but item ids are text here; write '1'."
    assert "Did you mean 'Fargo'?" in words.unknown("Frago")
    assert "from 1 to 196" in numbers.unknown(500)
    with pytest.raises(UnknownIdError, match="unknown user 500"):
        numbers.index(500)
    with pytest.raises(UnknownIdError, match="unknown user 7"):
        numbers.encode([1, 7], strict=True)
    with pytest.raises(DataError, match=r"user ids mix types: 'a' in row 2 is str, but 1 is int"):
        numbers.encode([1, "a"])


def test_dates_are_ids_too() -> None:
    days = [dt.date(2020, 1, 2), dt.date(2020, 1, 1)]
    ids = id_map(pl.Series(days), "item")
    assert ids.encode(days).tolist() == [1, 0]
    assert ids.code(dt.date(2020, 1, 1)) == 0
    assert ids.text == "dates"


def test_what_cannot_be_an_id_is_refused() -> None:
    for bad in (pl.Series([True, False]), pl.Series([[1], [2]])):
        with pytest.raises(DataError, match="cannot be used"):
            IdMap(bad, "user")
    with pytest.raises(DataError, match="stands twice"):
        IdMap(pl.Series([1, 1]), "user")
    with pytest.raises(DataError, match="missing"):
        IdMap(pl.Series([1, None]), "user")
    with pytest.raises(DataError, match="user id missing in row 2"):
        id_map(pl.Series(["a", None]), "user")
    assert id_map(pl.Series(["a"]), "user").code([1]) == -1


def test_equality_and_unknown_codes() -> None:
    a = id_map(pl.Series(["x", "y"]), "user")
    assert a == IdMap(a.to_series(), "user")
    assert a != id_map(pl.Series(["x"]), "user")
    assert a.decode(np.array([1, -1, 0])).to_list() == ["y", None, "x"]
    assert a.decode(np.array([], dtype=np.int32)).to_list() == []
    assert len(IdMap(pl.Series([], dtype=pl.Int64), "user").encode([1])) == 1


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9)), max_size=60))
def test_csr_against_lexsort(pairs: list[tuple[int, int]]) -> None:
    rows = np.array([p[0] for p in pairs], dtype=np.int32)
    cols = np.array([p[1] for p in pairs], dtype=np.int32)
    values = np.arange(len(pairs), dtype=np.float32)
    made = csr(rows, cols, values, 7, 10)
    order = np.lexsort((cols, rows))
    assert made.rows.tolist() == order.tolist()
    assert made.indices.tolist() == cols[order].tolist()
    assert made.values.tolist() == values[order].tolist()
    assert made.indptr.tolist() == [0, *np.cumsum(np.bincount(rows, minlength=7)).tolist()]
    part = made.take(np.array([6, 0, 6]))
    assert part.counts.tolist() == [made.counts[6], made.counts[0], made.counts[6]]
    assert part.row(1)[0].tolist() == made.row(0)[0].tolist()


def test_what_a_person_typed_is_read_as_the_type_of_the_ids():
    numbers, words = id_map(pl.Series([3, 10]), "item"), id_map(pl.Series(["3", "a"]), "item")
    assert numbers.parse("10") == 10
    assert numbers.parse("-3") == -3
    assert numbers.parse("1_0") == "1_0"
    assert numbers.parse("Fargo (1996)") == "Fargo (1996)"
    assert numbers.parse("9" * 5000) == "9" * 5000  # no id has so many digits
    assert words.parse("3") == "3"


def test_a_name_is_found_among_very_many():
    names = [f"Title number {n} of many ({1950 + n % 70})" for n in range(200_000)]
    assert "'Title number 150077 of many (2017)'" in did_you_mean("titel number 150077 of many", names)
    assert did_you_mean("x" * 1000, names) == ""
    assert "'Title number 7 of many (1957)'" in did_you_mean("number 7 of many", names)


@settings(deadline=None)
@given(st.lists(text, max_size=12, unique=True), st.booleans(), st.data())
def test_packed_texts_that_are_in_order_and_others(texts: list[str], shuffled: bool, data: st.DataObject) -> None:
    """The checks of many texts at once, against a plain reference."""
    texts = sorted(texts, key=lambda text: text.encode())
    if shuffled:
        texts = data.draw(st.permutations(texts))
    packed = PackedText.of(pl.Series(texts, dtype=pl.String))
    by_bytes = sorted(range(len(texts)), key=lambda at: texts[at].encode())
    order = np.array(by_bytes, dtype=np.uint32) if texts else None
    packed.check(order)
    ascends = texts == sorted(texts, key=lambda text: text.encode())
    for given_order, right in ((None, ascends), (order, True)):
        if right:
            packed.check(given_order)
        else:
            with pytest.raises(ValueError, match="ascend"):
                packed.check(given_order)
    assert [packed.place(text, order) for text in texts] == list(range(len(texts)))
    offsets, bytes_ = packed.offsets.copy(), packed.data.copy()
    if len(bytes_):
        if data.draw(st.booleans()):
            bytes_[data.draw(st.integers(0, len(bytes_) - 1))] = data.draw(st.integers(0, 255))
        else:
            offsets[data.draw(st.integers(0, len(offsets) - 1))] = data.draw(st.integers(0, 2 * len(bytes_)))
    changed = PackedText(offsets, bytes_)
    try:
        changed.check(order)
    except ValueError:
        return
    again = list(changed)
    by_order = [again[int(at)].encode() for at in order] if order is not None else []
    assert by_order == sorted(set(by_order))
    assert "".join(again).encode() == bytes_.tobytes()


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.text(max_size=18, alphabet=st.sampled_from(["a", "b", "\0", "é", "€", "\U0001f600"])), max_size=7),
    st.booleans(),
    st.sampled_from([1, 2, 1 << 17]),
)
def test_packed_texts_ascend_or_are_refused(texts: list[str], tidy: bool, part: int) -> None:
    """The check of eight bytes at a time against a comparison of whole texts."""
    texts = sorted(set(texts), key=str.encode) if tidy else texts
    packed = PackedText.of(pl.Series(texts, dtype=pl.String))
    ascend = all(a.encode() < b.encode() for a, b in itertools.pairwise(texts))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cofactor.data.ids.packed_text._PART", part)
        if ascend:
            packed.check()
        else:
            with pytest.raises(ValueError, match="ascend"):
                packed.check()


def test_packed_texts_that_are_none_are_refused() -> None:
    data = np.frombuffer("aé".encode(), dtype=np.uint8)
    PackedText(np.array([0, 1, 3]), data).check()
    for offsets in ([0, 2, 3], [0, 2, 1, 3], [0, 4, 3], [1, 3], [0, 1]):
        with pytest.raises(ValueError, match=r"letter|outside|span"):
            PackedText(np.array(offsets), data).check()
    with pytest.raises(ValueError, match="utf-8"):
        PackedText(np.array([0, 1, 2]), np.array([97, 255], dtype=np.uint8)).check()
