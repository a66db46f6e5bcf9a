"""Programs of the benchmarks that each run with the Python and the libraries of one contender."""
