"""The conformance suite: what every model has to hold, a user's own too.

from cofactor.testing import check_model, model_checks

check_model(MyModel)                                       # all of it, or an AssertionError that lists what fails

@pytest.mark.parametrize("check", model_checks(MyModel), ids=str)
def test_my_model(check):                                  # one test a check
    check()
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cofactor.model import Additive, HasCost, HasFactors, HasSimilarity, LeavesOut, Posterior, ScoresSome, SumsHistory
from cofactor.testing import checks
from cofactor.testing.subject import Subject

ALWAYS = (
    checks.check_names,
    checks.check_config,
    checks.check_constructor,
    checks.check_signatures,
    checks.check_stepper,
    checks.check_learns,
    checks.check_loss_falls,
    checks.check_predict,
    checks.check_shape,
    checks.check_scores,
    checks.check_unknown,
    checks.check_empty,
    checks.check_quiet,
    checks.check_data_untouched,
    checks.check_seed,
    checks.check_state,
    checks.check_bad_state,
    checks.check_resume,
    checks.check_fold_in,
)
WHERE = (
    (HasCost, checks.check_cost),
    (ScoresSome, checks.check_scores_among),
    (Additive, checks.check_terms),
    (Additive, checks.check_folded_terms),
    (LeavesOut, checks.check_left_out),
    (SumsHistory, checks.check_history_terms),
    (HasFactors, checks.check_factors),
    (Posterior, checks.check_interval),
    (HasSimilarity, checks.check_similarity),
)
"""Checks for what a model offers besides: a protocol, and its check."""


@dataclass(frozen=True)
class Check:
    """One check of one model, to be called."""

    function: Callable[[Subject], None]
    subject: Subject

    def __call__(self) -> None:
        self.function(self.subject)

    def __str__(self) -> str:
        return self.function.__name__.removeprefix("check_")


def model_checks(model_class: type[Any], config: Any = None) -> list[Check]:
    """Every check that applies to a model class, for parametrised tests; ``config``: its default one unless given.

    The checks share one trained model: those for ratings train on :func:`toy_ratings`, rankers on :func:`toy_blocks`.
    """
    subject = Subject(model_class, model_class.Config() if config is None else config)
    further = tuple(check for protocol, check in WHERE if issubclass(model_class, protocol))
    return [Check(function, subject) for function in ALWAYS + further]


def check_model(model_class: type[Any], config: Any = None) -> None:
    """Run every check; an AssertionError lists all that fail, each with its reason."""
    failed = []
    for check in model_checks(model_class, config):
        try:
            check()
        except Exception as error:  # whatever a model raises is a failure of the check
            failed.append(f"- {check}: {error or type(error).__name__}")
    if failed:
        name = getattr(model_class, "name", model_class.__name__)
        raise AssertionError("\n".join([f"{name} fails {len(failed)} checks:", *failed]))
