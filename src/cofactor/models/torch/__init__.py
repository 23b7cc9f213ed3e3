"""Training, folding in and storing a PyTorch module of one's own."""
