"""The functions of fastcore that such notebooks use."""
