"""Callbacks, the moments at which they are called, and what they keep."""
