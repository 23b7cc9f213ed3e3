"""The single checks of the conformance suite. Each takes a :class:`Subject`; AssertionError says what is wrong."""

from __future__ import annotations

import dataclasses
import inspect
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR
from cofactor.errors import BundleError, CofactorError
from cofactor.model import Model, StartsFromAverage, TableSize, Terms
from cofactor.testing.subject import Subject, copied

Array = NDArray[Any]

UNKNOWN = np.array([-1], dtype=np.int32)


def check_names(s: Subject) -> None:
    """``name`` is a str, ``task`` one of two, and everything that the protocol asks for is there."""
    assert isinstance(getattr(s.cls, "name", None), str), "the class needs a name, a str"
    assert s.cls.name, "the name is empty"
    assert s.cls.task in ("rating", "ranking"), f"task is {s.cls.task!r}, not 'rating' or 'ranking'"
    assert isinstance(s.cls(s.config), Model), "something that cofactor.model.Model asks for is missing"


def check_config(s: Subject) -> None:
    """The config is a frozen dataclass with a default, and a line of help, for every field."""
    config: Any = s.cls.Config
    assert hasattr(config, "__dataclass_fields__"), "Config must be a frozen dataclass"
    for field in dataclasses.fields(config):
        assert field.metadata.get("help"), f"the field {field.name!r} of Config has no help; use models.config.option"
        assert field.default is not dataclasses.MISSING, f"the field {field.name!r} of Config has no default"
    assert config() == config(), "two default configs must be equal"
    for field in dataclasses.fields(config)[:1]:
        try:
            setattr(config(), field.name, None)
        except dataclasses.FrozenInstanceError:
            continue
        raise AssertionError("Config must be frozen")


def check_constructor(s: Subject) -> None:
    """The constructor stores the config and learns nothing; without a config it takes the default one."""
    model = s.cls(s.config)
    assert model.config is s.config, "the constructor must store the config that it was given"
    assert s.cls().config == s.cls.Config(), "the constructor must take the default config where none is given"
    for ask in (lambda: model.scores(UNKNOWN), lambda: model.predict(UNKNOWN, UNKNOWN), model.state):
        try:
            ask()
        except CofactorError:
            continue
        raise AssertionError("before training, predict, scores and state must raise NotFittedError")


def check_signatures(s: Subject) -> None:
    """Arguments have the names of the protocol."""
    for name, wanted in {
        "predict": ["users", "items", "times"],
        "scores": ["users"],
        "stepper": ["data", "rng"],
        "fold_in": ["histories"],
        "user_state": ["users"],
        "scores_from": ["user_state"],
        "scores_among": ["user_state", "items"],
        "terms": ["user", "item", "time"],
    }.items():
        if hasattr(s.cls, name):
            given = [p for p in inspect.signature(getattr(s.cls, name)).parameters if p != "self"]
            assert given[: len(wanted)] == wanted, f"{name} takes {given}, not {wanted}"


def check_stepper(s: Subject) -> None:
    """A known kind; losses come back as a float64 vector."""
    _, stepper = s.begin()
    assert s.cls.kind in ("batch", "sweep", "solve"), f"the model's kind is {s.cls.kind!r}"
    losses = s.one_pass(stepper, 0)
    assert isinstance(losses, np.ndarray), "run must give an array of losses"
    assert losses.dtype == np.float64, f"losses are {losses.dtype}, not float64"
    assert losses.ndim == 1, f"losses have {losses.ndim} dimensions, not 1"
    assert np.isfinite(losses).all(), "a training loss is not a finite number"


