"""The models of a server: the stored versions, and loaded ones with their newer ratings."""
