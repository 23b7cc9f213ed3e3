"""Explanations of single predictions."""

from cofactor.explain.explanation import Explanation, explain

__all__ = ["Explanation", "explain"]
