"""Lists as dictionaries: the rows of the frame, for every option that changes its columns."""

from __future__ import annotations

import pytest

import cofactor as cf
from cofactor.errors import ConfigError
from cofactor.recommend.options import list_options
from cofactor.recommend.recommend import recommend_rows, rules_of
from serve_tools import ratings

OPTIONS = [
    {}, {"n": 3, "seen": True}, {"n": 1000}, {"interval": 0.8}, {"where": "year >= 1960"}, {"where": "year > 3000"},
    {"diversity": 0.5, "per_group": ("genres", 2)}, {"unknown": "skip"}, {"unknown": "popular", "interval": 0.9},
]  # fmt: skip


@pytest.mark.parametrize("text_ids", [False, True])
def test_rows_are_those_of_the_frame(text_ids):
    rec = cf.fit(ratings(text_ids=text_ids), model="als", seed=0)
    id_of = str if text_ids else int
    rec = rec.update([(id_of(5), id_of(101), 1.0), (id_of(777), id_of(103), 5.0)])
    for options in OPTIONS:
        rules = rules_of(rec, list_options(**options))
        for user in (7, 5, 777, *((4040,) if "unknown" in options else ())):
            frame = rec.recommend(id_of(user), **options)
            assert recommend_rows(rec, id_of(user), None, None, rules) == frame.to_dicts()
        for history in ({"Film 3 (1953)": 5.0, id_of(102): 1.0}, [id_of(104)], {}):
            frame = rec.recommend(history=history, **options)
            assert recommend_rows(rec, None, history, None, rules) == frame.to_dicts()
    with pytest.raises(ConfigError, match="either a user"):
        recommend_rows(rec, None, None, None, rules_of(rec, list_options()))
