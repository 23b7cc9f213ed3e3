"""What several models share: configs, alternating least squares, rankers over histories, stored arrays."""
