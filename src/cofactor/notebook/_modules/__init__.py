"""Layers, parameters and optimizers."""
