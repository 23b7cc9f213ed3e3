"""Train, fold in and store a user's own PyTorch module."""
