"""What one call does with everything below it: ``cf.fit`` and ``cf.diff``."""
