from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from syncengine.errors import SourceError
from syncengine.ports import Chunk, Description
from syncengine.sources import SourceOptions, open_source


@dataclass(frozen=True)
class Read:
    """A source read to its end."""

    columns: tuple[str, ...]
    chunks: tuple[Chunk, ...]
    described: Description

    @property
    def rows(self) -> list[tuple[str | None, ...]]:
        return [row[1:] for chunk in self.chunks for row in chunk.rows.iter_rows()]

    @property
    def lines(self) -> list[int]:
        return [line for chunk in self.chunks for line in chunk.rows["row"]]

    @property
    def held(self) -> list[tuple[int, str]]:
        return [(line, code) for chunk in self.chunks for line, code in chunk.held.select("row", "code").iter_rows()]

    @property
    def held_cells(self) -> list[tuple[str | None, ...]]:
        return [row[3:] for chunk in self.chunks for row in chunk.held.iter_rows()]

    @property
    def reasons(self) -> list[str]:
        return [reason for chunk in self.chunks for reason in chunk.held["reason"]]


class Sources:
    """Files in a folder of the test's own, read as sources."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, content: bytes | str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def open(self, path: Path | str, **options: Any):
        return open_source(SourceOptions(path=str(path), base=self.folder, **options))

    def read(self, path: Path | str, **options: Any) -> Read:
        source = self.open(path, **options)
        chunks = tuple(source.chunks())
        return Read(source.columns, chunks, source.describe())

    def text(self, content: bytes | str, **options: Any) -> Read:
        return self.read(self.write("contacts.csv", content), **options)

    def refusal(self, path: Path | str, **options: Any) -> SourceError:
        """The error that reading ends in."""
        with pytest.raises(SourceError) as caught:
            self.read(path, **options)
        error = caught.value
        assert error.exit_code == 2
        assert error.what
        assert error.sent == "nothing was sent"
        return error

    def text_refusal(self, content: bytes | str, **options: Any) -> SourceError:
        return self.refusal(self.write("contacts.csv", content), **options)


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources(tmp_path)
