"""What is live, and how it changes: swaps, refits, trials, erasure, and what other processes did."""