def check_learns(s: Subject) -> None:
    """Ratings: better than the mean on held-out rows. Rankers: held-out choices stand above other items."""
    toy = s.toy
    if s.cls.task == "rating":
        guess = s.model.predict(toy.test.users, toy.test.items, toy.test.times)
        error = float(np.mean((guess.astype(np.float64) - toy.test.values) ** 2)) ** 0.5
        plain = float(np.mean((toy.train.values.mean(dtype=np.float64) - toy.test.values) ** 2)) ** 0.5
        assert error < 0.9 * plain, f"RMSE {error:.3f} on held-out toy ratings; the mean alone has {plain:.3f}"
        return
    users = np.unique(toy.test.users)
    scores = np.asarray(s.model.scores(users), dtype=np.float64)
    shares = []
    for user, row in zip(users, scores, strict=True):
        chosen = toy.test.items[toy.test.users == user]
        other = np.setdiff1d(np.arange(toy.train.n_items), np.append(chosen, toy.train.by_user.row(user)[0]))
        above = row[chosen][:, None] - row[other]
        shares.append(np.mean((above > 0) + 0.5 * (above == 0)))
    assert np.mean(shares) > 0.58, f"the AUC on held-out toy choices is {np.mean(shares):.3f}; chance is 0.5"


def check_loss_falls(s: Subject) -> None:
    """The training loss after training is below that of the first pass (where the model has one)."""
    losses = [values[0] for values in s.learn.recorder.values if not math.isnan(values[0])]
    if len(losses) > 1:
        assert losses[-1] < losses[0], f"the training loss went from {losses[0]:.4f} to {losses[-1]:.4f}"


def check_predict(s: Subject) -> None:
    """float32, one a pair, finite; the same from codes of another dtype or layout and one at a time."""
    users, items = s.pairs()
    guess = s.model.predict(users, items)
    assert isinstance(guess, np.ndarray), "predict must give an array"
    assert guess.dtype == np.float32, f"predictions are {guess.dtype}, not float32"
    assert guess.shape == users.shape, f"{len(users)} pairs gave predictions of shape {guess.shape}"
    assert np.isfinite(guess).all(), f"{np.sum(~np.isfinite(guess))} predictions are no finite numbers"
    strided = np.repeat(users, 2)[::2], np.repeat(items.astype(np.int64), 2)[::2]
    assert np.array_equal(s.model.predict(*strided), guess), "int64 or non-contiguous codes gave other predictions"
    alone = np.concatenate([s.model.predict(users[n : n + 1], items[n : n + 1]) for n in range(0, 200, 10)])
    assert np.allclose(alone, guess[:200:10], atol=1e-5), "pairs one at a time gave other predictions"


def check_shape(s: Subject) -> None:
    """The numbers of users and items of the training data; None for users where nothing is kept of them."""
    assert s.model.shape() in ((s.toy.train.n_users, s.toy.train.n_items), (None, s.toy.train.n_items))


def check_scores(s: Subject) -> None:
    """Scores are the predictions of a whole row (predictions may be cut to the range of the training ratings)."""
    users, items = s.pairs()
    n_users, n_items = s.toy.truth.shape
    scores = s.model.scores(np.arange(n_users, dtype=np.int32))
    assert scores.dtype == np.float32, f"scores are {scores.dtype}, not float32"
    assert scores.shape == (n_users, n_items), f"the scores of all users have shape {scores.shape}"
    assert np.isfinite(scores).all(), "scores are no finite numbers"
    guess, row = s.model.predict(users, items), scores.ravel()
    scale = 1e-5 * max(1.0, float(np.abs(row).max()))
    cut = np.clip(row, *s.toy.train.range)
    worst = float(np.minimum(np.abs(row - guess), np.abs(cut - guess)).max())
    assert worst <= scale, f"scores and predict differ by up to {worst:.2g}"
    some = np.array([5, 3, 3], dtype=np.int64)
    assert np.allclose(s.model.scores(some), scores[some], atol=scale), "scores of some users differ from those of all"


