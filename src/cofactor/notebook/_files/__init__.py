"""Weights and exported Learners in files."""
