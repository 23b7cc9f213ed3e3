"""neural: a neural network over embeddings of users and items."""
