"""Nothing is swallowed: a keyword that a function does not know is refused by name, with the nearest one."""

from __future__ import annotations

import inspect
from typing import Any

import pandas as pd
import pytest

pytest.importorskip("torch", reason="the torch extra is not installed")

import cofactor.notebook as notebook
from cofactor.errors import ConfigError, DatasetError
from cofactor.notebook._keywords import KeywordError, refuse, takes
from cofactor.notebook._modules import optimizer_steps

PASSES_ON = {
    **dict.fromkeys(("BalancedAccuracy", "CohenKappa", "F1Score", "F1ScoreMulti", "HammingLoss"), "scikit-learn"),
    **dict.fromkeys(("Jaccard", "JaccardMulti", "MatthewsCorrCoef", "Precision", "PrecisionMulti"), "scikit-learn"),
    **dict.fromkeys(("Recall", "RecallMulti"), "scikit-learn"),
    "AttrDictDefault": "dict",
    "add_docs": "documentation by name",
    "null": "an object of anything",
    "set_random_states": "what get_random_states returned",
    "AccumMetric": "the function",
    "APScoreBinary": "scikit-learn",
    "APScoreMulti": "scikit-learn",
    "AttrDict": "dict",
    "BaseLoss": "the loss",
    "BatchNorm": "torch",
    "BrierScore": "scikit-learn",
    "Callback": "checked against the moments",
    "CrossEntropyLossFlat": "torch",
    "FBeta": "scikit-learn",
    "FocalLossFlat": "the loss",
    "HookCallback": "Callback",
    "LabelSmoothingCrossEntropyFlat": "the loss",
    "OptimWrapper": "torch.optim",
    "Optimizer": "hyper-parameters of any name",
    "PartialLambda": "the function",
    "PearsonCorrCoef": "AccumMetric",
    "RocAuc": "scikit-learn",
    "RocAucBinary": "scikit-learn",
    "RocAucMulti": "scikit-learn",
    "SpearmanCorrCoef": "AccumMetric",
    "apply": "the function",
    "argwhere": "the function",
    "collab_learner": "the Learner; checked",
    "dict2obj": "the object",
    "dumps": "json",
    "EmbeddingNN": "TabularModel",
    "expect_fail": "ExceptionExpected",
    "filter_ex": "the function",
    "first": "the function",
    "get_class": "fields",
    "last": "the function",
    "loads": "json",
    "map_ex": "the function",
    "mk_class": "fields",
    "mkdir": "pathlib",
    "noop": "a function of anything",
    "noops": "a function of anything",
    "parallel": "the function",
    "partial_format": "fields",
    "partialler": "the function",
    "ranger": "RAdam",
    "ret_false": "a function of anything",
    "ret_true": "a function of anything",
    "skm_to_fastai": "scikit-learn",
    "sorted_ex": "the function",
    "store_attr": "attributes",
    "subplots": "matplotlib",
    "tabular_config": "the network; checked",
    "tabular_learner": "the Learner; checked",
    "tensor": "torch",
    "use_kwargs_dict": "parameters",
}
PASSES_ON |= dict.fromkeys(optimizer_steps.__all__, "the state and the hyper-parameters of others")
PASSES_ON["MixedPrecision"] = "options of half precision"
PASSES_ON["NS"] = "attributes; from Python 3.13 on the signature says so"
LOADERS = {"DataLoader", "DataLoaders", "TabDataLoader", "TabularDataLoaders", "CollabDataLoaders", "TfmdDL"}
LOADERS |= {"WeightedDL", "PartialDL", "TabWeightedDL"}


def ours(thing: Any) -> bool:
    return callable(thing) and str(getattr(thing, "__module__", "")).startswith("cofactor")


def public() -> dict[str, Any]:
    return {name: thing for name in notebook.__all__ if ours(thing := getattr(notebook, name))}


def swallows(thing: Any) -> bool:
    try:
        signature = inspect.signature(thing)
    except (TypeError, ValueError):
        return False
    return any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())


@pytest.fixture(scope="module")
def learn() -> Any:
    frame = pd.DataFrame({"user": [1, 2, 3, 4] * 20, "item": [5, 6, 7, 8, 9] * 16, "rating": [3.0, 4, 5, 1] * 20})
    dls = notebook.CollabDataLoaders.from_df(frame, bs=16, seed=0)
    found = notebook.collab_learner(dls, n_factors=2, y_range=(0, 5.5), verbose=False)
    found.fit(1)
    return found


def test_every_function_that_takes_any_keyword_says_where_it_goes() -> None:
    found = {name for name, thing in public().items() if swallows(thing)}
    known = (notebook.Callback, notebook.nn.Module)  # of these, one checks its moments, the other hands on
    found = {n for n in found if not (isinstance(public()[n], type) and issubclass(public()[n], known))}
    odd = sorted(n for n in found if n not in PASSES_ON and n not in LOADERS)
    assert odd == []


@pytest.mark.parametrize("name", sorted(n for n in public() if n in LOADERS))
def test_loaders_refuse_what_they_do_not_know(name: str, learn: Any) -> None:
    with pytest.raises(TypeError):
        public()[name](learn.dls.train_ds, bs=4, shufle=True)


def test_what_makes_loaders_item_by_item_refuses_what_it_does_not_know() -> None:
    block = notebook.DataBlock(getters=[notebook.ItemGetter(0), notebook.ItemGetter(1)])
    rows = [(1, 2.0), (2, 3.0)] * 10
    assert len(notebook.DataLoaders.from_dblock(block, rows, bs=4).train) == 4
    for make in (block.dataloaders, lambda o, **kw: notebook.DataLoaders.from_dblock(block, o, **kw)):
        with pytest.raises(TypeError, match="shufle"):
            make(rows, bs=4, shufle=True)


