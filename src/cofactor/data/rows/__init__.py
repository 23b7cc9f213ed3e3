"""Turn an opened table into rows of a user, an item and a value."""
