"""Lists for all users, written to a file by a resumable job."""
