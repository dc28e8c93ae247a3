"""The state directory, locked and open for writing."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from syncengine.anchor import Ledger
from syncengine.errors import ConfigError, StateError
from syncengine.ledger import open_ledger
from syncengine.lock import locked


@contextlib.contextmanager
def held_state(folder: Path, *, wait_lock: float = 0.0, doing: str = "sync") -> Iterator[Ledger]:
    """Lock the state directory and open its database. Raises LockError, StateError."""
    _refuse_odd_path(folder)
    sent = "nothing was sent"
    try:
        with locked(folder, wait=wait_lock, doing=doing), contextlib.closing(open_ledger(folder)) as connection:
            sent = "what was confirmed before this is recorded; what was in flight is sent again"
            yield connection
    except (OSError, sqlite3.Error) as error:
        raise StateError(
            f"{folder}: the state can't be written",
            why=str(error),
            fix="make the folder writable, or name another: [state] path",
            sent=sent,
        ) from error


def _refuse_odd_path(folder: Path) -> None:
    """Raises ConfigError for a path that is no text: polars can't write there."""
    try:
        str(folder).encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            "the state can't be kept in a folder whose name is not UTF-8",
            why=str(folder).encode("utf-8", "backslashreplace").decode(),
            fix='rename it, or name another: [state] path = "/var/lib/syncengine"',
            code="state-path",
        ) from error
