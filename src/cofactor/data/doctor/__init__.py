"""Looks a table over, and says what to do about what it finds."""
