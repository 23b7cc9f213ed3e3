"""The parts of ``cofactor.notebook``; import that."""
