"""Checks of a Parquet file before polars reads it: its footer (Thrift's compact form) and its pages.

Ids and side tables of a bundle were Parquet up to format version 4, and such bundles are still read. One may come from
a stranger, and a small Parquet file can claim more memory than there is, which ends the process inside polars. No
library says what a file will unfold to without reading it, so ``footer`` and ``pages`` do.
"""
