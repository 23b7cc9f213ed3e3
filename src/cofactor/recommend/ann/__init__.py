"""Search of the best items with an index."""
