"""What the adapter answers, a file for each theme."""
