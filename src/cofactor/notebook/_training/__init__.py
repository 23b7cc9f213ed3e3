"""The Learner, and the ways to train a module."""
