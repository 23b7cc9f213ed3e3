"""bayes-mf: Bayesian matrix factorisation by Gibbs sampling, with side features, drift in time and intervals."""
