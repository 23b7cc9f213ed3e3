"""The version of cofactor, defined only here."""

__version__ = "0.1.0"
