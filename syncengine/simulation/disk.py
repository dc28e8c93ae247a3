"""A state directory as a crash would leave it, and a listener for every step that changes one.

What a killed process leaves is what the kernel has been told: everything written before that moment. Steps are seen
through Python's audit events (files opened, renamed, removed, folders made) and SQLite's own trace (each statement);
nothing of the engine is replaced to see them.
"""

import contextlib
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import xxhash

Image = dict[str, bytes]
"""Relative path → content, of every file; a folder without files ends in "/"."""

_STEPS = frozenset({"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree"})

OnStep = Callable[[str], None]


class _Listening:
    """Audit hooks can't be removed, so there is one, which mostly has nobody to tell."""

    folder: str = ""
    tell: OnStep | None = None
    installed: bool = False


def _hook(event: str, facts: tuple[Any, ...]) -> None:
    tell = _Listening.tell
    if tell is None or event not in _STEPS or not facts:
        return
    path = str(facts[0])
    if path.startswith(_Listening.folder):
        with _unheard():  # whoever is told may well open files
            tell(f"{event} {Path(path).name}")


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """What is done to files within the block is not told."""
    tell, _Listening.tell = _Listening.tell, None
    try:
        yield
    finally:
        _Listening.tell = tell


@contextlib.contextmanager
def each_step(folder: Path, tell: OnStep) -> Iterator[None]:
    """Within the block `tell` is called before every step that changes a file below `folder`."""
    if not _Listening.installed:
        sys.addaudithook(_hook)
        _Listening.installed = True
    _Listening.folder, _Listening.tell = str(folder), tell
    try:
        yield
    finally:
        _Listening.folder, _Listening.tell = "", None


def each_statement(connection: sqlite3.Connection, tell: OnStep) -> None:
    """`tell` is called before every statement of `connection` that begins, ends or is a change."""

    def trace(statement: str) -> None:
        if not statement.startswith(("SELECT", "PRAGMA")):
            tell(statement.split(" ", 1)[0])

    connection.set_trace_callback(trace)


def image_of(folder: Path) -> Image:
    """What is on disk now. `-shm` is left out: SQLite makes it anew, and no crash leaves anything of worth in it."""
    image: Image = {}
    with _unheard():
        for path in sorted(folder.rglob("*")):
            name = str(path.relative_to(folder))
            if path.is_dir():
                if not any(path.iterdir()):
                    image[f"{name}/"] = b""
            elif not name.endswith("-shm"):
                image[name] = path.read_bytes()
    return image


def restore(image: Image, folder: Path) -> Path:
    """`image` as a new `folder`."""
    folder.mkdir(parents=True, mode=0o700)
    for name, content in image.items():
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True, mode=0o700, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o600)
    return folder


def digest_of(image: Image) -> str:
    """Equal for equal images. Names of drafts are random, so a draft counts by its content."""
    digest = xxhash.xxh3_128()
    for name, content in image.items():
        stem = name.rsplit(".", 2)[0] if name.endswith(".draft") else name
        digest.update(f"{stem}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
