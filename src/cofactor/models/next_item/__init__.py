"""``next-item``: what people take after what they took, from counts of transitions."""
