"""Users and items without ratings, by their features."""
