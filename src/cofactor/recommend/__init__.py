"""Recommending: the Recommender and the functions behind its methods."""

from cofactor.recommend.recommender import Recommender

__all__ = ["Recommender"]
