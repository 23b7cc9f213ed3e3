"""From an opened table to its rows of a user, an item and a value."""
