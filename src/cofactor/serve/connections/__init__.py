"""Connections and their turns, below HTTP."""
