"""Checks of a Parquet file before polars reads it: its footer (Thrift's compact protocol) and its pages.

Up to format version 4, ids and side tables of a bundle were Parquet, and such bundles are still read. A bundle may come
from an untrusted source, and a small Parquet file can demand more memory than there is, which kills the process inside
polars. No library tells the size of the expanded file without reading it, so ``footer`` and ``pages`` compute it.
"""
