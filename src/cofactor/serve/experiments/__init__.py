"""Two versions beside each other: who gets which, and what came of their lists."""
