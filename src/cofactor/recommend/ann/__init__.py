"""Approximate search of the best items by an index."""
