"""Kernels of ials: row solvers by blocks and by conjugate gradients."""
