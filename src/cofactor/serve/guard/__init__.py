"""What every request passes first: tokens, checks, limits; and what is measured of it."""
