"""The one sentence beside each recommended item."""

from __future__ import annotations

import cofactor as cf
from cofactor.recommend import reasons
from toys import two_tastes


def test_a_long_list_begins_with_the_reasons_of_a_short_one(monkeypatch):
    rec = cf.fit(two_tastes(), model="ease", seed=0)
    whole = rec.recommend(5, n=30)["reason"].to_list()
    rated = len(rec.data.by_user.row(rec.data.user_ids.code(5))[0])
    monkeypatch.setattr(reasons, "COMPARED", 7 * rated)
    cut = rec.recommend(5, n=30)["reason"].to_list()
    assert cut[:7] == whole[:7] == rec.recommend(5, n=7)["reason"].to_list()
    assert all(text.startswith("like ") or text == reasons.BY_MANY for text in cut[7:])
