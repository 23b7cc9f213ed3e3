"""Transforms: the method whose annotation fits, tuples, what can be undone; and what loaders draw at random."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the torch extra is not installed")
pd = pytest.importorskip("pandas", reason="the torch extra is not installed")

import cofactor.notebook as nb  # noqa: E402


class Two(nb.Transform):
    """Texts in small letters, numbers doubled, flags turned."""

    def encodes(self, x: str):
        return x.lower()

    def encodes(self, x: int | float):  # noqa: F811
        return x * 2

    def encodes(self, x: bool):  # noqa: F811
        return not x

    def decodes(self, x: str):
        return x.title()


def test_the_nearest_type_chooses_the_method():
    t = Two()
    assert [t("AB"), t(3), t(1.5), t(True), t(None), t([1])] == ["ab", 6, 3.0, False, None, [1]]
    assert [t.decode("ab"), t.decode(3)] == ["Ab", 3]
    assert t(("AB", (1, None))) == ("ab", (2, None))
    assert repr(t) == "Two(enc:3,dec:1)"
    assert t.encodes("AB") == "ab"


def test_a_subclass_adds_to_the_methods_and_replaces_those_of_a_type():
    class More(Two):
        def encodes(self, x: str):
            return x + "!"

        def encodes(self, x: list):  # noqa: F811
            return len(x)

    @More
    def encodes(self, x: dict):
        return sorted(x)

    assert [More()("a"), More()(2), More()([1, 2]), More()({"k": 1})] == ["a!", 4, 2, ["k"]]
    assert Two()({"k": 1}) == {"k": 1}


def test_functions_split_idx_and_pipelines():
    def half(x: float):
        return x / 2

    assert nb.Transform(half)(3.0) == 1.5
    assert nb.Transform(half)(3) == 3
    there_and_back = nb.Pipeline([nb.Transform(lambda x: x + 1, lambda x: x - 1), nb.Transform(float)])
    assert (there_and_back((1, 2)), there_and_back.decode(5.0)) == ((2.0, 3.0), 4.0)
    training = nb.Transform(lambda x: -x, split_idx=0)
    lists = nb.TfmdLists([1, 2, 3], training, splits=[[0, 1], [2]])
    assert ([*lists.train], [*lists.valid], lists[0]) == ([-1, -2], [3], 1)
    assert nb.ItemTransform(lambda o: [o[1], o[0]])((1, 2)) == (2, 1)
    assert nb.Pipeline([nb.ItemGetter(1), str])((1, 2)) == "2"


def test_a_categorize_alone():
    c = nb.Categorize(add_na=True)
    c.setup(["x", "z", "y", "x"])
    assert (list(c.vocab), int(c("z")), c.decode(c("z"))) == (["#na#", "x", "y", "z"], 3, "z")
    assert int(nb.Categorize(vocab=["b", "a"], sort=False)("a")) == 1


def test_a_proc_of_ones_own_sets_columns():
    class Plus(nb.TabularProc):
        def encodes(self, to):
            to.conts = to.conts + 1

    df = pd.DataFrame({"user": [1, 2, 1], "age": [1.0, 2.0, 3.0], "rating": [1, 2, 3]})
    to = nb.TabularPandas(df, [nb.Categorify, Plus], ["user"], ["age"], "rating")
    assert to.conts.age.tolist() == [2.0, 3.0, 4.0]


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_pass_draws_one_number_of_the_common_generator(shuffle):
    df = pd.DataFrame({"user": range(9), "item": range(9), "rating": range(9)})
    table = nb.CollabDataLoaders.from_df(df, bs=4, seed=1, shuffle=shuffle)
    loaders = [
        table.train,
        nb.DataLoader(list(range(9)), bs=4, shuffle=shuffle),
        torch.utils.data.DataLoader(list(range(9)), batch_size=4),
    ]
    after = []
    for loader in loaders:
        torch.manual_seed(3)
        list(loader)
        after.append(torch.rand(()).item())
    torch.manual_seed(3)
    table.show_batch(show=False)
    assert [after[0], after[1], torch.rand(()).item()] == [after[2]] * 3


def test_loaders_of_data_sets_leave_out_an_incomplete_training_batch():
    rows = [(i, float(i)) for i in range(10)]
    dls = nb.DataLoaders.from_dsets(rows, rows, bs=4, shuffle=False)
    assert [len(dls.train), len(dls.valid)] == [2, 3]


def test_an_optimizer_of_one_function_gets_its_numbers_by_name():
    def step(p, lr, mom, **rest):
        p.data.add_(p.grad, alpha=-lr * mom)

    p = torch.nn.Parameter(torch.ones(2))
    opt = nb.Optimizer([p], step, lr=0.5, mom=0.1)
    p.grad = torch.ones(2)
    opt.step()
    assert torch.allclose(p, torch.full((2,), 0.95))


def test_a_table_can_be_shown_after_it_was_decoded(capsys):
    frame = nb.pd.DataFrame({"user": [3, 4, 3], "film": ["a", "b", "b"], "rating": [1.0, 2.0, 3.0]})
    to = nb.TabularCollab(frame, [nb.Categorify], ["user", "film"], y_names=["rating"])
    assert to.decode().items.film.tolist() == ["a", "b", "b"]
    to.show()
    assert "b" in capsys.readouterr().out


def test_classes_of_an_interpretation_are_those_of_the_last_block():
    rows = [(u, f, "good" if (u + len(f)) % 2 else "bad") for u in range(12) for f in ("x", "yy", "zz")]
    blocks = [nb.CategoryBlock] * 3
    getters = [nb.ItemGetter(i) for i in range(3)]
    block = nb.DataBlock(blocks, getters=getters, splitter=nb.RandomSplitter(seed=1), n_inp=2)
    dls = block.dataloaders(rows, bs=8)

    class Both(nb.Module):
        def __init__(self):
            self.u, self.f = nb.Embedding(12, 2), nb.Embedding(3, 2)

        def forward(self, u, f):
            return self.u(u) + self.f(f)

    learn = nb.Learner(dls, Both(), loss_func=nb.CrossEntropyLossFlat(), verbose=False)
    seen = nb.ClassificationInterpretation.from_learner(learn)
    assert list(seen.vocab) == ["bad", "good"]
    assert seen.confusion_matrix().shape == (2, 2)
    assert seen.confusion_matrix().sum() == len(dls.valid_ds)
