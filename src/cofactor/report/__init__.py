"""Showing a Recommender: the report page, plots, maps of items."""
