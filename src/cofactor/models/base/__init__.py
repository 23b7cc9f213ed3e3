"""Shared parts of the models: configs, alternating least squares, rankers over histories, stored arrays."""
