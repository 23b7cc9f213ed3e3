"""What ``model="auto"`` tried: a frame that a Recommender keeps."""

from __future__ import annotations

import polars as pl

SCHEMA = {
    "model": pl.String,
    "config": pl.String,
    "metric": pl.String,
    "value": pl.Float64,
    "seconds": pl.Float64,
    "status": pl.String,
    "chosen": pl.Boolean,
}
"""Columns and types of the frame."""
