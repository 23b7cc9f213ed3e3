"""Checks of a Parquet file before polars reads it: its footer (Thrift's compact form) and its pages.

Ids and side tables of a bundle are Parquet, so that any tool can read them. A bundle may come from a stranger, and a
small Parquet file can claim more memory than there is, which ends the process inside polars. No library says what a
file will unfold to without reading it, so these two files do.
"""
