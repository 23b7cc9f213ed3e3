"""For those who write models: a conformance suite, and toy data with known answers."""

from cofactor.testing.conformance import Check, check_model, model_checks
from cofactor.testing.toy import Toy, toy_blocks, toy_ratings

__all__ = ["Check", "Toy", "check_model", "model_checks", "toy_blocks", "toy_ratings"]
