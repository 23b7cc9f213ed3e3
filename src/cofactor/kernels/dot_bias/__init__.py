"""Kernels of dot-bias."""
