"""Scores for users and items without ratings, from their features."""
