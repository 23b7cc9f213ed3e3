"""Callbacks, the events at which they are called, and what they record."""
