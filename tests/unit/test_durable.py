"""Files are whole or absent, private to the user, and a failed write leaves everything as it was."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import xxhash

from syncengine.durable import (
    drafted,
    file_digest,
    make_private_folder,
    reserve,
    sync_file,
    sync_folder,
    write_durably,
)


@pytest.fixture
def open_umask() -> Iterator[None]:
    """The umask of a careless user: what is private must be so by our doing."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_is_written_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    write_durably(tmp_path / "run.json", b"content")

    assert (tmp_path / "run.json").read_bytes() == b"content"
    assert names(tmp_path) == {"run.json"}


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "run.json"
    write_durably(target, b"a long first content")
    before = target.stat().st_ino

    write_durably(target, b"second")

    assert target.read_bytes() == b"second"
    assert target.stat().st_ino != before


@pytest.mark.usefixtures("open_umask")
def test_files_and_folders_are_private_whatever_the_umask(tmp_path: Path) -> None:
    make_private_folder(tmp_path / "a" / "b" / "c")
    write_durably(tmp_path / "a" / "file", b"")

    assert [mode(tmp_path / "a"), mode(tmp_path / "a/b"), mode(tmp_path / "a/b/c")] == [0o700] * 3
    assert mode(tmp_path / "a" / "file") == 0o600


@pytest.mark.usefixtures("open_umask")
def test_a_public_file_becomes_private_when_it_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"public")

    write_durably(tmp_path / "file", b"private")

    assert mode(tmp_path / "file") == 0o600


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o755)

    make_private_folder(tmp_path / "shared")

    assert mode(tmp_path / "shared") == 0o755


def test_the_draft_is_private_empty_and_beside_the_target(tmp_path: Path) -> None:
    with drafted(tmp_path / "file") as draft:
        assert (draft.parent, draft.stat().st_size, mode(draft)) == (tmp_path, 0, 0o600)
        assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("before", [None, b"as it was"])
def test_a_failure_while_drafting_leaves_the_target_as_it_was(
    tmp_path: Path, before: bytes | None, failure: type[BaseException]
) -> None:
    target = tmp_path / "file"
    if before is not None:
        target.write_bytes(before)

    def fail() -> None:
        with drafted(target) as draft:
            draft.write_bytes(b"half a conte")
            raise failure

    with pytest.raises(failure):
        fail()

    assert (target.read_bytes() if target.exists() else None) == before
    assert names(tmp_path) <= {"file"}


def test_a_target_that_can_not_be_replaced_leaves_no_draft(tmp_path: Path) -> None:
    (tmp_path / "folder" / "inner").mkdir(parents=True)

    with pytest.raises(OSError, match="folder"):
        write_durably(tmp_path / "folder", b"content")

    assert names(tmp_path) == {"folder"}


def test_two_drafts_of_one_target_do_not_meet(tmp_path: Path) -> None:
    with drafted(tmp_path / "file") as first:
        first.write_bytes(b"first")
        with drafted(tmp_path / "file") as second:
            second.write_bytes(b"second")
        assert (tmp_path / "file").read_bytes() == b"second"

    assert (tmp_path / "file").read_bytes() == b"first"


def test_a_missing_folder_is_an_error_and_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_durably(tmp_path / "missing" / "file", b"")
    assert names(tmp_path) == set()


def test_what_is_not_there_can_not_be_made_durable(tmp_path: Path) -> None:
    for sync in (sync_file, sync_folder):
        with pytest.raises(FileNotFoundError):
            sync(tmp_path / "missing")


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_a_digest_is_xxh3_128_of_all_bytes(tmp_path: Path, size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    (tmp_path / "file").write_bytes(content[:size])

    assert file_digest(tmp_path / "file") == xxhash.xxh3_128_hexdigest(content[:size])


def test_a_file_to_be_mapped_has_its_room_on_the_disk_before(tmp_path: Path) -> None:
    path = tmp_path / "numbers"
    path.touch()

    reserve(path, 3_000_000)

    assert path.read_bytes() == bytes(3_000_000)
    assert path.stat().st_blocks * 512 >= 3_000_000
