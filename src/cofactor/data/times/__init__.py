"""Times of any kind."""
