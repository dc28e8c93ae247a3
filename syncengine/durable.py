"""Files that are whole or absent: draft beside the target, fsync, rename, fsync the folder.

Everything syncengine writes is private to the user (0700 folders, 0600 files).
"""

import contextlib
import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import xxhash

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
_BLOCK = 1 << 20


def make_private_folder(folder: Path) -> None:
    """Create `folder` and its missing parents as 0700, durably; an existing one keeps its mode."""
    if folder.is_dir():
        return
    if not folder.parent.exists():
        make_private_folder(folder.parent)  # `mkdir(parents=True)` gives them the mode of the umask
    folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    with contextlib.suppress(PermissionError):  # a folder that one may write to and not read can't be synced
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and removals in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the content of a closed file durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def drafted(target: Path) -> Iterator[Path]:
    """A private, empty draft beside `target`; renamed onto it and made durable when the block succeeds.

    The block writes the draft and closes it. If the block fails the draft is removed and `target` is as it was.
    """
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.draft")
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), PRIVATE_FILE))
    try:
        yield draft
        sync_file(draft)
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def write_durably(target: Path, content: bytes) -> None:
    """`content` as `target`, whole or not at all."""
    with drafted(target) as draft:
        draft.write_bytes(content)


def reserve(path: Path, size: int) -> None:
    """Make an empty file `size` zero bytes long, with room for all of them on the disk. Raises OSError.

    It can be mapped into memory and written to then: a hole that a full disk can't fill is a SIGBUS, and the process is
    gone without a word.
    """
    with path.open("r+b") as file:
        if sys.platform == "linux":
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            for at in range(0, size, _BLOCK):
                file.write(bytes(min(_BLOCK, size - at)))


def file_digest(path: Path) -> str:
    """xxh3-128 of a file's bytes, in hex (about 3 GB/s)."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
