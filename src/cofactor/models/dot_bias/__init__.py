"""dot-bias: the model of the classic notebook, factors and biases by stochastic gradient descent."""
