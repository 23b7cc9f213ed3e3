"""Data: tables, loaders of batches, procs, splits."""
