"""The report's figures in Python: what is drawn is what the frames and functions beside them say."""

from __future__ import annotations

import pytest

import cofactor as cf
from cofactor.errors import ConfigError

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from cofactor.report import plots  # noqa: E402


@pytest.fixture(scope="module")
def split(toy):
    return cf.split.random(toy, valid=0.2, seed=1)


@pytest.fixture(scope="module")
def rec(split):
    return cf.fit(split, model="als", n_factors=3, epochs=4, seed=1)


@pytest.fixture(autouse=True)
def closed():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def drawn(figure):
    figure = getattr(figure, "figure", figure)
    figure.canvas.draw()  # a layout that does not fit warns, and warnings are errors
    return figure


def test_data(rec):
    bars, curves = drawn(plots.data(rec)).axes
    assert sum(bar.get_height() for bar in bars.patches) == len(rec.data)
    assert [line.get_ydata()[0] for line in curves.lines] == [
        rec.data.by_item.counts.max(),
        rec.data.by_user.counts.max(),
    ]


def test_learning(rec, toy):
    (ax,) = drawn(plots.learning(rec)).axes
    assert list(ax.lines[0].get_xdata()) == [0, 1, 2, 3]
    assert [list(line.get_ydata()) for line in ax.lines] == [[row[i] for row in rec.history] for i in (0, 1)]
    with pytest.raises(ConfigError, match="no losses by epoch to plot"):
        plots.learning(cf.fit(toy, model="ease"))


def test_quality(rec, split, toy):
    axes = drawn(plots.quality(rec, split.valid)).axes
    metrics = cf.evaluate(rec, split.valid)["metric"].to_list()
    assert sorted(label.get_text() for label in axes[0].get_yticklabels()) == sorted(metrics)
    assert len(axes) == 3
    diagonals = [ax.get_legend().get_texts()[0].get_text() for ax in axes[1:]]
    assert diagonals == ["predicted = rated", "inside = level"]  # nothing is promised of predictions
    assert len(drawn(plots.quality(cf.fit(split.train, model="ease"), split.valid)).axes) == 1


def test_item_map(rec):
    (ax,) = drawn(plots.item_map(rec, labels=3)).axes
    assert sum(len(points.get_offsets()) for points in ax.collections) == (rec.data.by_item.counts > 0).sum()
    assert len(ax.texts) == 3
    assert {text.get_text() for text in ax.get_legend().get_texts()} == {"Action", "Drama"}


def test_biases_factors_neighbours(rec, toy):
    (ax,) = drawn(plots.biases(rec, 4)).axes
    frame = rec.biases(4)
    assert sorted(bar.get_width() for bar in ax.patches) == pytest.approx(sorted(frame["bias"]))
    (ax,) = drawn(plots.factors(rec, 2)).axes
    assert sum("of the variance" in text.get_text() for text in ax.texts) == 2
    (ax,) = drawn(plots.neighbours(rec, "Film 03 (1983)", 5)).axes
    near = rec.similar_items("Film 03 (1983)", 5)
    assert [bar.get_width() for bar in ax.patches] == pytest.approx(near["similarity"].to_list())
    assert [label.get_text() for label in ax.get_yticklabels()] == near["item"].to_list()
    with pytest.raises(ConfigError, match="no item vectors"):
        plots.factors(cf.fit(toy, model="ease"))
