"""Fuzzing of the assembler, the loaders and the emulator: `make fuzz`, or `python -m tools.fuzz --help`.

A target makes cases from a seed and checks each one; whatever the check raises is a failure. Batch `b` of a target
is the same cases in every run with the same seed, so that a run stopped anywhere goes on from its state file, with
any number of processes, and a failure is found again by its number.
"""
