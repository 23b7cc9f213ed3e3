"""Lists for all users, resumable, into a file."""
