"""dot-bias: the model of the classic notebook, with factors and biases by stochastic gradient descent."""
