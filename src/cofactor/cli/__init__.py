"""The command line: one file a command, each thin over the Python functions."""

from cofactor.cli.app import main

__all__ = ["main"]
