"""Which CRM a file comes from, told by its headers. Pure.

Headers are labels that follow the user's language, custom fields and spelling, so only a few tell-tale ones count, and
they are compared as variables' names are made: transliterated (a Cyrillic Р in a Latin header is common), without
case, blanks and punctuation.
"""

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from syncengine.normalise.names import variable_name
from syncengine.presets.model import Preset

USE: Final = 0.9  #: score from which a preset is taken
SUGGEST: Final = 0.6  #: score from which it is worth a word


@dataclass(frozen=True, slots=True)
class Match:
    """A preset and how well it fits. `known` of the file's columns are mentioned in it."""

    preset: Preset
    score: float  #: 0 to 1
    known: int
    of: int

    @property
    def sure(self) -> bool:
        return self.score >= USE


@lru_cache(maxsize=8_192)
def folded(header: str) -> str:
    """A header as it is compared."""
    return variable_name(header).lower()


def recognise(columns: Sequence[str], presets: Iterable[Preset], files: Sequence[str] = ()) -> tuple[Match, ...]:
    """The presets that fit `columns` at least `SUGGEST`, best first. `files` are names, which decide between equals."""
    there = {folded(column) for column in columns}
    found = [
        (_signature(preset, there), _named(preset, files), match.known / max(1, match.of), match)
        for preset in presets
        if (match := _match(preset, columns, there)).score >= SUGGEST
    ]
    found.sort(key=lambda entry: (entry[3].score, *entry[:3]), reverse=True)
    return tuple(entry[3] for entry in found)


def _match(preset: Preset, columns: Sequence[str], there: set[str]) -> Match:
    score = max(len(group & there) / len(group) for group in _groups(preset))
    mentioned = {folded(header) for header in _mentioned(preset)}
    known = sum(folded(column) in mentioned or is_dropped(preset, column) for column in columns)
    return Match(preset, score, known, len(columns))


def _signature(preset: Preset, there: set[str]) -> int:
    """How many tell-tale headers the best group has found."""
    return max(len(group & there) for group in _groups(preset))


def _groups(preset: Preset) -> list[set[str]]:
    return [{folded(header) for header in group} for group in preset.detect.any_of]


def _named(preset: Preset, files: Sequence[str]) -> bool:
    names = [file.replace("\\", "/").rpartition("/")[2].lower() for file in files]
    return any(fnmatch.fnmatchcase(name, pattern.lower()) for name in names for pattern in preset.detect.file)


def is_dropped(preset: Preset, column: str) -> bool:
    """Whether the preset leaves the column out on purpose."""
    name = column.casefold()
    return any(fnmatch.fnmatchcase(name, pattern.casefold()) for pattern in preset.drop)


def _mentioned(preset: Preset) -> Iterable[str]:
    for group in preset.detect.any_of:
        yield from group
    for headers in (preset.email.columns, preset.id, preset.full_name):
        yield from headers
    for hint in preset.columns.values():
        yield from hint.column
    for rule in preset.consent:
        yield from rule.column
    if preset.read.file_column is not None:
        yield preset.read.file_column
