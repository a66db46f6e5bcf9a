"""Which package a definition comes from: this one, or an extension."""

OWN = "sohu"


def package_of(module: str) -> str:
    """The top-level package of a module."""
    return module.partition(".")[0]