def check_unknown(s: Subject) -> None:
    """Code -1: a finite fallback that does not depend on the neighbours in the array."""
    known = np.array([3, 4], dtype=np.int32)
    users, items = np.array([3, -1, 3, -1], dtype=np.int32), np.array([4, 4, -1, -1], dtype=np.int32)
    guess = s.model.predict(users, items)
    assert np.isfinite(guess).all(), f"predictions with the code -1 are {guess}"
    right = s.model.predict(known[:1], known[1:])
    assert np.allclose(guess[0], right, atol=1e-5), "a -1 beside it changed the prediction of a known pair"
    scores = s.model.scores(np.array([-1, 3], dtype=np.int32))
    assert np.isfinite(scores).all(), "the scores of an unknown user are no finite numbers"
    assert np.allclose(scores[1], s.model.scores(known[:1])[0], atol=1e-5), "a -1 beside it changed a row of scores"
    if s.cls.task == "rating":
        low, high = s.toy.train.range
        span = high - low
        assert (guess > low - span).all(), f"fallbacks {guess} are far from the scale {low} .. {high}"
        assert (guess < high + span).all(), f"fallbacks {guess} are far from the scale {low} .. {high}"


def check_empty(s: Subject) -> None:
    """No pairs, no users: empty arrays."""
    none = np.zeros(0, dtype=np.int32)
    assert s.model.predict(none, none).shape == (0,), "predict of no pairs must give an array (0,)"
    shape = s.model.scores(none).shape
    assert shape == (0, s.toy.train.n_items), f"the scores of no users have shape {shape}"


def check_quiet(s: Subject) -> None:
    """Users and items without a row, and a user with a single one, get finite scores."""
    n_users, n_items = s.toy.truth.shape
    quiet = s.model.scores(np.array([0, n_users - 1], dtype=np.int32))
    assert np.isfinite(quiet).all(), "a user with one row or none has scores that are no finite numbers"
    ones = s.model.predict(np.arange(n_users, dtype=np.int32), np.full(n_users, n_items - 1, dtype=np.int32))
    assert np.isfinite(ones).all(), "an item without a row has predictions that are no finite numbers"


def check_data_untouched(s: Subject) -> None:
    """Training changes nothing in the data, and works on read-only arrays."""
    data = s.toy.train
    before = [a.copy() for a in (data.users, data.items, data.values, *data.by_user[:3])]
    _, stepper = s.begin()
    s.one_pass(stepper, 0)
    after = (data.users, data.items, data.values, *data.by_user[:3])
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True)), "training changed the data"


def check_seed(s: Subject) -> None:
    """The same seed gives the same arrays, bit for bit."""
    again = s.fit(s.toy.train).model.state()
    for name, array in s.model.state().items():
        assert np.array_equal(array, again[name], equal_nan=True), f"the same seed gave another array {name!r}"


def check_state(s: Subject) -> None:
    """A state is named arrays; what is made from a copy (even read-only) predicts the same, bit for bit."""
    state = s.model.state()
    for name, array in state.items():
        assert isinstance(name, str), f"the key {name!r} of the state is not a str"
        assert isinstance(array, np.ndarray), f"{name!r} in the state is {type(array).__name__}, not an array"
        assert array.dtype.kind in "fiub", f"{name!r} in the state is {array.dtype}: use floats, ints or bools"
    copy = copied(state)
    for array in copy.values():
        array.flags.writeable = False
    twin = s.cls.from_state(s.config, copy)
    users, items = s.pairs()
    assert np.array_equal(twin.predict(users, items), s.model.predict(users, items)), "predictions changed on the way"
    every = np.unique(users)
    assert np.array_equal(twin.scores(every), s.model.scores(every)), "scores changed on the way"
    assert set(twin.state()) == set(state), "the state of the copy has other names"
    new, old = twin.fold_in(s.histories()), s.model.fold_in(s.histories())
    assert np.array_equal(new, old), "fold-in changed on the way"


def check_bad_state(s: Subject) -> None:
    """Missing arrays, wrong dtypes and shapes, and NaN end in BundleError. (A class may name in ``later``, a tuple, the
    arrays that states of earlier versions do not have.)"""
    state = s.model.state()
    for name, array in state.items():
        optional = name.rpartition(".")[2] in getattr(s.cls, "later", ())
        spoiled = {} if optional else {"missing": {k: v for k, v in state.items() if k != name}}
        spoiled |= {
            "of one more dimension": state | {name: np.asarray(array)[None]},
            "of a complex dtype": state | {name: array.astype(np.complex128)},
        }
        if array.dtype.kind == "f" and array.size:
            spoiled["full of NaN"] = state | {name: np.full_like(array, np.nan)}
        for how, bad in spoiled.items():
            try:
                s.cls.from_state(s.config, bad)
            except BundleError:
                continue
            except Exception as error:
                raise AssertionError(f"{name!r} {how}: {error!r} instead of BundleError") from error
            raise AssertionError(f"from_state took a state with {name!r} {how}; it must raise BundleError")


