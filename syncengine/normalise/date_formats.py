"""Formats of dates as they are written in configs and presets: what they may say, and which do not go together.

Imports nothing that is slow to load.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from syncengine.errors import ConfigError

#: Directive -> what a cell may hold there. chrono alone is too kind: it takes `+2024`, ` 3` and the year 24 for %Y.
SHAPES: Final[Mapping[str, str]] = {
    "%Y": "[1-9][0-9]{3}",
    **dict.fromkeys(("%d", "%m", "%H", "%I"), "[0-9]{1,2}"),
    **dict.fromkeys(("%M", "%S"), "[0-9]{2}"),
    "%b": "[A-Za-z]{3}",
    "%B": "[A-Za-z]{3,9}",
    "%p": "[AaPp][Mm]",
    "%z": "[+-][0-9]{2}:?[0-9]{2}",
    "%%": "%",
    ".%f": r"\.[0-9]{1,9}",
}
_NEEDED: Final = {
    "a day (%d)": {"%d"},
    "a month (%m)": {"%m", "%b", "%B"},
    "a four-digit year (%Y)": {"%Y"},
}
RIVALS: Final = (("%d/%m/%Y", "%m/%d/%Y"), ("%d-%m-%Y", "%m-%d-%Y"))


def check_date_formats(formats: Sequence[str]) -> None:
    """Raises ConfigError as `values.date` would, before there is a cell to read."""
    refuse_rivals(formats)
    for format_ in formats:
        parts_of(format_)


def parts_of(format_: str) -> list[str]:
    """Directives and what stands between them. Raises ConfigError for a directive that is not read here, and where one
    that is needed is missing.
    """
    parts = re.findall(r"\.%f|%.?|[^%.]+|\.", format_, flags=re.DOTALL)
    _check_format(format_, parts)
    return parts


def _check_format(format_: str, parts: Sequence[str]) -> None:
    unknown = [part for part in parts if part.startswith("%") and part not in SHAPES]
    lacks = [name for name, ways in _NEEDED.items() if ways.isdisjoint(parts)]
    if not (unknown or lacks):
        return
    why = [f"{part} is not read here" for part in unknown] + [f"it lacks {name}" for name in lacks]
    raise ConfigError(
        f"{format_!r} can not be used as a date format",
        why="; ".join(why),
        fix='write it like formats = ["%d.%m.%Y", "%d.%m.%Y %H:%M:%S"]; ISO dates (2024-05-31) need no format',
        code="date-format",
    )


def refuse_rivals(formats: Sequence[str]) -> None:
    """Raises ConfigError for formats that read one cell as different days."""
    for pair in RIVALS:
        found = [next((one for one in formats if one.startswith(day)), "") for day in pair]
        if all(found):
            raise ConfigError(
                f"{found[0]!r} and {found[1]!r} can not both be the formats of one column",
                why="they read 03/04/2025 as different days, and which of them wins would be chance",
                fix=f'keep the one the file is in: formats = ["{found[0]}"]',
                code="date-format",
            )
