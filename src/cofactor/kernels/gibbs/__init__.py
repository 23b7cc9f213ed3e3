"""Kernels of the Gibbs sampler of bayes-mf."""
