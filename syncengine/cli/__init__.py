"""The command line: a translation of the library. Nothing here knows how a sync works."""

from syncengine.cli.main import main

__all__ = ["main"]
