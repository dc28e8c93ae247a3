"""On which line of a TOML file a key stands: no TOML reader tells, and a person needs it."""

import re
from collections.abc import Sequence

_TABLE = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""^\s*((?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+))*)\s*=""")
_PART = re.compile(r""""([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+)""")

Path = tuple[str | int, ...]


def locate(text: str, path: Sequence[str | int]) -> int | None:
    """Line (from 1) of the key at `path`, or of the nearest table or key above it; None if nothing of it stands there.

    `path` is as pydantic gives it: ("job", 0, "columns", "emial"). Multi-line strings that look like keys may fool
    it; it is only used to point a person to a place.
    """
    places = _places(text)
    wanted = tuple(path)
    while wanted:
        if wanted in places:
            return places[wanted]
        wanted = wanted[:-1]
    return None


def _places(text: str) -> dict[Path, int]:
    places: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    for number, line in enumerate(text.splitlines(), start=1):
        header = _TABLE.match(line)
        if header:
            table = _table_path(_parts(header[2]), counts, opens=header[1] == "[[")
            for length in range(1, len(table) + 1):
                places.setdefault(table[:length], number)
            continue
        key = _KEY.match(line)
        if key:
            places.setdefault((*table, *_parts(key[1])), number)
            places.update({(*table, *_parts(key[1]), *inner): number for inner in _inline_keys(line)})
    return places


def _table_path(parts: Sequence[str], counts: dict[Path, int], *, opens: bool) -> Path:
    """The path of a table header; within an array of tables its latest element is meant."""
    path: Path = ()
    for index, part in enumerate(parts):
        path = (*path, part)
        last = index == len(parts) - 1
        if last and opens:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def _inline_keys(line: str) -> list[tuple[str, ...]]:
    """Keys of an inline table on the same line."""
    inside = line.partition("=")[2]
    return [(match[1],) for match in re.finditer(r"[{,]\s*([A-Za-z0-9_-]+)\s*=", inside)]


def _parts(dotted: str) -> list[str]:
    return ["".join(groups) for groups in _PART.findall(dotted)]
