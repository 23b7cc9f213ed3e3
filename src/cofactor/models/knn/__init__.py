"""item-knn and user-knn: neighbourhood models of ratings."""