def check_resume(s: Subject) -> None:
    """Training on from a snapshot, in a new stepper, ends as if never interrupted, bit for bit.

    A ``solve`` stepper makes one pass: there the snapshot after it must bring back the result, and may do so by solving
    again with the same seed. Others get another seed, so what they need of theirs must be in the snapshot.
    """
    model, stepper = s.begin()
    s.one_pass(stepper, 0)
    kept = stepper.snapshot()
    before = copied(kept)
    if s.cls.kind != "solve":
        s.one_pass(stepper, 1)
    assert all(np.array_equal(kept[k], before[k]) for k in kept), "a snapshot must be copies: training on changed it"
    wanted = copied(model.state())
    other, resumed = s.begin(seed=0 if s.cls.kind == "solve" else 99)
    resumed.restore(kept)
    if s.cls.kind != "solve":
        s.one_pass(resumed, 1)
    for name, array in other.state().items():
        assert np.array_equal(array, wanted[name]), f"after a restore, {name!r} differs from uninterrupted training"
    users, items = s.pairs()
    assert np.array_equal(other.predict(users, items), model.predict(users, items)), (
        "predictions differ after a restore"
    )


def check_fold_in(s: Subject) -> None:
    """Histories of the training users give nearly the scores that training gave; an empty history is fine."""
    n_users, n_items = s.toy.truth.shape
    users = np.arange(n_users, dtype=np.int32)
    before = copied(s.model.state())
    new = s.model.fold_in(s.histories())
    old = s.model.user_state(users)
    assert len(new) == n_users, f"{n_users} histories gave a user state of shape {new.shape}"
    assert new.shape == old.shape, f"fold_in gives rows of shape {new.shape[1:]}, user_state of {old.shape[1:]}"
    assert np.isfinite(new).all(), "fold_in gave values that are no finite numbers"
    scores, trained = s.model.scores_from(new), s.model.scores(users)
    assert scores.shape == (n_users, n_items), f"scores_from gave shape {scores.shape}"
    assert scores.dtype == np.float32, f"scores_from gave {scores.dtype}, not float32"
    assert np.allclose(s.model.scores_from(old), trained, atol=1e-5), (
        "scores_from(user_state(users)) is not scores(users)"
    )
    gap, spread = float(np.std(scores - trained)), float(np.std(trained))
    assert gap <= 0.35 * spread, (
        f"scores by fold-in differ by {gap:.3g} from trained ones, which have spread {spread:.3g}"
    )
    empty = CSR(np.zeros(3, dtype=np.int64), UNKNOWN[:0], np.zeros(0, np.float32), np.zeros(0, np.int64), n_items)
    assert np.isfinite(s.model.scores_from(s.model.fold_in(empty))).all(), "an empty history gave no finite scores"
    one = s.histories().take(np.array([5]))
    assert np.allclose(s.model.fold_in(one), new[5:6], atol=1e-4), "one history alone gave another user state"
    after = s.model.state()
    assert all(np.array_equal(before[k], after[k]) for k in before), "fold_in changed the model"


def check_scores_among(s: Subject) -> None:
    """The scores of some items are those columns of the scores of all, bit for bit."""
    states = s.model.user_state(np.arange(20, dtype=np.int32))
    scores = s.model.scores_from(states)
    order = np.random.default_rng(0).permutation(scores.shape[1])
    for items in (np.sort(order[:7]), order[:5], order, order[:0]):
        some = s.model.scores_among(states, items)
        assert some.dtype == np.float32, f"scores_among gave {some.dtype}, not float32"
        assert np.array_equal(some, scores[:, items]), f"scores_among of {len(items)} items are not those of all items"


