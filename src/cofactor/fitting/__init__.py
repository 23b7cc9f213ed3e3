"""Training a named model on a table: fit, calibrate, warm start, refit."""
