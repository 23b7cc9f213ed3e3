"""cofactor: collaborative filtering that learns, shows what it learned, recommends, and says why and how sure it is."""

__version__ = "0.1.0"
