"""Presentation of a Recommender: the report page, plots, maps of items."""

from cofactor.report.report import write_report

__all__ = ["write_report"]
