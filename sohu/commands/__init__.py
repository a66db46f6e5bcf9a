"""The subcommands of `sohu`: one module each, with `main(argv) -> int`; its docstring is its help."""
