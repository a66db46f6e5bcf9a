"""The command `__init_`."""
