"""Side tables of users and items, as they are and as sparse features."""