def test_every_method_of_what_a_notebook_holds_refuses_an_unknown_keyword(learn: Any) -> None:
    held = {
        "learn": learn,
        "learn.recorder": learn.recorder,
        "learn.dls": learn.dls,
        "learn.dls.train": learn.dls.train,
        "learn.dls.train_ds": learn.dls.train_ds,
        "learn.opt": learn.opt,
        "interpretation": notebook.Interpretation.from_learner(learn),
    }
    loader = {"new", "test_dl", "dataloaders", "from_csv", "from_dsets", "from_df", "from_dblock"}
    seen = 0
    for place, thing in held.items():
        for name in dir(type(thing)):
            method = getattr(thing, name, None) if not name.startswith("_") else None
            if not inspect.isroutine(method) or not ours(method) or name == "set_hypers":
                continue
            if swallows(method):
                assert name in loader, f"{place}.{name} takes any keyword"
                continue
            with pytest.raises(TypeError) as caught:
                method(no_such_keyword=1)
            assert "no_such_keyword" in str(caught.value), f"{place}.{name}: {caught.value}"
            seen += 1
    assert seen > 90


@pytest.mark.parametrize(
    ("call", "nearest"),
    [
        (lambda n, learn: n.collab_learner(learn.dls, n_factor=3), "n_factors"),
        (lambda n, learn: n.collab_learner(learn.dls, metric=[n.rmse]), "metrics"),
        (lambda n, learn: n.collab_learner(learn.dls, use_nn=True, config={"embed_ps": 0.1}), "embed_p"),
        (lambda n, learn: n.CollabDataLoaders.from_df(None, valid_pc=0.1), "valid_pct"),
        (lambda n, learn: n.CollabDataLoaders.from_df(None, item_nam="x"), "item_name"),
        (lambda n, learn: n.CollabDataLoaders.from_csv("x.csv", delimeter=";"), "delimiter"),
        (lambda n, learn: n.load_learner("x.pkl", cpus=True), "cpu"),
        (lambda n, learn: n.untar_data("x", force_downlod=True), "force_download"),
        (lambda n, learn: n.Learner(learn.dls, learn.model, loss_fn=None), "loss_func"),
        (lambda n, learn: learn.fit_one_cycle(1, lr_mx=1e-3), "lr_max"),
        (lambda n, learn: learn.fine_tune(1, frozen_epochs=2), "freeze_epochs"),
        (lambda n, learn: learn.save("x", with_opts=True), "with_opt"),
        (lambda n, learn: learn.load("x", stric=True), "strict"),
        (lambda n, learn: learn.export(fnme="x.pkl"), "fname"),
        (lambda n, learn: learn.get_preds(with_los=True), "with_loss"),
        (lambda n, learn: learn.show_results(max_m=3), "max_n"),
        (lambda n, learn: learn.dls.show_batch(max_m=3), "max_n"),
        (lambda n, learn: learn.lr_find(stop_dv=False), "stop_div"),
        (lambda n, learn: learn.recorder.plot_loss(skip_strat=3), "skip_start"),
        (lambda n, learn: learn.recorder.plot_sched(fig_size=(3, 3)), "figsize"),
        (lambda n, learn: learn.dls.test_dl(None, with_label=True), "with_labels"),
    ],
)
def test_the_sentence_names_the_nearest_one(call: Any, nearest: str, learn: Any) -> None:
    with pytest.raises(KeywordError) as caught:
        call(notebook, learn)
    assert f"Did you mean '{nearest}'?" in str(caught.value)
    assert isinstance(caught.value, ConfigError)


def test_what_is_known_does_what_it_says(learn: Any, capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    assert len(learn.dls.show_batch(max_n=3, show=False)) == 3
    assert learn.dls.show_batch(max_n=4, unique=True, show=False).drop_duplicates().shape[0] == 1
    assert list(learn.show_results(max_n=2, show=False).columns) == ["user", "item", "rating", "rating_pred"]
    assert capsys.readouterr().out == ""
    with pytest.raises(DatasetError, match="force_download"):
        notebook.untar_data("ml-100k", force_download=True)
    free = notebook.collab_learner(
        learn.dls, n_factors=2, verbose=False
    )  # without bounds, so that the loss can blow up
    free.lr_find(1e-3, 1e3, num_it=40, stop_div=False, show_plot=False, suggest_funcs=None)
    assert len(free.recorder.lrs) == 40
    free.lr_find(1e-3, 1e3, num_it=40, stop_div=True, show_plot=False, suggest_funcs=None)
    assert len(free.recorder.lrs) < 40
    with pytest.raises(ConfigError, match="device"):
        learn.load(learn.save(tmp_path / "w", pickle_protocol=4), device="nowhere", weights_only=True)
    learn.to_fp16(init_scale=2.0**10)
    capsys.readouterr()


def test_harmless_ones_are_taken() -> None:
    @takes("figsize")
    def f(a: int, *, bright: bool = False) -> tuple[int, bool]:
        return a, bright

    assert f(1, figsize=(3, 3)) == (1, False)
    assert f(a=2, bright=True) == (2, True)
    with pytest.raises(KeywordError, match=r"has no keyword .brigth.; it has: a, bright\. Did you mean .bright."):
        f(1, brigth=True)
    with pytest.raises(KeywordError, match="it has none"):
        refuse("g", ["x"], [])
