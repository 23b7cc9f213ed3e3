"""How objects look in a notebook: small tables, in which an id or a title is text and never markup."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor._html import LONGEST, lines_html, table_html

EVIL = "<script>alert('x')</script> & \"co\" "


class Page(HTMLParser):
    """Tags, and the text of each cell."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.cells: list[str] = []
        self.feed(page)
        assert not self.open, f"{self.open} are not closed"

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        self.open.append(tag)
        if tag in ("td", "th", "caption", "div"):
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


def ratings(n: int = 240) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 12, n), rng.integers(0, 9, n)
    return pl.DataFrame(
        {
            "user<b>": [f"{EVIL}u{u}" for u in users],
            "item": [f"{EVIL}i{i}" + "x" * 400 for i in items],
            "rating": rng.integers(1, 6, n).astype(float),
            "when": 10**9 + np.arange(n) * 86400,
        }
    ).unique(["user<b>", "item"], maintain_order=True)


@pytest.fixture(scope="module")
def data() -> cf.Interactions:
    return cf.read(ratings(), user="user<b>", item="item", rating="rating", time="when")


@pytest.fixture(scope="module")
def rec(data: cf.Interactions) -> cf.Recommender:
    return cf.fit(data, model="als", seed=0, n_factors=3, epochs=2)


def test_every_object_is_a_small_escaped_table(data: cf.Interactions, rec: cf.Recommender) -> None:
    first = data.user_ids.values[0], data.item_ids.values[0]
    newer = rec.update([(first[0], first[1], 2.0)])
    shown = {
        "data": data,
        "recommender": rec,
        "updated": newer,
        "explanation": rec.explain(user=first[0], item=first[1]),
        "comparison": cf.compare(data, models=["als", "bias"], draws=50),
    }
    for name, each in shown.items():
        page = each._repr_html_()
        found = Page(page)
        assert set(found.tags) <= {"table", "caption", "b", "thead", "tbody", "tr", "th", "td", "div"}, name
        assert len(page) < 8_000, name
    assert any(EVIL.strip() in cell for cell in Page(data._repr_html_()).cells)
    assert f"{len(data) - 5:,} more rows" in data._repr_html_()
    assert "2001-09-09" in data._repr_html_()


def test_a_recommender_says_what_it_is(data: cf.Interactions, rec: cf.Recommender) -> None:
    cells = Page(rec._repr_html_()).cells
    assert cells[0] == "Recommender: als"
    assert f"{len(data):,} ratings, {data.n_users} users, {data.n_items} items" in " ".join(cells)
    assert "n_factors=3" in cells[cells.index("settings") + 1]
    assert "newer ratings" not in cells
    assert "newer ratings" in Page(rec.update([("new", data.item_ids.values[0], 4.0)])._repr_html_()).cells


def test_an_explanation_shows_the_numbers_of_its_text(data: cf.Interactions, rec: cf.Recommender) -> None:
    found = rec.explain(user=data.user_ids.values[1], item=data.item_ids.values[2])
    cells = Page(found._repr_html_()).cells
    assert f"{found.prediction:.3f}" in cells[0] or len(cells[0]) == LONGEST
    assert f"{found.rest:+z.{found.digits}f}" == cells[cells.index("everything else") + 1]
    strongest = found.strongest(5)["contribution"].to_list()
    at = [i for i, cell in enumerate(cells) if cell.startswith("gave ")]
    assert [cells[i + 1] for i in at] == [f"{x:+z.{found.digits}f}" for x in strongest]


def test_events_and_no_rows_show_too() -> None:
    events = cf.read(pl.DataFrame({"user": ["a", "a", "b"], "item": ["x", "y", "x"]}))
    page = Page(events._repr_html_())
    assert "3 events" in page.cells[0]
    assert page.cells[1:3] == ["user", "item"]
    Page(events.take(np.zeros(0, np.int64))._repr_html_())


def test_text_is_cut_and_escaped() -> None:
    page = table_html(("a", "b"), [("<" * 500, 1)], "c&d")
    assert Page(page).cells == ["c&d", "a", "b", "<" * (LONGEST - 1) + "…", "1"]
    assert Page(lines_html(["<i>"])).cells == ["<i>"]
