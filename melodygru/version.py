"""The version of the package, which no module needs the package itself for."""

__version__ = "0.2.0"
