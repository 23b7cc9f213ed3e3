"""The command line: one file per command, each a thin layer over the Python functions."""

from cofactor.cli.app import main

__all__ = ["main"]
