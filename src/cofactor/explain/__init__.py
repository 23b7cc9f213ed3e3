"""Explaining: accounts of single predictions, maps, plots, the report."""

from cofactor.explain.explanation import Explanation, explain

__all__ = ["Explanation", "explain"]