def check_terms(s: Subject) -> None:
    """The link of the sum of the terms is the prediction, for known and unknown ids."""
    users, items = s.pairs()
    picked = np.linspace(0, len(users) - 1, 300).astype(int)
    users, items = np.append(users[picked], [-1, 3, -1]), np.append(items[picked], [4, -1, -1])
    users, items = users.astype(np.int32), items.astype(np.int32)
    guess = s.model.predict(users, items)
    for n in range(len(users)):
        account = s.model.terms(int(users[n]), int(items[n]))
        assert len(account.names) == len(account.values), "terms: names and values do not align"
        assert len(set(account.names)) == len(account.names), f"terms: a name twice in {account.names}"
        gap = abs(_linked(account) - float(guess[n]))
        scale = max(1.0, abs(float(guess[n])))
        assert gap <= 1e-5 * scale, f"terms of user {users[n]}, item {items[n]} miss the prediction by {gap:.2g}"


def check_folded_terms(s: Subject) -> None:
    """The same for users that were folded in: the score is the link of the sum, before the cut to the scale."""
    states = s.model.fold_in(s.histories())
    scores = s.model.scores_from(states).astype(np.float64)
    low, high = s.toy.train.range
    for n in range(0, scores.size, max(scores.size // 300, 1)):
        row, item = divmod(n, scores.shape[1])
        account = s.model.terms_from(states[row], item)
        assert len(set(account.names)) == len(account.names), f"terms_from: a name twice in {account.names}"
        cut = min(max(scores[row, item], low), high)
        gap = min(abs(_linked(account) - score) for score in (cut, scores[row, item]))
        scale = max(1.0, abs(scores[row, item]))
        assert gap <= 1e-5 * scale, f"terms of state {row}, item {item} miss the score by {gap:.2g}"


def check_history_terms(s: Subject) -> None:
    """Terms of the history: one per entry, and what is left of the score is the same however long the history."""
    histories = s.histories()
    rest = []
    for row, item in ((3, 2), (3, 7), (9, 2), (9, 7)):
        history = histories.take(np.array([row]))
        each = s.model.history_terms(history, np.array([item]))[0]
        assert each.shape == (len(history.indices),), f"{len(history.indices)} entries gave {each.shape} terms"
        assert np.isfinite(each).all(), "terms of the history are no finite numbers"
        rest.append(float(s.model.scores_from(s.model.fold_in(history))[0, item]) - float(each.sum()))
    for a, b in ((0, 2), (1, 3)):
        gap = abs(rest[a] - rest[b])
        assert gap < 1e-4, f"what the history does not explain of a score differs by {gap:.3g} between two users"


def check_left_out(s: Subject) -> None:
    """Leaving out ratings one by one says what folding in each remaining history says, up to chance. (Where
    nothing counts of what remains, the model answers with popularity, which is not compared.)"""
    histories = s.histories()
    history = histories.take(np.array([histories.counts.argmax()]))
    positions = np.arange(len(history.indices))
    items = np.setdiff1d(np.arange(history.n_cols), history.indices)[:3]
    found = s.model.scores_without(history, positions, items)
    states = s.model.fold_in(history.without_each(positions))
    nothing = s.model.fold_in(
        history._replace(indptr=np.zeros(2, np.int64), indices=history.indices[:0], values=history.values[:0])
    )
    expected = s.model.scores_from(states)[:, items].astype(np.float64).T
    if isinstance(s.model, StartsFromAverage):  # what the average user adds stays
        rows = history.without_each(positions)
        added = [s.model.average_part(rows.take(np.array([row])), items) for row in range(rows.n_rows)]
        expected += (added[0] - np.array(added)).T
    assert found.shape == expected.shape, f"scores_without: shape {found.shape}, not {expected.shape}"
    kept = (s.model.scores_from(states) != s.model.scores_from(nothing)).any(axis=1)
    kept[0] = True
    for mine, truth in zip(found[:, kept], expected[:, kept], strict=True):
        scale = max(1.0, abs(truth[0]))
        assert abs(mine[0] - truth[0]) <= 1e-4 * scale, "scores_without: the whole history has another score"
        error, size = mine - truth, truth[0] - truth[1:]
        assert np.abs(error).max(initial=0) <= max(0.2 * np.abs(size).max(initial=0), 1e-4 * scale), (
            "scores_without: other differences"
        )


def _linked(account: Terms) -> float:
    total = float(np.sum(account.values))
    if account.link == "identity":
        return total
    assert account.y_range is not None, "terms: a sigmoid needs a y_range"
    low, high = account.y_range
    return low + (high - low) / (1.0 + math.exp(-total))


def check_factors(s: Subject) -> None:
    """Factors (n, k) and biases (n,) of both sides, float32; ``k`` is the same."""
    widths = []
    for which, n in zip(("user", "item"), s.toy.truth.shape, strict=True):
        factors, bias = s.model.factors(which), s.model.bias(which)
        assert factors.dtype == bias.dtype == np.float32, f"{which} factors or biases are not float32"
        assert factors.ndim == 2, f"{which} factors have {factors.ndim} dimensions"
        assert len(factors) == n, f"{which} factors have {len(factors)} rows, not {n}"
        assert bias.shape == (n,), f"{which} biases have shape {bias.shape}, not ({n},)"
        assert np.isfinite(factors).all(), f"{which} factors are no finite numbers"
        assert np.isfinite(bias).all(), f"{which} biases are no finite numbers"
        widths.append(factors.shape[1])
    assert widths[0] == widths[1], f"users have {widths[0]} factors, items {widths[1]}"


def check_interval(s: Subject) -> None:
    """Bounds on both sides of the mean, wider at a higher level."""
    users, items = s.pairs()
    narrow, wide = (s.model.predict_interval(users, items, level) for level in (0.5, 0.9))
    for part in (*narrow, *wide):
        assert part.shape == users.shape, f"predict_interval gave shape {part.shape}"
        assert part.dtype == np.float32, f"predict_interval gave {part.dtype}, not float32"
        assert np.isfinite(part).all(), "predict_interval gave values that are no finite numbers"
    for low, mean, high in ((narrow.low, narrow.mean, narrow.high), (wide.low, wide.mean, wide.high)):
        assert (low <= mean + 1e-5).all(), "a low bound lies above the mean"
        assert (mean <= high + 1e-5).all(), "a high bound lies below the mean"
    assert np.mean(wide.high - wide.low) > np.mean(narrow.high - narrow.low), (
        "a higher level must give a wider interval"
    )


def check_similarity(s: Subject) -> None:
    """A row over all items for each item asked for: float32, finite."""
    n_items = s.toy.train.n_items
    some = np.array([3, 1, n_items - 1], dtype=np.int32)
    rows = s.model.item_similarity(some)
    assert rows.shape == (3, n_items), f"item_similarity of 3 items gave shape {rows.shape}"
    assert rows.dtype == np.float32, f"item_similarity gave {rows.dtype}, not float32"
    assert np.isfinite(rows).all(), "item_similarity gave values that are no finite numbers"
    alone = s.model.item_similarity(some[1:2])
    assert np.allclose(alone[0], rows[1], atol=1e-6), "an item alone has other similarities"


def check_cost(s: Subject) -> None:
    """Bytes and operations above zero that grow with the table; what stays is part of what is used."""
    size = TableSize(100_000, 2000, 1000, 8e6, 2e7, True)
    cost = s.cls.cost(s.config, size)
    assert cost.formula, "cost says in no words what it grows with"
    assert cost.operations > 0, f"{cost.operations} operations"
    assert 0 < cost.kept <= cost.memory, f"{cost.kept:g} bytes stay of {cost.memory:g}"
    longer = s.cls.cost(s.config, TableSize(400_000, 2000, 1000, 1.28e8, 3.2e8, True))
    assert longer.memory > cost.memory, "four times the rows take no more memory"
    assert longer.operations > cost.operations, "four times the rows take no more operations"
    wider = s.cls.cost(s.config, TableSize(100_000, 8000, 4000, 2e6, 5e6, True))
    assert wider.memory > cost.memory, "four times the users and items take no more memory"
