"""The parts of :mod:`cofactor.bundle`: one file for each thing on disk."""
