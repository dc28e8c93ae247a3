"""A source cut to its first rows: for a look, or a trial on a few contacts."""

from collections.abc import Iterator

from syncengine.ports import Chunk, Description, Source

_MARK = "first-"


def trial_of(digest: str) -> str:
    """What the digest of a source cut to its first rows begins with; empty for that of a whole source."""
    return digest[: digest.index(":") + 1] if digest.startswith(_MARK) else ""


class FirstRows:
    """The first `limit` rows of a source (a `Source`). It does not know who left."""

    def __init__(self, source: Source, limit: int) -> None:
        self._source = source
        self._limit = limit

    @property
    def name(self) -> str:
        return self._source.name

    @property
    def columns(self) -> tuple[str, ...]:
        return self._source.columns

    def chunks(self) -> Iterator[Chunk]:
        left = self._limit
        for chunk in self._source.chunks():
            rows = chunk.rows.head(left)
            held = chunk.held.head(left - rows.height)
            left -= rows.height + held.height
            yield Chunk(chunk.file, rows, held, chunk.plain)
            if left <= 0:
                return

    def digest(self) -> str:
        """Not that of the whole source: a trial says nothing about what the source holds."""
        return f"{_MARK}{self._limit}:{self._source.digest()}"

    def describe(self) -> Description:
        return self._source.describe()

    def verify_unchanged(self) -> None:
        self._source.verify_unchanged()
