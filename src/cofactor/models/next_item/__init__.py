"""``next-item``: the items that people take after those they took, from counts of transitions."""
