"""Every registered model passes the conformance suite; broken ones do not."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from cofactor.model import Stepper
from cofactor.models import REGISTRY, model_class
from cofactor.models.base.config import make_config
from cofactor.models.bias import Bias, BiasConfig
from cofactor.testing import check_model, model_checks, toy_blocks, toy_ratings

TOY = {
    "dot-bias": {"n_factors": 4, "epochs": 30, "lr": 2e-2, "weight_decay": 0.01, "batch_size": 16},
}
"""Settings for models whose defaults are made for more data than a toy has."""

TORCH = {"neural"}


def checks_of_every_model():
    found = []
    for name in REGISTRY:
        if name in TORCH and importlib.util.find_spec("torch") is None:
            reason = pytest.mark.skip(reason="torch is not installed")
            found.append(pytest.param(None, id=name, marks=reason))
            continue
        cls = model_class(name)
        for check in model_checks(cls, make_config(cls.Config, TOY.get(name, {}))):
            found.append(pytest.param(check, id=f"{name}-{check}"))
    return found


@pytest.mark.parametrize("check", checks_of_every_model())
def test_registered(check):
    check()


def test_names_are_their_own():
    assert all(model_class(name).name == name for name in REGISTRY)


def spoilt(**methods):
    """A subclass of ``bias`` with some methods of its own, for the suite to catch."""
    return type("Spoilt", (Bias,), methods)


class _NoisyStepper(Stepper):
    def __init__(self, inner, rng):
        self.inner, self.rng = inner, rng

    def run(self, rows, hyper):
        losses = self.inner.run(rows, hyper)
        self.inner.model.user_bias += self.rng.normal(size=len(self.inner.model.user_bias)).astype(np.float32) * 1e-3
        return losses

    def snapshot(self):
        return self.inner.snapshot()

    def restore(self, state):
        self.inner.restore(state)


def _overwriting(self, data, rng):
    data.users.flags.writeable = True
    data.users[0] = (data.users[0] + 1) % data.n_users  # a code that exists: kernels trust codes
    return Bias.stepper(self, data, rng)


def _forgetful_snapshot(self, data, rng):
    stepper = Bias.stepper(self, data, rng)
    stepper.snapshot = lambda: {"user_bias": stepper.user_bias, "item_bias": stepper.item_bias}
    return stepper


def _learns_nothing(self, data, rng):
    stepper = Bias.stepper(self, data, rng)
    stepper.run = lambda rows, hyper: np.array([1.0])
    return stepper


def _trusting(cls, config, state):
    model = cls(config)
    model.mean, model.range = state["mean"], state["range"]
    model.user_bias, model.item_bias = state["user_bias"], state["item_bias"]
    return model


BROKEN = {
    "names": spoilt(task="guessing"),
    "constructor": spoilt(__init__=lambda self, config=None: Bias.__init__(self, BiasConfig(epochs=3))),
    "signatures": spoilt(terms=lambda self, who, what, time=None: Bias.terms(self, who, what)),
    "stepper": spoilt(kind="magic"),
    "learns": spoilt(stepper=_learns_nothing),
    "loss_falls": spoilt(stepper=_learns_nothing),
    "predict": spoilt(predict=lambda self, u, i, times=None: Bias.predict(self, u, i).astype(np.float64)),
    "shape": spoilt(shape=lambda self: (3, 5)),
    "scores": spoilt(scores=lambda self, users: Bias.scores(self, users) + np.float32(0.1)),
    "unknown": spoilt(predict=lambda self, u, i, times=None: np.where(u < 0, np.nan, Bias.predict(self, u, i))),
    "empty": spoilt(scores=lambda self, users: Bias.scores(self, users)[: max(len(users), 1)].reshape(len(users), -1)),
    "quiet": spoilt(
        scores=lambda self, users: np.where(np.asarray(users)[:, None] == 79, np.nan, Bias.scores(self, users))
    ),
    "data_untouched": spoilt(stepper=_overwriting),
    "seed": spoilt(
        stepper=lambda self, data, rng: _NoisyStepper(Bias.stepper(self, data, rng), np.random.default_rng())
    ),
    "state": spoilt(state=lambda self: Bias.state(self) | {"user_bias": self.user_bias * np.float32(0.9)}),
    "bad_state": spoilt(from_state=classmethod(_trusting)),
    "resume": spoilt(stepper=_forgetful_snapshot),
    "fold_in": spoilt(fold_in=lambda self, histories: -3 * Bias.fold_in(self, histories)),
    "scores_among": spoilt(scores_among=lambda self, states, items: self.scores_from(states)[:, np.sort(items)]),
    "terms": spoilt(terms=lambda self, user, item, time=None: Bias.terms(self, item, user)),
    "similarity": spoilt(item_similarity=lambda self, items: np.zeros((len(items), 2), dtype=np.float32)),
    "factors": spoilt(factors=lambda self, which: np.zeros((3, 0), dtype=np.float32)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_suite_catches_a_broken_model(name):
    check = next(c for c in model_checks(BROKEN[name], BiasConfig()) if str(c) == name)
    with pytest.raises((AssertionError, ValueError, IndexError, TypeError)):
        check()


def test_check_model_lists_what_fails():
    with pytest.raises(AssertionError, match=r"bias fails \d+ checks:\n- .*fold_in: scores by fold-in differ"):
        check_model(BROKEN["fold_in"], BiasConfig())


def test_check_model_passes_a_good_one():
    check_model(Bias)


def test_an_unfrozen_config_is_caught():
    class Loose(BiasConfig.__base__):
        pass

    cls = spoilt(Config=Loose)
    check = next(c for c in model_checks(cls, BiasConfig()) if str(c) == "config")
    with pytest.raises(AssertionError, match="must be a frozen dataclass"):
        check()


def test_toys_hold_what_they_say():
    for toy in (toy_ratings(seed=3), toy_blocks(seed=3)):
        n_users, n_items = toy.truth.shape
        every = np.concatenate([toy.train.users, toy.test.users]), np.concatenate([toy.train.items, toy.test.items])
        assert (every[0] < n_users - 1).all()
        assert (every[1] < n_items - 1).all()
        assert (every[0] == 0).sum() == (toy.train.users == 0).sum() == 1
        assert len(np.unique(every[0] * n_items + every[1])) == len(every[0])
    toy = toy_ratings(noise=0.0, seed=3)
    truth = np.clip(toy.truth[toy.train.users, toy.train.items], 1, 5)
    assert np.allclose(toy.train.values, truth, atol=1e-6)
    inside = toy.truth - toy.truth.mean(0) - toy.truth.mean(1, keepdims=True) + toy.truth.mean()
    assert np.linalg.matrix_rank(inside, tol=1e-8) == 2
    blocks = toy_blocks()
    own = blocks.train.users % 4 == blocks.train.items % 4
    assert own.mean() > 0.75
